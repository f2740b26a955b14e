import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import type { LabNode, LabPaths, LabSpec } from './layout.ts';
import { mustRun } from './run.ts';
import { DEVICES_SCRIPT, NODE_SCRIPT, RELAY_SCRIPT } from './scripts.ts';
import {
  corosyncText,
  hostsText,
  interfacesText,
  inventoryText,
  knownHostsText,
  sshConfigText,
  sshdConfigText,
} from './texts.ts';

/**
 * Writes all files of a lab into its folder: keys, the upper layer of each node's root, what the controller reads.
 * @throws HostError where a program fails
 */
export async function writeFiles(spec: LabSpec, paths: LabPaths, nodes: readonly LabNode[]): Promise<void> {
  const { base } = paths;
  const folders = [`${base}/dev/pts`, `${base}/dev/shm`, `${base}/etc`, paths.layers];
  for (const node of nodes) {
    folders.push(`${node.dir}/upper/etc/ssh`, `${node.dir}/upper/etc/network/interfaces.d`, `${node.dir}/upper/mnt`);
    folders.push(`${node.dir}/work`, `${node.dir}/root`, `${node.dir}/home/.ssh`);
  }
  await Promise.all(folders.map((folder) => mkdir(folder, { recursive: true, mode: 0o755 })));
  const hostKey = (node: LabNode) => `${node.dir}/upper/etc/ssh/ssh_host_ed25519_key`;
  await Promise.all([
    mustRun(['sh', '-s', '--', `${base}/dev`], { input: DEVICES_SCRIPT }),
    makeKey(paths.key, 'mcastctl-lab'),
    ...nodes.map((node) => makeKey(hostKey(node), `root@${node.name}`)),
    ...nodes.map((node) => writeCorosync(spec, node, nodes)),
    ...spec.layers.map((layer, index) => copyLayer(layer, `${paths.layers}/${index}`)),
    writeFile(`${base}/etc/hosts`, hostsText(nodes)),
    writeFile(paths.nodeScript, NODE_SCRIPT),
    writeFile(paths.relayScript, RELAY_SCRIPT),
    writeFile(paths.sshConfig, sshConfigText(spec.name, paths, nodes)),
    writeFile(paths.inventory, inventoryText(spec.name, paths, nodes)),
  ]);
  const login = readFileSync(`${paths.key}.pub`);
  const hostKeys = nodes.map((node) =>
    readFileSync(`${hostKey(node)}.pub`, 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' '),
  );
  await writeFile(paths.knownHosts, knownHostsText(nodes, hostKeys));
  await Promise.all(nodes.map((node) => writeNode(spec, node, login)));
}

async function writeNode(spec: LabSpec, node: LabNode, login: Buffer): Promise<void> {
  const etc = `${node.dir}/upper/etc`;
  await Promise.all([
    writeFile(`${etc}/hostname`, `${node.name}\n`),
    writeFile(`${etc}/network/interfaces`, interfacesText(node, spec.switch)),
    writeFile(`${etc}/ssh/sshd_config`, sshdConfigText(spec.maxStartups)),
    writeFile(`${node.dir}/home/.ssh/authorized_keys`, login, { mode: 0o600 }),
    // Present and empty: sshd's shell reads it at every command, and what stands in this machine's would count for the nodes.
    writeFile(`${node.dir}/home/.bashrc`, ''),
    writeFile(`${node.dir}/home/.profile`, ''),
    mustRun(['chmod', '700', `${node.dir}/home`, `${node.dir}/home/.ssh`]),
  ]);
}

async function writeCorosync({ corosync }: LabSpec, node: LabNode, nodes: readonly LabNode[]): Promise<void> {
  if (corosync === undefined) return;
  const upper = `${node.dir}/upper`;
  await Promise.all([
    mkdir(`${upper}/etc/corosync`, { recursive: true, mode: 0o755 }),
    mkdir(`${upper}/var/log/corosync`, { recursive: true, mode: 0o755 }),
  ]);
  await writeFile(`${upper}/etc/corosync/corosync.conf`, corosyncText(nodes, corosync));
}

/** Overlay refuses a layer that lies inside another one, as every folder lies inside /. */
async function copyLayer(layer: string, target: string): Promise<void> {
  await mkdir(target);
  await mustRun(['cp', '-a', `${layer}/.`, target]);
}

async function makeKey(path: string, comment: string): Promise<void> {
  await mustRun(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', path]);
}
