import { HostError } from '../../core/errors.ts';
import type { Change, Observations, ResourcePlan, Step } from '../../core/resource.ts';
import type { Family } from '../../formats/iptables-save/address.ts';
import { type CanonicalRule, canonicalRule, isSameRule } from '../../formats/iptables-save/canonical.ts';
import { type Chains, chainsOf, type IptablesRule } from '../../formats/iptables-save/chains.ts';
import { withoutRule, withRule } from '../../formats/iptables-save/edit.ts';
import { type IptablesFile, parseIptablesSave, printIptablesSave } from '../../formats/iptables-save.ts';
import { conditionsOf } from '../firewall/conditions.ts';
import { judge } from '../firewall/judge.ts';
import { acceptRules, propertyOf, RULE_COMMENT, type Wish } from '../firewall/wish.ts';
import { type BootFile, missingLoader, readBootFile } from './boot.ts';
import type { WantedRule } from './params.ts';
import { acceptRuleWords, conditionsOfRule, type TableChain, tableChains, verdictOf } from './rules.ts';
import { PROGRAMS, type Running, readRunning, runningChains } from './worlds.ts';

/** One rule put in or taken out; positions count from 0 and are those of the chain before all edits. */
type Edit =
  | { readonly edit: 'insert'; readonly at: number; readonly words: readonly string[] }
  | { readonly edit: 'remove'; readonly at: number; readonly rule: IptablesRule };

/** What differs in a chain and what makes it right. Removals come first, the last rule first. */
export interface Arrangement {
  readonly changes: readonly { property: string; from: string; to: string; note: string; line?: number }[];
  readonly edits: readonly Edit[];
}

/** What has to be done in a chain of a table; null where the chain does not exist. */
export type Arrange = (chains: Chains) => Arrangement;

const FINE: Arrangement = { changes: [], edits: [] };

const lineOf = (chain: TableChain | undefined, at: number | null): { line?: number } => {
  const rule = at === null ? undefined : chain?.rules[at]?.rule;
  return rule === undefined ? {} : { line: rule.line };
};

/** The edits for a wish in INPUT: rules before what drops the packets; with `absent`, those of this program go. */
export function arrangeWish(wish: Wish, family: Family): Arrange {
  return (found) => {
    const chains = tableChains(found, family);
    const input = chains.get('INPUT');
    if (input === undefined) return FINE;
    const wanted = acceptRules(wish, family).map((rule) => ({ rule, words: acceptRuleWords(rule) }));
    if (wish.state === 'absent') {
      const all = wanted.flatMap(({ rule, words }) =>
        words.flatMap((each) =>
          ownRules(input, canonicalRule(each, family)).map((at) => ({ at, property: propertyOf(rule) })),
        ),
      );
      return removal(input, all);
    }
    const parts = wanted.flatMap(({ rule, words }) => {
      const { verdict, at, by } = judge(input, chains, conditionsOf(rule));
      if (verdict !== 'drop') return [];
      const place = at ?? input.rules.length;
      const useless = words.flatMap((each) =>
        ownRules(input, canonicalRule(each, family)).filter((index) => index > place),
      );
      const change = {
        property: propertyOf(rule),
        from: 'drop',
        to: 'accept',
        note: `dropped in INPUT by ${by}`,
        ...lineOf(input, at),
      };
      return [{ change, place, words, useless }];
    });
    const removed = parts.flatMap(({ useless }) => useless.map((at) => ({ at, property: '' })));
    return {
      changes: parts.map(({ change }) => change),
      edits: [
        ...removal(input, removed).edits,
        ...parts.flatMap(({ place, words }) => words.map((each): Edit => ({ edit: 'insert', at: place, words: each }))),
      ],
    };
  };
}

function ownRules(chain: TableChain, wanted: CanonicalRule): readonly number[] {
  return chain.rules.flatMap(({ canonical, comment }, at) =>
    comment === RULE_COMMENT && isSameRule(canonical, wanted) ? [at] : [],
  );
}

function removal(chain: TableChain, all: readonly { at: number; property: string }[]): Arrangement {
  const unique = all.filter(({ at }, index) => all.findIndex((each) => each.at === at) === index);
  const changes = unique.map(({ at, property }) => ({
    property,
    from: 'present',
    to: 'absent',
    note: `"${chain.rules[at]?.text ?? ''}"`,
    ...lineOf(chain, at),
  }));
  const edits = unique
    .toSorted((a, b) => b.at - a.at)
    .flatMap(({ at }): Edit[] => {
      const rule = chain.rules[at]?.rule;
      return rule === undefined ? [] : [{ edit: 'remove', at, rule }];
    });
  return { changes, edits };
}

/**
 * The edits for one rule: there, and before what keeps all its packets from it, or gone.
 * @throws HostError from the result where the place that was asked for is of no use, or the chain is missing
 */
export function arrangeRule(wanted: WantedRule, state: 'present' | 'absent', where: string): Arrange {
  const { family, words, position } = wanted;
  const canonical = canonicalRule(words, family);
  return (found) => {
    const chains = tableChains(found, family);
    const chain = chains.get(wanted.chain) ?? emptyChain(wanted, where);
    const same = chain.rules.flatMap((rule, at) => (isSameRule(rule.canonical, canonical) ? [at] : []));
    if (state === 'absent')
      return removal(
        chain,
        same.map((at) => ({ at, property: 'rule' })),
      );
    const own = verdictOf(canonical, (name) => chains.has(name)).do;
    const shadowBefore = (end: number) => {
      const judged = judge(chain, chains, conditionsOfRule(canonical), end);
      return judged.at !== null && judged.verdict !== own ? judged : null;
    };
    const [at] = same;
    if (at !== undefined) {
      const shadow = shadowBefore(at);
      const rule = chain.rules[at]?.rule;
      if (shadow === null || rule === undefined) return FINE;
      const note = `rule ${at + 1} of ${chain.name} comes after ${shadow.by}, which keeps all its packets from it`;
      const change = { property: 'position', from: 'unreachable', to: 'reachable', note, ...lineOf(chain, at) };
      const edits: Edit[] = [
        { edit: 'remove', at, rule },
        { edit: 'insert', at: shadow.at ?? 0, words: rule.words },
      ];
      return { changes: [change], edits };
    }
    const place = placeOf(position, chain.rules.length, shadowBefore(chain.rules.length)?.at ?? null);
    const shadow = shadowBefore(place);
    if (shadow !== null)
      throw new HostError(
        `position ${position} of ${chain.name} ${where} is after ${shadow.by}: the rule would do nothing`,
        {
          hint: 'leave "position" out: it is then put before that rule',
        },
      );
    const next = chain.rules[place];
    const note = next === undefined ? `at the end of ${chain.name}` : `before "${next.text}"`;
    return {
      changes: [{ property: 'rule', from: 'absent', to: 'present', note, ...lineOf(chain, place) }],
      edits: [{ edit: 'insert', at: place, words }],
    };
  };
}

function placeOf(position: WantedRule['position'], length: number, shadow: number | null): number {
  if (position === 'first') return 0;
  if (position === 'last') return length;
  return position === 'before terminal' ? (shadow ?? length) : Math.min(position - 1, length);
}

function emptyChain({ table, chain, family }: WantedRule, where: string): TableChain {
  // Built-in ones come into being when the first rule is put in.
  if (/^[A-Z]+$/.test(chain)) return { name: chain, policy: 'accept', rules: [] };
  throw new HostError(`there is no chain "${chain}" in the table ${table} of ${PROGRAMS[family]} ${where}`, {
    hint: `"${PROGRAMS[family]} -t ${table} -S" shows the chains; name the one of them that is meant`,
  });
}

/** Each edit with where it takes place once those before it are done: insertions at one place stand in their order. */
function moved(edits: readonly Edit[]): readonly { edit: Edit; at: number }[] {
  return edits.map((edit, index) => {
    const done = edits.slice(0, index);
    const added = done.filter((each) => each.edit === 'insert' && each.at <= edit.at).length;
    const gone = done.filter((each) => each.edit === 'remove' && each.at < edit.at).length;
    return { edit, at: edit.at + added - gone };
  });
}

/** Steps that carry out the edits on the running chain, and those that take them back. */
function liveSteps(
  running: Running,
  table: string,
  chain: string,
  edits: readonly Edit[],
): { try: Step[]; undo: Step[] } {
  const run = (...args: readonly string[]): Step => ({
    do: 'run',
    argv: [...running.command, '-t', table, ...args],
  });
  const insert = (at: number, words: readonly string[]): Step => run('-I', chain, String(at + 1), ...words);
  const remove = (words: readonly string[]): Step => run('-D', chain, ...words);
  const pairs = moved(edits).map(({ edit, at }) =>
    edit.edit === 'insert'
      ? { step: insert(at, edit.words), back: remove(edit.words) }
      : { step: remove(edit.rule.words), back: insert(at, edit.rule.words) },
  );
  return { try: pairs.map(({ step }) => step), undo: pairs.toReversed().map(({ back }) => back) };
}

/** The text of a file after what is to be done in it now: other tasks may have changed it since it was looked at. */
function editText(
  text: string | null,
  path: string,
  table: string,
  chain: string,
  family: Family,
  arrange: Arrange,
): string {
  let file: IptablesFile = parseIptablesSave(text ?? '', path);
  const { edits } = arrange(chainsOf(file, table, family));
  for (const { edit, at } of moved(edits)) {
    if (edit.edit === 'insert') {
      file = withRule(file, { table, chain, words: edit.words, position: at }, family);
    } else {
      const rule = chainsOf(file, table, family).get(chain)?.rules[at];
      if (rule !== undefined) file = withoutRule(file, rule);
    }
  }
  return printIptablesSave(file);
}

/** What is wanted of one family. */
export interface FamilyWish {
  readonly family: Family;
  readonly table: string;
  readonly chain: string;
  readonly live: Arrange;
  readonly boot: Arrange;
  /** Whether the rules have to be there even where nothing else is. */
  readonly isRule: boolean;
}

export function familyWishes(wish: Wish, families: readonly Family[]): readonly FamilyWish[] {
  return families.map((family) => {
    const arrange = arrangeWish(wish, family);
    return { family, table: 'filter', chain: 'INPUT', live: arrange, boot: arrange, isRule: false };
  });
}

export function ruleWish(wanted: WantedRule, state: 'present' | 'absent'): FamilyWish {
  const { family, table, chain } = wanted;
  const live = arrangeRule(wanted, state, 'that runs');
  const boot = arrangeRule(wanted, state, 'in the file for the next boot');
  return { family, table, chain, live, boot, isRule: true };
}

/**
 * Compares both layers of one family.
 * @throws HostError, FormatError
 */
export function planFamily(wish: FamilyWish, seen: Observations): ResourcePlan {
  const { family, table, chain, isRule } = wish;
  const running = readRunning(seen, family);
  const live = wish.live(runningChains(running, table));
  const notes = [running.note, ownerNote(running)].filter((note) => note !== null);
  const runtime = live.changes.map(({ line: _, note, ...change }): Change => {
    return { layer: 'runtime', ...change, note: [note, ...notes].join('; ') };
  });
  const steps = liveSteps(running, table, chain, live.edits);
  const elsewhere = isRule ? null : otherDrops(wish, running);
  if (elsewhere !== null) {
    const change: Change = { layer: 'runtime', ...elsewhere.change };
    return { changes: [...runtime, change], ...steps, keep: [], blocked: elsewhere.blocked };
  }
  const boot = readBootFile(seen, family);
  if (boot === null) {
    // Without a file the next boot has no rules: a rule that shall be gone is gone.
    const isLost =
      live.changes.some(({ to }) => to !== 'absent') || (isRule && wish.boot(new Map()).changes.length > 0);
    const blocked = isLost ? `${missingLoader(seen, family)}${ownerHint(running)}` : undefined;
    const lost = isRule && blocked !== undefined ? [LOST] : [];
    return { changes: [...runtime, ...lost], ...steps, keep: [], ...(blocked !== undefined && { blocked }) };
  }
  const later = wish.boot(chainsOf(boot.file, table, family));
  const persistent = later.changes.map((change): Change => ({ layer: 'persistent', ...change, file: boot.path }));
  const blocked = persistent.length > 0 ? boot.fault : null;
  return {
    changes: [...runtime, ...persistent],
    ...steps,
    keep: later.edits.length === 0 ? [] : [keepStep(boot, wish)],
    ...(blocked !== null && { blocked }),
  };
}

/** What the other place of iptables drops although the wish is to let it in. Nothing loads that place at boot that is known here. */
function otherDrops({ family, table, live }: FamilyWish, { other }: Running) {
  const [first] = other === null ? [] : live(chainsOf(other.saved, table, family)).changes;
  if (other === null || first === undefined || first.to === 'absent') return null;
  const note = `${first.note} of ${other.program}`;
  const change = { property: first.property, from: first.from, to: first.to, note };
  const blocked = `"${other.program}" has rules too, which drop what is to get in (${note}): find what loads them, and move them to "${PROGRAMS[family]}" or remove them ("${other.program} -S" shows them)`;
  return { change, blocked };
}

const LOST: Change = { layer: 'persistent', property: 'rule', from: 'absent', to: 'present' };

function keepStep({ path }: BootFile, { family, table, chain, boot }: FamilyWish): Step {
  return {
    do: 'edit',
    path,
    edit: (text) => editText(text, path, table, chain, family, boot),
    // What netfilter-persistent gives its files, and RHEL its: rules tell an attacker where to knock.
    mode: path.startsWith('/etc/sysconfig') ? 0o600 : 0o640,
    validate: [`${PROGRAMS[family]}-restore`, '--test', '%s'],
  };
}

/** Programs that write chains of their own, by the begin of their names. */
const OWNERS: readonly {
  readonly prefix: string;
  readonly name: string;
  readonly note: string;
  readonly hint: string;
}[] = [
  {
    prefix: 'PVEFW-',
    name: 'pve_firewall',
    note: "pve-firewall is active here: it leaves this rule alone as long as it stands above PVEFW-INPUT, but the resource pve_firewall, which uses Proxmox VE's own files, is the better place",
    hint: '; here pve-firewall is active: use the resource "pve_firewall" or "firewall", whose rules need no such program',
  },
  {
    prefix: 'ufw-',
    name: 'ufw',
    note: 'ufw is active here and knows nothing of this rule',
    hint: '; here ufw is active: allow it there, such as "ufw allow proto udp to any port 5404:5412", and multicast in /etc/ufw/before.rules',
  },
  {
    prefix: 'IN_public',
    name: 'firewalld',
    note: 'firewalld is active here and forgets this rule when it is reloaded: use the resource firewalld',
    hint: '; here firewalld is active: use the resource "firewalld" or "firewall"',
  },
];

/** Which other firewall of a wish the rules of INPUT belong to, or null. ufw is none: it is done as iptables. */
export function ownerOfRules(running: Running): string | null {
  const name = ownerOf(running)?.name;
  return name === undefined || name === 'ufw' ? null : name;
}

function ownerOf(running: Running) {
  const chains = [...runningChains(running, 'filter').keys()];
  return OWNERS.find(({ prefix }) => chains.some((name) => name.startsWith(prefix)));
}

const ownerNote = (running: Running): string | null => ownerOf(running)?.note ?? null;
const ownerHint = (running: Running): string => ownerOf(running)?.hint ?? '';

/** Several families as one plan. */
export function joinPlans(plans: readonly ResourcePlan[]): ResourcePlan {
  const blocked = plans.flatMap((plan) => plan.blocked ?? []);
  return {
    changes: plans.flatMap(({ changes }) => changes),
    try: plans.flatMap((plan) => plan.try),
    undo: plans.toReversed().flatMap(({ undo }) => undo),
    keep: plans.flatMap(({ keep }) => keep),
    ...(blocked.length > 0 && { blocked: blocked.join('; ') }),
  };
}
