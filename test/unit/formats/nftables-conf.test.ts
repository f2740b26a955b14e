import { describe, expect, test } from 'vitest';
import { HostError } from '../../../src/core/errors.ts';
import { type NftItem, parseNftables } from '../../../src/formats/nftables-conf.ts';

const FILE = `#!/usr/sbin/nft -f
flush ruleset
define LAN = { 10.0.0.0/24, 10.1.0.0/24 }	# two
include "/etc/nftables.d/*.nft"
table inet filter {
	set blocked { type ipv4_addr; flags interval; elements = { 192.0.2.0/24,
		198.51.100.7 } }
	counter seen { packets 0 bytes 0 }
	chain input {
		type filter hook input priority filter; policy drop;
		ct state { established, related } accept; iif lo accept
		udp dport { 5404,
			5405 } accept comment "a # no comment; { nor a block"
		tcp dport 22 \\
			accept
	}
	chain empty { }
}
add table ip other
add chain ip other in { type filter hook input priority 10; policy accept; }
add rule ip other in udp dport 5405 drop
insert rule other in accept
`;

const shown = (item: NftItem): string => {
  if (item.kind === 'include') return `include ${item.path}`;
  const words = (list: readonly { text: string }[]) => list.map(({ text }) => text).join(' ');
  if (item.kind === 'define') return `define ${item.name} ${words(item.words)}`;
  if (item.kind === 'command') return `command ${words(item.words)}`;
  const name = `${item.family} ${item.table} ${item.chain}`;
  if (item.kind === 'rule') return `${item.verb} ${name}: ${words(item.rule.words)}`;
  return `chain ${name}: ${item.statements.map((each) => `${each.line} ${words(each.words)}`).join(' | ')}`;
};

test('tables, chains, rules on lines of their own, includes and defines', () => {
  expect(parseNftables(FILE, 'f').map(shown)).toEqual([
    'command flush ruleset',
    'define LAN { 10.0.0.0/24 , 10.1.0.0/24 }',
    'include /etc/nftables.d/*.nft',
    'chain inet filter input: 10 type filter hook input priority filter | 10 policy drop | 11 ct state { established , related } accept | 11 iif lo accept | 12 udp dport { 5404 , 5405 } accept comment "a # no comment; { nor a block" | 14 tcp dport 22 accept',
    'chain inet filter empty: ',
    'command add table ip other',
    'chain ip other in: 20 type filter hook input priority 10 | 20 policy accept',
    'add ip other in: udp dport 5405 drop',
    'insert ip other in: accept',
  ]);
});

test('offsets lead to the text', () => {
  const chain = parseNftables(FILE, 'f').find((item) => item.kind === 'chain');
  const third = chain?.kind === 'chain' ? chain.statements[3] : undefined;
  expect(FILE.slice(third?.start, third?.end)).toBe('iif lo accept');
  expect(chain?.kind === 'chain' ? FILE.slice(chain.close - 2, chain.close + 1) : '').toBe('\n\t}');
});

describe('what does not close', () => {
  test.each([
    ['table inet x {\n chain y {\n', 'f:2:10: a brace is never closed'],
    ['table inet x {\n}\n}\n', 'f:3:1: a brace closes nothing'],
    ['table inet x { chain y { udp dport { 1, 2 accept\n', 'f:1:26: a brace is never closed'],
    ['define A = "x\n', 'f:1:12: a double quote is never closed'],
  ])('%j', (text, message) => {
    expect(() => parseNftables(text, 'f')).toThrow(message);
  });
});

test('10,000 mutated files give a model or an error with its line, at once', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  const pieces = [
    '{',
    '}',
    '"',
    ';',
    '\n',
    '#',
    '\\',
    ',',
    '=',
    '!',
    '\0',
    '\u2013',
    'table',
    'chain x',
    'add rule',
    ' ',
  ];
  const started = Date.now();
  for (let round = 0; round < 10_000; round++) {
    let text = FILE;
    for (let change = random(4); change >= 0; change--) {
      const at = random(text.length);
      text = text.slice(0, at) + (pieces[random(pieces.length)] ?? '') + text.slice(at + random(6));
    }
    try {
      parseNftables(text, 'f');
    } catch (error) {
      expect(error).toBeInstanceOf(HostError);
      expect(String(error)).toMatch(/f:\d+:\d+: /);
    }
  }
  expect(Date.now() - started).toBeLessThan(15_000);
});
