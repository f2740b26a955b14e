import { HostError } from '../../core/errors.ts';
import type { Observations } from '../../core/resource.ts';
import type { Chain, ChainRule, Verdict } from '../firewall/judge.ts';
import { conditionsOfMatches, type Match } from './expression.ts';

/** Which chain: names are unique within a family and table. */
export interface ChainKey {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
}

/** A rule as the kernel has it. */
export interface LiveRule extends ChainRule {
  readonly handle: number;
  readonly comment: string | null;
  /** Whether all of it is understood. */
  readonly isPlain: boolean;
}

export interface NftChain<Rule extends ChainRule = ChainRule> extends Chain<Rule> {
  readonly key: ChainKey;
  /** null: no base chain. */
  readonly hook: string | null;
  readonly type: string | null;
  /** Lower ones see packets first. */
  readonly priority: number;
}

export const NFT_READ = { read: 'run', argv: ['nft', '-j', 'list', 'ruleset'] } as const;

export const keyText = ({ family, table, chain }: ChainKey): string => `${family} ${table} ${chain}`;

/**
 * The chains that the kernel has now.
 * @throws HostError where nft is not there, may not look or says something that is not understood
 */
export function readRuleset(seen: Observations): readonly NftChain<LiveRule>[] {
  const { code, stdout, stderr } = seen.run(NFT_READ.argv);
  if (code === 127)
    throw new HostError('there is no program "nft" on the node', { hint: 'install it: apt-get install nftables' });
  if (code !== 0) {
    const hint = 'it needs root ("become: true") and a kernel with nf_tables';
    throw new HostError(`"nft -j list ruleset" failed: ${stderr.trim() || `exit code ${code}`}`, { hint });
  }
  return readJson(stdout);
}

type Data = Readonly<Record<string, unknown>>;

const record = (value: unknown): Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Data) : {};
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function readJson(stdout: string): readonly NftChain<LiveRule>[] {
  let entries: readonly Data[];
  try {
    const list = record(JSON.parse(stdout === '' ? '{"nftables": []}' : stdout))['nftables'];
    if (!Array.isArray(list)) throw new Error('no list');
    entries = list.map(record);
  } catch (cause) {
    const hint = 'nft of nftables 0.9 or newer is needed, built with JSON';
    throw new HostError('"nft -j list ruleset" printed something that is not understood', { hint, cause });
  }
  const rules = new Map<string, LiveRule[]>();
  for (const rule of entries.map((entry) => record(entry['rule'])).filter((each) => 'handle' in each)) {
    const key = keyText({ family: text(rule['family']), table: text(rule['table']), chain: text(rule['chain']) });
    rules.set(key, [...(rules.get(key) ?? []), liveRule(rule)]);
  }
  const chains = entries.map((entry) => record(entry['chain'])).filter((each) => 'name' in each);
  return chains.map((chain) => {
    const key = { family: text(chain['family']), table: text(chain['table']), chain: text(chain['name']) };
    const hook = typeof chain['hook'] === 'string' ? chain['hook'] : null;
    return {
      key,
      name: keyText(key),
      hook,
      type: typeof chain['type'] === 'string' ? chain['type'] : null,
      priority: typeof chain['prio'] === 'number' ? chain['prio'] : 0,
      policy: hook === null ? null : chain['policy'] === 'drop' ? 'drop' : 'accept',
      rules: rules.get(keyText(key)) ?? [],
    };
  });
}

function liveRule(rule: Data): LiveRule {
  const expressions = Array.isArray(rule['expr']) ? rule['expr'].map(record) : [];
  const family = text(rule['family']);
  const matches: Match[] = [];
  const others: string[] = [];
  const words: string[] = [];
  let verdict: Verdict = { do: 'continue' };
  for (const expression of expressions) {
    const [kind = '', value] = Object.entries(expression)[0] ?? [];
    if (kind === 'match') {
      const match = readMatch(record(value));
      matches.push(match);
      words.push(match.text);
    } else if (isVerdict(kind)) {
      verdict = readVerdict(kind, record(value), family, text(rule['table']));
      words.push(kind === 'jump' || kind === 'goto' ? `${kind} ${text(record(value)['target'])}` : kind);
    } else if (kind === 'xt' && record(value)['type'] === 'target') {
      const name = text(record(value)['name']);
      verdict = { do: name === 'REJECT' ? 'drop' : 'unknown' };
      words.push(name);
    } else if (!PASSIVE.has(kind)) {
      others.push(JSON.stringify(expression));
      words.push(kind);
      if (kind === 'vmap' || kind === 'queue') verdict = { do: 'unknown' };
    }
  }
  const conditions = conditionsOfMatches(family, matches, others);
  return {
    conditions,
    verdict,
    text: words.join(' '),
    handle: Number(rule['handle']),
    comment: typeof rule['comment'] === 'string' ? rule['comment'] : null,
    isPlain: conditions.others.length === 0 && verdict.do !== 'unknown',
  };
}

/** What limits nothing. */
const PASSIVE: ReadonlySet<string> = new Set(['counter', 'log', 'notrack', 'mangle']);

const isVerdict = (kind: string): boolean =>
  ['accept', 'drop', 'reject', 'return', 'continue', 'jump', 'goto'].includes(kind);

function readVerdict(kind: string, value: Data, family: string, table: string): Verdict {
  if (kind === 'jump' || kind === 'goto')
    return { do: kind, chain: keyText({ family, table, chain: text(value['target']) }) };
  if (kind === 'reject') return { do: 'drop' };
  return kind === 'accept' || kind === 'drop' || kind === 'return' ? { do: kind } : { do: 'continue' };
}

function readMatch(match: Data): Match {
  const left = leftText(record(match['left']));
  const op = text(match['op']);
  const values = valuesOf(match['right']);
  const shown =
    values === null ? JSON.stringify(match['right']) : values.length === 1 ? values[0] : `{ ${values.join(', ')} }`;
  return { left, op, values, text: `${left}${op === '!=' ? ' !=' : ''} ${shown}` };
}

function leftText(left: Data): string {
  const [kind = '', value] = Object.entries(left)[0] ?? [];
  const inner = record(value);
  if (kind === 'payload' && 'field' in inner) return `${text(inner['protocol'])} ${text(inner['field'])}`;
  if (kind === 'meta' || kind === 'ct') return `${kind} ${text(inner['key'])}`;
  const flags = Array.isArray(inner['flags']) ? inner['flags'].join(' . ') : '';
  if (kind === 'fib') return `fib ${flags} ${text(inner['result'])}`;
  return JSON.stringify(left);
}

/** null where one of them is a set by name, a list of pairs, or anything else. */
function valuesOf(right: unknown): readonly string[] | null {
  if (typeof right === 'string') return right.startsWith('@') ? null : [right];
  if (typeof right === 'number') return [String(right)];
  if (Array.isArray(right)) return all(right);
  const { range, prefix, set } = record(right);
  if (Array.isArray(range) && range.every((each) => typeof each === 'number')) return [range.join('-')];
  if (prefix !== undefined) return [`${text(record(prefix)['addr'])}/${String(record(prefix)['len'])}`];
  return Array.isArray(set) ? all(set) : null;
}

function all(list: readonly unknown[]): readonly string[] | null {
  const found = list.map(valuesOf);
  return found.includes(null) ? null : found.flatMap((each) => each ?? []);
}
