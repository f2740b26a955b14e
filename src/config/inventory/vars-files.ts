import { readdirSync, realpathSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { compareCodePoints } from './json-text.ts';
import { type Findings, faultAt, readSource } from './source-text.ts';
import { Dict, isFalsy, kindOf } from './value.ts';
import { readValue } from './yaml-reader.ts';

const EXTENSIONS = ['', '.yml', '.yaml', '.json'];

/** The variables that `group_vars/` and `host_vars/` beside an inventory hold. Each file is read once, and only when asked for. */
export class VarsFolder {
  private readonly path: string;
  private readonly shown: string;
  private readonly findings: Findings;
  private listing: ReadonlySet<string> | undefined;

  /**
   * @param base absolute path of the folder that holds the inventory
   * @param shownBase the same folder as messages mention it
   * @param name "group_vars" or "host_vars"
   */
  constructor(base: string, shownBase: string, name: string, findings: Findings) {
    this.path = join(base, name);
    this.shown = join(shownBase, name);
    this.findings = findings;
  }

  /** What the files of a host or group give, laid over each other in the order of their names. */
  read(name: string): Dict {
    let result = new Dict();
    for (const relative of this.filesOf(name)) result = result.combine(this.readFile(relative));
    return result;
  }

  /** Files of `name`: those in the folder of that name, else `name`, else the first extension that exists. */
  private filesOf(name: string): readonly string[] {
    if (name.startsWith('/')) return [];
    const inside = this.names();
    if (inside.size === 0) return [];
    for (const extension of EXTENSIONS) {
      const candidate = name + extension;
      if (!name.includes('/') && !inside.has(candidate)) continue;
      const kind = kindOfPath(join(this.path, candidate));
      if (kind === 'folder') return this.filesIn(candidate);
      if (kind === 'file') return [candidate];
    }
    return [];
  }

  private filesIn(folder: string): string[] {
    const names = readdirSync(join(this.path, folder)).sort(compareCodePoints);
    return names.flatMap((name) => {
      if (name.startsWith('.') || name.endsWith('~')) return [];
      const relative = join(folder, name);
      const kind = kindOfPath(join(this.path, relative));
      const extension = extname(name);
      if (kind === 'folder' && extension === '') return this.filesIn(relative);
      return kind === 'file' && EXTENSIONS.includes(extension) ? [relative] : [];
    });
  }

  private names(): ReadonlySet<string> {
    this.listing ??= new Set(this.list());
    return this.listing;
  }

  private list(): readonly string[] {
    const kind = kindOfPath(this.path);
    if (kind === 'file') this.findings.warnings.push({ message: `"${this.shown}" is no folder: it is skipped` });
    return kind === 'folder' ? readdirSync(realpathSync(this.path)) : [];
  }

  private readFile(relative: string): Dict {
    const source = readSource(join(this.path, relative), join(this.shown, relative), this.findings);
    if (source === undefined) return new Dict();
    const { value, mark } = readValue(source, this.findings);
    if (value instanceof Dict) return value;
    if (!isFalsy(value)) {
      const message = `a file of variables must be a mapping, this is ${kindOf(value)}`;
      this.findings.faults.push(faultAt(mark, message, 'write "name: value" in each line'));
    }
    return new Dict();
  }
}

function kindOfPath(path: string): 'file' | 'folder' | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  return stats.isDirectory() ? 'folder' : 'file';
}
