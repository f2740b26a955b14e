import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { mustRun } from '../../../src/lab/run.ts';
import { image, runFile } from './layout.ts';

/** How a machine is switched on. */
export interface PowerOn {
  /** `grub`: the machine's own GRUB menu and kernel. `kernel`: the image's kernel at once, which is 10 s faster. */
  readonly boot: 'kernel' | 'grub';
  /** More words for the kernel command line, with `boot: 'kernel'`. */
  readonly append: string;
  /** Go on from the snapshot in place of booting. */
  readonly snapshot?: boolean;
}

/** What all tests start from. */
export const DEFAULT_POWER: PowerOn = { boot: 'kernel', append: '' };

/**
 * NICs by slot, which gives the name: ens3 for management, ens4 the port of vmbr0. vm1 has two more on the cluster network's
 * switch: ens7 with another driver and ens8, whose driver can't size its rings.
 */
const NICS = [
  { slot: 3, network: 'mgmt', model: 'virtio-net-pci', only: null },
  { slot: 4, network: 'lan', model: 'vmxnet3', only: null },
  { slot: 7, network: 'lan', model: 'e1000', only: 1 },
  { slot: 8, network: 'lan', model: 'rtl8139', only: 1 },
] as const;

const nicsOf = (index: number) => NICS.filter(({ only }) => only === null || only === index);
const tapName = (index: number, slot: number): string => `vm${index}s${slot}`;

/** Bridges and taps of all machines, in this process's network namespace. Addresses are fixed: snapshots remember them. */
export async function makeNetwork(indexes: readonly number[]): Promise<void> {
  const ip = async (...args: string[]): Promise<void> => void (await mustRun(['ip', ...args]));
  writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
  await ip('link', 'set', 'lo', 'up');
  await ip('link', 'add', 'mgmt', 'address', '52:54:00:12:00:fe', 'type', 'bridge', 'mcast_snooping', '0');
  await ip('link', 'add', 'lan', 'address', '52:54:00:13:00:fe', 'type', 'bridge', 'mcast_snooping', '0');
  await ip('addr', 'add', '198.18.0.254/24', 'dev', 'mgmt');
  for (const bridge of ['mgmt', 'lan']) await ip('link', 'set', bridge, 'up');
  for (const index of indexes) {
    for (const { slot, network } of nicsOf(index)) {
      await ip('tuntap', 'add', tapName(index, slot), 'mode', 'tap');
      await ip('link', 'set', tapName(index, slot), 'master', network, 'up');
    }
  }
}

/** Makes the empty disk of a machine: all that differs from the image. */
export async function makeDisk(index: number): Promise<void> {
  const disk = runFile(`vm${index}.qcow2`);
  await mustRun(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', image('disk.ext4'), disk]);
}

/** Starts QEMU for a machine with the disk that it has; returns when the processor runs. */
export async function powerOn(index: number, power: PowerOn): Promise<void> {
  const name = `vm${index}`;
  rmSync(runFile(`${name}.pid`), { force: true });
  const nics = nicsOf(index).flatMap(({ slot, model }) => {
    const mac = `52:54:00:00:0${slot}:0${index}`;
    return [
      ...['-netdev', `tap,id=n${slot},ifname=${tapName(index, slot)},script=no,downscript=no`],
      ...['-device', `${model},netdev=n${slot},mac=${mac},addr=${slot},romfile=`],
    ];
  });
  // No mitigations and no self-tests: nobody is kept out here, and the emulated processor has enough to do.
  const words = `console=ttyS0 quiet vm=${index} root=/dev/vda rw mitigations=off norandmaps cryptomgr.notests random.trust_cpu=on audit=0 selinux=0 8250.nr_uarts=1`;
  const kernel =
    power.boot === 'grub'
      ? ['-kernel', image('grub.img')]
      : ['-kernel', image('vmlinux'), '-initrd', image('initrd.img'), '-append', `${words} ${power.append}`.trim()];
  await mustRun([
    'qemu-system-x86_64',
    ...['-name', name, '-accel', 'tcg,thread=single,tb-size=256', '-M', 'pc,usb=off,vmport=off,hpet=off'],
    ...['-cpu', 'Nehalem', '-smp', '1', '-m', '512', '-nodefaults', '-display', 'none'],
    ...['-chardev', `file,id=console,path=${runFile(`${name}.log`)},append=on`, '-serial', 'chardev:console'],
    ...['-qmp', `unix:${runFile(`${name}.qmp`)},server=on,wait=off`],
    ...kernel,
    ...['-drive', `if=none,id=disk,file=${runFile(`${name}.qcow2`)},format=qcow2,cache=unsafe,discard=unmap`],
    ...['-device', 'virtio-blk-pci,drive=disk,addr=5', '-device', 'virtio-rng-pci,addr=6'],
    ...nics,
    ...['-pidfile', runFile(`${name}.pid`), '-daemonize'],
    ...(power.snapshot ? ['-loadvm', SNAPSHOT] : []),
  ]);
  writeFileSync(runFile(`${name}.power`), JSON.stringify({ boot: power.boot, append: power.append }));
}

/** How a machine that runs was switched on. */
export function powerOf(index: number): PowerOn {
  return JSON.parse(readFileSync(runFile(`vm${index}.power`), 'utf8'));
}

/** Whether QEMU runs for that machine. */
export function isOn(index: number): boolean {
  const file = runFile(`vm${index}.pid`);
  if (!existsSync(file)) return false;
  const command = `/proc/${readFileSync(file, 'utf8').trim()}/cmdline`;
  // Without arguments it has ended and only waits to be reaped.
  return existsSync(command) && readFileSync(command, 'utf8') !== '';
}

/** Ends QEMU of a machine by the id that it wrote down, as if the plug were pulled. */
export async function powerOff(index: number): Promise<void> {
  if (!isOn(index)) return;
  process.kill(Number(readFileSync(runFile(`vm${index}.pid`), 'utf8')), 'SIGKILL');
  while (isOn(index)) await new Promise((resolve) => setTimeout(resolve, 50));
}

const SNAPSHOT = 'ready';
/** Keeps disk and memory of a machine as they are now. */
export const keepSnapshot = (index: number): Promise<void> => monitor(index, `savevm ${SNAPSHOT}`);
/** Takes disk and memory of a machine back to what was kept. */
export const loadSnapshot = (index: number): Promise<void> => monitor(index, `loadvm ${SNAPSHOT}`);

/** One command of QEMU's monitor, which must have nothing to say. */
async function monitor(index: number, command: string): Promise<void> {
  const socket = connect(runFile(`vm${index}.qmp`));
  const send = (execute: string, args = {}): void => void socket.write(JSON.stringify({ execute, arguments: args }));
  try {
    let answers = 0;
    for await (const line of createInterface({ input: socket })) {
      const message = JSON.parse(line);
      if (message.QMP) send('qmp_capabilities');
      if (message.error) throw new Error(`QEMU refuses "${command}": ${message.error.desc}`);
      if (message.return === undefined || ++answers === 1) {
        if (answers === 1) send('human-monitor-command', { 'command-line': command });
        continue;
      }
      if (message.return !== '') throw new Error(`QEMU says to "${command}": ${message.return}`);
      return;
    }
    throw new Error(`QEMU of vm${index} ended at "${command}"`);
  } finally {
    socket.destroy();
  }
}
