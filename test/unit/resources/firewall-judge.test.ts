import { describe, expect, test } from 'vitest';
import { parseNftables } from '../../../src/formats/nftables-conf.ts';
import { conditionsOf } from '../../../src/resources/firewall/conditions.ts';
import { type Chain, judge } from '../../../src/resources/firewall/judge.ts';
import { acceptRules, WishSchema, wishOf } from '../../../src/resources/firewall/wish.ts';
import { readRuleWords } from '../../../src/resources/nftables/rule-text.ts';

const KEY = { family: 'inet', table: 't' };

/** Chains out of rules of nft(8); the first is that of the packets. */
function chains(input: readonly string[], more: Record<string, readonly string[]>, policy: 'accept' | 'drop') {
  const made = Object.entries({ input, ...more }).map(([chain, rules]): Chain => {
    const text = `table inet t {\nchain ${chain} {\n${rules.join('\n')}\n}\n}\n`;
    const [item] = parseNftables(text, 'rules');
    const statements = item?.kind === 'chain' ? item.statements : [];
    return {
      name: `inet t ${chain}`,
      policy: chain === 'input' ? policy : null,
      rules: statements.map((each) => ({
        ...readRuleWords({ ...KEY, chain }, each.words),
        text: each.words.map((word) => word.text).join(' '),
      })),
    };
  });
  return new Map(made.map((chain) => [chain.name, chain]));
}

function verdict(
  service: 'multicast' | 'corosync' | 'igmp',
  input: readonly string[],
  options: {
    more?: Record<string, readonly string[]>;
    policy?: 'accept' | 'drop';
    wish?: object;
    family?: 'ipv4' | 'ipv6';
  } = {},
): string {
  const [rule] = acceptRules(
    wishOf(WishSchema.parse({ accept: [service], ...options.wish })),
    options.family ?? 'ipv4',
  );
  if (rule === undefined) throw new Error('no rule');
  const all = chains(input, options.more ?? {}, options.policy ?? 'drop');
  const chain = all.get('inet t input');
  if (chain === undefined) throw new Error('no chain');
  const judged = judge(chain, all, conditionsOf(rule));
  return `${judged.verdict} ${judged.at ?? 'end'}`;
}

describe('what becomes of wanted packets', () => {
  test.each([
    ['nothing says anything: the policy', [], 'drop end'],
    ['an accept of more than is wanted', ['udp dport 5000-6000 accept'], 'accept 0'],
    ['an accept of less', ['udp dport 5404-5405 accept'], 'drop end'],
    [
      'several accepts together',
      ['udp dport 5404-5406 accept', 'tcp dport 1 drop', 'udp dport { 5407-5412, 53 } accept'],
      'accept 0',
    ],
    [
      'a drop between them',
      ['udp dport 5404-5406 accept', 'udp dport 5410 drop', 'udp dport 5407-5412 accept'],
      'drop 1',
    ],
    ['an accept of one sender', ['ip saddr 10.0.0.1 accept'], 'drop end'],
    ['a drop of one sender is somebody else', ['ip saddr 10.0.0.1 drop', 'udp dport 1-6000 accept'], 'accept 1'],
    ['a drop of all senders', ['ip saddr 0.0.0.0/0 drop', 'udp dport 1-6000 accept'], 'drop 0'],
    ['a drop of the other family', ['ip6 saddr ::/0 drop', 'meta nfproto ipv4 accept'], 'accept 1'],
    ['a drop of another protocol', ['meta l4proto tcp drop', 'accept'], 'accept 1'],
    ['lo is no way in', ['iif lo accept', 'iifname != "lo" reject'], 'drop 1'],
    ['a limited drop can not be foretold', ['limit rate over 10/second drop', 'accept'], 'accept 1'],
    [
      'a map can not be foretold',
      ['tcp dport vmap { 22 : drop }', 'udp dport vmap { 5405 : drop }', 'accept'],
      'accept 2',
    ],
    [
      'log and counter let pass',
      ['counter name x log prefix "a b" level warn', 'counter packets 1 bytes 2 reject with icmpx type no-route'],
      'drop 1',
    ],
    ['established alone is no accept', ['ct state established,related accept'], 'drop end'],
    [
      'with new it is one',
      ['ct state established,related accept', 'ct state new udp dport 5404-5412 accept'],
      'accept 1',
    ],
    ['invalid may be dropped', ['ct state invalid drop', 'accept'], 'accept 1'],
    ['new may not', ['ct state new drop', 'accept'], 'drop 0'],
    ['a set by name is not known', ['ip saddr @cluster accept'], 'drop end'],
    ['two fields at once are not taken apart', ['ip saddr . udp dport { 10.0.0.1 . 5405 } drop', 'accept'], 'accept 1'],
    [
      'what is said twice has to match twice',
      ['udp dport 5000-6000 udp dport 5404-5408 accept', 'udp dport 5409-5412 accept'],
      'accept 0',
    ],
    ['goto is followed and does not return', ['goto other', 'accept'], 'drop end', { other: ['tcp dport 1 accept'] }],
    ['jump returns', ['jump other', 'accept'], 'accept 1', { other: ['udp dport 5000-6000 return', 'drop'] }],
    ['a jump that drops', ['jump other', 'accept'], 'drop 0', { other: ['jump third'], third: ['counter drop'] }],
    ['a loop ends', ['jump other', 'accept'], 'accept 1', { other: ['jump other'] }],
  ])('%s', (_, rules, expected, more?: Record<string, readonly string[]>) => {
    expect(verdict('corosync', rules, more === undefined ? {} : { more })).toBe(expected);
  });

  test('multicast is known by network, type and link layer', () => {
    for (const rule of [
      'ip daddr 224.0.0.0/4',
      'fib daddr type multicast',
      'meta pkttype multicast',
      'pkttype multicast',
    ])
      expect(verdict('multicast', [`${rule} accept`])).toBe('accept 0');
    expect(verdict('multicast', ['ip daddr 239.0.0.0/8 accept'])).toBe('drop end');
    expect(verdict('multicast', ['ip daddr 10.0.0.0/8 drop'], { policy: 'accept' })).toBe('accept end');
    expect(verdict('igmp', ['ip daddr 224.0.0.0/4 accept'])).toBe('accept 0');
    expect(verdict('corosync', ['ip daddr 224.0.0.0/4 accept'])).toBe('drop end');
  });

  test('IGMP and MLD', () => {
    expect(verdict('igmp', ['ip protocol igmp accept'])).toBe('accept 0');
    expect(verdict('igmp', ['meta l4proto { igmp, icmp } accept'])).toBe('accept 0');
    const mld = (...rules: string[]) => verdict('igmp', rules, { family: 'ipv6' });
    expect(mld('meta l4proto ipv6-icmp accept')).toBe('accept 0');
    // The hop-by-hop header of MLD comes first: this never matches it.
    expect(mld('ip6 nexthdr icmpv6 accept')).toBe('drop end');
    expect(mld('icmpv6 type { mld-listener-query, mld-listener-report } accept', 'icmpv6 type 132 accept')).toBe(
      'drop end',
    );
    expect(mld('icmpv6 type { 130, 131, 132, mld2-listener-report } accept')).toBe('accept 0');
  });

  test('limits of the wish', () => {
    const wish = { interface: 'vmbr0', source: '10.0.0.0/24' };
    expect(verdict('corosync', ['iifname "vmbr*" ip saddr 10.0.0.0/16 accept'], { wish })).toBe('accept 0');
    expect(verdict('corosync', ['iifname { eth0, eth1 } drop', 'accept'], { wish })).toBe('accept 1');
    expect(verdict('corosync', ['iifname != vmbr0 drop', 'accept'], { wish })).toBe('accept 1');
    expect(verdict('corosync', ['ip saddr 10.0.0.0/25 drop', 'accept'], { wish })).toBe('accept 1');
  });
});
