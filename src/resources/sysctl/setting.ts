import { HostError, messageOf } from '../../core/errors.ts';
import type { Change, FileState, Observations, Read, Resource, ResourcePlan, Step } from '../../core/resource.ts';
import {
  type BootSetting,
  type BootTable,
  bootFiles,
  bootSetting,
  bootTable,
  normaliseSysctlValue,
  parseSysctlConf,
  SYSCTL_DIRS,
  type SysctlFile,
  setInDropIn,
  sysctlKey,
  sysctlPath,
} from '../../formats/sysctl-conf.ts';

/** The file that gives the keys of playbooks at boot. Its name sorts after those of packages and of /etc/sysctl.conf's link. */
export const SYSCTL_DROP_IN = '/etc/sysctl.d/99-zz-mcastctl.conf';

/** Read by `sysctl --system` of procps; by systemd only where a link in /etc/sysctl.d leads to it (Debian 12 and before). */
const PROCPS_CONF = '/etc/sysctl.conf';

/** What a setting is to be, and what counts as that. */
export interface WantedSetting {
  /** What is written where the setting is not as wanted. */
  readonly value: string;
  /** Whether a value, white space made equal, is as wanted. */
  accepts(value: string): boolean;
}

/** Just this value. */
export function exactly(value: string): WantedSetting {
  const wanted = normaliseSysctlValue(value);
  return { value, accepts: (found) => found === wanted };
}

/** This whole number or a larger one. */
export function atLeast(number: number): WantedSetting {
  return { value: String(number), accepts: (found) => /^\d+$/.test(found) && Number(found) >= number };
}

/** Whole numbers as numbers in reports, everything else as the text it is. */
function reported(value: string): string | number {
  const number = Number(value);
  return /^(0|-?[1-9]\d*)$/.test(value) && Number.isSafeInteger(number) ? number : value;
}

function readRunning(seen: Observations, key: string, path: string): string {
  let file: FileState | null;
  try {
    file = seen.file(path);
  } catch (error) {
    throw new HostError(`"${path}" can't be read: ${messageOf(error)}`, {
      hint: `a setting that can only be written, such as net.ipv4.route.flush, has no state to keep; others need root`,
      cause: error,
    });
  }
  if (file !== null) return file.text;
  throw new HostError(`this kernel has no setting "${key}" (no file "${path}")`, {
    hint: 'load the module or create the device that brings it before this task, or correct the key',
  });
}

function planRuntime(
  seen: Observations,
  key: string,
  path: string,
  wanted: WantedSetting,
): Pick<ResourcePlan, 'changes' | 'try' | 'undo'> {
  const file = `/proc/sys/${path}`;
  const text = readRunning(seen, key, file);
  const running = normaliseSysctlValue(text);
  if (wanted.accepts(running)) return { changes: [], try: [], undo: [] };
  const set = (value: string): Step => ({ do: 'set', path: file, value: value.endsWith('\n') ? value : `${value}\n` });
  const change: Change = {
    layer: 'runtime',
    property: 'value',
    from: reported(running),
    to: reported(normaliseSysctlValue(wanted.value)),
  };
  return { changes: [change], try: [set(wanted.value)], undo: [set(text)] };
}

const withDropIn = (folders: readonly (readonly SysctlFile[])[], text: string): readonly SysctlFile[] => {
  const ours = { path: SYSCTL_DROP_IN, text };
  const [first = [], ...rest] = folders;
  return bootFiles([[...first.filter((file) => file.path !== SYSCTL_DROP_IN), ours], ...rest]);
};

const gives = (setting: BootSetting | null, wanted: WantedSetting): boolean =>
  setting?.value != null && wanted.accepts(normaliseSysctlValue(setting.value));

function blockedBy(key: string, path: string, wanted: WantedSetting, winner: BootSetting): string {
  const place = `${winner.file}:${winner.line}`;
  const says = winner.value === null ? `excludes "${key}"` : `sets "${key}" to "${winner.value}"`;
  return `${place} ${says} at boot, after "${SYSCTL_DROP_IN}": remove that line, or change it to "${sysctlKey(path)} = ${wanted.value}"`;
}

/** What people should know who look into /etc/sysctl.conf, which may or may not count. */
function procpsNote(
  seen: Observations,
  folders: readonly (readonly FileState[])[],
  path: string,
  wanted: WantedSetting,
): string | null {
  if (folders.flat().some(({ target }) => target !== null && /(^|\/)sysctl\.conf$/.test(target))) return null;
  const conf = seen.file(PROCPS_CONF);
  const line = parseSysctlConf(conf?.text ?? '').findLast((entry) => entry.path === path && entry.value !== null);
  if (line?.value == null || wanted.accepts(normaliseSysctlValue(line.value))) return null;
  return `${PROCPS_CONF}:${line.line} says "${line.value}": systemd does not read it at boot, "sysctl --system" does; remove that line`;
}

function sourceNote(setting: BootSetting | null, folders: readonly (readonly FileState[])[]): string | null {
  if (setting === null || setting.file === SYSCTL_DROP_IN) return null;
  const target = folders.flat().find((file) => file.path === setting.file)?.target;
  const link = target ? ` (a link to ${target})` : '';
  return `${setting.file}:${setting.line}${link} ${setting.value === null ? 'excludes the key' : 'gives the value'}`;
}

const tables = new WeakMap<Observations, BootTable>();

/** One for all keys of a node. */
function bootTableOf(seen: Observations, folders: readonly (readonly SysctlFile[])[]): BootTable {
  const table = tables.get(seen) ?? bootTable(bootFiles(folders));
  tables.set(seen, table);
  return table;
}

function planPersistent(
  seen: Observations,
  key: string,
  path: string,
  wanted: WantedSetting,
): Pick<ResourcePlan, 'changes' | 'keep' | 'blocked'> {
  const folders = SYSCTL_DIRS.map((folder) => seen.dir(folder, '.conf') ?? []);
  const now = bootSetting(bootTableOf(seen, folders), path);
  if (gives(now, wanted)) return { changes: [], keep: [] };
  const dropIn = folders[0]?.find((file) => file.path === SYSCTL_DROP_IN) ?? null;
  const edit = (text: string | null): string => setInDropIn(text, path, wanted.value);
  const after = bootSetting(bootTable(withDropIn(folders, edit(dropIn?.text ?? null))), path);
  const isFixed = gives(after, wanted);
  const place = isFixed || after === null ? now : after;
  const notes = [sourceNote(place, folders), procpsNote(seen, folders, path, wanted)].filter((note) => note !== null);
  const change: Change = {
    layer: 'persistent',
    property: 'value',
    from: now?.value == null ? null : reported(normaliseSysctlValue(now.value)),
    to: reported(normaliseSysctlValue(wanted.value)),
    file: place?.file ?? SYSCTL_DROP_IN,
    ...(place && { line: place.line }),
    ...(notes.length > 0 && { note: notes.join('; ') }),
  };
  const keep: readonly Step[] = [{ do: 'edit', path: SYSCTL_DROP_IN, edit }];
  if (dropIn?.target === '/dev/null') {
    const blocked = `"${SYSCTL_DROP_IN}" is a link to /dev/null, which turns it off: remove the link`;
    return { changes: [change], keep: [], blocked };
  }
  if (isFixed || after === null) return { changes: [change], keep };
  return { changes: [change], keep: [], blocked: blockedBy(key, path, wanted, after) };
}

/** What the next boot does to a key, after the reads of any setting; null: nothing. */
export function bootSettingOf(seen: Observations, path: string): BootSetting | null {
  const folders = SYSCTL_DIRS.map((folder) => seen.dir(folder, '.conf') ?? []);
  return bootSetting(bootTableOf(seen, folders), path);
}

/**
 * What has to be read for a setting.
 * @param path below /proc/sys
 */
export function sysctlReads(path: string): readonly Read[] {
  return [
    { read: 'file', path: `/proc/sys/${path}` },
    ...SYSCTL_DIRS.map((folder): Read => ({ read: 'dir', path: folder, suffix: '.conf' })),
    { read: 'file', path: PROCPS_CONF },
  ];
}

/**
 * Compares a setting in both layers with what is wanted.
 * @param path below /proc/sys
 * @throws HostError where the kernel has no such setting or it can't be read
 */
export function planSysctl(seen: Observations, path: string, wanted: WantedSetting): ResourcePlan {
  const key = sysctlKey(path);
  const runtime = planRuntime(seen, key, path, wanted);
  const persistent = planPersistent(seen, key, path, wanted);
  return { ...runtime, ...persistent, changes: [...runtime.changes, ...persistent.changes] };
}

/** One setting that is to have one value. */
export function sysctlResource(spelling: string, value: string | number): Resource {
  const path = sysctlPath(spelling);
  const wanted = exactly(String(value).trim());
  return {
    id: `sysctl[${sysctlKey(path)}]`,
    reads: sysctlReads(path),
    wants: { value: reported(normaliseSysctlValue(wanted.value)) },
    plan: (seen) => planSysctl(seen, path, wanted),
  };
}
