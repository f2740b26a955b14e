/** One logical line of a systemd unit file. */
interface IniLine {
  /** The bytes as they are, line end included. */
  readonly raw: string;
  /** Number of its first physical line, from 1. */
  readonly number: number;
  /** The section that it stands in; a header stands in its own section. "" before the first header. */
  readonly section: string;
  readonly kind: 'header' | 'assignment' | 'other';
  readonly key: string;
  readonly value: string;
}

/** A systemd .netdev, .network or drop-in file, with every byte kept. */
export interface NetworkdFile {
  readonly lines: readonly IniLine[];
}

/** One `key=value` line. */
export interface Assignment {
  readonly value: string;
  /** 1-based. */
  readonly line: number;
}

/** Reads a systemd unit file. Never fails: what systemd would not understand is kept. Source: systemd.syntax(7). */
export function parseNetworkd(text: string): NetworkdFile {
  const lines: IniLine[] = [];
  let number = 1;
  let section = '';
  for (const raw of splitContinued(text)) {
    const logical = logicalText(raw);
    const header = /^\[([^\]]*)\]$/.exec(logical);
    if (header) section = header[1] ?? '';
    const equals = isComment(logical) ? -1 : logical.indexOf('=');
    const kind = header ? 'header' : equals > 0 ? 'assignment' : 'other';
    const [key, value] =
      kind === 'assignment' ? [logical.slice(0, equals).trim(), logical.slice(equals + 1).trim()] : ['', ''];
    lines.push({ raw, number, section, kind, key, value });
    number += raw.split('\n').length - 1;
  }
  return { lines };
}

/** The text of the file: what was parsed, byte for byte, where nothing was changed. */
export function printNetworkd(file: NetworkdFile): string {
  return file.lines.map((line) => line.raw).join('');
}

/** The last assignment of a key in a section, over all sections of that name: the one that systemd takes. */
export function lastAssignment(file: NetworkdFile, section: string, key: string): Assignment | undefined {
  const line = file.lines.findLast((each) => isAssignment(each, section, key));
  return line && { value: line.value, line: line.number };
}

/** The file in which the last assignment of `key` gives `value`; where there is none it is added to the section, and the section to the file. */
export function withAssignment(file: NetworkdFile, section: string, key: string, value: string): NetworkdFile {
  const end = file.lines.map(lineEndOf).find((each) => each !== '') ?? '\n';
  const at = file.lines.findLastIndex((line) => isAssignment(line, section, key));
  const line = file.lines[at];
  if (line !== undefined) {
    if (line.value === value) return file;
    const head = /^\s*[^=]*=[ \t]*/.exec(line.raw)?.[0] ?? `${key}=`;
    return replaceLine(file, at, `${head}${value}${lineEndOf(line)}`);
  }
  const last = file.lines.findLastIndex((each) => each.section === section && each.kind !== 'other');
  const before = file.lines[last];
  if (before === undefined) {
    const text = file.lines.map((each, index) => (index === file.lines.length - 1 ? closed(each.raw, end) : each.raw));
    return parseNetworkd(`${text.join('')}${text.length > 0 ? end : ''}[${section}]${end}${key}=${value}${end}`);
  }
  return replaceLine(file, last, `${closed(before.raw, end)}${key}=${value}${lineEndOf(before)}`);
}

/** A line after which another can follow: with a line end, without a backslash that would swallow what follows. */
function closed(raw: string, end: string): string {
  const ended = /\n$/.test(raw) ? raw : `${raw}${end}`;
  return splitContinued(`${ended}x`).length > 1 ? ended : closed(ended.replace(/\\(?=\r?\n(?!.*\\\r?\n))/s, ''), end);
}

/** A boolean as systemd reads it (parse_boolean of systemd); undefined where it is none. */
export function networkdBoolean(value: string): boolean | undefined {
  if (/^(?:1|yes|y|true|t|on)$/i.test(value)) return true;
  if (/^(?:0|no|n|false|f|off)$/i.test(value)) return false;
  return undefined;
}

function isAssignment(line: IniLine, section: string, key: string): boolean {
  return line.kind === 'assignment' && line.section === section && line.key === key;
}

function replaceLine(file: NetworkdFile, index: number, raw: string): NetworkdFile {
  return parseNetworkd(file.lines.map((line, at) => (at === index ? raw : line.raw)).join(''));
}

/** Comments between the pieces of a continued line belong to it and are left out of its value. */
function splitContinued(text: string): string[] {
  const lines: string[] = [];
  let open = false;
  for (const physical of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    if (open) lines.push((lines.pop() ?? '') + physical);
    else lines.push(physical);
    const content = physical.replace(/\r?\n$/, '');
    open = isComment(content.trim()) ? open : content.endsWith('\\');
  }
  return lines;
}

function logicalText(raw: string): string {
  const [first = '', ...rest] = raw.split('\n');
  if (rest.length <= 1 || isComment(first.trim())) return raw.trim();
  return [first, ...rest.filter((line) => !isComment(line.trim()))]
    .map((line) => line.replace(/\r$/, '').replace(/\\$/, ' '))
    .join('')
    .trim();
}

function isComment(text: string): boolean {
  return text.startsWith('#') || text.startsWith(';');
}

function lineEndOf(line: IniLine): string {
  return /\r?\n$/.exec(line.raw)?.[0] ?? '';
}
