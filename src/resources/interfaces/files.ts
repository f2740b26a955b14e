import picomatch from 'picomatch';
import { HostError } from '../../core/errors.ts';
import type { Change, FileState, Observations, Read, Step } from '../../core/resource.ts';
import {
  type Dialect,
  type InterfacesFile,
  lineAt,
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
  /** Devices of `auto` and `allow-hotplug` lines: those that ifupdown brings up by itself. */
  readonly automatic: ReadonlySet<string>;
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
  const automatic = new Set<string>();
  const visit = (state: FileState) => {
    if (files.includes(state.path)) return;
    files.push(state.path);
    const file = parseInterfaces(state.text, dialect);
    for (const [index, line] of file.lines.entries()) {
      const stanza = file.stanzas.find((each) => each.header === index);
      if (stanza) stanzas.push({ path: state.path, file, stanza });
      if (/^(?:auto|allow-auto|allow-hotplug)$/.test(line.key)) {
        for (const name of line.value.split(/[ \t]+/)) automatic.add(name);
      }
      if (line.kind !== 'keyword' || !line.key.startsWith('source')) continue;
      const found = sourced(line.key, line.value, state.path, folder);
      if (found === undefined) unread.push(`${line.key} ${line.value}`);
      for (const next of found ?? []) visit(next);
    }
  };
  const main = seen.file(MAIN);
  if (main !== null) visit(main);
  return { dialect, stanzas, files, automatic, unread };
}

/** The stanzas of a device: those with its name, else those whose ifupdown2 range holds it. */
export function stanzasOf(tree: InterfacesTree, name: string, match: 'exact' | 'range' = 'exact'): PlacedStanza[] {
  return tree.stanzas.filter(({ stanza }) => stanzaMatches(stanza, name, tree.dialect) === match);
}

/** What the files of one program say, and what makes them right. */
export interface PersistentPlan {
  readonly changes: readonly Change[];
  readonly keep: readonly Step[];
  /** Why the changes can't be made; several reasons are joined. */
  readonly blocked: string | undefined;
}

export type TextEdit = (text: string) => string;

/** One edit made of several; there is a text, since a stanza of it was read. */
export function applyAll(edits: readonly TextEdit[]): (text: string | null) => string | null {
  return (text) => (text === null ? null : edits.reduce((current, edit) => edit(current), text));
}

/** 0: no command that runs at the start. To ifupdown `up` and `post-up` are one. */
export function phaseOf(key: string, file: InterfacesFile): number {
  if (key === 'pre-up') return 1;
  if (key === 'up') return 2;
  return key === 'post-up' ? (file.dialect === 'ifupdown2' ? 3 : 2) : 0;
}

/** The stanzas that a stanza inherits from, the farthest first. ifupdown2 knows no inheritance. */
export function parentsOf(place: PlacedStanza, tree: InterfacesTree): PlacedStanza[] {
  if (tree.dialect === 'ifupdown2') return [];
  const chain: PlacedStanza[] = [];
  let name = place.stanza.inherits;
  while (name !== undefined) {
    const wantedName = name;
    const parent = tree.stanzas.find(({ stanza }) => stanza.name === wantedName);
    if (parent === undefined || parent === place || chain.includes(parent)) break;
    chain.unshift(parent);
    name = parent.stanza.inherits;
  }
  return chain;
}

/** Why an edit of these files would not last. */
export function generatedBy(paths: Iterable<string>): string | undefined {
  return [...paths].includes(`${FOLDER}/sdn`)
    ? `${FOLDER}/sdn is written by the SDN of Proxmox VE, which would undo any edit`
    : undefined;
}

/** Why a stanza that makes several devices is not edited for one of them. */
export function rangeReason(range: PlacedStanza, device: string): string {
  const { number } = lineAt(range.file, range.stanza.header);
  return `${range.path}:${number} makes "${device}" together with others ("iface ${range.stanza.name}"): give it a stanza of its own`;
}

/** @throws HostError where the Proxmox GUI holds changes that nobody applied yet */
export function refusePending(seen: Observations): void {
  const pending = seen.file(PENDING);
  if (pending === null || pending.text === seen.file(MAIN)?.text) return;
  throw new HostError(`${PENDING} holds changes to the network that were made in the Proxmox GUI and not applied yet`, {
    hint: `apply them ("Apply Configuration" of the node's network page) or discard them ("Revert"), then run this again`,
  });
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
