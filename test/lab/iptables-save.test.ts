import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import type { Family } from '../../src/formats/iptables-save/address.ts';
import { canonicalRule, expandRule, formatRule, isSameRule } from '../../src/formats/iptables-save/canonical.ts';
import { chainsOf } from '../../src/formats/iptables-save/chains.ts';
import { withRule } from '../../src/formats/iptables-save/edit.ts';
import {
  parseIptablesList,
  parseIptablesSave,
  printIptablesSave,
  restoreObjections,
} from '../../src/formats/iptables-save.ts';

/** The real tools, in a network namespace of their own that ends with the command. */
const BACK_ENDS = ['nft', 'legacy'] as const;
type BackEnd = (typeof BACK_ENDS)[number];
const TOOL: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' };

function restored(text: string, backEnd: BackEnd, family: Family): { list: string; save: string; counted: string } {
  const tool = `${TOOL[family]}-${backEnd}`;
  const script = `${tool}-restore && ${tool} -S && echo === && ${tool}-save -c && echo === && ${tool} -S -v`;
  const out = execFileSync('unshare', ['-n', 'sh', '-c', script], { input: text, encoding: 'utf8', stdio: 'pipe' });
  const [list = '', save = '', counted = ''] = out.split('===\n');
  return { list, save, counted };
}

/** Rules in many spellings; all of them the tools take. */
const COMMON = String.raw`
-p 2 -j ACCEPT
-p UDP -j ACCEPT
-p all -j ACCEPT
-p 103 -j ACCEPT
-p 254 -j ACCEPT
-p udp -m udp -j ACCEPT
-p udp --dport 5405 -j ACCEPT
-m udp -p udp --destination-port 5405:5405 -j ACCEPT
--protocol udp --sport :1023 --jump ACCEPT
-p udp --dport 1024: -j ACCEPT
-p udp --dport 0:65535 -j ACCEPT
-p udp -m multiport --destination-ports 5405,5404:5406 -j ACCEPT
-p udp -m multiport ! --ports 5405 -j ACCEPT
-p udp -m state --state NEW -m multiport --dports 5404,5405 -j ACCEPT
-p udp --dport 5 -m state --state NEW --sport 7 -j ACCEPT
-m state --state RELATED,NEW,ESTABLISHED -j ACCEPT
-m state ! --state NEW -j ACCEPT
-m conntrack --ctstate related,ESTABLISHED,NEW,INVALID,UNTRACKED -j ACCEPT
-m addrtype --dst-type MULTICAST -j ACCEPT
-m pkttype --pkt-type MULTICAST -j ACCEPT
-m pkttype --pkt-type host -j ACCEPT
-j REJECT
-j REJECT --reject-with port-unreach
-i + -j ACCEPT
! -i eth+ -j ACCEPT
--in-interface vmbr0 -j UC
-g UC
-p tcp --syn -j ACCEPT
-p tcp ! --syn -j REJECT --reject-with tcp-reset
-p tcp --tcp-flags ALL NONE -j ACCEPT
-p tcp --tcp-flags SYN,FIN SYN -j ACCEPT
-m limit --limit 2/second --limit-burst 5 -j ACCEPT
-m limit --limit 120/minute --limit-burst 7 -j ACCEPT
-m limit --limit 90/m -j ACCEPT
-m limit --limit 100/day -j ACCEPT
-m limit -j ACCEPT
-j LOG --log-level warning
-j LOG --log-level info --log-prefix "a b"
-j LOG -m limit --limit 1/h --log-prefix "-x "
-m comment --comment "it's \"q\" \\ back" -p udp -j ACCEPT
-m comment --comment "" -j ACCEPT
-m comment --comment -A -j ACCEPT
-m comment --comment ä#[;$c -j ACCEPT
-m mac --mac-source AA:bb:cc:dd:ee:ff -j ACCEPT
-p sctp --dport 5 -j ACCEPT
-c 5 6 -j ACCEPT
-j ACCEPT -m state --state NEW -p udp -i eth0
`;
const ONLY: Readonly<Record<Family, string>> = {
  ipv4: `
-s 10/8 -j ACCEPT
-s 10.1.2.3/8 -j ACCEPT
-s 10.1.2.3/255.0.255.0 -j ACCEPT
--src 0.0.0.0/0 --dst 224.0.0.0/240.0.0.0 -j ACCEPT
-s 10.0.0.1,10.0.0.2 -d 1.1.1.1,2.2.2.2 -j ACCEPT
! --source 10.0.0.1 -j ACCEPT
-m addrtype --dst-type multicast,BROADCAST -j ACCEPT
-p icmp --icmp-type any -j ACCEPT
-p icmp --icmp-type echo-request -j ACCEPT
-p 1 --icmp-type port-unreachable -j ACCEPT
-p icmp -j ACCEPT
-f -j ACCEPT
-m ttl --ttl-eq 1 -j ACCEPT
-j REJECT --reject-with host-prohib
`,
  ipv6: `
-d ff00::/8 -j ACCEPT
-d FF02:0:0::1 -j ACCEPT
-d ff02::1/128 -p udp -j ACCEPT
-s fe80::1/ffff:ffff:: -j ACCEPT
-s ::/0 -j ACCEPT
-s ::ffff:1.2.3.4 -j ACCEPT
-s 1:0:2:0:3:0:4:0 -j ACCEPT
-s 1:0:0:2:0:0:0:3 -j ACCEPT
! -s ::1 -j ACCEPT
-p icmpv6 -j ACCEPT
-p 58 --icmpv6-type echo-request -j ACCEPT
-p ipv6-icmp --icmpv6-type 130 -j ACCEPT
-j REJECT --reject-with adm-prohibited
`,
};

describe.each(BACK_ENDS)('iptables-%s', (backEnd) => {
  test.each(['ipv4', 'ipv6'] as const)('prints the canonical form of %s rules', (family) => {
    const lines = `${COMMON}${ONLY[family]}`.split('\n').filter((line) => line !== '');
    const text = ['*filter', ':UC - [0:0]', ...lines.map((line) => `-A INPUT ${line}`), 'COMMIT', ''].join('\n');
    const { list, save, counted } = restored(text, backEnd, family);
    const written = chainsOf(parseIptablesSave(text, 'written'), 'filter', family).get('INPUT')?.rules ?? [];
    const wishes = written.flatMap((rule) => expandRule(rule.words));
    const printed = list.split('\n').filter((line) => line.startsWith('-A INPUT'));
    expect(wishes.map((words) => `-A INPUT ${formatRule(canonicalRule(words, family))}`.trimEnd())).toEqual(printed);
    for (const read of [
      parseIptablesList(list, 'list'),
      parseIptablesSave(save, 'save'),
      parseIptablesList(counted, '-v'),
    ]) {
      const rules = chainsOf(read, 'filter', family).get('INPUT')?.rules ?? [];
      expect(rules).toHaveLength(wishes.length);
      for (const [at, words] of wishes.entries()) {
        const got = canonicalRule(rules[at]?.words ?? [], family);
        expect(isSameRule(got, canonicalRule(words, family)), words.join(' ')).toBe(true);
      }
    }
  });

  test('refuses what is refused here, at the same line, and takes the rest', () => {
    for (const [text, line] of STRUCTURE) {
      const args = ['-n', `iptables-${backEnd}-restore`, '--test'];
      const { stderr, status } = spawnSync('unshare', args, { input: text, encoding: 'utf8' });
      let refusedAt: number | undefined;
      try {
        const file = parseIptablesSave(text, 'rules.v4');
        expect(printIptablesSave(file)).toBe(text);
        refusedAt = restoreObjections(file)[0]?.line;
        if (/COMMIT$/.test(text) && backEnd === 'nft') refusedAt = undefined;
      } catch (error) {
        refusedAt = (error as { source: { line: number } }).source.line;
      }
      const seen =
        status === 0 ? undefined : Number(/at line:? (\d+)|line (\d+) failed/.exec(stderr)?.slice(1).join(''));
      // "COMMIT expected at line" names the line after the last.
      const expected = seen !== undefined && /COMMIT expected/.test(stderr) ? seen - 1 : seen;
      const known = line === 'legacy' ? (backEnd === 'legacy' ? expected : undefined) : line;
      expect([text, refusedAt, known]).toEqual([text, expected, expected]);
    }
  });

  test('puts a rule where the edited file says', () => {
    const start = [
      '*filter',
      '-A INPUT -p tcp -j DROP',
      '-I INPUT -p igmp',
      '-I INPUT 2 -p icmp',
      '-A INPUT -j DROP',
      'COMMIT',
      '',
    ];
    for (const position of [0, 1, 2, 3, 4]) {
      const words = ['-p', 'udp', '-m', 'comment', '--comment', `at "${position}"`];
      const file = withRule(
        parseIptablesSave(start.join('\n'), 'rules.v4'),
        { table: 'filter', chain: 'INPUT', words, position },
        'ipv4',
      );
      const rows = restored(printIptablesSave(file), backEnd, 'ipv4').list.split('\n');
      const rules = rows.filter((row) => row.startsWith('-A INPUT'));
      expect(rules).toHaveLength(5);
      expect(rules[position]).toBe(`-A INPUT -p udp -m comment --comment "at \\"${position}\\""`);
    }
  });
});

/** Texts, and the line that is refused; undefined: taken. `legacy`: by iptables-legacy only. */
const STRUCTURE: readonly (readonly [string, number | undefined | 'legacy'])[] = [
  ['', undefined],
  ['# x\n', undefined],
  ['*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n', undefined],
  ['*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT', 'legacy'],
  ['*filter\r\n:INPUT ACCEPT [0:0]\r\n-A INPUT -j ACCEPT\r\nCOMMIT\r\n', 1],
  ['*filter\r:INPUT ACCEPT [0:0]\rCOMMIT\r', 1],
  ['*filter\n-A INPUT -j ACCEPT\nCOMMIT \n', 3],
  ['*filter\n-A INPUT -j ACCEPT\n \nCOMMIT\n', 3],
  ['*filter\n\t\n-A INPUT -j ACCEPT\nCOMMIT\n', 2],
  [' \n*filter\nCOMMIT\n', 1],
  ['*filter\n  # x\nCOMMIT\n', 2],
  ['*filter\n  -A INPUT -j ACCEPT\nCOMMIT\n', undefined],
  ['*filter\n:INPUT\tACCEPT\t[0:0]\n-A\tINPUT\t-j\tACCEPT\nCOMMIT\n', undefined],
  ['*filter\n-A INPUT -j ACCEPT\n', 2],
  ['-A INPUT -j ACCEPT\n*filter\nCOMMIT\n', 1],
  [':INPUT ACCEPT [0:0]\n*filter\nCOMMIT\n', 1],
  ['*filter\n*nat\nCOMMIT\n', 2],
  ['*filter\nCOMMIT\nCOMMIT\n', 3],
  ['*filter\n:INPUT\nCOMMIT\n', 2],
  ['*filter\n:INPUT ACCEPT\nCOMMIT\n', undefined],
  ['*filter\n:X - anything\nCOMMIT\n', undefined],
  ['*filter\n: INPUT ACCEPT [0:0]\nCOMMIT\n', undefined],
  [`*filter\n:${'a'.repeat(28)} - [0:0]\nCOMMIT\n`, undefined],
  [`*filter\n:${'a'.repeat(29)} - [0:0]\nCOMMIT\n`, 2],
  ['*filter\n-A INPUT -m comment --comment "a"b -j ACCEPT\nCOMMIT\n', 2],
  ['*filter\n-A INPUT -m comment --comment a"b c" -j ACCEPT\nCOMMIT\n', undefined],
  ['*filter\n[1:2]-A INPUT -j ACCEPT\n[1:2]\t-A INPUT -j ACCEPT\nCOMMIT\n', undefined],
  ['*filter\n[1:2 -A INPUT -j ACCEPT\nCOMMIT\n', 2],
  ['*filter\n[12] -A INPUT -j ACCEPT\nCOMMIT\n', 2],
  ['*filter\n[] -A INPUT -j ACCEPT\nCOMMIT\n', 2],
  ['*filter\n[1:2]\nCOMMIT\n', 2],
  ['*filter\n [1:2] -A INPUT -j ACCEPT\nCOMMIT\n', 2],
  ['*filter\nfoo\nCOMMIT\n', 2],
  ['*filter\n-A\nCOMMIT\n', 2],
  ['*filter\n-j ACCEPT\nCOMMIT\n', 2],
  ['* filter\nCOMMIT\n', undefined],
  ['*\nCOMMIT\n', 1],
  ['\uFEFF*filter\nCOMMIT\n', 1],
  ['*filter\n-t nat -A INPUT -j ACCEPT\nCOMMIT\n', 2],
  ['*filter\n-A INPUT -A OUTPUT -j ACCEPT\nCOMMIT\n', 2],
  ['*filter\n-j ACCEPT -A INPUT\nCOMMIT\n', undefined],
  ['*filter\n-A INPUT -j ACCEPT # x\nCOMMIT\n', 2],
  ['*filter\n-A INPUT \\\n -j ACCEPT\nCOMMIT\n', 2],
  ['*filter\n-P INPUT DROP\n-N X\n-A X -j RETURN\n-F X\n-X X\nCOMMIT\n', undefined],
  ['*filter\n--append INPUT --jump ACCEPT\n--insert INPUT --protocol udp\nCOMMIT\n', undefined],
  ['*filter\n-I INPUT 1 -j ACCEPT\n-R INPUT 1 -j DROP\n-D INPUT 1\nCOMMIT\n', undefined],
];
