import type { FileState, Observations, Read } from '../../core/resource.ts';
import { type NftItem, type NftStatement, parseNftables } from '../../formats/nftables-conf.ts';
import type { ChainRule } from '../firewall/judge.ts';
import { readRuleWords } from './rule-text.ts';
import { type ChainKey, keyText, type NftChain } from './ruleset.ts';

/** Debian's; RHEL's, which counts where it exists. */
export const MAIN = '/etc/nftables.conf';
export const MAIN_RHEL = '/etc/sysconfig/nftables.conf';

/** What the main file may include. Read once, whatever it includes. */
const FOLDERS = [
  ['/etc/nftables.d', '.nft'],
  ['/etc/nftables.d', '.conf'],
  ['/etc/nftables', '.nft'],
  ['/etc/nftables', '.conf'],
] as const;

/** Where systemd keeps that a service starts at boot. */
const WANTS = ['sysinit.target.wants', 'multi-user.target.wants', 'basic.target.wants'].map(
  (target) => `/etc/systemd/system/${target}/nftables.service`,
);

export const BOOT_READS: readonly Read[] = [
  { read: 'file', path: MAIN },
  { read: 'file', path: MAIN_RHEL },
  ...FOLDERS.map(([path, suffix]): Read => ({ read: 'dir', path, suffix })),
  ...WANTS.map((path): Read => ({ read: 'file', path })),
  { read: 'file', path: '/proc/1/comm' },
];

/** A rule of a file. */
export interface BootRule extends ChainRule {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly comment: string | null;
  /** Which of the rules of its chain in its file, from 0. */
  readonly ordinal: number;
}

export interface BootChain extends NftChain<BootRule> {
  /** The last file that says something of it. */
  readonly file: string;
}

/** What nft will be told at boot. */
export interface Boot {
  readonly main: string;
  readonly chains: readonly BootChain[];
  /** Included, but not read here. */
  readonly unread: readonly string[];
}

/** The file that is loaded at boot, whether it exists or not. */
export function mainFile(seen: Observations): string {
  return seen.file(MAIN_RHEL) === null ? MAIN : MAIN_RHEL;
}

/** Whether systemd runs the node and does not load the rules at boot. */
export function isServiceOff(seen: Observations): boolean {
  if (seen.file('/proc/1/comm')?.text.trim() !== 'systemd') return false;
  return WANTS.every((path) => seen.file(path) === null);
}

/**
 * Follows the files as nft does at boot.
 * @throws FormatError where one of them is broken
 */
export function readBoot(seen: Observations): Boot {
  const main = mainFile(seen);
  const known = FOLDERS.flatMap(([path, suffix]) => seen.dir(path, suffix) ?? []);
  const state: Loading = { chains: new Map(), variables: new Map(), unread: [], known, open: [] };
  const file = seen.file(main);
  if (file !== null) load(file, state);
  return { main, chains: [...state.chains.values()], unread: state.unread };
}

interface Loading {
  readonly chains: Map<string, BootChain>;
  readonly variables: Map<string, readonly string[]>;
  readonly unread: string[];
  readonly known: readonly FileState[];
  /** Files under way. */
  readonly open: readonly string[];
}

function load(file: FileState, state: Loading): void {
  const counts = new Map<string, number>();
  for (const item of parseNftables(file.text, file.path)) {
    if (item.kind === 'include') include(item.path, { ...state, open: [...state.open, file.path] });
    if (item.kind === 'define')
      state.variables.set(
        item.name,
        item.words.map(({ text }) => text),
      );
    if (item.kind === 'chain') {
      const { key, chain } = chainOf(item, file.path, state);
      const base = { ...chain, ...readBase(item.statements, chain), file: file.path };
      const rules = rulesOf(item.statements).map((statement) => ruleOf(statement, key, file, counts, state));
      state.chains.set(keyText(key), { ...base, rules: [...chain.rules, ...rules] });
    }
    if (item.kind === 'rule') {
      const { key, chain } = chainOf(item, file.path, state);
      const rule = ruleOf(item.rule, key, file, counts, state);
      const rules = item.verb === 'add' ? [...chain.rules, rule] : [rule, ...chain.rules];
      state.chains.set(keyText(key), { ...chain, rules, file: file.path });
    }
  }
}

/** Relative paths are looked for in /etc, where nft was built so, as Debian's is. */
function include(path: string, state: Loading): void {
  const absolute = path.startsWith('/') ? path : `/etc/${path.replace(/^\.\//, '')}`;
  const escaped = absolute.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '[^/]*');
  const pattern = new RegExp(`^${escaped.replace(/\?/g, '[^/]')}$`);
  const folder = absolute.slice(0, absolute.lastIndexOf('/'));
  const found = state.known.filter((each) => pattern.test(each.path) && !state.open.includes(each.path));
  const isRead = FOLDERS.some(([each, suffix]) => each === folder && absolute.endsWith(suffix));
  if (!isRead) state.unread.push(absolute);
  for (const file of found) load(file, state);
}

function chainOf(item: ChainKey, file: string, state: Loading): { key: ChainKey; chain: BootChain } {
  const key = { family: item.family, table: item.table, chain: item.chain };
  const name = keyText(key);
  const made: BootChain = { key, name, hook: null, type: null, priority: 0, policy: null, rules: [], file };
  return { key, chain: state.chains.get(name) ?? made };
}

/** Names of priorities in the families of rules for packets (nft(8)). */
const PRIORITIES: Readonly<Record<string, number>> = {
  raw: -300,
  mangle: -150,
  dstnat: -100,
  filter: 0,
  security: 50,
  srcnat: 100,
};

function readBase(
  statements: readonly NftStatement[],
  chain: BootChain,
): Pick<BootChain, 'hook' | 'type' | 'policy' | 'priority'> {
  const lines = statements.map((statement) => statement.words.map(({ text }) => text));
  const type = lines.find(([first]) => first === 'type');
  const policy = lines.find(([first]) => first === 'policy')?.[1];
  if (type === undefined) return chain;
  const after = (word: string): string | undefined => type[type.indexOf(word) + 1];
  const priority = after('priority') ?? '0';
  return {
    type: type[1] ?? null,
    hook: after('hook') ?? null,
    policy: policy === 'drop' ? 'drop' : 'accept',
    priority: PRIORITIES[priority] ?? (Number.parseInt(priority, 10) || 0),
  };
}

/** The statements of a chain that are rules. */
export function rulesOf(statements: readonly NftStatement[]): readonly NftStatement[] {
  return statements.filter(({ words }) => !/^(?:type|policy|comment|devices?|flags)$/.test(words[0]?.text ?? ''));
}

export const statementText = ({ words }: NftStatement): string => words.map(({ text }) => text).join(' ');

function ruleOf(
  statement: NftStatement,
  key: ChainKey,
  file: FileState,
  counts: Map<string, number>,
  state: Loading,
): BootRule {
  const ordinal = counts.get(keyText(key)) ?? 0;
  counts.set(keyText(key), ordinal + 1);
  const { conditions, verdict, comment } = readRuleWords(key, statement.words, state.variables);
  return {
    conditions,
    verdict,
    comment,
    text: statementText(statement),
    file: file.path,
    line: statement.line,
    ordinal,
  };
}

/** All that a file says of a chain: its rules, and where the chain's last block ends. */
export function placesIn(
  items: readonly NftItem[],
  key: ChainKey,
): { rules: readonly { statement: NftStatement; isFlat: boolean }[]; close: number | null } {
  const mine = items.filter(
    (item): item is Extract<NftItem, { kind: 'chain' | 'rule' }> =>
      (item.kind === 'chain' || item.kind === 'rule') && keyText(item) === keyText(key),
  );
  const rules = mine.flatMap((item) =>
    item.kind === 'rule'
      ? [{ statement: item.rule, isFlat: true }]
      : rulesOf(item.statements).map((statement) => ({ statement, isFlat: false })),
  );
  const close = mine.findLast((item) => item.kind === 'chain');
  return { rules, close: close?.kind === 'chain' ? close.close : null };
}
