import { formatErrorAt } from './format-error.ts';

/**
 * cluster.fw and host.fw of the Proxmox firewall, as its parser reads them (PVE::Firewall: generic_fw_config_parser,
 * parse_fw_rule). Every byte is kept: what is changed is one line.
 */
export interface FirewallFile {
  readonly lines: readonly FirewallLine[];
}

export interface FirewallLine {
  /** With its line end. */
  readonly raw: string;
  /** The first is 1. */
  readonly number: number;
  /** The section that the line stands in; a section's head is part of it. null: before the first, where nothing counts. */
  readonly section: Section | null;
  readonly content: Content;
}

export interface Section {
  readonly kind: 'options' | 'rules' | 'group' | 'ipset' | 'aliases';
  /** Of a group or an ipset, lower case; "" for the others. */
  readonly name: string;
}

export type Content =
  | { readonly is: 'blank' | 'comment' | 'head' }
  /** Key in lower case. */
  | { readonly is: 'option'; readonly key: string; readonly value: string }
  | { readonly is: 'rule'; readonly rule: FirewallRule }
  | { readonly is: 'alias'; readonly name: string; readonly network: string }
  /** What Proxmox leaves out with a warning, and what does not concern us. */
  | { readonly is: 'other' };

export interface FirewallRule {
  readonly isEnabled: boolean;
  /** `in`, `out`, `forward` or `group`. */
  readonly type: string;
  /** ACCEPT, DROP, REJECT, or the name of a group, lower case. */
  readonly action: string;
  readonly macro: string | null;
  /** By option without hyphen: i, p, dport, sport, source, dest, log, icmp-type. */
  readonly options: Readonly<Record<string, string>>;
  readonly comment: string | null;
}

/** Which sections Proxmox knows in a file. */
export type FirewallScope = 'cluster' | 'host';

const HEADS: Readonly<Record<FirewallScope, RegExp>> = {
  cluster: /^\[(?:(?<plain>options|aliases|rules)|(?<kind>group|ipset)\s+(?<name>\S+)\]\s*(?:#.*)?$)/i,
  host: /^\[(?<plain>options|rules)\]$/i,
};

/**
 * @param file its path, for messages
 * @throws FormatError where a head ends with a carriage return: Proxmox then knows no section at all
 */
export function parsePveFirewall(text: string, scope: FirewallScope, file: string): FirewallFile {
  let section: Section | null = null;
  let offset = 0;
  const raws = text === '' ? [] : text.split(/(?<=\n)/);
  const lines = raws.map((raw, index): FirewallLine => {
    const line = trimBlanks(raw.endsWith('\n') ? raw.slice(0, -1) : raw);
    const start = offset;
    offset += raw.length;
    const of = (content: Content): FirewallLine => ({ raw, number: index + 1, section, content });
    if (/^\s*$/.test(line)) return of({ is: 'blank' });
    if (line.startsWith('#')) return of({ is: 'comment' });
    const head = headOf(line, scope);
    if (head === null && headOf(line.trimEnd(), scope) !== null)
      throw formatErrorAt(
        'the line ends with a carriage return, which Proxmox takes for a part of it: it knows no section then',
        file,
        text,
        start,
        'give the file Unix line ends, with "sed -i \'s/\\r$//\'"',
      );
    if (head !== null) section = head;
    return of(head !== null ? { is: 'head' } : contentOf(line, section));
  });
  return { lines };
}

/** The text without blanks and tabs at both ends. Not by a pattern: that would take the square of their number. */
function trimBlanks(text: string): string {
  const isBlank = (at: number): boolean => text[at] === ' ' || text[at] === '\t';
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(start)) start++;
  while (end > start && isBlank(end - 1)) end--;
  return text.slice(start, end);
}

export function printPveFirewall({ lines }: FirewallFile): string {
  return lines.map(({ raw }) => raw).join('');
}

function headOf(line: string, scope: FirewallScope): Section | null {
  const groups = HEADS[scope].exec(line)?.groups;
  if (groups === undefined) return null;
  if (groups.plain !== undefined) {
    const plain = groups.plain.toLowerCase() as 'options' | 'aliases' | 'rules';
    return line.toLowerCase() === `[${plain}]` ? { kind: plain, name: '' } : null;
  }
  const kind = groups.kind?.toLowerCase() as 'group' | 'ipset';
  return { kind, name: (groups.name ?? '').toLowerCase() };
}

function contentOf(line: string, section: Section | null): Content {
  if (section?.kind === 'options') {
    const { key, value } = /^(?<key>[a-z_]+):(?<value>.*)$/is.exec(line)?.groups ?? {};
    return key === undefined ? { is: 'other' } : { is: 'option', key: key.toLowerCase(), value: (value ?? '').trim() };
  }
  if (section?.kind === 'aliases') {
    const { name, network } =
      /^(?<name>\S+)\s(?<network>\S+)$/.exec((line.split('#')[0] ?? '').trimEnd())?.groups ?? {};
    return name === undefined || network === undefined
      ? { is: 'other' }
      : { is: 'alias', name: name.toLowerCase(), network };
  }
  if (section?.kind !== 'rules' && section?.kind !== 'group') return { is: 'other' };
  const rule = parseFirewallRule(line);
  return rule === null ? { is: 'other' } : { is: 'rule', rule };
}

const OPTION = /^(?:-(?<i>i)|(?<p>-p|--?proto)|--?(?<name>dport|sport|source|dest|log|icmp-type)) (?<value>\S+)\s*/;

/** One rule; null where Proxmox can't parse it and leaves it out. */
export function parseFirewallRule(line: string): FirewallRule | null {
  const [before = '', ...after] = line.split('#');
  const comment = after.length === 0 ? null : after.join('#').trim();
  const isEnabled = !before.startsWith('|');
  const { type, action, rest } =
    /^(?<type>\S+)\s+(?<action>\S+)\s*(?<rest>.*)$/s.exec(before.replace(/^\|/, ''))?.groups ?? {};
  if (type === undefined || action === undefined) return null;
  const kind = type.toLowerCase();
  if (!['in', 'out', 'forward', 'group'].includes(kind)) return null;
  const { macro, does } = /^(?:(?<macro>\S+)\()?(?<does>ACCEPT|DROP|REJECT)\)?$/.exec(action)?.groups ?? {};
  if (kind !== 'group' && (does === undefined || action !== (macro === undefined ? does : `${macro}(${does})`)))
    return null;
  const options = optionsOf(rest ?? '');
  if (options === null) return null;
  const isGroup = kind === 'group';
  return {
    isEnabled,
    type: kind,
    action: isGroup ? action.toLowerCase() : (does ?? ''),
    macro: isGroup ? null : (macro ?? null),
    options,
    comment,
  };
}

function optionsOf(rest: string): Readonly<Record<string, string>> | null {
  const options: Record<string, string> = {};
  let left = rest;
  while (left !== '') {
    const match = OPTION.exec(left);
    if (match === null) return null;
    const { i, p, name = '', value = '' } = match.groups ?? {};
    options[i ?? (p === undefined ? name : 'p')] = value;
    left = left.slice(match[0].length);
  }
  return options;
}

/** The rules of a section, in the order in which they count. */
export function rulesIn({ lines }: FirewallFile, kind: 'rules' | 'group', name = ''): readonly RuleLine[] {
  return lines.flatMap((line) =>
    line.section?.kind === kind && line.section.name === name && line.content.is === 'rule'
      ? [{ line, rule: line.content.rule }]
      : [],
  );
}

export interface RuleLine {
  readonly line: FirewallLine;
  readonly rule: FirewallRule;
}

/** The last value of an option, as Proxmox takes it; null where it is not set. */
export function optionIn({ lines }: FirewallFile, key: string): string | null {
  const found = lines.findLast(({ content }) => content.is === 'option' && content.key === key)?.content;
  return found?.is === 'option' ? found.value : null;
}

/** The names of the groups that the file defines. */
export function groupsIn({ lines }: FirewallFile): readonly string[] {
  return [...new Set(lines.flatMap(({ section }) => (section?.kind === 'group' ? [section.name] : [])))];
}

/** Networks by the name of their alias. */
export function aliasesIn({ lines }: FirewallFile): ReadonlyMap<string, string> {
  return new Map(lines.flatMap(({ content }) => (content.is === 'alias' ? [[content.name, content.network]] : [])));
}

/**
 * The text with a rule put in.
 * @param before number of the line before which it stands; null: after the last rule of `[RULES]`, which is made where there is none
 */
export function withRule(file: FirewallFile, rule: string, before: number | null): string {
  const { lines } = file;
  const text = printPveFirewall(file);
  if (before !== null) return lines.map(({ raw, number }) => (number === before ? `${rule}\n${raw}` : raw)).join('');
  const last = lines.findLast(({ section, content }) => section?.kind === 'rules' && content.is !== 'blank');
  if (last === undefined) {
    const gap = text === '' ? '' : text.endsWith('\n') ? '\n' : '\n\n';
    return `${text}${gap}[RULES]\n\n${rule}\n`;
  }
  return lines
    .map(({ raw, number }) => {
      if (number !== last.number) return raw;
      return raw.endsWith('\n') ? `${raw}${rule}\n` : `${raw}\n${rule}\n`;
    })
    .join('');
}

/** The text without some lines. */
export function withoutLines({ lines }: FirewallFile, numbers: readonly number[]): string {
  return lines.flatMap(({ raw, number }) => (numbers.includes(number) ? [] : [raw])).join('');
}

/** The text with a disabled rule enabled where it stands. */
export function withEnabled({ lines }: FirewallFile, line: number): string {
  return lines.map(({ raw, number }) => (number === line ? raw.replace('|', '') : raw)).join('');
}
