import { HostError, messageOf } from '../core/errors.ts';
import type { Argv, Observations, Read, Resource, ResourcePlan, ResourceType } from '../core/resource.ts';
import { canonicalRule, formatRule, isSameRule } from '../formats/iptables-save/canonical.ts';
import { chainsOf, type IptablesChain } from '../formats/iptables-save/chains.ts';
import type { Detection, FirewallBackend } from './firewall/backend.ts';
import { FAMILIES, type Family, type Wish, wishId, wishOf, wishWants } from './firewall/wish.ts';
import { bootReads, readBootFile } from './iptables/boot.ts';
import { IptablesParams, type WantedRule, wantedRules } from './iptables/params.ts';
import { familyWishes, joinPlans, ownerOfRules, planFamily, ruleWish } from './iptables/plan.ts';
import { canWait, hasIptables, PROGRAMS, readRunning, runningChains, runtimeReads } from './iptables/worlds.ts';
import { BOOT_READS, readBoot } from './nftables/boot.ts';

export { IptablesParams };

const readsOf = (families: readonly Family[]): readonly Read[] =>
  families.flatMap((family) => [...runtimeReads(family), ...bootReads(family)]);

function planWish(wish: Wish, seen: Observations): ResourcePlan {
  const there = wish.families.filter((family) => hasIptables(seen, family));
  // Without any of them reading fails, and says what to install.
  const families = there.length > 0 ? there : wish.families;
  return joinPlans(familyWishes(wish, families).map((each) => planFamily(each, seen)));
}

function isUsedChain(chain: IptablesChain | undefined): boolean {
  return chain !== undefined && (chain.rules.length > 0 || (chain.policy ?? 'ACCEPT') !== 'ACCEPT');
}

/** Why iptables has the say in a family, or null. What can't be read is its business too: the plan then says what is wrong. */
function activity(seen: Observations, family: Family, notes: string[]): string | null {
  try {
    const header = family === 'ipv4' ? 'ip' : 'ip6';
    if (readBoot(seen).chains.some(({ name }) => name === `${header} filter INPUT`)) {
      notes.push(`nftables makes "${header} filter INPUT" at boot`);
      return null;
    }
    const running = readRunning(seen, family);
    const owner = ownerOfRules(running);
    const isUsed = isUsedChain(runningChains(running, 'filter').get('INPUT'));
    if (owner !== null) notes.push(`the rules of INPUT belong to ${owner}`);
    if (owner !== null) return null;
    if (isUsed || running.other !== null) return `"${PROGRAMS[family]} -S INPUT" shows rules`;
    const boot = readBootFile(seen, family);
    const later = boot === null ? undefined : chainsOf(boot.file, 'filter', family).get('INPUT');
    return boot?.fault === null && isUsedChain(later) ? `"${boot.path}" gives rules at boot` : null;
  } catch (error) {
    return messageOf(error);
  }
}

/** iptables as one of the firewalls that a wish may lead to. It has the say where it has rules for what comes in that no other program made. */
export const iptablesBackend: FirewallBackend = {
  name: 'iptables',
  // Both families whatever the wish: both decide whether it is active.
  reads: () => [...readsOf(FAMILIES), ...BOOT_READS],
  detect(seen): Detection {
    const notes: string[] = [];
    for (const family of FAMILIES) {
      const reason = hasIptables(seen, family) ? activity(seen, family, notes) : null;
      if (reason !== null) return { isActive: true, reason };
    }
    return { isActive: false, reason: notes[0] ?? '"iptables -S INPUT" shows no rules' };
  },
  plan: planWish,
};

/**
 * Rules of iptables and ip6tables. Runtime: what the kernel has, in the nft or the legacy place; persistent: the file that is
 * loaded at boot. A rule that stands where none of its packets gets counts as not there.
 */
export const iptables = {
  type: 'iptables',
  summary: 'Rules of iptables and ip6tables where they take effect, now and at the next boot',
  schema: IptablesParams,
  example: [
    '- name: Accept multicast',
    '  iptables: { chain: INPUT, match: addrtype, dst_type: MULTICAST, jump: ACCEPT }',
    '- name: Accept corosync',
    '  iptables:',
    '    chain: INPUT',
    '    protocol: udp',
    '    match: [state, multiport]',
    '    ctstate: NEW',
    '    dports: [5404, 5405]',
    '    jump: ACCEPT',
    '- name: A rule as text',
    '  iptables: { chain: INPUT, rule: "-p udp -m udp --dport 5405 -j ACCEPT" }',
    '- name: All that a cluster needs',
    '  iptables: { accept: [multicast, corosync, igmp] }',
    '',
  ].join('\n'),
  resources: (params) => resourcesOf(params),
} satisfies ResourceType<typeof IptablesParams>;

function resourcesOf(params: IptablesParams): readonly Resource[] {
  const { accept } = params;
  if (accept === undefined) {
    const wanted = wantedRules(params);
    const isForced = params.family !== undefined || wanted.length === 1;
    return wanted.map((each) => ruleResource(each, params.state ?? 'present', isForced));
  }
  const wish = wishOf({ ...params, accept });
  return [
    {
      id: wishId('iptables', wish),
      reads: readsOf(wish.families),
      wants: wishWants(wish),
      plan: (seen) => planWish(wish, seen),
    },
  ];
}

/** @param isForced whether a node without ip6tables is a fault, since IPv6 was asked for by name */
function ruleResource(wanted: WantedRule, state: 'present' | 'absent', isForced: boolean): Resource {
  const { family, table, chain, words, isRaw } = wanted;
  const canonical = canonicalRule(words, family);
  const shown = formatRule({ ...canonical, matches: canonical.matches.filter(({ name }) => name !== 'comment') });
  const check: Argv = [PROGRAMS[family], '-w', '-t', table, '-C', chain, ...words];
  const wish = ruleWish(wanted, state);
  return {
    id: `iptables[${family} ${table === 'filter' ? '' : `${table} `}${chain} ${shown}]`,
    reads: [...readsOf([family]), ...(isRaw ? [{ read: 'run', argv: check } as const] : [])],
    wants: { rule: state },
    plan(seen) {
      if (!isForced && family === 'ipv6' && !hasIptables(seen, family))
        return { changes: [], try: [], undo: [], keep: [] };
      if (isRaw) requireAccepted(wanted, check, seen);
      return planFamily(wish, seen);
    },
  };
}

/**
 * What iptables itself says of a rule that is given as text.
 * @throws HostError where it refuses it, or knows it in a form that can't be compared
 */
function requireAccepted({ family, table, chain, words }: WantedRule, check: Argv, seen: Observations): void {
  const version = seen.run([PROGRAMS[family], '--version']);
  if (version.code !== 0 || !canWait(version.stdout)) return;
  const { code, stderr } = seen.run(check);
  if (code === 2)
    throw new HostError(`${PROGRAMS[family]} refuses the rule: ${stderr.trim().split('\n')[0] ?? ''}`, {
      hint: 'correct it as iptables-extensions(8) says; "state" and "multiport" need -m before their options',
    });
  if (code !== 0) return;
  const running = readRunning(seen, family);
  const canonical = canonicalRule(words, family);
  const rules = runningChains(running, table).get(chain)?.rules ?? [];
  if (!running.isDefault || rules.some((rule) => isSameRule(canonicalRule(rule.words, family), canonical))) return;
  throw new HostError(`the rule is in ${chain}, but "${PROGRAMS[family]} -S ${chain}" writes it in another way`, {
    hint: 'write it as that command shows it',
  });
}
