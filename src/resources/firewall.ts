import type {
  Change,
  Impact,
  ImpactKind,
  Observations,
  Resource,
  ResourcePlan,
  ResourceType,
} from '../core/resource.ts';
import type { FirewallBackend } from './firewall/backend.ts';
import { type Wish, WishSchema, wishId, wishOf, wishWants } from './firewall/wish.ts';
import { firewalldBackend } from './firewalld.ts';
import { iptablesBackend } from './iptables.ts';
import { nftablesBackend } from './nftables.ts';
import { pveFirewallBackend } from './pve-firewall.ts';

/** In the order in which they are named where several are active. */
const BACKENDS: readonly FirewallBackend[] = [pveFirewallBackend, firewalldBackend, iptablesBackend, nftablesBackend];

/**
 * One wish that becomes the right one of the firewalls on each node. Where several are active each is asked: packets pass all of them, and
 * what one accepts another may drop.
 */
export const firewall = {
  type: 'firewall',
  summary: 'Lets multicast, corosync and IGMP in, by whatever firewall a node has',
  schema: WishSchema,
  example: [
    '- name: Let the cluster through',
    '  firewall: { accept: [multicast, corosync, igmp] }',
    '- name: Corosync from the cluster network alone',
    '  firewall: { accept: [corosync], ports: 5405-5412, source: 10.0.0.0/24, interface: vmbr0 }',
    '',
  ].join('\n'),
  resources: (params) => [firewallResource(wishOf(params))],
} satisfies ResourceType<typeof WishSchema>;

function firewallResource(wish: Wish): Resource {
  return {
    id: wishId('firewall', wish),
    reads: BACKENDS.flatMap((backend) => backend.reads(wish)),
    wants: wishWants(wish),
    plan: (seen) => plan(wish, seen),
  };
}

/** Without an active firewall nothing is dropped: there is nothing to do. */
function plan(wish: Wish, seen: Observations): ResourcePlan {
  const active = BACKENDS.map((backend) => ({ backend, ...backend.detect(seen) })).filter(({ isActive }) => isActive);
  const plans = active.map(({ backend, reason }) => {
    const others = active
      .filter((each) => each.backend !== backend)
      .map((each) => `${each.backend.name} (${each.reason})`);
    const also = others.length === 0 ? '' : `; packets pass ${others.join(' and ')} as well`;
    return withNotes(backend.plan(wish, seen), `by ${backend.name}, since ${reason}${also}`);
  });
  const blocked = plans.flatMap((each) => each.blocked ?? []);
  const impact = heaviest(plans.flatMap((each) => each.impact ?? []));
  return {
    changes: plans.flatMap(({ changes }) => changes),
    try: plans.flatMap((each) => each.try),
    undo: plans.toReversed().flatMap(({ undo }) => undo),
    keep: plans.flatMap(({ keep }) => keep),
    unkeep: plans.toReversed().flatMap(({ unkeep }) => unkeep ?? []),
    ...(impact !== undefined && { impact }),
    ...(blocked.length > 0 && { blocked: blocked.join('; ') }),
  };
}

function withNotes(from: ResourcePlan, told: string): ResourcePlan {
  const changes = from.changes.map(
    (change): Change => ({ ...change, note: [change.note ?? [], told].flat().join('; ') }),
  );
  return { ...from, changes };
}

const IMPACTS: readonly ImpactKind[] = ['none', 'reload', 'link-down', 'restart-node', 'restart-cluster', 'reboot'];

function heaviest(impacts: readonly Impact[]): Impact | undefined {
  return impacts.toSorted((a, b) => IMPACTS.indexOf(b.kind) - IMPACTS.indexOf(a.kind))[0];
}
