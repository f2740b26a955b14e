import type { RingName } from '../../formats/ethtool-rings.ts';

/** A ring and its spelling in each place that knows it. */
export interface Ring {
  /** The parameter's name in a playbook. */
  readonly name: RingName;
  /** Argument of `ethtool -G`. */
  readonly ethtool: string;
  /** Setting in `[Link]` of a .link file. */
  readonly link: string;
  /** Attribute of ifupdown2 since version 3.1 (none in Debian 12); undefined where it has none. */
  readonly ifupdown2?: string;
  /** Option for /etc/network/if-up.d/ethtool, which Debian's package ethtool brings for classic ifupdown. */
  readonly hook: string;
}

/**
 * All rings, in the order in which they are shown and set.
 * Sources: ethtool(8), systemd.link(5) of systemd 252, addons/ethtool.py of ifupdown2, if-up.d/ethtool of Debian 12.
 */
export const RINGS: readonly Ring[] = [
  { name: 'rx', ethtool: 'rx', link: 'RxBufferSize', ifupdown2: 'ring-rx', hook: 'hardware-dma-ring-rx' },
  { name: 'rx_mini', ethtool: 'rx-mini', link: 'RxMiniBufferSize', hook: 'hardware-dma-ring-rx-mini' },
  { name: 'rx_jumbo', ethtool: 'rx-jumbo', link: 'RxJumboBufferSize', hook: 'hardware-dma-ring-rx-jumbo' },
  { name: 'tx', ethtool: 'tx', link: 'TxBufferSize', ifupdown2: 'ring-tx', hook: 'hardware-dma-ring-tx' },
];

/** A ring that the device has, and what it is to be. */
export interface WantedRing {
  readonly ring: Ring;
  /** As a person wrote it. */
  readonly wish: number | 'max';
  /** Entries: the wish, or the maximum of the device. */
  readonly size: number;
  readonly maximum: number;
}

/**
 * Whether a size is what a driver makes of the wanted one: the same, or rounded up to a multiple of 2, 4, 8 … or to a power of two, less
 * than twice as much (seen: vmxnet3 32, e1000 8, pcnet32 powers of two).
 */
export function isRoundedFrom(size: number, wanted: number): boolean {
  if (size === wanted) return true;
  if (size < wanted || size >= 2 * wanted) return false;
  if (size === 2 ** Math.ceil(Math.log2(wanted))) return true;
  for (let unit = 2; unit <= wanted; unit *= 2) {
    if (size === Math.ceil(wanted / unit) * unit) return true;
  }
  return false;
}
