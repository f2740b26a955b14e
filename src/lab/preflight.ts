import { lstatSync, statSync } from 'node:fs';
import { type Fault, InputError } from '../core/errors.ts';
import { hasProgram, run } from './run.ts';
import { PREFLIGHT_SCRIPT } from './scripts.ts';

/** Programs and the Debian packages that they come from. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  sshd: 'openssh-server',
  'ssh-keygen': 'openssh-client',
  perl: 'perl-base',
  ebtables: 'iptables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  flock: 'util-linux',
  mount: 'mount',
};

/** @throws InputError where this process is not root */
export function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new InputError([
    {
      message: 'the lab needs root: it makes network namespaces and mounts',
      hint: 'run the same command with sudo',
    },
  ]);
}

/**
 * Makes sure that this machine can carry a lab. Nothing is left changed.
 * @throws InputError naming the program or the kernel feature that is missing
 */
export async function requireFeatures(layers: readonly string[], hasCorosync = false): Promise<void> {
  const programs = hasCorosync ? { ...PROGRAMS, corosync: 'corosync' } : PROGRAMS;
  const faults = [...missingPrograms(programs), ...layers.flatMap(layerFaults)];
  if (faults.length > 0) throw new InputError(faults);
  const result = await run([
    'unshare',
    '--mount',
    '--uts',
    '--ipc',
    '--net',
    '--pid',
    '--fork',
    'sh',
    '-c',
    PREFLIGHT_SCRIPT,
  ]);
  if (result.code === 0) return;
  const what = result.stdout.trim() || 'namespaces';
  throw new InputError([
    {
      message: `this machine does not let root make ${what}, which the lab is built of`,
      hint: 'a container needs to be privileged; a kernel needs namespaces, veth, bridge and overlay',
    },
  ]);
}

function missingPrograms(programs: Readonly<Record<string, string>>): Fault[] {
  return Object.entries(programs)
    .filter(([program]) => !hasProgram(program))
    .map(([program, debian]) => ({
      message: `the lab needs the program "${program}"`,
      hint: `apt-get install ${debian}`,
    }));
}

/** A folder in a layer hides a link of that name below it: /sbin would be gone. */
function layerFaults(layer: string): Fault[] {
  if (!isFolder(layer)) return [{ message: `the layer "${layer}" is no folder` }];
  return ['bin', 'sbin', 'lib', 'lib64']
    .filter((name) => isFolder(`${layer}/${name}`) && linksElsewhere(`/${name}`) && !linksElsewhere(`${layer}/${name}`))
    .map((name) => ({
      message: `the layer "${layer}" has a folder "${name}", which would hide the link "/${name}" of the nodes`,
      hint: `move its content to "${layer}/usr/${name}"`,
    }));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function linksElsewhere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}
