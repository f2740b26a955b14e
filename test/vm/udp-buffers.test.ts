import { beforeAll, expect, test } from 'vitest';
import { freshOne, type Playbook, playbook } from './support/cli.ts';
import { corosyncConf } from './support/corosync.ts';
import type { Machine } from './support/machine.ts';

// "udp_buffers: auto" says what corosync asks the kernel for. Here the kernel's limits are real, and so the daemon's own sockets can
// be asked whether that is true.

let vm: Machine;
let play: Playbook;

beforeAll(async () => {
  vm = await freshOne(1);
  play = playbook('udp-buffers', [vm], '- hosts: cluster\n  tasks: [{ sysctl: { udp_buffers: auto } }]\n');
});

const LIMITS = ['net.core.rmem_max', 'net.core.wmem_max'];
const limits = async (): Promise<number[]> => (await vm.out('sysctl', '-n', ...LIMITS)).split('\n').map(Number);
const setLimits = (bytes: number) => vm.out('sysctl', '-qw', ...LIMITS.map((key) => `${key}=${bytes}`));

/** The largest receive and send buffer of corosync's sockets, as it asked for them: the kernel doubles that. */
async function buffersOfCorosync(): Promise<[number, number]> {
  await vm.out('systemctl', 'restart', 'corosync');
  const text = await vm.out('ss', '-u', '-a', '-n', '-m', '-p');
  const sockets = [...text.matchAll(/"corosync".*\n\s+skmem:\(r\d+,rb(?<receive>\d+),t\d+,tb(?<send>\d+),/g)];
  const largest = (which: string) => Math.max(...sockets.map(({ groups }) => Number(groups?.[which]))) / 2;
  return [largest('receive'), largest('send')];
}

test.each([
  ['udp', 1_048_576],
  ['udpu', 2_179_072],
  ['knet', 8_388_608],
] as const)('%s: the limits are what the running daemon asks for', async (transport, bytes) => {
  await vm.out('rm', '-f', '/etc/sysctl.d/99-zz-mcastctl.conf');
  await setLimits(212_992);
  await vm.write('/etc/corosync/corosync.conf', corosyncConf([1, 2], transport));
  // Only knet is allowed more than the limit, as it asks by force.
  expect(await buffersOfCorosync()).toEqual(transport === 'knet' ? [bytes, bytes] : [212_992, 212_992]);

  const wanted = LIMITS.flatMap((key) => [
    `vm1 sysctl[${key}] runtime value: 212992 -> ${bytes}`,
    `vm1 sysctl[${key}] persistent value: null -> ${bytes}`,
  ]);
  expect(await play.drift()).toEqual(wanted);
  await play.report('apply', 0);
  expect(await limits()).toEqual([bytes, bytes]);
  expect(await buffersOfCorosync()).toEqual([bytes, bytes]);
  await play.expectNoChange();

  // With more to be had it still takes the same: the limits are not too low.
  await setLimits(67_108_864);
  expect(await buffersOfCorosync()).toEqual([bytes, bytes]);
});
