import { HostError } from '../../core/errors.ts';
import type { Argv, Change, Observations, ResourcePlan, Step } from '../../core/resource.ts';
import { type Conditions, conditionsOf, isSamePackets } from '../firewall/conditions.ts';
import { judge } from '../firewall/judge.ts';
import { type AcceptRule, acceptRules, propertyOf, RULE_COMMENT, type Wish } from '../firewall/wish.ts';
import { type BootChain, type BootRule, isServiceOff, readBoot } from './boot.ts';
import { insertRules, removeRules } from './edit.ts';
import { familyOfTable } from './expression.ts';
import type { RawRule } from './params.ts';
import { acceptWords, readRuleWords } from './rule-text.ts';
import { type ChainKey, keyText, type LiveRule, type NftChain, readRuleset } from './ruleset.ts';

/** One rule that this program writes into a chain, for one or more of what is wished. */
interface Line {
  readonly words: readonly string[];
  readonly conditions: Conditions;
  readonly comment: string;
  /** Names of what it stands for in reports, and what each is about. */
  readonly wants: readonly { readonly property: string; readonly conditions: Conditions }[];
}

/** Tables whose rules another program writes anew whenever it likes. */
const FOREIGN: Readonly<Record<string, string>> = { firewalld: 'firewalld', 'proxmox-firewall': 'pve_firewall' };

/**
 * Which other program owns a chain, as a type of resource, or null. iptables' tables are known by its chains in capitals, unless a file
 * for nft makes them.
 */
export function ownerOf(key: ChainKey, boot: readonly BootChain[]): string | null {
  const { family, table, chain } = key;
  if (FOREIGN[table] !== undefined) return FOREIGN[table];
  if (boot.some(({ name }) => name === keyText(key))) return null;
  const isXtables =
    /^ip6?$/.test(family) && /^(?:filter|nat|mangle|raw|security)$/.test(table) && /^[A-Z]+$/.test(chain);
  return isXtables ? 'iptables' : null;
}

/** The chains that packets to this node pass, those of other programs left out. */
export function inputChains<Each extends NftChain>(
  chains: readonly Each[],
  boot: readonly BootChain[],
): readonly Each[] {
  return chains.filter(
    ({ key, hook, type }) =>
      hook === 'input' && type === 'filter' && /^(?:ip6?|inet)$/.test(key.family) && ownerOf(key, boot) === null,
  );
}

/** The rules of a wish in one chain: in a table of both families one rule does for both where it can. */
function linesOf(wish: Wish, key: ChainKey): readonly Line[] {
  const only = familyOfTable(key.family);
  const rules = wish.families
    .filter((family) => only === null || family === only)
    .flatMap((family) => acceptRules(wish, family));
  const isBoth = only === null && wish.families.length > 1 && wish.sources.length === 0;
  const groups = new Map<string, AcceptRule[]>();
  for (const rule of rules) {
    const text = acceptWords(rule, only === null && !isBoth).join(' ');
    groups.set(text, [...(groups.get(text) ?? []), rule]);
  }
  return [...groups].map(([text, group]) => {
    const words = text.split(' ');
    const wants = group.map((rule) => ({ property: propertyOf(rule), conditions: conditionsOf(rule) }));
    const { conditions } = readRuleWords(
      key,
      words.map((each) => ({ text: each.replace(/,$/, ''), start: 0, end: 0 })),
    );
    return { words, conditions, comment: RULE_COMMENT, wants };
  });
}

function rawLine(raw: RawRule): Line {
  const { conditions } = readRuleWords(raw.key, raw.statement.words);
  const words = [...raw.statement.words.map(({ text }) => text), 'comment', `"${raw.comment}"`];
  return { words, conditions, comment: raw.comment, wants: [{ property: 'rule', conditions }] };
}

/** A line to be put into a chain: before which rule, and whose verdict makes it necessary. */
interface Insertion {
  readonly line: Line;
  readonly at: number | null;
  readonly changes: readonly { property: string; from: string; to: string; note: string }[];
  /** Rules of the same text that stand where they are of no use. */
  readonly stale: readonly number[];
}

const mapOf = <Each extends NftChain>(chains: readonly Each[]): ReadonlyMap<string, Each> =>
  new Map(chains.map((chain) => [keyText(chain.key), chain]));

/** What a wish needs in a chain: the lines of those of its services that the chain drops. */
function wished(chain: NftChain<LiveRule | BootRule>, chains: ReadonlyMap<string, NftChain>, wish: Wish): Insertion[] {
  return linesOf(wish, chain.key).flatMap((line) => {
    const judged = line.wants.map((want) => ({ ...want, ...judge(chain, chains, want.conditions) }));
    const dropped = judged.filter(({ verdict }) => verdict === 'drop');
    if (dropped.length === 0) return [];
    const places = dropped.map(({ at }) => at ?? chain.rules.length);
    const at = Math.min(...places);
    const changes = dropped.map(({ property, by }) => ({
      property,
      from: 'drop',
      to: 'accept',
      note: `dropped in ${keyText(chain.key)} by ${by}`,
    }));
    const stale = chain.rules.flatMap((rule, index) => (index > at && isOurs(rule, line) ? [index] : []));
    return [{ line, at: at < chain.rules.length ? at : null, changes, stale }];
  });
}

function isOurs(rule: LiveRule | BootRule, line: Line): boolean {
  if (rule.comment !== line.comment) return false;
  return (
    line.comment !== RULE_COMMENT || (rule.verdict.do === 'accept' && isSamePackets(rule.conditions, line.conditions))
  );
}

/** What a raw rule needs in its chain: to be there, and before what makes it useless. */
function rawWished(
  chain: NftChain<LiveRule | BootRule>,
  chains: ReadonlyMap<string, NftChain>,
  line: Line,
): Insertion[] {
  const found = chain.rules.findIndex((rule) => isOurs(rule, line));
  const before = found < 0 ? chain.rules.length : found;
  const shadow = judge(chain, chains, line.conditions, before);
  const isDropped = shadow.verdict === 'drop' && shadow.at !== null;
  if (found >= 0 && !isDropped) return [];
  const note = isDropped ? `after ${shadow.by}, which drops all of it` : `in ${keyText(chain.key)}`;
  const change =
    found < 0
      ? {
          property: 'rule',
          from: 'absent',
          to: 'present',
          note: isDropped ? `placed before ${shadow.by}` : note,
        }
      : { property: 'position', from: 'unreachable', to: 'reachable', note };
  return [{ line, at: isDropped ? shadow.at : null, changes: [change], stale: found < 0 ? [] : [found] }];
}

/** Rules of ours in a chain that are to go, by index. */
function unwished(chain: NftChain<LiveRule | BootRule>, lines: readonly Line[]): readonly { at: number; line: Line }[] {
  return chain.rules.flatMap((rule, at) => {
    const line = lines.find((each) => isOurs(rule, each));
    return line === undefined ? [] : [{ at, line }];
  });
}

/** Deletes what was added: rules of ours that were not there before. Their handles are known only once they are there. */
const FORGET = `my ($family, $table, $chain, $comment, @known) = @ARGV;
my %known = map { $_ => 1 } @known;
open my $list, '-|', 'nft', '-a', 'list', 'chain', $family, $table, $chain or die "nft: $!\\n";
my @handles = map { / comment "\\Q$comment\\E" # handle (\\d+)$/ && !$known{$1} ? $1 : () } <$list>;
close $list or die "nft can't list the chain\\n";
for (@handles) { system('nft', 'delete', 'rule', $family, $table, $chain, 'handle', $_) == 0 or exit 1 }`;

function chainArgs({ family, table, chain }: ChainKey): readonly [string, string, string] {
  const isPlain = [table, chain].every((name) => /^[A-Za-z_][\w./-]*$/.test(name));
  if (isPlain) return [family, table, chain];
  throw new HostError(`chain ${JSON.stringify(keyText({ family, table, chain }))} has a name that nft can't be given`, {
    hint: 'rename it',
  });
}

const nft = (...argv: readonly string[]): Step => ({ do: 'run', argv: ['nft', ...argv] });

interface Part {
  readonly changes: readonly Change[];
  readonly try: readonly Step[];
  readonly undo: readonly Step[];
  readonly keep: readonly Step[];
}

const NOTHING: Part = { changes: [], try: [], undo: [], keep: [] };

function joined(parts: readonly Part[]): Part {
  return {
    changes: parts.flatMap(({ changes }) => changes),
    try: parts.flatMap((part) => part.try),
    undo: parts.toReversed().flatMap(({ undo }) => undo),
    keep: parts.flatMap(({ keep }) => keep),
  };
}

/** What puts a rule back that is deleted: before the rule that followed it and stays. */
function putBack(chain: NftChain<LiveRule>, at: number, line: Line, gone: readonly number[]): Step {
  const names = chainArgs(chain.key);
  const next = chain.rules.find((_, index) => index > at && !gone.includes(index));
  if (next === undefined) return nft('add', 'rule', ...names, ...line.words);
  return nft('insert', 'rule', ...names, 'handle', String(next.handle), ...line.words);
}

function deleteLive(chain: NftChain<LiveRule>, rules: readonly { at: number; line: Line }[]): Part {
  if (rules.length === 0) return NOTHING;
  const names = chainArgs(chain.key);
  const gone = rules.map(({ at }) => at);
  return {
    ...NOTHING,
    try: rules.map(({ at }) => nft('delete', 'rule', ...names, 'handle', String(chain.rules[at]?.handle))),
    undo: rules.map(({ at, line }) => putBack(chain, at, line, gone)),
  };
}

function insertLive(chain: NftChain<LiveRule>, insertions: readonly Insertion[]): Part {
  if (insertions.length === 0) return NOTHING;
  const names = chainArgs(chain.key);
  const comments = [...new Set(insertions.map(({ line }) => line.comment))];
  const steps = insertions.map(({ line, at }) => {
    const handle = at === null ? undefined : chain.rules[at]?.handle;
    if (handle === undefined) return nft('add', 'rule', ...names, ...line.words);
    return nft('insert', 'rule', ...names, 'handle', String(handle), ...line.words);
  });
  const known = chain.rules.map(({ handle }) => String(handle));
  const forget = comments.map(
    (comment): Step => ({
      do: 'run',
      argv: ['perl', '-e', FORGET, ...names, comment, ...known],
    }),
  );
  const stale = insertions.flatMap(({ line, stale: indexes }) => indexes.map((at) => ({ at, line })));
  const moved = deleteLive(chain, stale);
  const changes = insertions.flatMap((each) => each.changes.map((change): Change => ({ layer: 'runtime', ...change })));
  // New rules first, so that nothing is closed for a moment; put back is only what `forget` has not to take for new.
  return { changes, try: [...steps, ...moved.try], undo: [...forget, ...moved.undo], keep: [] };
}

const validate = (path: string, main: string): { validate?: Argv } =>
  path === main ? { validate: ['nft', '-c', '-f', '%s'] } : {};

function insertBoot(chain: BootChain, insertions: readonly Insertion[], main: string): Part {
  const keep = insertions.map(({ line, at, stale }): Step => {
    const anchor = at === null ? null : (chain.rules[at] ?? null);
    const path = anchor?.file ?? chain.file;
    const gone = stale.flatMap((index) => chain.rules[index] ?? []).filter(({ file }) => file === path);
    return {
      do: 'edit',
      path,
      edit: (text) =>
        text === null
          ? text
          : insertRules(removeRules(text, path, chain.key, gone), path, chain.key, [line.words.join(' ')], anchor),
      ...validate(path, main),
    };
  });
  const changes = insertions.flatMap((each) => {
    const rule = each.at === null ? undefined : chain.rules[each.at];
    const place = { file: rule?.file ?? chain.file, ...(rule && { line: rule.line }) };
    return each.changes.map((change): Change => ({ layer: 'persistent', ...change, ...place }));
  });
  return { ...NOTHING, changes, keep };
}

function removed(
  layer: Change['layer'],
  chain: NftChain<LiveRule | BootRule>,
  rules: readonly { at: number; line: Line }[],
) {
  return rules.flatMap(({ at, line }) => {
    const rule = chain.rules[at];
    const place = rule !== undefined && 'file' in rule ? { file: rule.file, line: rule.line } : {};
    const note = `in ${keyText(chain.key)}`;
    return line.wants.map(
      ({ property }): Change => ({ layer, property, from: 'accept', to: 'absent', note, ...place }),
    );
  });
}

function removeBoot(chain: BootChain, rules: readonly { at: number; line: Line }[], main: string): Part {
  const found = rules.flatMap(({ at }) => chain.rules[at] ?? []);
  const keep = [...new Set(found.map(({ file }) => file))].map(
    (path): Step => ({
      do: 'edit',
      path,
      edit: (text) =>
        text === null
          ? text
          : removeRules(
              text,
              path,
              chain.key,
              found.filter(({ file }) => file === path),
            ),
      ...validate(path, main),
    }),
  );
  return { ...NOTHING, changes: removed('persistent', chain, rules), keep };
}

/** Why the files that were read can't give what runs now. */
function blockedBy(
  seen: Observations,
  main: string,
  unread: readonly string[],
  lost: readonly string[],
  hasEdits: boolean,
): string | undefined {
  if (lost.length > 0) {
    const also = unread.length === 0 ? '' : `; these it includes were not read: ${unread.join(', ')}`;
    return `"${main}" does not make the chain "${lost[0]}" at boot${also}: something else does, and would make it without this rule. Let that program accept the packets, or move the chain into "${main}"`;
  }
  if (!hasEdits || !isServiceOff(seen)) return undefined;
  return `"${main}" is not loaded at boot, as nftables.service is not enabled: look through the file, then run "systemctl enable nftables.service"`;
}

/** The plan for a wish in all input chains. */
export function planWish(wish: Wish, seen: Observations): ResourcePlan {
  const live = readRuleset(seen);
  const boot = readBoot(seen);
  const isAbsent = wish.state === 'absent';
  const now = inputChains(live, boot.chains).map((chain) => {
    if (!isAbsent) return insertLive(chain, wished(chain, mapOf(live), wish));
    const gone = unwished(chain, linesOf(wish, chain.key));
    return { ...deleteLive(chain, gone), changes: removed('runtime', chain, gone) };
  });
  const later = inputChains(boot.chains, boot.chains).map((chain) =>
    isAbsent
      ? removeBoot(chain, unwished(chain, linesOf(wish, chain.key)), boot.main)
      : insertBoot(chain, wished(chain, mapOf(boot.chains), wish), boot.main),
  );
  const needed = inputChains(live, boot.chains).filter(
    (_, index) => !isAbsent && (now[index]?.changes.length ?? 0) > 0,
  );
  return together(
    seen,
    boot,
    needed.map(({ key }) => key),
    [...now, ...later],
  );
}

function together(
  seen: Observations,
  boot: ReturnType<typeof readBoot>,
  needed: readonly ChainKey[],
  parts: readonly Part[],
): ResourcePlan {
  const made = new Set(boot.chains.map(({ key }) => keyText(key)));
  const lost = needed.map(keyText).filter((key) => !made.has(key));
  const plan = joined(parts);
  const blocked = blockedBy(seen, boot.main, boot.unread, lost, plan.keep.length > 0);
  return { ...plan, ...(blocked !== undefined && { blocked }) };
}

/**
 * The plan for one rule of one chain.
 * @throws HostError where the chain does not exist or belongs to another program
 */
export function planRaw(raw: RawRule, state: 'present' | 'absent', seen: Observations): ResourcePlan {
  const name = keyText(raw.key);
  const boot = readBoot(seen);
  const owner = ownerOf(raw.key, boot.chains);
  if (owner !== null)
    throw new HostError(`the chain "${name}" belongs to ${owner}, which writes it anew`, {
      hint: `use the resource "${owner}" or "firewall"`,
    });
  const live = readRuleset(seen);
  const line = rawLine(raw);
  const now = live.find(({ key }) => keyText(key) === name);
  const later = boot.chains.find(({ key }) => keyText(key) === name);
  if (state === 'absent') {
    const goneNow = now === undefined ? [] : unwished(now, [line]);
    const goneLater = later === undefined ? [] : unwished(later, [line]);
    const parts = [
      ...(now === undefined ? [] : [{ ...deleteLive(now, goneNow), changes: removed('runtime', now, goneNow) }]),
      ...(later === undefined ? [] : [removeBoot(later, goneLater, boot.main)]),
    ];
    return together(seen, boot, [], parts);
  }
  if (now === undefined)
    throw new HostError(`there is no chain "${name}" on the node`, {
      hint: `"nft list chains" shows its chains; make it in ${boot.main} first`,
    });
  const nowPart = insertLive(now, rawWished(now, mapOf(live), line));
  const laterPart =
    later === undefined ? NOTHING : insertBoot(later, rawWished(later, mapOf(boot.chains), line), boot.main);
  const isLost = later === undefined && nowPart.changes.length > 0;
  return together(seen, boot, isLost ? [raw.key] : [], [nowPart, laterPart]);
}
