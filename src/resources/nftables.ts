import { messageOf } from '../core/errors.ts';
import type { Read, Resource, ResourceType } from '../core/resource.ts';
import type { Detection, FirewallBackend } from './firewall/backend.ts';
import { wishId, wishOf, wishWants } from './firewall/wish.ts';
import { BOOT_READS, type BootChain, type BootRule, isServiceOff, readBoot } from './nftables/boot.ts';
import { NftablesParams, rawRuleOf } from './nftables/params.ts';
import { inputChains, planRaw, planWish } from './nftables/plan.ts';
import { keyText, type LiveRule, NFT_READ, type NftChain, readRuleset } from './nftables/ruleset.ts';

export { NftablesParams };

const READS: readonly Read[] = [NFT_READ, ...BOOT_READS];

const isUsed = ({ rules, policy }: NftChain): boolean => rules.length > 0 || policy === 'drop';

/** nftables as one of the firewalls that a wish may lead to. It has the say where it has a chain of its own for what comes in. */
export const nftablesBackend: FirewallBackend = {
  name: 'nftables',
  reads: () => READS,
  detect(seen): Detection {
    try {
      const [live] = inputChains<LiveRule, NftChain<LiveRule>>(readRuleset(seen)).filter(isUsed);
      if (live !== undefined)
        return { isActive: true, reason: `"nft list ruleset" shows rules in "${keyText(live.key)}"` };
      const [later] = isServiceOff(seen) ? [] : inputChains<BootRule, BootChain>(readBoot(seen).chains).filter(isUsed);
      if (later !== undefined)
        return { isActive: true, reason: `"${later.file}" makes the chain "${later.name}" at boot` };
    } catch (error) {
      return { isActive: false, reason: messageOf(error) };
    }
    return { isActive: false, reason: '"nft list ruleset" shows no rules for what comes in' };
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
