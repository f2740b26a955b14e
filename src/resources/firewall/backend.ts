import type { Observations, Read, ResourcePlan } from '../../core/resource.ts';
import type { Wish } from './wish.ts';

export type FirewallName = 'pve_firewall' | 'firewalld' | 'nftables' | 'iptables';

/** Whether a firewall has the say on a node. */
export interface Detection {
  readonly isActive: boolean;
  /** Why, as a sentence about the node: `"firewall-cmd --state" says "running"`. */
  readonly reason: string;
}

/** One of the programs that can own the rules of a node. Pure: no I/O. */
export interface FirewallBackend {
  /** As in a playbook, where it is a resource of its own too. */
  readonly name: FirewallName;
  /** All that `detect` and `plan` ask for. The same whatever the wish is where it can: then it is read once. */
  reads(wish: Wish): readonly Read[];
  /** Never throws: what can't be read or is not installed is not active. */
  detect(seen: Observations): Detection;
  /**
   * What brings the node to the wish. Called only where it is active, or where the playbook names this firewall itself.
   * @throws HostError where the node can't be brought there
   */
  plan(wish: Wish, seen: Observations): ResourcePlan;
}
