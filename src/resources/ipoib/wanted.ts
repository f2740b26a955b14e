export type IpoibMode = 'datagram' | 'connected';

/** What an interface is to be; undefined: as it is. */
export interface WantedIpoib {
  readonly device: string;
  readonly mode: IpoibMode | undefined;
  /** Bytes. */
  readonly mtu: number | undefined;
  /** What corosync is to have, where the playbook says so. */
  readonly netmtu: number | undefined;
}

/** Largest MTU of each mode, in bytes: an InfiniBand packet less the 4 bytes of IPoIB's header; what connected mode takes (ipoib.rst of the kernel). */
export const LARGEST: Readonly<Record<IpoibMode, number>> = { datagram: 4092, connected: 65520 };

/** Multicast goes by unreliable datagrams in both modes: what fits them on a fabric with packets of 2048 bytes, the usual one. */
export const MULTICAST_LIMIT = 2044;
