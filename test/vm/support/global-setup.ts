import { readFileSync, writeFileSync } from 'node:fs';
import { COUNT, clusterAddress, image, managementAddress, runFile } from './layout.ts';
import { waitForFirstBoot } from './machine.ts';
import { DEFAULT_POWER, isOn, keepSnapshot, makeDisk, makeNetwork, powerOn } from './qemu.ts';

const indexes = Array.from({ length: COUNT }, (_, position) => position + 1);

/** Starts all machines, waits until they are up and keeps that state. What ends the run ends them: see scripts/vm.js. */
export async function setup(): Promise<void> {
  // Kept by an earlier run, and each test starts from the snapshot.
  if (isOn(1)) return;
  const start = Date.now();
  await makeNetwork(indexes);
  writeFiles();
  await Promise.all(
    indexes.map(async (index) => {
      await makeDisk(index);
      await powerOn(index, DEFAULT_POWER);
      await waitForFirstBoot(index);
      await keepSnapshot(index);
    }),
  );
  process.stderr.write(`${COUNT} machines are up after ${((Date.now() - start) / 1000).toFixed(1)} s\n`);
}

/** known_hosts, ssh_config and an inventory that uses them. */
function writeFiles(): void {
  const hostKey = (index: number): string => readFileSync(image(`hostkeys/vm${index}.pub`), 'utf8');
  writeFileSync(
    runFile('known_hosts'),
    indexes.map((index) => `${managementAddress(index)} ${hostKey(index)}`).join(''),
  );
  const config = [
    ...indexes.flatMap((index) => [`Host vm${index}`, `  HostName ${managementAddress(index)}`]),
    'Host *',
    '  User root',
    `  IdentityFile ${image('id_ed25519')}`,
    '  IdentitiesOnly yes',
    `  UserKnownHostsFile ${runFile('known_hosts')}`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    '  ConnectTimeout 30',
    '',
  ];
  writeFileSync(runFile('ssh_config'), config.join('\n'));
  const inventory = [
    'all:',
    '  children:',
    '    cluster:',
    '      hosts:',
    ...indexes.map(
      (index) => `        vm${index}: { ansible_host: ${managementAddress(index)}, address: ${clusterAddress(index)} }`,
    ),
    '      vars:',
    '        ansible_user: root',
    `        ansible_ssh_private_key_file: ${image('id_ed25519')}`,
    `        ansible_ssh_common_args: -F ${runFile('ssh_config')}`,
    '',
  ];
  writeFileSync(runFile('inventory.yml'), inventory.join('\n'));
}
