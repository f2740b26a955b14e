import { HostError } from '../../core/errors.ts';
import type { Argv, Change, Observations, Read, Step } from '../../core/resource.ts';
import { parseEthtoolRings, type RingSizes, ringsOf } from '../../formats/ethtool-rings.ts';
import { isRoundedFrom, type Ring, type WantedRing } from './rings.ts';

/** What the rings of a device are, or why it has none. */
export type DeviceRings =
  | { readonly kind: 'rings'; readonly maximum: RingSizes; readonly current: RingSizes }
  | { readonly kind: 'unsupported'; readonly message: string };

const showArgv = (device: string): Argv => ['ethtool', '-g', device];
const bondFile = (device: string): string => `/sys/class/net/${device}/bonding/slaves`;
const bridgeDir = (device: string): string => `/sys/class/net/${device}/brif`;

/** What must be read to know what the rings of a device are now. */
export function runtimeReads(device: string): readonly Read[] {
  return [
    { read: 'run', argv: showArgv(device) },
    { read: 'file', path: `/sys/class/net/${device}/ifindex` },
    { read: 'file', path: bondFile(device) },
    { read: 'file', path: `/sys/class/net/${device}/bridge/bridge_id` },
    { read: 'dir', path: bridgeDir(device), suffix: 'port_no', within: '' },
  ];
}

/**
 * The rings of a device now.
 * @throws HostError where there is no such device or no ethtool, where its answer is not understood, and for a bond or bridge, whose
 *   ports have rings and not it
 */
export function readRings(device: string, seen: Observations): DeviceRings {
  if (seen.file(`/sys/class/net/${device}/ifindex`) === null) {
    throw new HostError(`there is no device "${device}"`, { hint: '"ip link" on the host lists them' });
  }
  refusePorts(device, seen);
  const { code, stdout, stderr } = seen.run(showArgv(device));
  if (code === 127) {
    throw new HostError('"ethtool" is not installed', { hint: 'install it: apt-get install ethtool' });
  }
  const answer = ringsOf(parseEthtoolRings(`${stdout}\n${stderr}`), device);
  if (answer.kind === 'rings' || answer.kind === 'unsupported') return answer;
  const isRight = /not permitted/i.test(stderr);
  throw new HostError(`the rings of "${device}" can't be read: ${answer.message}`, {
    hint: isRight ? 'become root with -b' : `look at "ethtool -g ${device}" on the host`,
  });
}

/** What a device has of a ring: 0 where it has none. */
export function maximumOf({ name }: Ring, maximum: RingSizes): number {
  const size = maximum[name];
  return typeof size === 'number' ? size : 0;
}

/** Compares the rings with what is wanted. All of them are set at once: each setting may cost the link. */
export function planRuntime(
  device: string,
  wanted: readonly WantedRing[],
  current: RingSizes,
): { changes: Change[]; try: Step[]; undo: Step[]; notes: string[] } {
  const now = ({ ring }: WantedRing): number => {
    const size = current[ring.name];
    return typeof size === 'number' ? size : 0;
  };
  const differing = wanted.filter((each) => !isRoundedFrom(now(each), each.size));
  const rounded = wanted.filter((each) => now(each) !== each.size && !differing.includes(each));
  const set = (size: (each: WantedRing) => number): Step[] => {
    const words = differing.flatMap((each) => [each.ring.ethtool, String(size(each))]);
    return words.length === 0 ? [] : [{ do: 'run', argv: ['ethtool', '-G', device, ...words] }];
  };
  return {
    changes: differing.map((each) => ({
      layer: 'runtime',
      property: each.ring.name,
      from: now(each),
      to: each.size,
      ...(each.wish === 'max' && { note: 'the maximum of the device' }),
    })),
    try: set(({ size }) => size),
    undo: set(now),
    notes: rounded.map((each) => `${each.ring.name} of "${device}" is ${now(each)}: its driver rounds ${each.size} up`),
  };
}

/** @throws HostError for a bond or bridge */
function refusePorts(device: string, seen: Observations): void {
  const slaves = seen.file(bondFile(device))?.text.trim();
  const isBridge = seen.file(`/sys/class/net/${device}/bridge/bridge_id`) !== null;
  if (slaves === undefined && !isBridge) return;
  const bridged = (seen.dir(bridgeDir(device), 'port_no', '') ?? []).map(({ path }) => path.split('/').at(-2) ?? '');
  const ports = (slaves ?? '').split(/\s+/).filter(Boolean).concat(bridged);
  // The ends of virtual cables to guests have no rings.
  const real = ports.filter((port) => !/^(?:tap|veth|fwpr|fwln)\d/.test(port));
  const names = real.length > 0 ? real : ports;
  const [first = 'eth0'] = names;
  throw new HostError(`"${device}" is a ${slaves === undefined ? 'bridge' : 'bond'} and has no rings: its ports have`, {
    hint:
      names.length > 0
        ? `write device: ${first}${names.length > 1 ? `, and a task (or "loop") for each of ${names.join(', ')}` : ''}`
        : 'it has no port now: name the NIC itself',
  });
}
