import type { Change, Observations, Read, Step } from '../../core/resource.ts';
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

/** Folders of drop-ins are named after their .netdev file. */
const DROP_INS = { suffix: '.conf', within: '.netdev.d' } as const;

/** What must be read to know which .netdev file makes a bridge. */
export const NETWORKD_READS: readonly Read[] = [
  ...FOLDERS.map((path): Read => ({ read: 'dir', path, suffix: '.netdev' })),
  ...FOLDERS.map((path): Read => ({ read: 'dir', path, ...DROP_INS })),
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
  const dropIns = readDropIns(seen);
  return [...mains].flatMap(([name, main]) =>
    main.isMasked
      ? []
      : [{ name, main, dropIns: dropIns.filter(({ path }) => path.split('/').at(-2) === `${name}.d`) }],
  );
}

/** All drop-ins by name; of two with one name in one kind of folder the higher counts. */
function readDropIns(seen: Observations): Layered[] {
  const counted = new Map<string, Layered>();
  for (const folder of FOLDERS) {
    for (const { path, text } of seen.dir(folder, DROP_INS.suffix, DROP_INS.within) ?? []) {
      const key = path.split('/').slice(-2).join('/');
      if (!counted.has(key)) counted.set(key, { path, file: parseNetworkd(text) });
    }
  }
  return [...counted.values()].toSorted((a, b) => (baseName(a.path) < baseName(b.path) ? -1 : 1));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
