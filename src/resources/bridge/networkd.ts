import type { Argv, Change, Observations, Read, Step } from '../../core/resource.ts';
import {
  lastAssignment,
  type NetworkdFile,
  networkdBoolean,
  parseNetworkd,
  printNetworkd,
  withAssignment,
} from '../../formats/networkd.ts';
import type { PersistentPlan } from './ifupdown.ts';
import { type Property, shown, type Wanted } from './properties.ts';

/** Highest first. /lib/systemd/network is /usr/lib/systemd/network on every merged-/usr system. */
const FOLDERS = [
  '/etc/systemd/network',
  '/run/systemd/network',
  '/usr/local/lib/systemd/network',
  '/usr/lib/systemd/network',
] as const;
/** Name of the drop-in that is written where the .netdev file itself is not the administrator's. */
const DROP_IN = 'zz-mcastctl.conf';

/** The names of drop-in folders are known only after the .netdev files: one search finds them all. */
const DROP_INS: Argv = ['grep', '-RsH', '--include=*.conf', '', ...FOLDERS];

/** What must be read to know which .netdev file makes a bridge. */
export const NETWORKD_READS: readonly Read[] = [
  ...FOLDERS.map((path): Read => ({ read: 'dir', path, suffix: '.netdev' })),
  { read: 'run', argv: DROP_INS },
];

interface Layered {
  readonly path: string;
  readonly file: NetworkdFile;
}

/** A .netdev file and its drop-ins, in the order in which systemd reads them. */
interface Netdev {
  readonly name: string;
  readonly main: Layered;
  readonly dropIns: readonly Layered[];
}

/**
 * Compares the .netdev file of a bridge with what is wanted. Source: systemd.netdev(5).
 * @returns undefined where no .netdev file makes the bridge
 */
export function planNetworkd(
  bridge: string,
  wanted: readonly Wanted[],
  seen: Observations,
): PersistentPlan | undefined {
  const found = readNetdevs(seen).filter(
    (netdev) =>
      setting(netdev, 'NetDev', 'Kind')?.value === 'bridge' && setting(netdev, 'NetDev', 'Name')?.value === bridge,
  );
  // systemd makes the device from the first file by name; it skips a second one for the same name.
  const netdev = found.toSorted((a, b) => (a.name < b.name ? -1 : 1))[0];
  if (netdev === undefined) return undefined;
  const changes: Change[] = [];
  const unknown: string[] = [];
  const stuck = new Set<string>();
  const edits = new Map<string, ((file: NetworkdFile) => NetworkdFile)[]>();
  for (const { property, value } of wanted) {
    const current = property.networkd === undefined ? undefined : setting(netdev, 'Bridge', property.networkd);
    const observed = current === undefined ? null : readValue(property, current.value);
    if (observed === value) continue;
    const target = targetOf(netdev, current?.path);
    changes.push({
      layer: 'persistent',
      property: property.name,
      from: observed === null ? (current?.value ?? null) : shown(property, observed),
      to: shown(property, value),
      file: current?.path ?? target,
      ...(current !== undefined && { line: current.line }),
    });
    const key = property.networkd;
    if (key === undefined) {
      unknown.push(property.name);
      continue;
    }
    if (isOverridden(target, current?.path)) stuck.add(`${current?.path} overrides every file in ${FOLDERS[0]}`);
    if (!hasFolder(netdev, target)) stuck.add(missingFolder(netdev, target));
    const text = property.kind === 'flag' ? (value === 0 ? 'no' : 'yes') : String(value);
    edits.set(target, [...(edits.get(target) ?? []), (file) => withAssignment(file, 'Bridge', key, text)]);
  }
  const keep = [...edits].map(([path, all]): Step => ({ do: 'edit', path, edit: applyAll(all) }));
  if (unknown.length > 0) {
    stuck.add(
      `systemd-networkd makes "${bridge}" (${netdev.main.path}) and has no setting for ${unknown.join(', ')}: leave it out, or let ifupdown2 make the bridge`,
    );
  }
  return { changes, keep, blocked: stuck.size > 0 ? [...stuck].join('; ') : undefined };
}

function applyAll(edits: readonly ((file: NetworkdFile) => NetworkdFile)[]): (text: string | null) => string {
  return (text) => printNetworkd(edits.reduce((file, edit) => edit(file), parseNetworkd(text ?? '')));
}

function readValue(property: Property, text: string): number | null {
  if (property.kind !== 'flag') return /^\d{1,9}$/.test(text) ? Number(text) : null;
  const value = networkdBoolean(text);
  return value === undefined ? null : Number(value);
}

/** The assignment that counts; an empty one takes all before it back. */
function setting(
  netdev: Netdev,
  section: string,
  key: string,
): { value: string; line: number; path: string } | undefined {
  for (const { path, file } of [netdev.main, ...netdev.dropIns].toReversed()) {
    const found = lastAssignment(file, section, key);
    if (found !== undefined) return found.value === '' ? undefined : { ...found, path };
  }
  return undefined;
}

/** The file to edit: the one that gives the value now, or the .netdev file, if it is the administrator's; else a drop-in of ours. */
function targetOf(netdev: Netdev, current: string | undefined): string {
  const giver = current ?? netdev.main.path;
  return giver.startsWith(`${FOLDERS[0]}/`) ? giver : `${FOLDERS[0]}/${netdev.name}.d/${DROP_IN}`;
}

/** Whether the folder of a file is known to exist: a step edits files, it makes no folders. */
function hasFolder(netdev: Netdev, target: string): boolean {
  const folder = folderOf(target);
  return folder === FOLDERS[0] || netdev.dropIns.some(({ path }) => folderOf(path) === folder);
}

function missingFolder(netdev: Netdev, target: string): string {
  return `${netdev.main.path} is a generated or packaged file, and no drop-in folder of it was found in ${FOLDERS[0]}: create ${target} with the line "[Bridge]"`;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function isOverridden(target: string, current: string | undefined): boolean {
  return current !== undefined && current !== target && current.includes('.netdev.d/') && baseName(current) > DROP_IN;
}

function readNetdevs(seen: Observations): Netdev[] {
  const mains = new Map<string, Layered & { readonly isMasked: boolean }>();
  for (const folder of FOLDERS) {
    for (const { path, text } of seen.dir(folder, '.netdev') ?? []) {
      const name = baseName(path);
      if (!mains.has(name)) mains.set(name, { path, file: parseNetworkd(text), isMasked: text === '' });
    }
  }
  const dropIns = readDropIns(seen.run(DROP_INS).stdout);
  return [...mains].flatMap(([name, main]) =>
    main.isMasked
      ? []
      : [{ name, main, dropIns: dropIns.filter(({ path }) => path.split('/').at(-2) === `${name}.d`) }],
  );
}

/** The drop-ins that grep printed as `path:line`, by name; of two with one name in one kind of folder the higher counts. */
function readDropIns(stdout: string): Layered[] {
  const texts = new Map<string, string[]>();
  for (const line of stdout.split('\n')) {
    const [, path, content = ''] = /^(\/[^:\n]*?\.netdev\.d\/[^/:\n]+\.conf):(.*)$/.exec(line) ?? [];
    if (path !== undefined) texts.set(path, [...(texts.get(path) ?? []), content]);
  }
  const rank = (path: string) => FOLDERS.findIndex((folder) => path.startsWith(`${folder}/`));
  const counted = new Map<string, string>();
  for (const path of [...texts.keys()].toSorted((a, b) => rank(a) - rank(b))) {
    const key = path.split('/').slice(-2).join('/');
    if (!counted.has(key)) counted.set(key, path);
  }
  return [...counted.values()]
    .toSorted((a, b) => (baseName(a) < baseName(b) ? -1 : 1))
    .map((path) => ({ path, file: parseNetworkd((texts.get(path) ?? []).join('\n')) }));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
