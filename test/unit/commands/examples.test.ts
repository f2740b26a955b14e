import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { prepare } from '../../../src/commands/prepare.ts';
import { validateCommand } from '../../../src/commands/validate.ts';

const file = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const inventory = file('inventories/example.yml');

async function validate(playbook: string): Promise<string> {
  let said = '';
  const take = (text: string) => {
    said += text;
  };
  await validateCommand(inventory, { playbook: file(playbook), verbose: false }, { out: take, err: take });
  return said;
}

it('the example inventory goes with the playbook that ships', async () => {
  expect(await validate('playbooks/cluster.yml')).toMatch(/ are valid: 1 play, 3 hosts, 9 tasks\n$/);
});

it('the example playbook is valid', async () => {
  expect(await validate('playbooks/example.yml')).toMatch(/ are valid: 2 plays, 4 hosts, 34 tasks\n$/);
});

it('the example playbook gives each cluster node its batch, device and tasks', async () => {
  const { plays } = await prepare(inventory, { playbook: file('playbooks/example.yml') }, { err: () => undefined });
  const [cluster, witness] = plays;
  expect(cluster?.batches).toEqual([['pve1'], ['pve2', 'pve3']]);
  expect(cluster?.probeInterfaces.get('pve3')).toBe('vmbr0');
  expect(cluster?.tasks.get('pve2')?.map((task) => task.type)).toEqual([
    'hosts_entry',
    'package',
    'bridge',
    'sysctl',
    'bridge',
    'sysctl',
    'service',
    'template',
    'file',
    'command',
    'kernel_cmdline',
  ]);
  expect(witness?.hosts).toEqual(['qnet']);
});
