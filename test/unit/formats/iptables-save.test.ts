import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../../src/formats/format-error.ts';
import type { Family } from '../../../src/formats/iptables-save/address.ts';
import {
  canonicalRule,
  commentOf,
  expandRule,
  formatRule,
  isSameRule,
} from '../../../src/formats/iptables-save/canonical.ts';
import { chainsOf, jumpsOf } from '../../../src/formats/iptables-save/chains.ts';
import { withChain, withoutRule, withRule } from '../../../src/formats/iptables-save/edit.ts';
import { findShadow, firstTerminal } from '../../../src/formats/iptables-save/reach.ts';
import { quoteWord, splitWords } from '../../../src/formats/iptables-save/words.ts';
import {
  type IptablesFile,
  lineEndOf,
  parseIptablesList,
  parseIptablesSave,
  printIptablesSave,
  restoreObjections,
} from '../../../src/formats/iptables-save.ts';

/** Printed by iptables 1.8.9 of Debian 12, both back ends, after the same commands. */
const FIXTURES = new URL('../../fixtures/iptables/', import.meta.url).pathname;
const names = readdirSync(FIXTURES);
const read = (name: string): string => readFileSync(FIXTURES + name, 'utf8');
const parse = (text: string): IptablesFile => parseIptablesSave(text, 'rules.v4');
const familyOf = (name: string): Family => (name.startsWith('ip6') ? 'ipv6' : 'ipv4');

function words(text: string): string[] {
  return splitWords(text).words.map((word) => word.text);
}

function rule(text: string, family: Family = 'ipv4') {
  return canonicalRule(words(text), family);
}

function filter(...lines: string[]): IptablesFile {
  return parse(['*filter', ...lines, 'COMMIT', ''].join('\n'));
}

describe('what the tools print', () => {
  test.each(names)('%s: every byte is kept, and all say the same rules', (name) => {
    const text = read(name);
    const family = familyOf(name);
    const file = name.endsWith('.list') ? parseIptablesList(text, name) : parseIptablesSave(text, name);
    expect(printIptablesSave(file)).toBe(text);
    const chains = chainsOf(file, 'filter', family);
    expect([...chains.keys()]).toEqual(['INPUT', 'FORWARD', 'OUTPUT', 'CLUSTER', 'mcast-log']);
    expect([...chains.values()].map((chain) => chain.policy)).toEqual([
      'DROP',
      'ACCEPT',
      'ACCEPT',
      undefined,
      undefined,
    ]);
    const shown = [...chains.values()].flatMap((chain) =>
      chain.rules.map((each) => `-A ${chain.name} ${formatRule(canonicalRule(each.words, family))}`),
    );
    const list = read(`${family === 'ipv6' ? 'ip6tables' : 'iptables'}-nft.list`);
    expect(shown).toEqual(list.split('\n').filter((line) => line.startsWith('-A')));
  });

  test('chains, jumps, lines and counters', () => {
    const file = parse(read('iptables-legacy.counted.save'));
    const chains = chainsOf(file, 'filter', 'ipv4');
    const input = chains.get('INPUT');
    if (input === undefined) throw new Error('there is an INPUT chain');
    expect(input.isBuiltIn).toBe(true);
    expect(jumpsOf(input, chains, 'ipv4')).toEqual(['CLUSTER', 'mcast-log']);
    const [first] = input.rules;
    expect(first).toMatchObject({
      chain: 'INPUT',
      words: ['-i', 'lo', '-j', 'ACCEPT'],
      counters: { packets: /^\d+$/ },
    });
    expect(first?.counters?.packets).toMatch(/^\d+$/);
    expect(first?.counters?.bytes).toMatch(/^\d+$/);
    expect(file.lines[first?.index ?? -1]?.number).toBe(first?.line);
    expect(commentOf(canonicalRule(input.rules[3]?.words ?? [], 'ipv4'))).toBe(`IGMP "v3" queries, it's \\ ok`);
    expect(file.sections.toSorted()).toEqual(['filter', 'mangle', 'raw']);
  });
});

describe('words', () => {
  test('are read as iptables-restore reads them', () => {
    expect(words(`-A  X\t--comment "a \\"b\\" \\\\ it\\'s" c"d e"`)).toEqual([
      '-A',
      'X',
      '--comment',
      `a "b" \\ it's`,
      'cd e',
    ]);
    expect(words(`"" 'a b' x\\y "a"b`)).toEqual(['', "'a", "b'", 'x\\y', 'a', 'b']);
    expect(splitWords('-m comment --comment "a').unclosed).toBe(21);
  });

  test('come back from their quoted form', () => {
    const word = fc.string({ unit: fc.constantFrom(...' \t"\'\\#!-aZ0;$*[:', 'ä', '\u{1F600}') });
    fc.assert(
      fc.property(fc.array(word), (list) => {
        expect(words(list.map(quoteWord).join(' '))).toEqual(list);
      }),
      { numRuns: 3000 },
    );
    expect(() => quoteWord('a\nb')).toThrow(RangeError);
    expect(() => quoteWord('a\0b')).toThrow(RangeError);
  });
});

describe('broken files', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['no COMMIT', '*filter\n-A INPUT -j DROP\n', '2:1: the table "filter" that begins in line 1 has no COMMIT'],
    ['a rule before any table', '\n-A INPUT -j DROP\n', '2:1: the line stands outside of a table'],
    [
      'a table within a table',
      '*raw\n*nat\nCOMMIT\n',
      '2:1: the line is neither a rule, a chain, a comment nor COMMIT',
    ],
    ['COMMIT twice', '*raw\nCOMMIT\nCOMMIT\n', '3:1: COMMIT stands outside of a table'],
    ['unknown start', '*raw\nxyz\nCOMMIT\n', '2:1: the line is neither a rule, a chain, a comment nor COMMIT'],
    ['a line of blanks', '*raw\n \nCOMMIT\n', '2:1: the line holds nothing but blanks'],
    ['no chain', '*raw\n-A\nCOMMIT\n', '2:3: "-A" names no chain'],
    ['no policy', '*raw\n:OUTPUT\nCOMMIT\n', '2:8: the chain "OUTPUT" has no policy'],
    ['no table name', '*\nCOMMIT\n', '1:2: the line names no table'],
    ['a long name', `*raw\n:${'x'.repeat(29)} -\nCOMMIT\n`, `2:2: the chain name "${'x'.repeat(29)}" is too long`],
    ['a form feed', '*raw\n-A X\fY\nCOMMIT\n', '2:4: the chain name "X\fY" has white space in it'],
    ['an open quote', '*raw\n-A X --comment "a\nCOMMIT\n', '2:16: a double quote is never closed'],
    ['counters', '*raw\n[1] -A X\nCOMMIT\n', '2:1: the counters are not complete'],
    ['a stray word', '*raw\n[1:2] -A X -j LOG x\nCOMMIT\n', '2:19: "x" belongs to no option'],
    ['a table option', '*raw\n-A X -t nat\nCOMMIT\n', '2:6: a line can not choose its table with -t'],
    ['two commands', '*raw\n-A X -A Y\nCOMMIT\n', '2:6: there are two commands on one line'],
    ['no command', '*raw\n-j DROP\nCOMMIT\n', '2:1: the line has no command such as -A'],
    ['a byte order mark', '\uFEFF*raw\nCOMMIT\n', '1:1: the file begins with a byte order mark'],
    ['NUL', '*raw\n#\0\nCOMMIT\n', '2:2: there is a NUL byte'],
    ['CR alone', '*raw\r:X -\rCOMMIT\r', '1:5: there is a carriage return within the line'],
    ['half a policy', '*raw\n-P OUTPUT\nCOMMIT\n', '2:4: the command for the chain "OUTPUT" is not complete'],
  ];
  test.each(cases)('%s', (_, text, message) => {
    expect(() => parse(text)).toThrow(new RegExp(`^rules\\.v4:${message.replace(/[.*+?()[\]]/g, '\\$&')}$`));
    try {
      parse(text);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
      expect((error as FormatError).hint).toMatch(/\w/);
    }
  });

  test('what is read here and refused by iptables-restore is said', () => {
    expect(restoreObjections(parse('*raw\r\nCOMMIT\r\n'))).toEqual([
      { line: 1, message: 'iptables-restore refuses lines that end in CR LF' },
    ]);
    expect(restoreObjections(parse('*raw\nCOMMIT'))).toEqual([
      { line: 2, message: 'iptables-legacy-restore refuses a COMMIT without a line end' },
    ]);
    expect(restoreObjections(parse('# a\r\n*raw\nCOMMIT\n'))).toEqual([]);
  });

  test('a list holds commands only', () => {
    expect(() => parseIptablesList('-P INPUT ACCEPT\niptables: no such thing\n', '-S')).toThrow(
      '-S:2:1: the line is no rule',
    );
    expect(() => parseIptablesList('*filter\n', '-S')).toThrow('-S:1:1:');
  });
});

describe('rules that mean the same', () => {
  const same: readonly (readonly [string, string])[] = [
    ['-p udp -m state --state NEW -j ACCEPT', '-j ACCEPT -m conntrack --ctstate NEW -p 17'],
    [
      '-p udp -m udp -m multiport --dports 5404,5405 -j ACCEPT',
      '-p udp -m multiport --destination-ports 5405,5404 -j ACCEPT',
    ],
    ['-m comment --comment x -p udp -j DROP', '-p udp -j DROP'],
    ['-s 10.0.0.1 -d 0.0.0.0/0 -j DROP', '-j DROP --source 10.0.0.1/255.255.255.255'],
    [
      '-m pkttype --pkt-type multicast -m addrtype --dst-type MULTICAST',
      '-m addrtype --dst-type multicast -m pkttype --pkt-type MULTICAST',
    ],
    ['-m state ! --state NEW -j DROP', '-m conntrack ! --ctstate NEW -j DROP'],
    ['-s ! 10.0.0.0/8 -p tcp --dport ! 22 -j DROP', '! -s 10.0.0.0/8 -p tcp -m tcp ! --dport 22 -j DROP'],
    ['-j REJECT', '-j REJECT --reject-with icmp-port-unreachable'],
    ['-i + -o + -j DROP', '-j DROP'],
    ['-c 1 2 -j DROP', '-j DROP'],
  ];
  test.each(same)('%s = %s', (one, other) => {
    expect(isSameRule(rule(one), rule(other))).toBe(true);
  });

  const different: readonly (readonly [string, string])[] = [
    ['-p udp -m multiport --dports 5404,5405', '-p udp -m multiport --dports 5404:5405'],
    ['-p udp --dport 5405', '-p udp -m multiport --dports 5405'],
    ['-p udp -j DROP', '-j DROP'],
    ['-j X', '-g X'],
    ['-s 10.0.0.0/8', '! -s 10.0.0.0/8'],
    ['-s 10.0.0.0/8', '-d 10.0.0.0/8'],
    ['-m limit --limit 1/s -m pkttype --pkt-type host', '-m pkttype --pkt-type host -m limit --limit 1/s'],
    ['-m addrtype --dst-type LOCAL', '-m addrtype --src-type LOCAL'],
    ['-p udp', '-p udp -m tcp'],
  ];
  test.each(different)('%s ≠ %s', (one, other) => {
    expect(isSameRule(rule(one), rule(other))).toBe(false);
  });

  test('one family is not the other, and IPv6 has its spellings', () => {
    expect(isSameRule(rule('-j DROP'), rule('-j DROP', 'ipv6'))).toBe(false);
    expect(formatRule(rule('-d FF00:0::/8 -p 58 -j REJECT', 'ipv6'))).toBe(
      '-d ff00::/8 -p ipv6-icmp -j REJECT --reject-with icmp6-port-unreachable',
    );
    expect(formatRule(rule('-s fe80::1%eth0', 'ipv6'))).toBe('-s "fe80::1%eth0"'.replaceAll('"', ''));
    expect(formatRule(rule('-s Some.Host -j DROP'))).toBe('-s some.host -j DROP');
  });

  test('several addresses are several rules', () => {
    expect(expandRule(words('-s 1.1.1.1,2.2.2.2 -j X -d 3.3.3.3,4.4.4.4'))).toHaveLength(4);
    expect(expandRule(words('-s 1.1.1.1 -j X'))).toEqual([words('-s 1.1.1.1 -j X')]);
  });

  test('the canonical form is its own', () => {
    const option = fc.constantFrom(
      ...[
        '--dport 5405',
        '--sport 1:',
        '! -s 10/8',
        '-d ff00::/8',
        '-m state --state NEW',
        '-i eth+',
        '-f',
        '-m limit',
      ],
      ...['-j LOG --log-level 4', '-g X', '-m comment --comment "a b"', '-m multiport --dports 2,1', '! -o lo'],
    );
    fc.assert(
      fc.property(fc.uniqueArray(option), fc.constantFrom<Family>('ipv4', 'ipv6'), (options, family) => {
        const once = formatRule(rule(`${options.join(' ')} -p 17`, family));
        expect(formatRule(rule(once, family))).toBe(once);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('order of a chain', () => {
  const order = (...lines: string[]): string[] =>
    (chainsOf(filter(...lines), 'filter', 'ipv4').get('INPUT')?.rules ?? []).map((each) => each.words.join(' '));

  test('commands are carried out', () => {
    expect(order('-A INPUT -p 1', '-I INPUT -p 2', '-I INPUT 2 -p 3', '-A INPUT -p 4')).toEqual([
      '-p 2',
      '-p 3',
      '-p 1',
      '-p 4',
    ]);
    expect(order('-A INPUT -p 1', '-A INPUT -p 2', '-D INPUT 1', '-R INPUT 1 -p 5')).toEqual(['-p 5']);
    expect(order('-A INPUT -p udp', '-A INPUT -p 3', '-D INPUT -p 17', '--append INPUT -p 4')).toEqual([
      '-p 3',
      '-p 4',
    ]);
    expect(order('-A INPUT -p 1', '-F', '-A INPUT -p 2')).toEqual(['-p 2']);
  });

  test('the last section of a table counts', () => {
    const file = parse('*filter\n-A INPUT -p 1\nCOMMIT\n*filter\n-A INPUT -p 2\nCOMMIT\n');
    expect(
      chainsOf(file, 'filter', 'ipv4')
        .get('INPUT')
        ?.rules.map((each) => each.line),
    ).toEqual([5]);
    expect(chainsOf(file, 'nat', 'ipv4').size).toBe(0);
  });

  test('chains are made, renamed and deleted', () => {
    const file = filter(':A - [0:0]', '-N B', '-A A -p 1', '-E A C', '-X B', '-P INPUT DROP', '-A D -p 2');
    const chains = [...chainsOf(file, 'filter', 'ipv4').values()];
    expect(chains.map(({ name, policy, rules }) => [name, policy, rules.length])).toEqual([
      ['C', undefined, 1],
      ['INPUT', 'DROP', 0],
      ['D', undefined, 1],
    ]);
  });
});

describe('reachability', () => {
  const WISH = '-p udp -m state --state NEW -m multiport --dports 5404,5405';
  const shadow = (wish: string, ...lines: string[]) => {
    const found = findShadow(chainsOf(filter(...lines), 'filter', 'ipv4'), 'INPUT', rule(wish));
    return found && `${found.position} ${found.by.line} ${found.verdict}`;
  };
  const covering: readonly (readonly [string, string, string])[] = [
    [WISH, '-j DROP', '0 2 DROP'],
    [WISH, '-p udp -j REJECT', '0 2 REJECT'],
    [WISH, '-m state --state NEW,INVALID -j DROP', '0 2 DROP'],
    [WISH, '-m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP', '0 2 DROP'],
    [WISH, '-p udp -m multiport --dports 5000:6000,7 -j DROP', '0 2 DROP'],
    [WISH, '-p udp -m udp --dport 1024: -j RETURN', '0 2 RETURN'],
    [WISH, '! -p tcp -j DROP', '0 2 DROP'],
    ['-i vmbr1', '-i vmbr+ -j DROP', '0 2 DROP'],
    ['-i vmbr1', '! -i lo -j DROP', '0 2 DROP'],
    ['-d 239.192.0.0/16', '-d 224.0.0.0/4 -j DROP', '0 2 DROP'],
    ['-d 239.192.0.0/16', '-m addrtype --dst-type MULTICAST -j DROP', '0 2 DROP'],
    ['-m addrtype --dst-type MULTICAST', '-d 224.0.0.0/4 -j DROP', '0 2 DROP'],
    ['-s 10.1.1.1', '! -s 192.168.0.0/16 -j DROP', '0 2 DROP'],
    [
      '-m pkttype --pkt-type multicast -i a',
      '-m pkttype --pkt-type MULTICAST -m comment --comment x -j DROP',
      '0 2 DROP',
    ],
  ];
  test.each(covering)('%s is behind %s', (wish, line, expected) => {
    expect(shadow(wish, `-A INPUT ${line}`)).toBe(expected);
  });

  const open: readonly (readonly [string, string])[] = [
    [WISH, '-p tcp -j DROP'],
    [WISH, '-i eth1 -j DROP'],
    [WISH, '-m state --state RELATED,ESTABLISHED -j ACCEPT'],
    [WISH, '-p udp -m multiport --dports 5404 -j DROP'],
    [WISH, '-p udp --sport 5404:5405 -j DROP'],
    [WISH, '-m limit --limit 1/s -j DROP'],
    [WISH, '-j LOG'],
    [WISH, '-p udp'],
    ['-d 239.192.0.0/16', '! -d 224.0.0.0/4 -j DROP'],
    ['-d 10.0.0.0/8', '-d 10.0.0.0/9 -j DROP'],
    ['-i vmbr+', '-i vmbr1 -j DROP'],
    ['-i vmbr1', '! -i vmbr+ -j DROP'],
    ['-p udp', '! -p udp -j DROP'],
    ['-j ACCEPT', '-m pkttype --pkt-type multicast -j DROP'],
    ['-m limit --limit 1/s', '-m limit --limit 1/s -j DROP'],
  ];
  test.each(open)('%s is not behind %s', (wish, line) => {
    expect(shadow(wish, `-A INPUT ${line}`)).toBeUndefined();
  });

  test("through chains of one's own", () => {
    const rules = ['-A INPUT -j A', '-A A -p tcp -j RETURN', '-A A -j B', '-A B -p udp -j DROP'];
    expect(shadow('-p udp', ...rules)).toBe('0 5 DROP');
    expect(shadow('-p tcp', ...rules)).toBeUndefined();
    expect(shadow('-i eth0', ...rules)).toBeUndefined();
    expect(shadow('-p udp', '-A INPUT -j A', '-A A -i eth0 -j RETURN', '-A A -j DROP')).toBeUndefined();
    expect(shadow('-p udp', '-A INPUT -g A', '-A A -p tcp -j DROP')).toBe('0 2 RETURN');
    expect(shadow('-p udp', '-A INPUT -j A', '-A A -g B', '-A A -j DROP', '-A B -p 1')).toBeUndefined();
    expect(shadow('-p udp', '-A INPUT -j A', '-A A -j B', '-A B -j A', '-A INPUT -j DROP')).toBe('1 5 DROP');
  });

  test('the first rule that ends a chain for all', () => {
    for (const name of names.filter((each) => each.endsWith('.save'))) {
      const chains = chainsOf(parse(read(name)), 'filter', familyOf(name));
      expect(firstTerminal(chains, 'INPUT', familyOf(name))).toMatchObject({ position: 7, verdict: 'REJECT' });
      expect(firstTerminal(chains, 'mcast-log', familyOf(name))).toBeUndefined();
      expect(findShadow(chains, 'INPUT', rule('-p tcp --dport 22', familyOf(name)), 8)?.position).toBe(7);
      expect(findShadow(chains, 'INPUT', rule('-p tcp --dport 22', familyOf(name)), 7)).toBeUndefined();
    }
  });
});

describe('edits', () => {
  const add = (text: string, table: string, chain: string, position: number): string =>
    printIptablesSave(withRule(parse(text), { table, chain, words: words('-p igmp -j ACCEPT'), position }, 'ipv4'));

  test('a rule goes where it should, and no other line differs', () => {
    for (const name of names.filter((each) => each.startsWith('iptables') && each.endsWith('.save'))) {
      const text = read(name);
      for (let position = 0; position < 9; position++) {
        const rows = add(text, 'filter', 'INPUT', position).split('\n');
        const at = rows.indexOf('-A INPUT -p igmp -j ACCEPT');
        expect(rows.toSpliced(at, 1).join('\n')).toBe(text);
        const rules = chainsOf(parse(rows.join('\n')), 'filter', 'ipv4').get('INPUT')?.rules ?? [];
        expect(rules[position]?.words).toEqual(['-p', 'igmp', '-j', 'ACCEPT']);
      }
    }
  });

  test('Windows line ends and a missing last one stay', () => {
    expect(add('*filter\r\n-A INPUT -j DROP\r\nCOMMIT', 'filter', 'INPUT', 0)).toBe(
      '*filter\r\n-A INPUT -p igmp -j ACCEPT\r\n-A INPUT -j DROP\r\nCOMMIT',
    );
    expect(lineEndOf(parse('*filter\r\nCOMMIT'))).toBe('\r\n');
    expect(add('*raw\r\nCOMMIT', 'filter', 'INPUT', 0)).toBe(
      ['*raw', 'COMMIT', '*filter', ':INPUT ACCEPT [0:0]', ':FORWARD ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]']
        .concat('-A INPUT -p igmp -j ACCEPT', 'COMMIT')
        .join('\r\n'),
    );
  });

  test('chain and table are added where they are missing', () => {
    expect(add('*filter\n:INPUT DROP [1:2]\n-A INPUT -j X\nCOMMIT\n', 'filter', 'X', 0)).toBe(
      '*filter\n:INPUT DROP [1:2]\n:X - [0:0]\n-A INPUT -j X\n-A X -p igmp -j ACCEPT\nCOMMIT\n',
    );
    expect(add('', 'raw', 'OUTPUT', 5)).toBe(
      '*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p igmp -j ACCEPT\nCOMMIT\n',
    );
    const declared = filter('-N X', '-A X -p udp');
    expect(withChain(declared, 'filter', 'X')).toBe(declared);
  });

  test('a rule is removed with its line', () => {
    const text = '*filter\n-A INPUT -p 1\n# keep\n-A INPUT -p 2\nCOMMIT\n';
    const rules = chainsOf(parse(text), 'filter', 'ipv4').get('INPUT')?.rules ?? [];
    const [first] = rules;
    if (first === undefined) throw new Error('there are rules');
    expect(printIptablesSave(withoutRule(parse(text), first))).toBe('*filter\n# keep\n-A INPUT -p 2\nCOMMIT\n');
  });

  test('adding and removing is doing nothing', () => {
    const line = fc.constantFrom(
      '-A INPUT -p 1',
      '-I INPUT -p 2',
      '-I INPUT 2 -p 3',
      '-D INPUT 1',
      '# c',
      '',
      '-A X -j DROP',
    );
    fc.assert(
      fc.property(fc.array(line), fc.nat(8), (lines, position) => {
        const before = filter(':X - [0:0]', ...lines);
        const added = withRule(before, { table: 'filter', chain: 'INPUT', words: ['-j', 'NEW'], position }, 'ipv4');
        const rules = chainsOf(added, 'filter', 'ipv4').get('INPUT')?.rules ?? [];
        const old = chainsOf(before, 'filter', 'ipv4').get('INPUT')?.rules ?? [];
        const at = rules.findIndex((each) => each.words.includes('NEW'));
        expect(at).toBe(Math.min(position, old.length));
        const fresh = rules[at];
        if (fresh === undefined) throw new Error('the rule is there');
        expect(printIptablesSave(withoutRule(added, fresh))).toBe(printIptablesSave(before));
      }),
      { numRuns: 1000 },
    );
  });
});

test('400 KB are read in less than 100 ms', () => {
  const row = '-A INPUT -s 10.0.0.1/32 -p tcp -m tcp --dport 22 -m comment --comment "a \\"b\\"" -j ACCEPT\n';
  const text = `*filter\n${row.repeat(Math.ceil(400_000 / row.length))}COMMIT\n`;
  const times = [1, 2, 3, 4].map(() => {
    const start = performance.now();
    parse(text);
    return performance.now() - start;
  });
  expect(Math.min(...times)).toBeLessThan(100);
  expect(printIptablesSave(parse(text))).toBe(text);
});
