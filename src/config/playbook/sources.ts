import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import type { ResourceType } from '../../core/resource.ts';
import { addSecret } from '../../core/secrets.ts';
import type { FaultList } from '../faults.ts';
import { renderWith } from '../template.ts';
import type { Names } from '../template-evaluate.ts';
import { isVaultText, VaultFault } from '../vault/decrypt.ts';
import { NO_VAULT, type Vault } from '../vault/vault.ts';
import { faultOf, type YamlNode } from '../yaml.ts';

/** Texts of the controller's files that the parameters of a task name, by parameter. */
export type Texts = Readonly<Record<string, string>>;

/** The folder beside a playbook where Ansible's users keep such files. */
const FOLDERS = { file: 'files', template: 'templates' } as const;

interface FoundText {
  readonly text: string;
  /** Whether it was encrypted: whatever is made of it is a secret. */
  readonly isSecret: boolean;
}

/** Reads the files of the controller that tasks name, each once. */
export class SourceReader {
  readonly #templates: string | null;
  readonly #texts = new Map<string, FoundText | Error | null>();
  readonly #vault: Vault;

  /**
   * @param templates folder with the templates that ship; null: there is none
   * @param vault opens files that are encrypted with ansible-vault
   */
  constructor(templates: string | null, vault: Vault = NO_VAULT) {
    this.#templates = templates;
    this.#vault = vault;
  }

  /**
   * The texts that the parameters of a task name. What is wrong goes to `faults`, with its place.
   * @param node where the parameters stand
   * @param params the parameters, templates evaluated
   * @param names the variables of the host
   * @returns null where there was a fault
   */
  read(
    type: ResourceType,
    node: YamlNode,
    params: unknown,
    names: Names,
    faults: FaultList,
    host: string,
  ): Texts | null {
    const texts: Record<string, string> = {};
    for (const [param, kind] of Object.entries(type.sources ?? {})) {
      const name: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, param) : undefined;
      if (typeof name !== 'string') continue;
      const place = (node.kind === 'map' ? node.entries.get(param)?.value : undefined) ?? node;
      const found = this.#find(name, kind, node.doc.file);
      if (typeof found === 'string') {
        faults.add(faultOf(place, found));
        return null;
      }
      const text =
        kind === 'file'
          ? found.text
          : faults.collect(() => renderWith(found.text, names, found.path, found.isSecret), host);
      if (text === undefined) return null;
      if (found.isSecret) addSecret(text);
      texts[param] = text;
    }
    return texts;
  }

  /** A file of the controller, or why there is none. */
  #find(name: string, kind: 'file' | 'template', playbook: string): (FoundText & { path: string }) | string {
    const folder = dirname(playbook);
    const shipped = kind === 'template' && this.#templates !== null ? [join(this.#templates, name)] : [];
    const places = isAbsolute(name) ? [name] : [join(folder, name), join(folder, FOLDERS[kind], name), ...shipped];
    for (const path of places) {
      const found = this.#text(path);
      if (found instanceof Error) return `"${path}" can't be read: ${messageOf(found)}`;
      if (found !== null) return { path, ...found };
    }
    return `there is no file "${name}": looked for ${places.map((path) => `"${path}"`).join(', ')}`;
  }

  #text(path: string): FoundText | Error | null {
    const known = this.#texts.get(path);
    if (known !== undefined) return known;
    const text = readText(path);
    const found = typeof text === 'string' ? this.#decrypted(text) : text;
    this.#texts.set(path, found);
    return found;
  }

  #decrypted(text: string): FoundText | Error {
    if (!isVaultText(text)) return { text, isSecret: false };
    try {
      return { text: this.#vault.open(text), isSecret: true };
    } catch (error) {
      if (error instanceof VaultFault) return new Error(`${error.message} (${error.hint})`);
      throw error;
    }
  }
}

/** null: there is no such file. */
function readText(path: string): string | Error | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (error) {
    if (error instanceof TypeError) return new Error('it is not UTF-8 text');
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code === 'EISDIR') return new Error('it is a directory');
    return error instanceof Error ? error : new Error(String(error));
  }
}
