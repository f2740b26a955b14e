import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  aliasesIn,
  groupsIn,
  optionIn,
  parseFirewallRule,
  parsePveFirewall,
  printPveFirewall,
  rulesIn,
  withEnabled,
  withoutLines,
  withRule,
} from '../../../src/formats/pve-firewall.ts';

const TEXT = `[OPTIONS]

enable: 1
policy_in: DROP

[ALIASES]
ring 10.1.0.0/24 # the cluster

[IPSET management] # who may
10.0.0.1
!10.0.0.2

[RULES]

# by hand
IN SSH(ACCEPT) -i vmbr0 -source ring -log nolog # admins
|IN ACCEPT -p udp -dport 5404:5405 # off
GROUP Nodes -i vmbr1
in DROP -p tcp -dport 22,8006

[group nodes] # "nodes"
  IN ACCEPT -source +dc/management
`;
const parse = (text: string) => parsePveFirewall(text, 'cluster', '/etc/pve/firewall/cluster.fw');
const rule = (line: string) => parseFirewallRule(line);

describe('the format', () => {
  test('sections in any case, options, aliases, groups, rules', () => {
    const file = parse(TEXT);
    expect([optionIn(file, 'enable'), optionIn(file, 'policy_in'), optionIn(file, 'ebtables')]).toEqual([
      '1',
      'DROP',
      null,
    ]);
    expect(aliasesIn(file)).toEqual(new Map([['ring', '10.1.0.0/24']]));
    expect(groupsIn(file)).toEqual(['nodes']);
    expect(rulesIn(file, 'rules').map(({ line, rule }) => [line.number, rule])).toEqual([
      [
        16,
        {
          isEnabled: true,
          type: 'in',
          action: 'ACCEPT',
          macro: 'SSH',
          options: { i: 'vmbr0', source: 'ring', log: 'nolog' },
          comment: 'admins',
        },
      ],
      [17, expect.objectContaining({ isEnabled: false, options: { p: 'udp', dport: '5404:5405' }, comment: 'off' })],
      [18, expect.objectContaining({ type: 'group', action: 'nodes', options: { i: 'vmbr1' }, comment: null })],
      [19, expect.objectContaining({ type: 'in', action: 'DROP', options: { p: 'tcp', dport: '22,8006' } })],
    ]);
    expect(rulesIn(file, 'group', 'nodes')).toHaveLength(1);
  });

  test.each([
    ['one word', 'IN'],
    ['an unknown direction', 'BOTH ACCEPT'],
    ['an action in small letters', 'IN accept'],
    ['an unknown option', 'IN ACCEPT -comment "x"'],
    ['two blanks before a value', 'IN ACCEPT -p  udp'],
    ['a blank after the bar', '| IN ACCEPT'],
    ['half a macro', 'IN SSH(ACCEPT'],
  ])('%s is no rule, as in Proxmox', (_, line) => {
    expect(rule(line)).toBeNull();
  });

  test('long spellings of options', () => {
    expect(rule('OUT REJECT --proto tcp --dport 1 -sport 2 --source 3 -dest 4 -icmp-type 5')?.options).toEqual({
      p: 'tcp',
      dport: '1',
      sport: '2',
      source: '3',
      dest: '4',
      'icmp-type': '5',
    });
  });

  test('a host knows no groups, and what is before the first section counts for nothing', () => {
    const text = 'IN ACCEPT\n[group x]\nIN DROP\n[RULES]\nOUT ACCEPT\n';
    const file = parsePveFirewall(text, 'host', 'host.fw');
    expect(groupsIn(file)).toEqual([]);
    expect(rulesIn(file, 'rules').map(({ line }) => line.number)).toEqual([5]);
  });

  test('a head with a carriage return is an error with its line', () => {
    expect(() => parse('[OPTIONS]\nenable: 1\n\n[RULES]\r\nIN ACCEPT\r\n')).toThrow(
      '/etc/pve/firewall/cluster.fw:4:1: the line ends with a carriage return',
    );
  });
});

describe('edits', () => {
  const LINE = 'IN ACCEPT -p igmp # mcastctl';
  test('a rule at the end of its section, or before a line', () => {
    const file = parse(TEXT);
    expect(withRule(file, LINE, null)).toBe(TEXT.replace('22,8006\n', `22,8006\n${LINE}\n`));
    expect(withRule(file, LINE, 19)).toBe(TEXT.replace('in DROP', `${LINE}\nin DROP`));
  });

  test.each([
    ['', `[RULES]\n\n${LINE}\n`],
    ['[OPTIONS]\nenable: 1', `[OPTIONS]\nenable: 1\n\n[RULES]\n\n${LINE}\n`],
    ['[OPTIONS]\n', `[OPTIONS]\n\n[RULES]\n\n${LINE}\n`],
    ['[RULES]', `[RULES]\n${LINE}\n`],
    ['[rules]\n\nIN DROP', `[rules]\n\nIN DROP\n${LINE}\n`],
    ['[RULES]\n\n[IPSET a]\n', `[RULES]\n${LINE}\n\n[IPSET a]\n`],
  ])('%j gets its rule', (before, after) => {
    expect(withRule(parse(before), LINE, null)).toBe(after);
  });

  test('a line goes, a bar goes', () => {
    expect(withoutLines(parse(TEXT), [17])).toBe(TEXT.replace(/^\|.*\n/m, ''));
    expect(withEnabled(parse(TEXT), 17)).toBe(TEXT.replace('|IN', 'IN'));
  });

  const pieces = fc.constantFrom(
    '[RULES]',
    '[options]',
    '[group a]',
    '[ipset a]',
    '\n',
    '\r',
    ' ',
    '\t',
    '#',
    '|',
    'IN DROP',
  );
  test('every text prints as it was, and every edit is one line', () => {
    const texts = fc.oneof(
      fc.array(pieces).map((parts) => parts.join('')),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        let file: ReturnType<typeof parse>;
        try {
          file = parse(text);
        } catch (error) {
          expect(String(error)).toContain('carriage return');
          return;
        }
        expect(printPveFirewall(file)).toBe(text);
        const again = parse(withRule(file, LINE, null));
        const own = rulesIn(again, 'rules').filter(({ line }) => line.raw.startsWith(LINE));
        expect(own.length).toBeGreaterThan(0);
        expect(again.lines.length - file.lines.length).toBeLessThanOrEqual(5);
      }),
      { numRuns: 2000 },
    );
  });
});
