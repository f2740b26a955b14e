import { trimmed } from './trim.ts';

/** One line of a sysctl.d file that says something. */
export interface SysctlEntry {
  /** Path below /proc/sys, such as `net/ipv4/conf/eth0.200/rp_filter`, slashes too many left out; may hold a glob. */
  readonly path: string;
  /** null: an exclusion (`-key` without "="): no glob sets the key, and an earlier assignment of it is void. */
  readonly value: string | null;
  /** Line of the file, from 1. */
  readonly line: number;
}

/** A sysctl.d file: where it was found and what it says. */
export interface SysctlFile {
  readonly path: string;
  readonly text: string;
}

/** What the next boot does to a key, and the line that has the last word on it. */
export interface BootSetting {
  /** null: the line excludes the key, so nothing sets it. */
  readonly value: string | null;
  readonly file: string;
  readonly line: number;
}

/** The folders that systemd-sysctl(8) reads at boot; one hides the files of the same name in those after it. */
export const SYSCTL_DIRS = [
  '/etc/sysctl.d',
  '/run/sysctl.d',
  '/usr/local/lib/sysctl.d',
  '/usr/lib/sysctl.d',
  '/lib/sysctl.d',
] as const;

/** Comment at the top of a drop-in that this program made. */
export const DROP_IN_HEADER = [
  '# Managed by mcastctl: the keys that a playbook sets are kept up to date here, all other lines are left alone.',
  '# The name sorts late so that this file has the last word at boot, see sysctl.d(5).',
  '',
].join('\n');

const SWAPPED: Readonly<Record<string, string>> = { '.': '/', '/': '.' };
const swapSeparators = (key: string): string => key.replace(/[./]/g, (separator) => SWAPPED[separator] ?? separator);

/**
 * The path below /proc/sys that a key means, by sysctl.d(5): where the first separator is a slash the key is a path
 * already and its dots belong to names; otherwise dots separate and slashes stand for dots.
 */
export function sysctlPath(key: string): string {
  return /[./]/.exec(key)?.[0] === '.' ? swapSeparators(key) : key;
}

/** The dotted spelling of a path below /proc/sys: `net/ipv4/conf/eth0.200/forwarding` is `net.ipv4.conf.eth0/200.forwarding`. */
export function sysctlKey(path: string): string {
  return swapSeparators(path);
}

/** A value as it is compared: the kernel prints tabs where people write spaces. */
export function normaliseSysctlValue(value: string): string {
  return value.trim().replace(/[ \t]+/g, ' ');
}

const strip = (text: string): string => trimmed(text, ' \t\r\n');

function parseLine(text: string, line: number): SysctlEntry | null {
  const stripped = strip(text);
  if (stripped === '' || stripped.startsWith('#') || stripped.startsWith(';')) return null;
  const equals = stripped.indexOf('=');
  const isMarked = stripped.startsWith('-');
  if (equals < 0 && !isMarked) return null;
  const key = strip(stripped.slice(isMarked ? 1 : 0, equals < 0 ? undefined : equals));
  const path = sysctlPath(key).split('/').filter(Boolean).join('/');
  return { path, value: equals < 0 ? null : strip(stripped.slice(equals + 1)), line };
}

/** A line of a sysctl.d file, every byte kept. */
export interface SysctlRow {
  /** The bytes as they are, line end included. The `raw` of all rows together are the file. */
  readonly raw: string;
  /** null: the line is blank, a comment, or nothing that systemd-sysctl(8) understands. */
  readonly entry: SysctlEntry | null;
}

/** The lines of a sysctl.d file; systemd ends a line at a newline, a carriage return and a NUL. */
export function parseSysctlRows(text: string): readonly SysctlRow[] {
  let line = 1;
  return (text.match(/[^\n\r\0]*(?:\r\n|[\n\r\0])|[^\n\r\0]+$/g) ?? []).map((raw) => {
    const row = { raw, entry: parseLine(raw.replace(/\0$/, ''), line) };
    if (raw.endsWith('\n')) line++;
    return row;
  });
}

/** The text of the file: what was parsed, byte for byte, where nothing was changed. */
export function printSysctlRows(rows: readonly SysctlRow[]): string {
  return rows.map((row) => row.raw).join('');
}

/** The assignments and exclusions of a sysctl.d file in order, read as systemd-sysctl(8) reads them: what is neither is ignored. */
export function parseSysctlConf(text: string): readonly SysctlEntry[] {
  return parseSysctlRows(text).flatMap(({ entry }) => (entry === null ? [] : [entry]));
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/**
 * The files of a boot in the order in which they are read: by name, whatever the folder, in byte order.
 * @param folders content of SYSCTL_DIRS in that order (a folder that does not exist is empty); a mask, a link to /dev/null, is a
 *   file without text
 */
export function bootFiles(folders: readonly (readonly SysctlFile[])[]): readonly SysctlFile[] {
  const byName = new Map<string, SysctlFile>();
  for (const file of folders.flat()) {
    const name = baseName(file.path);
    if (!byName.has(name)) byName.set(name, file);
  }
  return [...byName]
    .sort(([left], [right]) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
    .map(([, file]) => file);
}

/** Whether systemd takes a key for a glob. */
export function isGlob(path: string): boolean {
  return /[*?[]/.test(path);
}

/** `a{b,c}d` as `abd` and `acd`, nested ones too; braces without a comma or partner stand for themselves. */
function expandBraces(pattern: string): readonly string[] {
  for (let open = pattern.indexOf('{'); open >= 0; open = pattern.indexOf('{', open + 1)) {
    const cuts = [open];
    let depth = 0;
    for (let at = open; at < pattern.length; at++) {
      const char = pattern[at];
      if (char === '{') depth++;
      else if (char === ',' && depth === 1) cuts.push(at);
      else if (char === '}' && --depth === 0) {
        cuts.push(at);
        break;
      }
    }
    if (depth > 0 || cuts.length < 2) continue;
    const [head, tail] = [pattern.slice(0, open), pattern.slice((cuts.at(-1) ?? open) + 1)];
    return cuts.slice(1).flatMap((cut, index) => {
      const from = (cuts[index] ?? open) + 1;
      return expandBraces(`${head}${pattern.slice(from, cut)}${tail}`);
    });
  }
  return [pattern];
}

const GLOB_TOKEN = /\\(.)|\[([!^]?)(\]?[^\]/]*)\]|([*?])|(.)/gsu;

function globExpression(pattern: string): RegExp {
  const source = pattern.replace(
    GLOB_TOKEN,
    (_, escaped?: string, not?: string, set?: string, wild?: string, plain?: string) => {
      if (set !== undefined) return `(?!/)[${not ? '^' : ''}${set.replace(/[\\\][&~|^]/g, '\\$&')}]`;
      if (wild !== undefined) return wild === '*' ? '[^/]*' : '[^/]';
      return (escaped ?? plain ?? '').replace(/[$()*+./?[\\\]^{|}]/g, '\\$&');
    },
  );
  return new RegExp(`^${source}$`);
}

/** Whether a glob(7) pattern of a sysctl.d file stands for a path: no wildcard matches a slash; braces are alternatives. */
export function globMatches(pattern: string, path: string): boolean {
  return expandBraces(pattern).some((alternative) => {
    try {
      return globExpression(alternative).test(path);
    } catch {
      return false;
    }
  });
}

const MAX_PARSED = 64;
const parsed = new Map<string, readonly SysctlEntry[]>();

/** The same files are read for every key and lie on every node: they are parsed once. */
function parsedOnce(text: string): readonly SysctlEntry[] {
  let entries = parsed.get(text);
  if (entries === undefined) {
    entries = parseSysctlConf(text);
    if (parsed.size >= MAX_PARSED) parsed.clear();
    parsed.set(text, entries);
  }
  return entries;
}

/** All lines of a boot that count, by key or glob, in the order in which they are written. */
export type BootTable = ReadonlyMap<string, BootSetting>;

/**
 * What systemd-sysctl(8) keeps of these files, read in this order. Each spelling of a key counts once: a later line with another
 * value takes the place of an earlier one and moves to the end, one with the same value changes nothing.
 */
export function bootTable(files: readonly SysctlFile[]): BootTable {
  const options = new Map<string, BootSetting>();
  for (const file of files) {
    for (const { path: key, value, line } of parsedOnce(file.text)) {
      const earlier = options.get(key);
      if (earlier && earlier.value === value) continue;
      options.delete(key);
      options.set(key, { value, file: file.path, line });
    }
  }
  return options;
}

/**
 * What a boot does to one key. All lines are written in order, but a glob leaves out every key that has a line of its own, an
 * assignment or an exclusion.
 * @param path below /proc/sys, no glob
 * @returns null: no file says anything of the key
 */
export function bootSetting(options: BootTable, path: string): BootSetting | null {
  const own = options.get(path);
  let last = own?.value === null ? own : null;
  for (const [key, option] of options) {
    if (option.value === null) continue;
    if (isGlob(key) ? own === undefined && globMatches(key, path) : key === path) last = option;
  }
  return last;
}

/**
 * A drop-in with one key set: its line replaced where it stands, or put in among the keys by name. Further lines of the same key
 * go; every other byte stays.
 * @param text null: there is no file yet, it gets a header
 * @param path below /proc/sys
 * @param value without line break
 */
export function setInDropIn(text: string | null, path: string, value: string): string {
  const before = text ?? DROP_IN_HEADER;
  const rows = parseSysctlRows(before);
  const line = `${sysctlKey(path)} = ${value}`;
  const own = rows.flatMap((row, index) => (row.entry?.path === path ? [index] : []));
  const target = own.at(-1);
  if (target !== undefined) {
    return rows
      .map(({ raw }, index) => (index === target ? line + lineEnd(raw) : own.includes(index) ? '' : raw))
      .join('');
  }
  const headerRows = before.startsWith(DROP_IN_HEADER) ? DROP_IN_HEADER.split('\n').length - 1 : 0;
  const smaller = rows.findLastIndex(
    ({ entry }) => entry !== null && entry.value !== null && sysctlKey(entry.path) < sysctlKey(path),
  );
  const at = smaller < 0 ? headerRows : smaller + 1;
  const [head, tail] = [rows.slice(0, at), rows.slice(at)];
  const ends = (at === 0 ? tail.slice(0, 1) : head).map(({ raw }) => lineEnd(raw));
  const usual = ends.findLast((end) => end !== '' && end !== '\0') ?? '\n';
  const added = ends.at(-1) === '' && at > 0 ? usual + line : line + usual;
  return printSysctlRows(head) + added + printSysctlRows(tail);
}

function lineEnd(raw: string): string {
  return /(?:\r\n|[\n\r\0])?$/.exec(raw)?.[0] ?? '';
}
