import * as z from 'zod';
import { HostError, messageOf } from '../core/errors.ts';
import type {
  Change,
  FileState,
  Observations,
  Read,
  Resource,
  ResourcePlan,
  ResourceType,
  Step,
} from '../core/resource.ts';
import {
  type BootSetting,
  type BootTable,
  bootFiles,
  bootSetting,
  bootTable,
  isGlob,
  normaliseSysctlValue,
  parseSysctlConf,
  SYSCTL_DIRS,
  type SysctlFile,
  setInDropIn,
  sysctlKey,
  sysctlPath,
} from '../formats/sysctl-conf.ts';

/** The file that gives the keys of playbooks at boot. Its name sorts after those of packages and of /etc/sysctl.conf's link. */
export const SYSCTL_DROP_IN = '/etc/sysctl.d/99-zz-mcastctl.conf';

/** Read by `sysctl --system` of procps; by systemd only where a link in /etc/sysctl.d leads to it (Debian 12 and before). */
const PROCPS_CONF = '/etc/sysctl.conf';

/** Why a text can't be the name of one setting below /proc/sys, or null where it can. */
export function keyFault(key: string): { readonly message: string; readonly hint: string } | null {
  const said = JSON.stringify(key);
  const parts = sysctlPath(key).split('/');
  if (key === '') return { message: 'a sysctl key is empty', hint: 'write a key such as net.core.rmem_max' };
  if (key.startsWith('-'))
    return {
      message: `sysctl key ${said} begins with "-"`,
      hint: 'that mark belongs to sysctl.d files; write the key alone',
    };
  if (/^[#;]|=/.test(key))
    return { message: `sysctl key ${said} is not a key`, hint: 'write the key alone, such as net.core.rmem_max' };
  if (/[\s\p{Cc}\p{Cs}]/u.test(key))
    return { message: `sysctl key ${said} contains white space or a control character`, hint: 'write the key alone' };
  if (key.includes('{{'))
    return {
      message: `sysctl key ${said} holds a template`,
      hint: 'only values may hold templates: write out each key',
    };
  if (isGlob(key)) return { message: `sysctl key ${said} is a pattern`, hint: 'name each key, or use "loop"' };
  if (parts.includes('')) {
    const hint = key.startsWith('/') ? `write ${sysctlKey(key.replace(/^\/+(proc\/sys\/+)?/, ''))}` : 'see sysctl.d(5)';
    return { message: `sysctl key ${said} has an empty part`, hint };
  }
  if (parts.includes('.') || parts.includes('..'))
    return {
      message: `sysctl key ${said} would leave its place in /proc/sys`,
      hint: 'a part of a key is a name, not "." or ".."',
    };
  return null;
}

const Value = z
  .union([z.string(), z.number()], {
    error: ({ input }) =>
      typeof input === 'boolean'
        ? `a sysctl value is a number or text, not ${input}: write ${input ? 1 : 0}`
        : 'a sysctl value is a whole number or text; to leave the key alone, leave it out',
  })
  .refine((value) => typeof value === 'string' || Number.isSafeInteger(value), {
    error: ({ input }) =>
      `sysctl value ${String(input)} is no whole number between -(2^53-1) and 2^53-1: write it as text, in quotes`,
  })
  .refine((value) => typeof value === 'number' || !/(?!\t)[\p{Cc}\p{Cs}]/u.test(value), {
    error: 'a sysctl value is one line without control characters',
  })
  .describe('Whole number, or text for settings of several numbers or of none; a boolean setting takes 0 or 1');

const SysctlParams = z
  .record(
    z
      .string()
      .describe(
        'Key as in sysctl(8): net.core.rmem_max, net.ipv4.conf.vmbr0.rp_filter; a device with a dot: net/ipv4/conf/eth0.200/rp_filter',
      ),
    Value,
  )
  .superRefine((settings, context) => {
    const spelled = new Map<string, string>();
    if (Object.keys(settings).length === 0) context.addIssue({ code: 'custom', message: 'sysctl names no key' });
    for (const key of Object.keys(settings)) {
      const fault = keyFault(key);
      const twin = spelled.get(sysctlPath(key));
      spelled.set(sysctlPath(key), key);
      if (fault) context.addIssue({ code: 'custom', path: [key], message: `${fault.message}: ${fault.hint}` });
      else if (twin !== undefined)
        context.addIssue({
          code: 'custom',
          path: [key],
          message: `"${twin}" and "${key}" are the same key: keep one of them`,
        });
    }
  })
  .describe('Kernel settings by key, each both in /proc/sys and in what the next boot gives');

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
  wanted: string,
): Pick<ResourcePlan, 'changes' | 'try' | 'undo'> {
  const file = `/proc/sys/${path}`;
  const text = readRunning(seen, key, file);
  const running = normaliseSysctlValue(text);
  if (running === normaliseSysctlValue(wanted)) return { changes: [], try: [], undo: [] };
  const set = (value: string): Step => ({ do: 'set', path: file, value: value.endsWith('\n') ? value : `${value}\n` });
  const change: Change = {
    layer: 'runtime',
    property: 'value',
    from: reported(running),
    to: reported(normaliseSysctlValue(wanted)),
  };
  return { changes: [change], try: [set(wanted)], undo: [set(text)] };
}

const withDropIn = (folders: readonly (readonly SysctlFile[])[], text: string): readonly SysctlFile[] => {
  const ours = { path: SYSCTL_DROP_IN, text };
  const [first = [], ...rest] = folders;
  return bootFiles([[...first.filter((file) => file.path !== SYSCTL_DROP_IN), ours], ...rest]);
};

const gives = (setting: BootSetting | null, wanted: string): boolean =>
  setting?.value != null && normaliseSysctlValue(setting.value) === normaliseSysctlValue(wanted);

function blockedBy(key: string, path: string, wanted: string, winner: BootSetting): string {
  const place = `${winner.file}:${winner.line}`;
  const says = winner.value === null ? `excludes "${key}"` : `sets "${key}" to "${winner.value}"`;
  return `${place} ${says} at boot, after "${SYSCTL_DROP_IN}": remove that line, or change it to "${sysctlKey(path)} = ${wanted}"`;
}

/** What people should know who look into /etc/sysctl.conf, which may or may not count. */
function procpsNote(
  seen: Observations,
  folders: readonly (readonly FileState[])[],
  path: string,
  wanted: string,
): string | null {
  if (folders.flat().some(({ target }) => target !== null && /(^|\/)sysctl\.conf$/.test(target))) return null;
  const conf = seen.file(PROCPS_CONF);
  const line = parseSysctlConf(conf?.text ?? '').findLast((entry) => entry.path === path && entry.value !== null);
  if (line?.value == null || normaliseSysctlValue(line.value) === normaliseSysctlValue(wanted)) return null;
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
  wanted: string,
): Pick<ResourcePlan, 'changes' | 'keep' | 'blocked'> {
  const folders = SYSCTL_DIRS.map((folder) => seen.dir(folder, '.conf') ?? []);
  const now = bootSetting(bootTableOf(seen, folders), path);
  if (gives(now, wanted)) return { changes: [], keep: [] };
  const dropIn = folders[0]?.find((file) => file.path === SYSCTL_DROP_IN) ?? null;
  const edit = (text: string | null): string => setInDropIn(text, path, wanted);
  const after = bootSetting(bootTable(withDropIn(folders, edit(dropIn?.text ?? null))), path);
  const isFixed = gives(after, wanted);
  const place = isFixed || after === null ? now : after;
  const notes = [sourceNote(place, folders), procpsNote(seen, folders, path, wanted)].filter((note) => note !== null);
  const change: Change = {
    layer: 'persistent',
    property: 'value',
    from: now?.value == null ? null : reported(normaliseSysctlValue(now.value)),
    to: reported(normaliseSysctlValue(wanted)),
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

function sysctlResource(spelling: string, value: string | number): Resource {
  const path = sysctlPath(spelling);
  const key = sysctlKey(path);
  const wanted = String(value).trim();
  const reads: readonly Read[] = [
    { read: 'file', path: `/proc/sys/${path}` },
    ...SYSCTL_DIRS.map((folder): Read => ({ read: 'dir', path: folder, suffix: '.conf' })),
    { read: 'file', path: PROCPS_CONF },
  ];
  return {
    id: `sysctl[${key}]`,
    reads,
    wants: { value: reported(normaliseSysctlValue(wanted)) },
    plan(seen) {
      const runtime = planRuntime(seen, key, path, wanted);
      const persistent = planPersistent(seen, key, path, wanted);
      return { ...runtime, ...persistent, changes: [...runtime.changes, ...persistent.changes] };
    },
  };
}

/**
 * Kernel settings of /proc/sys. Runtime: the file there, compared with white space made equal. Persistent: what systemd-sysctl(8)
 * will set at boot from all its folders, not what one file says; right values are left alone whoever gives them.
 */
export const sysctl = {
  type: 'sysctl',
  summary: 'Kernel settings of /proc/sys, now and at the next boot',
  schema: SysctlParams,
  example: `- name: UDP buffers
  sysctl:
    net.core.rmem_max: 26214400
    net.ipv4.conf.vmbr0.rp_filter: 0
    net.ipv4.tcp_rmem: "4096 131072 6291456"
`,
  resources: (params) => Object.entries(params).map(([key, value]) => sysctlResource(key, value)),
} satisfies ResourceType<typeof SysctlParams>;
