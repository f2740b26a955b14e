import type { Observations, Read } from '../../core/resource.ts';
import { lastAssignment, type NetworkdFile, parseNetworkd, printNetworkd } from '../../formats/networkd.ts';

/** Highest first. /lib/systemd/network is /usr/lib/systemd/network on every merged-/usr system. */
const FOLDERS = [
  '/etc/systemd/network',
  '/run/systemd/network',
  '/usr/local/lib/systemd/network',
  '/usr/lib/systemd/network',
] as const;

/** Where files of the administrator lie. */
export const UNIT_FOLDER = FOLDERS[0];

/** Name of the drop-in that is written where the file itself is not the administrator's. */
const DROP_IN = 'zz-mcastctl.conf';

/** The kinds of files that are read. */
export type UnitKind = 'netdev' | 'link';

/** What must be read to know all files of a kind and their drop-ins, whose folders are named after them. */
export function unitReads(kind: UnitKind): readonly Read[] {
  return [
    ...FOLDERS.map((path): Read => ({ read: 'dir', path, suffix: `.${kind}` })),
    ...FOLDERS.map((path): Read => ({ read: 'dir', path, suffix: '.conf', within: `.${kind}.d` })),
  ];
}

interface UnitFile {
  readonly path: string;
  readonly file: NetworkdFile;
}

/** A file of systemd and its drop-ins, in the order in which systemd reads them. */
export interface Unit {
  /** Such as `10-vmbr0.netdev`. */
  readonly name: string;
  readonly main: UnitFile;
  readonly dropIns: readonly UnitFile[];
}

/** All files of a kind, after `unitReads`; of two with one name the one in the higher folder. Masked ones (empty) are left out. */
export function readUnits(seen: Observations, kind: UnitKind): Unit[] {
  const mains = new Map<string, UnitFile & { readonly isMasked: boolean }>();
  for (const folder of FOLDERS) {
    for (const { path, text } of seen.dir(folder, `.${kind}`) ?? []) {
      const name = baseName(path);
      if (!mains.has(name)) mains.set(name, { path, file: parseNetworkd(text), isMasked: text === '' });
    }
  }
  const dropIns = readDropIns(seen, kind);
  return [...mains].flatMap(([name, main]) =>
    main.isMasked
      ? []
      : [{ name, main, dropIns: dropIns.filter(({ path }) => path.split('/').at(-2) === `${name}.d`) }],
  );
}

/** The assignment that counts; an empty one takes all before it back. */
export function settingOf(
  unit: Unit,
  section: string,
  key: string,
): { value: string; line: number; path: string } | undefined {
  for (const { path, file } of [unit.main, ...unit.dropIns].toReversed()) {
    const found = lastAssignment(file, section, key);
    if (found !== undefined) return found.value === '' ? undefined : { ...found, path };
  }
  return undefined;
}

/** All assignments of a section that count, by key, in order. */
export function settingsOf(unit: Unit, section: string): Map<string, string> {
  const lines = [unit.main, ...unit.dropIns].flatMap(({ file }) => file.lines);
  const keys = lines.filter((line) => line.kind === 'assignment' && line.section === section).map(({ key }) => key);
  return new Map(
    [...new Set(keys)].flatMap((key) => {
      const value = settingOf(unit, section, key)?.value;
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

/**
 * The file to edit: the one that gives the value now, or the main file, if it is the administrator's; else a drop-in of ours.
 * @param current path of the file that gives the value now
 */
export function unitTarget(unit: Unit, current: string | undefined): string {
  const giver = current ?? unit.main.path;
  return giver.startsWith(`${UNIT_FOLDER}/`) ? giver : `${UNIT_FOLDER}/${unit.name}.d/${DROP_IN}`;
}

/** Why an edit of `target` would not count: a drop-in that is read later gives the value. */
export function overriddenBy(target: string, current: string | undefined): string | undefined {
  const isLater =
    current !== undefined && current !== target && /\.d\/[^/]*$/.test(current) && baseName(current) > DROP_IN;
  return isLater ? `${current} overrides every file in ${UNIT_FOLDER}` : undefined;
}

/** One edit of a file, made of several; a file that is not there begins with `initial`. */
export function unitEdit(
  edits: readonly ((file: NetworkdFile) => NetworkdFile)[],
  initial = '',
): (text: string | null) => string {
  return (text) => printNetworkd(edits.reduce((file, edit) => edit(file), parseNetworkd(text ?? initial)));
}

/** All drop-ins by name; of two with one name in one kind of folder the higher counts. */
function readDropIns(seen: Observations, kind: UnitKind): UnitFile[] {
  const counted = new Map<string, UnitFile>();
  for (const folder of FOLDERS) {
    for (const { path, text } of seen.dir(folder, '.conf', `.${kind}.d`) ?? []) {
      const key = path.split('/').slice(-2).join('/');
      if (!counted.has(key)) counted.set(key, { path, file: parseNetworkd(text) });
    }
  }
  return [...counted.values()].toSorted((a, b) => (baseName(a.path) < baseName(b.path) ? -1 : 1));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
