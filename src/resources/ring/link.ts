import type { Argv, Change, Observations, Read, Step } from '../../core/resource.ts';
import { type NetworkdFile, withAssignment } from '../../formats/networkd.ts';
import type { PersistentPlan } from '../interfaces/files.ts';
import {
  overriddenBy,
  readUnits,
  settingOf,
  settingsOf,
  UNIT_FOLDER,
  type Unit,
  unitEdit,
  unitReads,
  unitTarget,
} from '../networkd/units.ts';
import { isRoundedFrom, type WantedRing } from './rings.ts';

const propertiesArgv = (device: string): Argv => [
  'udevadm',
  'info',
  '-q',
  'property',
  '-p',
  `/sys/class/net/${device}`,
];
const ownName = (device: string): string => `10-mcastctl-${device}.link`;
/** There where initramfs-tools makes the image: .link files are copied into it, and count there first. */
const INITRAMFS = '/etc/initramfs-tools/initramfs.conf';
const UPDATE_INITRAMFS: Step = { do: 'run', argv: ['update-initramfs', '-u', '-k', 'all'], seconds: 600 };

/** What must be read to know which .link file udev takes for a device. */
export function linkReads(device: string): readonly Read[] {
  return [{ read: 'run', argv: propertiesArgv(device) }, ...unitReads('link'), { read: 'file', path: INITRAMFS }];
}

/** The .link file that counts at the next boot. */
export interface LinkFile {
  readonly unit: Unit;
  /** Whether it is for many devices, as 99-default.link: then an edit would change them all. */
  readonly isShared: boolean;
  /** `ID_PATH` of the device, "" where udev gives none. */
  readonly idPath: string;
}

/** @returns undefined where udev is not there, or takes no file for the device */
export function linkFileOf(device: string, seen: Observations): LinkFile | undefined {
  const units = readUnits(seen, 'link');
  const { code, stdout } = seen.run(propertiesArgv(device));
  const property = (name: string): string =>
    new RegExp(`^${name}=(.*)$`, 'm').exec(code === 0 ? stdout : '')?.[1] ?? '';
  const used = property('ID_NET_LINK_FILE');
  const own = units.find(({ name }) => name === ownName(device));
  const named = units.find(({ name }) => name === used.slice(used.lastIndexOf('/') + 1));
  // udev remembers the file that it took when the device appeared. Where that is gone, the next boot takes the one for all devices.
  const unit = own ?? named ?? (used === '' ? undefined : units.find(isForAll));
  return unit && { unit, isShared: !isSpecific(unit), idPath: property('ID_PATH') };
}

/** The size that a .link file gives a ring; undefined: none. */
export function linkSize({ unit }: LinkFile, { ring, maximum }: WantedRing) {
  const found = settingOf(unit, 'Link', ring.link);
  if (found === undefined) return undefined;
  // udev takes the maximum for anything above it.
  const size =
    found.value === 'max' ? maximum : /^\d{1,10}$/.test(found.value) ? Math.min(Number(found.value), maximum) : null;
  return { ...found, size };
}

/** Compares a .link file with what is wanted. One that is for many devices is not touched: the device gets its own, with the same policies. */
export function planLink(
  device: string,
  wanted: readonly WantedRing[],
  link: LinkFile,
  seen: Observations,
): PersistentPlan {
  const changes: Change[] = [];
  const stuck = new Set<string>();
  const edits = new Map<string, ((file: NetworkdFile) => NetworkdFile)[]>();
  for (const each of wanted) {
    const { ring, size, wish } = each;
    const current = linkSize(link, each);
    if (current?.size != null && isRoundedFrom(current.size, size)) continue;
    const target = link.isShared ? `${UNIT_FOLDER}/${ownName(device)}` : unitTarget(link.unit, current?.path);
    changes.push({
      layer: 'persistent',
      property: ring.name,
      from: current === undefined ? null : (current.size ?? current.value),
      to: size,
      file: current?.path ?? target,
      ...(current !== undefined && { line: current.line }),
      ...(link.isShared && {
        note: `"${link.unit.main.path}" is for many devices: "${device}" gets a file of its own, with the same policies`,
      }),
    });
    const reason = link.isShared ? undefined : overriddenBy(target, current?.path);
    if (reason !== undefined) stuck.add(reason);
    edits.set(target, [
      ...(edits.get(target) ?? []),
      (file) => withAssignment(file, 'Link', ring.link, wish === 'max' ? 'max' : String(size)),
    ]);
  }
  if (link.isShared && changes.length > 0 && link.idPath === '') {
    stuck.add(
      `"${link.unit.main.path}" is for many devices, and udev gives "${device}" no path to tell it by: give it a .link file of its own`,
    );
  }
  const initial = link.isShared ? ownFile(device, link) : '';
  const files = [...edits].map(([path, all]): Step => ({ do: 'edit', path, edit: unitEdit(all, initial) }));
  const programs = files.length > 0 && seen.file(INITRAMFS) !== null ? [UPDATE_INITRAMFS] : [];
  const blocked = stuck.size > 0 ? [...stuck].join('; ') : undefined;
  return { changes, keep: blocked === undefined ? [...files, ...programs] : [], blocked };
}

/** systemd takes the first .link file that matches: one that is only for this device has to give all that the other one gives. */
function ownFile(device: string, { unit, idPath }: LinkFile): string {
  const policies = [...settingsOf(unit, 'Link')].map(([key, value]) => `${key}=${value}\n`).join('');
  return `# Made by mcastctl for the rings of ${device}; otherwise as ${unit.name}.\n[Match]\nPath=${idPath}\n\n[Link]\n${policies}`;
}

/** Whether a file matches every device, as systemd's 99-default.link does. */
function isForAll(unit: Unit): boolean {
  const match = [...settingsOf(unit, 'Match')];
  return match.length === 1 && match[0]?.[0] === 'OriginalName' && match[0][1] === '*';
}

/** Whether a file matches by what only one device has. */
function isSpecific(unit: Unit): boolean {
  const match = settingsOf(unit, 'Match');
  const isExact = (key: string): boolean => /^[^*?[\]!\s]+$/.test(match.get(key) ?? '');
  return ['MACAddress', 'PermanentMACAddress', 'Path', 'OriginalName'].some(isExact);
}
