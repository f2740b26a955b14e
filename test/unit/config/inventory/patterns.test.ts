import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { faultsOf, folderOf, load } from './support.ts';

const inventory = load(`
all:
  hosts: { lone: }
  children:
    web:
      hosts: { "web[1:4]": }
    db:
      hosts: { db1.lan: , db2.lan: , web1: }
    dc_east:
      children: { web: }
`);

describe('select', () => {
  it.each([
    ['all', 'lone web1 web2 web3 web4 db1.lan db2.lan'],
    ['*', 'lone web1 web2 web3 web4 db1.lan db2.lan'],
    ['web', 'web1 web2 web3 web4'],
    ['web2', 'web2'],
    ['db,web2', 'db1.lan db2.lan web1 web2'],
    ['web3:web1', 'web3 web1'],
    ['web:!db', 'web2 web3 web4'],
    ['web:&db', 'web1'],
    ['!web', 'lone db1.lan db2.lan'],
    ['&db', 'web1 db1.lan db2.lan'],
    ['!web2,web', 'web1 web3 web4'],
    ['web[0]', 'web1'],
    ['web[-1]', 'web4'],
    ['web[1:2]', 'web2 web3'],
    ['web[2:]', 'web3 web4'],
    ['web[1:0]', 'web2'],
    ['web[3:9]', 'web4'],
    ['web[0:1]:db', 'web1 web2 db1.lan db2.lan'],
    ['*.lan', 'db1.lan db2.lan'],
    ['web?', 'web1 web2 web3 web4'],
    ['web[12]', null],
    ['db[12].lan', 'db1.lan db2.lan'],
    ['db[!1].lan', 'db2.lan'],
    ['~web[12]$', 'web1 web2'],
    ['~(web|db)[34]', 'web3 web4'],
    ['~(?i)DB1', 'db1.lan'],
    ['~eb', ''],
    ['dc_*:!~.*[234]', 'web1'],
    ['nothing*', ''],
    [' web1 , lone ', 'web1 lone'],
    ['ungrouped', 'lone'],
  ])('%s', (pattern, hosts) => {
    if (hosts === null) expect(() => inventory.select(pattern)).toThrow('no such one among 4 hosts');
    else expect(inventory.select(pattern)).toEqual(hosts.split(' ').filter(Boolean));
  });

  it('takes a list of patterns', () => expect(inventory.select(['web1', 'db:!web1'])).toEqual(['db1.lan', 'db2.lan']));

  it('limits, in the order of the pattern', () => {
    expect(inventory.select('web', { limit: 'web4,web2,lone' })).toEqual(['web2', 'web4']);
    expect(inventory.select('all', { limit: '!web' })).toEqual(['lone', 'db1.lan', 'db2.lan']);
    expect(inventory.select('db', { limit: 'lone' })).toEqual([]);
  });

  it('reads a retry file: one pattern in each line', () => {
    const file = join(folderOf({ 'site.retry': 'web2\n\n  db1.lan\nweb[3:3]\n' }), 'site.retry');
    expect(inventory.select('all', { limit: `@${file}` })).toEqual(['web2', 'web4', 'db1.lan']);
    expect(inventory.select('all', { limit: `@${file}:!web2` })).toEqual(['web4', 'db1.lan']);
    expect(faultsOf(() => inventory.select('all', { limit: '@/none' }))[0]?.message).toContain(
      '"/none" can\'t be read',
    );
  });

  it('refuses names that nobody has, all at once, with a suggestion', () => {
    const faults = faultsOf(() => inventory.select('dc_est:!lonly', { limit: 'db3.lan' }));
    expect(faults.map((fault) => [fault.message, fault.hint])).toEqual([
      ['"dc_est" is neither a host nor a group of the inventory', 'did you mean "dc_east"?'],
      ['"lonly" is neither a host nor a group of the inventory', 'did you mean "lone"?'],
      ['"db3.lan" is neither a host nor a group of the inventory', 'did you mean "db1.lan"?'],
    ]);
  });

  it.each(['~(', '~[', '!', '&'])('refuses %s', (pattern) =>
    expect(faultsOf(() => inventory.select(pattern))).toHaveLength(1),
  );
});
