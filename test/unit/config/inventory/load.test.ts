import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadInventory, VaultText } from '../../../../src/config/inventory/index.ts';
import { faultsOf, folderOf, load, short } from './support.ts';

describe('loadInventory', () => {
  it('gives variables with the magic ones', () => {
    const inventory = load('cluster:\n  hosts:\n    pve1.lan: { ansible_host: 10.0.0.1, mtu: 9000 }\n    10.0.0.2:\n');
    expect(inventory.hosts).toEqual(['pve1.lan', '10.0.0.2']);
    const folder = inventory.file.replace('/hosts.yml', '');
    expect(inventory.vars('pve1.lan')).toEqual({
      ansible_host: '10.0.0.1',
      mtu: 9000,
      inventory_hostname: 'pve1.lan',
      inventory_hostname_short: 'pve1',
      group_names: ['cluster'],
      groups: { all: ['pve1.lan', '10.0.0.2'], ungrouped: [], cluster: ['pve1.lan', '10.0.0.2'] },
      inventory_file: inventory.file,
      inventory_dir: folder,
    });
    expect(inventory.vars('10.0.0.2').inventory_hostname_short).toBe('10.0.0.2');
  });

  it('lays files over the inventory and extra vars over all, and knows where a value stands', () => {
    const text =
      'all:\n  vars: { a: 1, b: 1, c: 1, d: 1 }\n  children:\n    g:\n      vars: { b: 2, c: 2, d: 2 }\n      hosts:\n        h: { d: 3 }\n';
    const files = { 'group_vars/all.yml': 'c: 4\n', 'host_vars/h.yml': '# comment\ne:\n  5\n' };
    const inventory = load(text, files, ['a=6']);
    expect(inventory.vars('h')).toMatchObject({ a: '6', b: 2, c: 4, d: 3, e: 5 });
    const place = (name: string) => {
      const source = inventory.sourceOf('h', name);
      return source && `${source.file.split('/').slice(-2).join('/')}:${source.line}:${source.column}`;
    };
    expect(place('a')).toBe('--extra-vars:1:1');
    expect(place('b')).toMatch(/hosts\.yml:5:18$/);
    expect(place('c')).toBe('group_vars/all.yml:1:4');
    expect(place('d')).toMatch(/hosts\.yml:7:17$/);
    expect(place('e')).toBe('host_vars/h.yml:3:3');
    expect(place('inventory_hostname')).toBeUndefined();
    expect(inventory.sourceOf('nobody', 'a')).toBeUndefined();
  });

  it('keeps encrypted values closed', () => {
    const value = load('all: { hosts: { h: { p: !vault abc } } }').vars('h').p;
    expect(value).toBeInstanceOf(VaultText);
    expect(`${value}`).not.toContain('abc');
  });

  it('keeps a variable called __proto__ a variable', () => {
    const vars = load('all: { hosts: { h: { __proto__: { polluted: 1 } } } }').vars('h');
    expect(Object.hasOwn(vars, '__proto__')).toBe(true);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('reads vars files only of groups that have hosts', () => {
    const text = 'used: { hosts: { h: } }\nempty:\n';
    expect(load(text, { 'group_vars/empty.yml': '- broken' }).hosts).toEqual(['h']);
    const faults = faultsOf(() => load(text, { 'group_vars/used.yml': '- a\n', 'host_vars/h.yml': 'a: b: c\n' }));
    expect(short(faults)).toEqual([
      expect.stringMatching(/^1:4 no valid YAML/),
      '1:1 a file of variables must be a mapping, this is a list',
    ]);
  });

  it('takes no host name as a way out of host_vars', () => {
    const beside = { 'host_vars/x.yml': 'inside: 1', 'secret.yml': 'outside: 1' };
    const vars = load('all: { hosts: { /etc/passwd: , x: } }', beside);
    expect(vars.vars('x').inside).toBe(1);
    expect(vars.vars('/etc/passwd').inside).toBeUndefined();
  });

  it('merges all inventories of a folder', () => {
    const folder = folderOf({
      '10-a.yml': 'cluster: { hosts: { a: { v: 1 } } }',
      '20-b.yml': 'cluster: { hosts: { b: , a: { w: 2 } } }',
      'more/c.yaml': 'cluster: { hosts: { c: } }',
      'group_vars/cluster.yml': 'from: folder',
      'ignored.ini': '[x]',
      '.hidden.yml': 'x: [',
    });
    const inventory = loadInventory(folder);
    expect(inventory.hosts).toEqual(['a', 'b', 'c']);
    expect(inventory.vars('a')).toMatchObject({ v: 1, w: 2, from: 'folder', inventory_dir: folder });
    expect(inventory.vars('c').inventory_dir).toBe(join(folder, 'more'));
  });

  it('finds the neighbours of a link where the link is', () => {
    const real = folderOf({ 'real.yml': 'all: { hosts: { h: } }' });
    const folder = folderOf({ 'group_vars/all.yml': 'beside: link' });
    symlinkSync(join(real, 'real.yml'), join(folder, 'hosts.yml'));
    expect(loadInventory(join(folder, 'hosts.yml')).vars('h').beside).toBe('link');
  });

  it('loads a thousand hosts', () => {
    const inventory = load('all: { hosts: { "n[0001:1000]": { a: 1 } } }');
    expect(inventory.hosts).toHaveLength(1000);
    expect(inventory.vars('n1000').a).toBe(1);
  });
});

describe('faults', () => {
  it('are all told at once, with place, frame and hint', () => {
    const text = [
      'all:',
      '  hosts: [web1]',
      'a:',
      '  vars: 5',
      '  hosts:',
      '    17:',
      '    ok:',
      '    "h[1:": ',
      '    i: 10.0.0.1',
      '  children:',
      '    b: text',
      '    no:',
    ].join('\n');
    const faults = faultsOf(() => load(text));
    expect(short(faults)).toEqual([
      '2:10 "hosts" of group "all" must be a mapping, this is a list',
      '4:9 "vars" of group "a" must be a mapping, this is the number 5',
      '6:5 a host must have a text as name, this is the number 17',
      '8:5 the host pattern "h[1:" can\'t be expanded: a range is written as "[begin:end]" or "[begin:end:step]"',
      '9:8 the variables of host "i" must be a mapping, this is text',
      '11:5 "b" is neither a group nor a host',
      '12:5 a group must have a name, this is the boolean false',
    ]);
    for (const fault of faults) {
      expect(fault.frame).toContain('^');
      expect(fault.hint).toBeTruthy();
    }
  });

  it.each([
    ['', '1:1 the inventory is empty'],
    ['# nothing\n---\n', 'the inventory is empty'],
    ['{}', '1:1 the inventory is empty'],
    ['- a', '1:1 an inventory must be a mapping of groups, this is a list'],
    ['text', '1:1 an inventory must be a mapping of groups, this is text'],
    ['plugin: proxmox', '1:1 this configures an inventory plugin'],
    ['$ANSIBLE_VAULT;1.1;AES256\n31', '1:1 the encrypted text is damaged'],
    ['a: { children: { a: } }', '1:18 the group "a" can\'t be its own child'],
    ['a: { children: { b: { children: { a: } } } }', '1:18 "b" can\'t be a child of "a": it is above it already'],
    ['a: { children: { all: } }', '"a" can\'t be a child of "all"'],
    [
      'a: { vars: { ansible_group_priority: high } }',
      '1:38 "ansible_group_priority" must be a whole number, this is text',
    ],
    ['a: { hosts: "" }', '1:13 a host must have a name'],
    ['a: { hosts: { "x[03:1]": } }', '1:15 the host pattern "x[03:1]"'],
  ])('%j', (text, expected) => {
    expect(short(faultsOf(() => load(text))).join('\n')).toContain(expected);
  });

  it('names the byte that is no UTF-8', () => {
    const folder = folderOf({ 'hosts.yml': Buffer.from('all:\n  vars: { a: "\xfc" }\n', 'latin1') });
    expect(short(faultsOf(() => loadInventory(join(folder, 'hosts.yml'))))).toEqual(['2:15 not UTF-8 text']);
  });

  it('says what to do with other kinds of inventories', () => {
    const folder = folderOf({ hosts: '[web]\nweb1 a=1\n', 'hosts.ini': '[web]\nweb1\n' });
    for (const name of ['hosts', 'hosts.ini']) {
      const [fault] = faultsOf(() => loadInventory(join(folder, name)));
      expect(fault?.hint).toContain('ansible-inventory -i');
    }
    expect(short(faultsOf(() => loadInventory(join(folder, 'none.yml'))))[0]).toContain('there is no inventory');
  });

  it('are found in extra vars too, together with those of the inventory', () => {
    expect(faultsOf(() => load('all: 5\na: { vars: [] }', {}, ['nothing', '/etc/x']))).toHaveLength(3);
  });
});

describe('warnings', () => {
  it('are returned, not fatal', () => {
    const text = 'my-group: { hosts: { h: , dup: } }\ndup:\nnot: text\nodd: { extra: { a: 1 }, note: x, empty: }\n';
    const inventory = load(text);
    expect(short(inventory.warnings)).toEqual([
      '3:1 "not" is text, no group: it is skipped',
      '4:8 "extra" in group "odd" is skipped: a group has "vars", "children" and "hosts"',
      '4:25 "note" in group "odd" is skipped: a group has "vars", "children" and "hosts"',
      '1:1 group names with characters that a variable can\'t have: "my-group"',
      '"dup" is a group and a host',
    ]);
    expect(inventory.groups.has('not')).toBe(false);
  });

  it('tell of a group_vars that is no folder', () => {
    const folder = folderOf({ 'hosts.yml': 'all: { hosts: { h: } }' });
    writeFileSync(join(folder, 'group_vars'), 'a: 1');
    expect(short(loadInventory(join(folder, 'hosts.yml')).warnings)[0]).toContain('is no folder');
  });
});
