import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type InventoryOptions, inventoryCommand } from '../../../src/commands/inventory.ts';
import { folderOf } from '../config/inventory/support.ts';

const file = join(
  folderOf({
    'hosts.yml': `
cluster:
  hosts:
    pve1: { ansible_host: 198.18.0.1, ansible_user: root }
    pve2: { ansible_host: 'fd00::2', ansible_port: 2222 }
    pve3: { ansible_connection: local }
lone: { hosts: { other: } }
`,
    'bad.yml': 'all:\n  hosts: [a]\n  vars: [b]\n',
    'odd.yml': 'my-group: { hosts: { h: } }\n',
  }),
  'hosts.yml',
);

function run(options: InventoryOptions, path = file) {
  const text = { out: '', err: '' };
  const io = {
    out: (part: string) => {
      text.out += part;
    },
    err: (part: string) => {
      text.err += part;
    },
  };
  return { code: inventoryCommand(path, options, io), ...text };
}

describe('inventoryCommand', () => {
  it('sums up for people', () => {
    expect(run({})).toEqual({
      code: 0,
      err: '',
      out: [
        'HOST   ADDRESS          GROUPS',
        'pve1   root@198.18.0.1  cluster',
        'pve2   [fd00::2]:2222   cluster',
        'pve3   local            cluster',
        'other  other            lone',
        '',
        '4 hosts, 2 groups with hosts',
        '',
      ].join('\n'),
    });
    expect(run({ limit: 'lone' }).out).toContain('1 host,');
  });

  it('lists, with a limit only what it leaves', () => {
    const listed = JSON.parse(run({ list: true, limit: 'pve1' }).out);
    expect(listed).toEqual({
      _meta: { hostvars: { pve1: { ansible_host: '198.18.0.1', ansible_user: 'root' } } },
      all: { children: ['ungrouped', 'cluster', 'lone'] },
      cluster: { hosts: ['pve1'] },
    });
    expect(run({ graph: true, limit: 'pve1' }).out).toBe(
      '@all:\n  |--@ungrouped:\n  |--@cluster:\n  |  |--pve1\n  |--@lone:\n',
    );
  });

  it('prints one host', () => {
    expect(run({ host: 'other' }).out).toBe('{}\n');
    expect(run({ host: 'pve2', extraVars: ['ansible_port=1'] }).out).toContain('"ansible_port": "1"');
  });

  it.each<[InventoryOptions, string]>([
    [{ host: 'pve9' }, 'did you mean'],
    [{ host: 'cluster' }, '"cluster" matches 3 hosts, not one'],
    [{ list: true, graph: true }, 'exclude each other'],
    [{ list: true, limit: 'nobody' }, '"nobody" is neither a host nor a group'],
  ])('%j is refused with 3', (options, message) => {
    const { code, out, err } = run(options);
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(err).toContain(message);
  });

  it('prints every fault and warning on the error side', () => {
    const bad = run({ list: true }, join(file, '../bad.yml'));
    expect(bad).toMatchObject({ code: 3, out: '' });
    expect(bad.err.match(/bad\.yml:\d+:\d+: /g)).toHaveLength(2);
    const odd = run({ list: true }, join(file, '../odd.yml'));
    expect(odd.code).toBe(0);
    expect(odd.err).toMatch(/^warning: .*odd\.yml:1:1: /);
  });
});
