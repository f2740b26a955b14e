import { type Conditions, coverOf, partsOf, portBorders } from './conditions.ts';

/** What a rule does with the packets that it matches. */
export type Verdict =
  | { readonly do: 'accept' | 'drop' | 'return' | 'continue' }
  | { readonly do: 'jump' | 'goto'; readonly chain: string }
  /** Something that can't be foretold, such as a queue or a map. */
  | { readonly do: 'unknown' };

/** One rule of a chain. */
export interface ChainRule {
  readonly conditions: Conditions;
  readonly verdict: Verdict;
  /** As people know it, for messages. */
  readonly text: string;
}

export interface Chain<Rule extends ChainRule = ChainRule> {
  readonly name: string;
  /** null: a chain that others jump to. */
  readonly policy: 'accept' | 'drop' | null;
  readonly rules: readonly Rule[];
}

/** What becomes of wanted packets in a chain. */
export interface Judgement {
  /** none: the chain leaves them to what called it. */
  readonly verdict: 'accept' | 'drop' | 'none';
  /** Index of the rule of the chain that decides; null: its end. Of `drop` the first that drops any of them. */
  readonly at: number | null;
  /** The deciding rule in quotes, with the one that it leads to, or the policy: goes after "by". */
  readonly by: string;
}

/** Deeper than any ruleset that a person wrote; the kernel refuses loops (iptables) or 16 levels (nf_tables). */
const DEEPEST = 32;

/**
 * Follows wanted packets through a chain: rules in order, jumps and their return, states of connections, the policy.
 * A rule that concerns only some of them, or that can't be understood, is passed by. Wanted ports and ICMP types may be
 * accepted by different rules.
 * @param chains what jumps lead to, by name
 * @param before only the rules before this index count
 */
export function judge(
  chain: Chain,
  chains: ReadonlyMap<string, Chain>,
  wanted: Conditions,
  before: number = chain.rules.length,
): Judgement {
  const borders = portBorders([chain, ...chains.values()].flatMap(({ rules }) => rules.map((rule) => rule.conditions)));
  const all = partsOf(wanted, borders).map((part) => follow(chain, chains, part, { before, depth: 0, seen: states() }));
  const end = chain.rules.length;
  const drops = all.filter(({ verdict }) => verdict === 'drop').toSorted((a, b) => (a.at ?? end) - (b.at ?? end));
  const worst = drops[0] ?? all.find(({ verdict }) => verdict === 'none') ?? all[0];
  return worst ?? { verdict: 'none', at: null, by: 'no rule' };
}

/** Which states of connections were accepted on the way. */
interface States {
  readonly accepted: Set<string>;
}

const states = (): States => ({ accepted: new Set() });

interface Walk {
  readonly before: number;
  readonly depth: number;
  readonly seen: States;
}

function follow(
  chain: Chain,
  chains: ReadonlyMap<string, Chain>,
  wanted: Conditions,
  { before, depth, seen }: Walk,
): Judgement {
  for (const [at, rule] of chain.rules.slice(0, before).entries()) {
    if (coverOf(rule.conditions, wanted) !== 'all') continue;
    const found = (verdict: 'accept' | 'drop', by = `"${rule.text}"`): Judgement => ({ verdict, at, by });
    const scope = stateScope(rule, wanted, seen);
    if (scope === 'none') continue;
    if (rule.verdict.do === 'accept' && scope === 'new')
      for (const state of rule.conditions.states ?? []) seen.accepted.add(state);
    if (rule.verdict.do === 'accept' && (scope === 'all' || isComplete(seen))) return found('accept');
    if (rule.verdict.do === 'drop') return found('drop');
    if (scope !== 'all') continue;
    if (rule.verdict.do === 'return') break;
    if (rule.verdict.do !== 'jump' && rule.verdict.do !== 'goto') continue;
    const target = chains.get(rule.verdict.chain);
    if (target === undefined || depth >= DEEPEST) continue;
    const inner = follow(target, chains, wanted, { before: target.rules.length, depth: depth + 1, seen });
    if (inner.verdict !== 'none') return found(inner.verdict, `"${rule.text}", there by ${inner.by}`);
    // Where a goto leads, the end is the end of this chain too.
    if (rule.verdict.do === 'goto') break;
  }
  if (chain.policy === null) return { verdict: 'none', at: null, by: `the end of ${chain.name}` };
  if (before < chain.rules.length) return { verdict: 'none', at: null, by: 'the rules before' };
  return { verdict: chain.policy, at: null, by: `the policy of ${chain.name}` };
}

const isComplete = ({ accepted }: States): boolean => accepted.has('new') && accepted.has('established');

/**
 * Whether a rule counts for the wanted packets as far as states go. "new": for a part of them only: accepting needs a rule for
 * the others; dropping new or established ones breaks the connection.
 */
function stateScope({ conditions, verdict }: ChainRule, wanted: Conditions, seen: States): 'all' | 'new' | 'none' {
  const { states: has } = conditions;
  if (has === null) return 'all';
  if (wanted.states !== null) return wanted.states.every((state) => has.includes(state)) ? 'all' : 'none';
  if (verdict.do === 'accept') return 'new';
  const isHit = ['new', 'established'].some((state) => has.includes(state) && !seen.accepted.has(state));
  return verdict.do === 'drop' && isHit ? 'new' : 'none';
}
