import { HostError } from '../../core/errors.ts';
import type { FileState, Observations, Read, Resource, ResourcePlan } from '../../core/resource.ts';
import { itemAt, parseCorosyncConf } from '../../formats/corosync-conf.ts';
import { atLeast, planSysctl, sysctlReads, sysctlResource } from './setting.ts';

/** The key of a `sysctl` task that stands for both limits of UDP socket buffers. */
export const UDP_BUFFERS = 'udp_buffers';

/** The limits of what a program may ask for. Never the defaults: those would change every socket of the node. */
const LIMITS = ['net/core/rmem_max', 'net/core/wmem_max'] as const;

/** Where corosync's configuration may stand, the one that wins first: Proxmox copies the first to the second. */
const CONFIGS = ['/etc/pve/corosync.conf', '/etc/corosync/corosync.conf'] as const;
const VERSION: Read = { read: 'run', argv: ['corosync', '-v'] };
const READS: readonly Read[] = [...CONFIGS.map((path): Read => ({ read: 'file', path })), VERSION];

type Transport = 'knet' | 'udp' | 'udpu';

interface Need {
  readonly bytes: number;
  /** How it comes about, with the source. */
  readonly formula: string;
}

/** totem.h of corosync 1.4 and 2.4: TRANSMITS_ALLOWED × FRAME_SIZE_MAX. */
const OLD: Need = { bytes: 16 * 10_000, formula: '16 × 10000 (TRANSMITS_ALLOWED × FRAME_SIZE_MAX, totem.h)' };

/** What the sockets of corosync 3 ask for with SO_RCVBUF and SO_SNDBUF: totemudp.c, totemudpu.c, libknet's internals.h. */
const NEW: Readonly<Record<Transport, Need>> = {
  udp: { bytes: 16 * 65_536, formula: '16 × 65536 (TRANSMITS_ALLOWED × FRAME_SIZE_MAX, totem.h)' },
  udpu: {
    bytes: 16 * (384 * (8 * 2 * 22) + 1024),
    formula: '16 × (384 × 8 × 2 × 22 + 1024) (TRANSMITS_ALLOWED × UDP_RECEIVE_FRAME_SIZE_MAX, totem.h)',
  },
  knet: { bytes: 8_388_608, formula: '8388608 (KNET_RING_RCVBUFF, libknet)' },
};

/** What the corosync of a node asks the kernel for, and from what that follows. */
export interface BufferNeed {
  /** Bytes, before the kernel doubles them for its own bookkeeping. */
  readonly bytes: number;
  /** Inputs and formula, a sentence each. */
  readonly because: readonly string[];
}

/**
 * Works out the socket buffers that a node's corosync asks for.
 * @throws HostError where its configuration can't be read
 */
export function bufferNeed(seen: Observations): BufferNeed {
  const version = /version '(?<major>\d+)(?<rest>[^']*)'/.exec(seen.run(['corosync', '-v']).stdout)?.groups;
  const config = CONFIGS.map((path) => seen.file(path)).find((file) => file !== null);
  if (version === undefined || config === undefined) {
    const missing = version === undefined ? 'no corosync is installed' : `there is neither ${CONFIGS.join(' nor ')}`;
    return {
      bytes: NEW.knet.bytes,
      because: [`${missing}: as much as the transport with the largest need, knet`, `knet: ${NEW.knet.formula}`],
    };
  }
  const major = Number(version['major']);
  const { transport, place } = transportOf(config, major);
  const need = major < 3 ? OLD : NEW[transport];
  const forced =
    transport === 'knet'
      ? [
          'knet goes beyond the limit where it has CAP_NET_ADMIN (SO_RCVBUFFORCE); the limit makes it independent of that',
        ]
      : [];
  return {
    bytes: need.bytes,
    because: [
      `corosync ${version['major']}${version['rest']}, by "corosync -v"`,
      `transport ${transport}, ${place}`,
      `${transport}: ${need.formula} = ${need.bytes}`,
      ...forced,
    ],
  };
}

function transportOf(config: FileState, major: number): { readonly transport: Transport; readonly place: string } {
  const conf = parseCorosyncConf(config.text, config.path, config.encoding);
  const item = itemAt(conf, 'totem', 'transport');
  if (item === undefined) {
    const transport = major < 3 ? 'udp' : 'knet';
    return { transport, place: `the default of corosync ${major}, as ${config.path} names none` };
  }
  const place = `by ${config.path}:${item.line + 1}`;
  if (item.value === 'knet' || item.value === 'udp' || item.value === 'udpu') return { transport: item.value, place };
  throw new HostError(`transport "${item.value}" of ${config.path}:${item.line + 1} is none that is known here`, {
    hint: 'give the buffers as a number, such as "udp_buffers: 8388608"',
  });
}

/**
 * The limits of socket buffers, made as large as this node's corosync asks for; what is larger already stays.
 * `net.core.rmem_default`, which udp's token socket lives with, is left alone: name it in the task to raise it.
 */
function autoResource(path: (typeof LIMITS)[number]): Resource {
  const key = path.replaceAll('/', '.');
  return {
    id: `sysctl[${key}]`,
    reads: [...sysctlReads(path), ...READS],
    plan(seen): ResourcePlan {
      const need = bufferNeed(seen);
      return { ...planSysctl(seen, path, atLeast(need.bytes)), explain: [...need.because, `${key}: at least that`] };
    },
  };
}

/** @param value bytes, or `auto`: worked out on each node */
export function udpBufferResources(value: 'auto' | number): readonly Resource[] {
  return LIMITS.map((path) => (value === 'auto' ? autoResource(path) : sysctlResource(path, value)));
}
