import picomatch from 'picomatch';
import type { FileState, Observations, Read } from '../../core/resource.ts';
import {
  type Dialect,
  type InterfacesFile,
  parseInterfaces,
  type Stanza,
  stanzaMatches,
} from '../../formats/interfaces.ts';

/** The file that ifup starts from. */
export const MAIN = '/etc/network/interfaces';
/** Where the Proxmox GUI keeps what nobody applied yet. */
export const PENDING = '/etc/network/interfaces.new';
/** The only folder of sourced files that is read. */
export const FOLDER = '/etc/network/interfaces.d';

/** Proxmox itself tells ifupdown2 by this folder; no file in it ends so, hence nothing of it is sent. */
const IFUPDOWN2 = { read: 'dir', path: '/usr/share/ifupdown2', suffix: '.absent' } as const;

/** What must be read to know which stanza makes a bridge. */
export const INTERFACES_READS: readonly Read[] = [
  { read: 'file', path: MAIN },
  { read: 'file', path: PENDING },
  { read: 'dir', path: FOLDER, suffix: '' },
  IFUPDOWN2,
];

/** A stanza and the file that it stands in. */
export interface PlacedStanza {
  readonly path: string;
  readonly file: InterfacesFile;
  readonly stanza: Stanza;
}

/** All stanzas that ifup would read, in the order in which it reads them. */
export interface InterfacesTree {
  readonly dialect: Dialect;
  readonly stanzas: readonly PlacedStanza[];
  /** Files read, MAIN first. */
  readonly files: readonly string[];
  /** `source` lines that lead out of FOLDER and were not followed, as written. */
  readonly unread: readonly string[];
}

/** Reads MAIN and what it sources from FOLDER. A node without MAIN has an empty tree. */
export function readTree(seen: Observations): InterfacesTree {
  const dialect: Dialect = seen.dir(IFUPDOWN2.path, IFUPDOWN2.suffix) === null ? 'ifupdown' : 'ifupdown2';
  const folder = seen.dir(FOLDER, '') ?? [];
  const stanzas: PlacedStanza[] = [];
  const files: string[] = [];
  const unread: string[] = [];
  const visit = (state: FileState) => {
    if (files.includes(state.path)) return;
    files.push(state.path);
    const file = parseInterfaces(state.text, dialect);
    for (const [index, line] of file.lines.entries()) {
      const stanza = file.stanzas.find((each) => each.header === index);
      if (stanza) stanzas.push({ path: state.path, file, stanza });
      if (line.kind !== 'keyword' || !line.key.startsWith('source')) continue;
      const found = sourced(line.key, line.value, state.path, folder);
      if (found === undefined) unread.push(`${line.key} ${line.value}`);
      for (const next of found ?? []) visit(next);
    }
  };
  const main = seen.file(MAIN);
  if (main !== null) visit(main);
  return { dialect, stanzas, files, unread };
}

/** The stanzas of a device: those with its name, else those whose ifupdown2 range holds it. */
export function stanzasOf(tree: InterfacesTree, name: string, match: 'exact' | 'range' = 'exact'): PlacedStanza[] {
  return tree.stanzas.filter(({ stanza }) => stanzaMatches(stanza, name, tree.dialect) === match);
}

/** undefined: leads to another folder, or to what only a shell can tell. */
function sourced(key: string, value: string, from: string, folder: readonly FileState[]): FileState[] | undefined {
  const target = value.startsWith('/') ? value : `${from.slice(0, from.lastIndexOf('/'))}/${value}`;
  const path = target.replace(/\/\.?(?=\/)/g, '').replace(/\/$/, '');
  if (key !== 'source') {
    if (path !== FOLDER) return undefined;
    return folder.filter((file) => /^[A-Za-z0-9_-]+$/.test(baseName(file.path)));
  }
  const pattern = baseName(path);
  if (path !== `${FOLDER}/${pattern}` || /[$`~\s]/.test(pattern)) return undefined;
  const matches = picomatch(pattern, { nobrace: true, noextglob: true, noglobstar: true, nonegate: true });
  return folder.filter((file) => matches(baseName(file.path)));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
