import { HostError } from '../../core/errors.ts';
import type { Argv, Change, Observations, Read, Step } from '../../core/resource.ts';
import { type IpoibMode, LARGEST, MULTICAST_LIMIT, type WantedIpoib } from './wanted.ts';

/** ARPHRD_INFINIBAND of linux/if_arp.h. */
const INFINIBAND = '32';

const sysfs = (device: string, file: string): string => `/sys/class/net/${device}/${file}`;
const showArgv = (device: string): Argv => ['ip', '-j', 'link', 'show', 'dev', device];

/** What must be read to know how an interface is now. */
export function runtimeReads(device: string): readonly Read[] {
  return [
    { read: 'run', argv: showArgv(device) },
    { read: 'file', path: sysfs(device, 'type') },
    { read: 'file', path: sysfs(device, 'mode') },
  ];
}

/** What has to be done, and the largest multicast packet once it is. */
export interface IpoibRuntime {
  readonly changes: readonly Change[];
  readonly try: readonly Step[];
  readonly undo: readonly Step[];
  /** Bytes. */
  readonly limit: number;
}

/**
 * Compares an interface with what is wanted. The driver sets the MTU whenever the mode changes, so the MTU follows the mode both ways.
 * @throws HostError where there is no such device, it is no IPoIB interface, or its mode can't have the MTU
 */
export function planRuntime({ device, mode, mtu }: WantedIpoib, seen: Observations): IpoibRuntime {
  const now = readNow(device, seen);
  const next = mode ?? now.mode;
  if (mtu !== undefined && mtu > LARGEST[next]) {
    throw new HostError(`"${device}" is in ${next} mode, which takes an MTU of at most ${LARGEST[next]}, not ${mtu}`, {
      hint: 'add mode: connected, or a smaller mtu',
    });
  }
  const isOther = mode !== undefined && mode !== now.mode;
  const changes: Change[] = [];
  if (isOther) {
    const note =
      mode === 'connected'
        ? `multicast stays at ${MULTICAST_LIMIT} bytes: it travels as datagrams in this mode too`
        : undefined;
    changes.push({ layer: 'runtime', property: 'mode', from: now.mode, to: mode, ...(note !== undefined && { note }) });
  }
  if (mtu !== undefined && mtu !== now.mtu) changes.push({ layer: 'runtime', property: 'mtu', from: now.mtu, to: mtu });
  const toMode = (value: IpoibMode): Step[] =>
    isOther ? [{ do: 'set', path: sysfs(device, 'mode'), value: `${value}\n` }] : [];
  const toMtu = (value: number): Step[] => [
    { do: 'run', argv: ['ip', 'link', 'set', 'dev', device, 'mtu', String(value)] },
  ];
  const isMoved = isOther || (mtu !== undefined && mtu !== now.mtu);
  const largest = mtu ?? (isOther ? LARGEST[next] : now.mtu);
  return {
    changes,
    try: [...toMode(next), ...(isMoved && mtu !== undefined ? toMtu(mtu) : [])],
    undo: isMoved ? [...toMode(now.mode), ...toMtu(now.mtu)] : [],
    limit: next === 'connected' ? Math.min(MULTICAST_LIMIT, largest) : largest,
  };
}

function readNow(device: string, seen: Observations): { mode: IpoibMode; mtu: number } {
  const type = seen.file(sysfs(device, 'type'))?.text.trim();
  if (type === undefined) {
    throw new HostError(`there is no device "${device}"`, {
      hint: 'is its module loaded ("modprobe ib_ipoib")? "ip link" lists devices',
    });
  }
  const text = seen.file(sysfs(device, 'mode'))?.text.trim();
  if (type !== INFINIBAND || (text !== 'datagram' && text !== 'connected')) {
    throw new HostError(`"${device}" is no IPoIB interface with a mode`, {
      hint:
        type === INFINIBAND
          ? 'its driver has datagram mode only: leave "mode" out and set the MTU by other means'
          : 'name an ib* interface',
    });
  }
  const { code, stdout, stderr } = seen.run(showArgv(device));
  const mtu = code === 0 ? mtuOf(stdout) : undefined;
  if (mtu === undefined) throw new HostError(`ip tells no MTU of "${device}": ${stderr.trim() || stdout.trim()}`);
  return { mode: text, mtu };
}

function mtuOf(stdout: string): number | undefined {
  try {
    const list: unknown = JSON.parse(stdout);
    const [entry] = Array.isArray(list) ? list : [];
    return typeof entry?.mtu === 'number' ? entry.mtu : undefined;
  } catch {
    return undefined;
  }
}
