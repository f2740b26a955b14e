import { messageOf } from '../core/errors.ts';
import type { Observations, Read, Resource, ResourceType } from '../core/resource.ts';
import type { Detection, FirewallBackend } from './firewall/backend.ts';
import { wishId, wishOf, wishWants } from './firewall/wish.ts';
import { BOOT_READS, isServiceOff, readBoot } from './nftables/boot.ts';
import { NftablesParams, rawRuleOf } from './nftables/params.ts';
import { inputChains, planRaw, planWish } from './nftables/plan.ts';
import { keyText, NFT_READ, type NftChain, readRuleset } from './nftables/ruleset.ts';

export { NftablesParams };

const READS: readonly Read[] = [NFT_READ, ...BOOT_READS];

const isUsed = ({ rules, policy }: NftChain): boolean => rules.length > 0 || policy === 'drop';

/** Why nftables has the say, or null. A file that can't be read is its business too: the plan then says what is wrong. */
function activity(live: readonly NftChain[], seen: Observations): string | null {
  try {
    const boot = readBoot(seen).chains;
    const [now] = inputChains(live, boot).filter(isUsed);
    if (now !== undefined) return `"nft list ruleset" shows rules in "${keyText(now.key)}"`;
    const [later] = isServiceOff(seen) ? [] : inputChains(boot, boot).filter(isUsed);
    return later === undefined ? null : `"${later.file}" makes the chain "${later.name}" at boot`;
  } catch (error) {
    return messageOf(error);
  }
}

/** nftables as one of the firewalls that a wish may lead to. It has the say where it has a chain of its own for what comes in. */
export const nftablesBackend: FirewallBackend = {
  name: 'nftables',
  reads: () => READS,
  detect(seen): Detection {
    let live: readonly NftChain[];
    try {
      live = readRuleset(seen);
    } catch (error) {
      return { isActive: false, reason: messageOf(error) };
    }
    const reason = activity(live, seen);
    return reason === null
      ? { isActive: false, reason: '"nft list ruleset" shows no rules for what comes in' }
      : { isActive: true, reason };
  },
  plan: planWish,
};

/**
 * Rules of nftables for what comes in. A wish is fulfilled where no input chain drops the packets, whoever lets them through;
 * runtime: the kernel's rules, read as JSON; persistent: what nft is told at boot, includes followed.
 */
export const nftables = {
  type: 'nftables',
  summary: 'Lets multicast, corosync and IGMP through the rules of nftables, now and at the next boot',
  schema: NftablesParams,
  example: [
    '- name: Accept multicast and corosync',
    '  nftables:',
    '    accept: [multicast, corosync, igmp]',
    '- name: Accept a probe from the cluster network',
    '  nftables:',
    '    table: inet filter',
    '    chain: input',
    '    rule: ip saddr 10.0.0.0/24 udp dport 4321 accept',
    '',
  ].join('\n'),
  resources: (params) => [nftablesResource(params)],
} satisfies ResourceType<typeof NftablesParams>;

function nftablesResource(params: NftablesParams): Resource {
  const raw = rawRuleOf(params);
  const state = params.state ?? 'present';
  if (raw !== null)
    return {
      id: `nftables[${keyText(raw.key)}: ${raw.text}]`,
      reads: READS,
      wants: { rule: state },
      plan: (seen) => planRaw(raw, state, seen),
    };
  const wish = wishOf({ ...params, accept: params.accept ?? [] });
  return { id: wishId('nftables', wish), reads: READS, wants: wishWants(wish), plan: (seen) => planWish(wish, seen) };
}
