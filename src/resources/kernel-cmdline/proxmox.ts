import type { Observations, Read, Step } from '../../core/resource.ts';
import { addArgument, hasArgument, parseCmdline, removeArgument } from '../../formats/kernel-cmdline.ts';
import { change, type LoaderPlan, NO_CHANGE, refresh, requireOnly, type Wanted } from './loader.ts';

const CMDLINE = '/etc/kernel/cmdline';
/** The partitions that proxmox-boot-tool keeps; where it is not used there is no such file. */
const UUIDS = '/etc/kernel/proxmox-boot-uuids';

export const PROXMOX_READS: readonly Read[] = [
  { read: 'file', path: CMDLINE },
  { read: 'file', path: UUIDS },
];

/** Whether proxmox-boot-tool keeps the boot partitions. */
export function hasProxmoxBoot(seen: Observations): boolean {
  return /^[^\s#]/m.test(seen.file(UUIDS)?.text ?? '');
}

export const PROXMOX_REFRESH: Step = refresh('proxmox-boot-tool', 'refresh');

/**
 * /etc/kernel/cmdline, from which proxmox-boot-tool makes the entries of systemd-boot. Whether the node boots by it or by GRUB is not asked: both
 * have to say the same.
 */
export function planProxmox(seen: Observations, wanted: Wanted): LoaderPlan {
  const text = seen.file(CMDLINE)?.text ?? null;
  if (text === null) return NO_CHANGE;
  const isGiven = hasArgument(text, wanted.argument);
  if (isGiven === wanted.isPresent) return NO_CHANGE;
  const edit = (now: string | null): string =>
    wanted.isPresent ? addArgument(now ?? '', wanted.argument) : removeArgument(now ?? '', wanted.argument);
  const changes = [change(wanted, isGiven ? wanted.argument : null, { file: CMDLINE, line: 1 })];
  const fault = faultOf(text);
  if (fault !== null) return { ...NO_CHANGE, changes, blocked: fault };
  requireOnly(parseCmdline(text), parseCmdline(edit(text)), CMDLINE, wanted);
  return { changes, keep: [{ do: 'edit', path: CMDLINE, edit }, PROXMOX_REFRESH], unkeep: [PROXMOX_REFRESH] };
}

/** What would not boot before and after: a wrong edit leaves the node in its firmware. */
function faultOf(text: string): string | null {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  if (lines.length !== 1) return `${CMDLINE} has ${lines.length} lines, it must have one: mend it by hand`;
  if (/^\s*#/.test(text)) return `${CMDLINE} begins with "#": it knows no comments, mend it by hand`;
  return parseCmdline(text).some((word) => word.startsWith('root='))
    ? null
    : `${CMDLINE} has no "root=", so the node would not boot: mend it by hand`;
}
