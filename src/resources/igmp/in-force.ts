import type { Change, Observations, Read, ResourcePlan } from '../../core/resource.ts';
import { parseProcIgmp } from '../../formats/proc-igmp.ts';
import { sysctlKey } from '../../formats/sysctl-conf.ts';
import { bootSettingOf } from '../sysctl/setting.ts';

const PROC_NET_IGMP = '/proc/net/igmp';
const CONF = '/proc/sys/net/ipv4/conf';
const FORCE = 'force_igmp_version';

/** The setting that forces a version on a device, below /proc/sys. */
export function forcePath(family: 4 | 6, device: string): string {
  return family === 4 ? `net/ipv4/conf/${device}/${FORCE}` : `net/ipv6/conf/${device}/force_mld_version`;
}

/** What must be read to know which version is in force, besides the reads of the setting. */
export function inForceReads(device: string): readonly Read[] {
  if (device === 'default') return [];
  const others: Read =
    device === 'all'
      ? { read: 'dir', path: CONF, suffix: FORCE, within: '' }
      : { read: 'file', path: `/proc/sys/${forcePath(4, 'all')}` };
  return [{ read: 'file', path: PROC_NET_IGMP }, others];
}

/**
 * Compares the version really in force with the forced one. The kernel speaks the lowest of what `all` says, what the device says
 * (1 or 2; 3 forces nothing) and the version of any querier heard not longer ago than robustness × query interval + response
 * interval, 260 s by default (igmp_heard_query and IGMP_V2_SEEN of net/ipv4/igmp.c; tried on Linux 6.18).
 * @param wanted 1, 2, 3 or 0 for auto; the setting itself is compared elsewhere
 */
export function planInForce(device: string, wanted: number, seen: Observations): ResourcePlan {
  if (device === 'default') return { changes: [], try: [], undo: [], keep: [] };
  const spoken = versionsSpoken(seen);
  if (device === 'all') return noted(notesOfAll(wanted, spoken, seen));
  const all = numberOf(seen.file(`/proc/sys/${forcePath(4, 'all')}`)?.text);
  const own = numberOf(seen.file(`/proc/sys/${forcePath(4, device)}`)?.text);
  const boot = bootSettingOf(seen, forcePath(4, 'all'));
  const changes: Change[] = [];
  const reasons: string[] = [];
  const hint = `set "igmp: { interface: all, version: auto }" first`;
  const said = (value: number) => `net.ipv4.conf.all.${FORCE} = ${value}`;
  if (beats(all, wanted)) {
    changes.push({ layer: 'runtime', property: 'version in force', from: all, to: shown(wanted) });
    reasons.push(`"${said(all)}" counts for "${device}" too: ${hint}`);
  }
  const later = numberOf(boot?.value ?? '0');
  if (boot !== null && beats(later, wanted)) {
    const place = { file: boot.file, line: boot.line };
    changes.push({ layer: 'persistent', property: 'version in force', from: later, to: shown(wanted), ...place });
    reasons.push(
      `${boot.file}:${boot.line} says "${said(later)}" for the next boot, which counts for "${device}" too: ${hint}`,
    );
  }
  const speaks = spoken.get(device);
  // What is spoken before the setting is right tells nothing of what will be.
  const isLate = reasons.length === 0 && own === wanted && wanted !== 0 && speaks !== undefined && speaks !== wanted;
  return {
    ...noted(isLate ? [lateNote(device, speaks, wanted)] : []),
    changes,
    ...(reasons.length > 0 && { blocked: reasons.join('; ') }),
  };
}

function noted(notes: readonly string[]): ResourcePlan {
  return { changes: [], try: [], undo: [], keep: [], ...(notes.length > 0 && { note: notes.join('; ') }) };
}

/** Whether the value of `all` keeps a device from the version it shall have. */
function beats(all: number, wanted: number): boolean {
  return (all === 1 || all === 2) && (wanted === 0 || all < wanted);
}

function notesOfAll(wanted: number, spoken: ReadonlyMap<string, number>, seen: Observations): string[] {
  const forced = new Map(
    (seen.dir(CONF, FORCE, '') ?? []).map(({ path, text }) => [path.split('/').at(-2) ?? '', numberOf(text)]),
  );
  if (wanted === 0 || forced.get('all') !== wanted) return [];
  return [...spoken].flatMap(([device, speaks]) => {
    if (speaks === wanted) return [];
    if (forced.get(device) !== speaks) return [lateNote(device, speaks, wanted)];
    const key = sysctlKey(forcePath(4, device));
    return [`"${device}" speaks IGMPv${speaks}, as its own "${key} = ${speaks}" says`];
  });
}

function lateNote(device: string, speaks: number, wanted: number): string {
  return `"${device}" still speaks IGMPv${speaks}: a querier of that version was heard. It ends by itself 260 s (by default) after the last such query; a querier that goes on has to be set to version ${wanted}`;
}

/** The "Querier" column: the version in force on each device that has joined a group. */
function versionsSpoken(seen: Observations): Map<string, number> {
  const text = seen.file(PROC_NET_IGMP)?.text;
  const rows = text === undefined ? [] : parseProcIgmp(text, PROC_NET_IGMP).interfaces;
  return new Map(
    rows.flatMap(({ name, querier }) => (querier === 'NONE' ? [] : [[name, Number(querier.slice(1))] as const])),
  );
}

function shown(version: number): number | 'auto' {
  return version === 0 ? 'auto' : version;
}

function numberOf(text: string | undefined): number {
  return Number.parseInt(text ?? '', 10);
}
