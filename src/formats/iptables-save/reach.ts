import type { Family } from './address.ts';
import { type CanonicalRule, canonicalRule } from './canonical.ts';
import type { Chains, IptablesChain, IptablesRule } from './chains.ts';
import { covers, excludes } from './covers.ts';

/** Why packets do not get past a rule of a chain. */
export interface Shadow {
  /** The rule of the chain itself. */
  readonly rule: IptablesRule;
  /** Its 0-based position in the chain. */
  readonly position: number;
  /** The rule that has the verdict: `rule`, or one of a chain that it jumps to. */
  readonly by: IptablesRule;
  /** Target of `by`, such as DROP. */
  readonly verdict: string;
}

/** Targets after which the rules that follow are not asked, see iptables-extensions(8). */
const TERMINAL: ReadonlySet<string> = new Set([
  'ACCEPT',
  'DROP',
  'REJECT',
  'QUEUE',
  'NFQUEUE',
  'STOLEN',
  'SNAT',
  'DNAT',
  'MASQUERADE',
  'REDIRECT',
  'NETMAP',
  'MIRROR',
  'SYNPROXY',
  'TARPIT',
  'TPROXY',
]);

/** What a called chain does to all packets of the wish; undefined: some or all of them come back, or nobody can tell. */
type Ending = { readonly by: IptablesRule; readonly verdict: string } | undefined;

interface Walk {
  readonly chains: Chains;
  readonly wish: CanonicalRule;
  readonly family: Family;
  /** Results by chain; a chain under way has none, so that a loop ends. */
  readonly known: Map<string, Ending>;
}

/**
 * The first rule of a chain after which no packet of `wish` goes on to the next rule.
 * @param wish a rule's conditions (its target does not count); without any, the shadow is unconditional
 * @param before 0-based position of the wish in the chain; only rules above it are looked at
 * @returns undefined where the wish is reached, by all of its packets or by some, as far as the rules tell
 */
export function findShadow(
  chains: Chains,
  chain: string,
  wish: CanonicalRule,
  before = Number.POSITIVE_INFINITY,
): Shadow | undefined {
  const walk: Walk = { chains, wish, family: wish.family, known: new Map([[chain, undefined]]) };
  const rules = chains.get(chain)?.rules ?? [];
  for (const [position, rule] of rules.entries()) {
    if (position >= before) return undefined;
    const { target, ...conditions } = canonicalRule(rule.words, wish.family);
    if (target === undefined || !covers({ ...conditions, target }, wish)) continue;
    if (TERMINAL.has(target.name) || target.name === 'RETURN') {
      return { rule, position, by: rule, verdict: target.name };
    }
    const called = chains.get(target.name);
    const ending = called && endingOf(called, walk);
    if (ending) return { rule, position, ...ending };
    // What a chain that was gone to gives back goes to the caller of this one.
    if (called && target.isGoto) return { rule, position, by: rule, verdict: 'RETURN' };
  }
  return undefined;
}

/** The first rule of a chain that lets no packet past it, whatever the packet. */
export function firstTerminal(chains: Chains, chain: string, family: Family): Shadow | undefined {
  return findShadow(chains, chain, canonicalRule([], family));
}

function endingOf(chain: IptablesChain, walk: Walk): Ending {
  if (walk.known.has(chain.name)) return walk.known.get(chain.name);
  walk.known.set(chain.name, undefined);
  const ending = readChain(chain, walk);
  walk.known.set(chain.name, ending);
  return ending;
}

function readChain(chain: IptablesChain, walk: Walk): Ending {
  for (const rule of chain.rules) {
    const canonical = canonicalRule(rule.words, walk.family);
    const { target } = canonical;
    if (target === undefined || excludes(canonical, walk.wish)) continue;
    const isWhole = covers(canonical, walk.wish);
    const called = walk.chains.get(target.name);
    const ending = called && endingOf(called, walk);
    // From here on some packets are back with the caller.
    if (target.name === 'RETURN' || (called && target.isGoto && !ending)) return undefined;
    if (isWhole && TERMINAL.has(target.name)) return { by: rule, verdict: target.name };
    if (isWhole && ending) return ending;
  }
  return undefined;
}
