import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIpAddress, parseAddress } from '../../../../src/config/inventory/address.ts';
import { expandRanges } from '../../../../src/config/inventory/ranges.ts';

describe('expandRanges', () => {
  it.each([
    ['pve1', ['pve1']],
    ['pve[01:03]', ['pve01', 'pve02', 'pve03']],
    ['web[1:03]', ['web1', 'web2', 'web3']],
    ['web[:2]', ['web0', 'web1', 'web2']],
    ['web[10:1]', []],
    ['web[9:3:-3]', ['web9', 'web6']],
    ['n[1:9:4]', ['n1', 'n5', 'n9']],
    ['h[-1:1]', ['h-1', 'h0', 'h1']],
    ['h[+1:+3]', ['h1', 'h2', 'h3']],
    ['h[ 1:2 ]', ['h1', 'h2']],
    ['db[a:c]', ['dba', 'dbb', 'dbc']],
    ['db[y:B]', ['dby', 'dbz', 'dbA', 'dbB']],
    ['db[a:e:2]', ['dba', 'dbc', 'dbe']],
    ['db[a:e:-1]', []],
    ['r[1:2]-n[a:b]', ['r1-na', 'r1-nb', 'r2-na', 'r2-nb']],
    ['[01:02].lan', ['01.lan', '02.lan']],
  ])('%s', (pattern, hosts) => expect(expandRanges(pattern)).toEqual(hosts));

  it.each([
    ['web[01:3]', 'as many digits'],
    ['web[1:]', 'no end'],
    ['web[1]', 'begin:end'],
    ['web[1:2:3:4]', 'begin:end'],
    ['web[1:2', 'begin:end'],
    ['a|b[1:2]', 'begin:end'],
    ['web[1:5:0]', 'step is 0'],
    ['web[a:e:0]', 'step is 0'],
    ['web[a:5]', '"a" is no whole number'],
    ['web[c:a]', 'comes after'],
    ['web[C:a]', 'comes after'],
    ['web[1:x]', '"x" is no whole number'],
    ['web[1:2]-[x]', 'begin:end'],
    ['web[1:9999999]', 'more than 1000000 hosts'],
  ])('refuses %s', (pattern, reason) => expect(() => expandRanges(pattern)).toThrow(reason));

  it('gives as many hosts as numbers, padded alike', () => {
    fc.assert(
      fc.property(fc.nat(500), fc.nat(500), fc.integer({ min: 3, max: 6 }), (first, count, width) => {
        const pad = (value: number) => String(value).padStart(width, '0');
        const hosts = expandRanges(`n[${pad(first)}:${pad(first + count)}]`);
        expect(hosts).toHaveLength(count + 1);
        expect(hosts.at(-1)).toBe(`n${pad(first + count)}`);
      }),
    );
  });
});

describe('parseAddress', () => {
  it.each([
    ['pve1', 'pve1', undefined],
    ['pve1:22', 'pve1', 22n],
    ['pve1.example.com:99999', 'pve1.example.com', 99999n],
    ['10.0.0.1', '10.0.0.1', undefined],
    ['10.0.0.[1:9]:22', '10.0.0.[1:9]', 22n],
    ['[2001:db8::1]:22', '2001:db8::1', 22n],
    ['[pve1:23]:22', 'pve1', 23n],
    ['2001:db8::1', '2001:db8::1', undefined],
    ['fe80::[a:c]', 'fe80::[a:c]', undefined],
    ['n[1:3]x[a:b:2]', 'n[1:3]x[a:b:2]', undefined],
    ['ümlaut_9', 'ümlaut_9', undefined],
  ])('%s', (text, host, port) => expect(parseAddress(text)).toEqual({ host, port }));

  it.each(['', 'pve-', '-', 'a b', 'a:b', '!a', '~a', 'web*', '[2001:db8::1]', '{', 'a..b'])(
    'does not know %s',
    (text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );

  it('tells addresses from names', () => {
    expect(['10.0.0.1', '::1', 'fe80::1'].every(isIpAddress)).toBe(true);
    expect(['pve1', '10.0.0.256', 'a.b.c.d'].some(isIpAddress)).toBe(false);
  });
});
