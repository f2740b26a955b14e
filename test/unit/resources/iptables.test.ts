import { describe, expect, test } from 'vitest';
import { IptablesParams, iptables, iptablesBackend } from '../../../src/resources/iptables.ts';
import { afterEdits, type Node, observe, planOn } from '../../support/observed.ts';

const save = (...rules: string[]): string =>
  ['*filter', ':INPUT DROP [0:0]', ':FORWARD ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', ...rules, 'COMMIT', ''].join('\n');
const EMPTY = save().replace('DROP', 'ACCEPT');

/** A node of data: iptables 1.8.9 over nft, no IPv6, iptables-persistent. What `-C` answers: not there. */
function node(
  rules: string,
  options: { file?: string; files?: Record<string, string>; runs?: Node['runs'] } = {},
): Node {
  const { file, files = {}, runs = {} } = options;
  return {
    files: {
      '/usr/share/netfilter-persistent/plugins.d/15-ip4tables': '',
      ...(file !== undefined && { '/etc/iptables/rules.v4': file }),
      ...files,
    },
    runs: {
      'iptables --version': { stdout: 'iptables v1.8.9 (nf_tables)\n' },
      'iptables-nft-save': { stdout: rules },
      'iptables-legacy-save': { stdout: '' },
      'iptables-save': { stdout: rules },
      ...runs,
    },
  };
}
const resources = (params: object) => iptables.resources(IptablesParams.parse(params));
function resource(params: object) {
  const [first] = resources({ family: 'ipv4', ...params });
  if (first === undefined) throw new Error('no resource');
  return first;
}
const faults = (params: object) =>
  IptablesParams.safeParse(params).error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`) ?? [];
const commands = (plan: ReturnType<typeof planOn>) => ({
  try: plan.try.map((step) => (step.do === 'run' ? step.argv.join(' ') : step.do)),
  undo: plan.undo.map((step) => (step.do === 'run' ? step.argv.join(' ') : step.do)),
});
const MULTICAST = { chain: 'INPUT', match: 'addrtype', dst_type: 'MULTICAST', jump: 'ACCEPT' };
const WORDS = '-m addrtype --dst-type MULTICAST -m comment --comment mcastctl -j ACCEPT';

describe('parameters', () => {
  test.each([
    [{}, 'chain is missing'],
    [{ chain: 'INPUT' }, 'jump is missing'],
    [{ chain: 'INPUT', jump: 'DROP' }, 'jump is "DROP" for everything'],
    [{ chain: 'INPUT', jump: 'ACCEPT', match: 'addrtype' }, 'match "addrtype" needs dst_type or src_type'],
    [{ chain: 'INPUT', jump: 'ACCEPT', match: 'limit' }, 'write other matches as "rule"'],
    [{ chain: 'INPUT', jump: 'ACCEPT', match: 'multiport', protocol: 'udp' }, 'match "multiport" needs dports'],
    [{ chain: 'INPUT', jump: 'ACCEPT', dport: 5405 }, 'dport needs a protocol'],
    [
      { chain: 'INPUT', jump: 'ACCEPT', protocol: 'udp', dport: 5405, dports: [5404] },
      'dports and "dport" say the same',
    ],
    [
      { chain: 'INPUT', jump: 'ACCEPT', protocol: 'udp', dports: Array.from({ length: 8 }, (_, at) => `${at + 1}:90`) },
      'dports are too many',
    ],
    [{ chain: 'INPUT', jump: 'ACCEPT', protocol: 'udp', dport: '5405-1' }, 'dport "5405-1" is no port'],
    [{ ...MULTICAST, state: 'NEW' }, 'the state of a connection is ctstate: NEW'],
    [{ ...MULTICAST, destination: 'pve1' }, '"pve1" is no address or network'],
    [{ ...MULTICAST, family: 'ipv6', source: '10.0.0.1' }, 'source "10.0.0.1" is no ipv6 network'],
    [{ ...MULTICAST, position: 0 }, 'position'],
    [{ ...MULTICAST, ports: 5405 }, 'ports goes with "accept": write "dports"'],
    [{ accept: ['igmp'], chain: 'INPUT' }, 'chain belongs to a single rule'],
    [{ ...MULTICAST, comment: 'a\nb' }, 'comment must be one line'],
    [{ ...MULTICAST, in_interface: 'a; reboot' }, 'in_interface must be the name'],
    [{ chain: 'INPUT -j ACCEPT', rule: '-j LOG' }, 'chain must be a name'],
    [{ chain: 'INPUT', rule: '-p udp -m multiport \u2013dports 5404,5405 -j ACCEPT' }, 'write "--dports"'],
    [{ chain: 'INPUT', rule: '\u2013p udp -j ACCEPT' }, 'write "-p"'],
    [{ chain: 'INPUT', rule: '-m comment --comment \u201Cx\u201D -j ACCEPT' }, 'a plain "'],
    [{ chain: 'INPUT', rule: 'iptables -A INPUT -j ACCEPT' }, 'begins with "iptables"'],
    [{ chain: 'INPUT', rule: '-A INPUT -p udp -j ACCEPT' }, 'begins with "-A"'],
    [{ chain: 'INPUT', rule: '-t nat -j ACCEPT' }, 'write it as the parameter "table"'],
    [{ chain: 'INPUT', rule: '-P INPUT DROP' }, 'sets a policy'],
    [{ chain: 'INPUT', rule: '-p udp -F INPUT -j ACCEPT' }, 'is no rule'],
    [{ chain: 'INPUT', rule: '-m comment --comment x -j DROP' }, 'is "DROP" for everything'],
    [{ chain: 'INPUT', rule: '-p udp -m comment --comment "x -j ACCEPT' }, 'never closed'],
    [{ chain: 'INPUT', rule: '-p udp --dport 5405' }, 'has no target'],
    [{ chain: 'INPUT', rule: '-p udp -j ACCEPT\n-j DROP' }, 'must be one line'],
    [{ chain: 'INPUT', rule: '-p udp -j ACCEPT', jump: 'DROP' }, 'jump does not go with "rule"'],
  ])('%j', (params, message) => {
    expect(faults(params).join('\n')).toContain(message);
  });

  test('the families that a rule is of', () => {
    const families = (params: object) => resources(params).map(({ id }) => /ipv\d/.exec(id)?.[0]);
    expect(families(MULTICAST)).toEqual(['ipv4', 'ipv6']);
    expect(families({ ...MULTICAST, source: ['10.0.0.1', 'fd00::1'] })).toEqual(['ipv4', 'ipv6']);
    expect(families({ chain: 'INPUT', protocol: 'igmp', jump: 'ACCEPT' })).toEqual(['ipv4']);
    expect(families({ chain: 'INPUT', rule: '-p icmpv6 -j ACCEPT' })).toEqual(['ipv6']);
    expect(families({ chain: 'INPUT', rule: '-s 10.0.0.1,10.0.0.2 -j ACCEPT' })).toEqual(['ipv4', 'ipv4']);
  });

  test('the id shows the rule as iptables does; what is wanted of it is compared', () => {
    const [first] = resources({ ...MULTICAST, state: 'absent' });
    expect(first).toMatchObject({
      id: 'iptables[ipv4 INPUT -m addrtype --dst-type MULTICAST -j ACCEPT]',
      wants: { rule: 'absent' },
    });
  });
});

describe('where a rule goes', () => {
  test('before what refuses everything, and back', () => {
    const rules = save('-A INPUT -i lo -j ACCEPT', '-A INPUT -j REJECT --reject-with icmp-port-unreachable');
    const plan = planOn(node(rules, { file: rules }), resource(MULTICAST));
    expect(commands(plan)).toEqual({
      try: [`iptables -w -t filter -I INPUT 2 ${WORDS}`],
      undo: [`iptables -w -t filter -D INPUT ${WORDS}`],
    });
    expect(plan.changes).toMatchObject([
      {
        layer: 'runtime',
        property: 'rule',
        from: 'absent',
        note: 'before "-A INPUT -j REJECT --reject-with icmp-port-unreachable"',
      },
      { layer: 'persistent', file: '/etc/iptables/rules.v4', line: 6 },
    ]);
    const after = afterEdits(node(rules, { file: rules }), plan.keep).files['/etc/iptables/rules.v4'];
    expect(after).toBe(rules.replace('-A INPUT -j REJECT', `-A INPUT ${WORDS}\n-A INPUT -j REJECT`));
  });

  // Written after pve-firewall's source: what its chains look like, shortened. There is no Proxmox VE here to ask.
  const PVE = [
    ':PVEFW-INPUT - [0:0]',
    ':PVEFW-HOST-IN - [0:0]',
    ':PVEFW-Drop - [0:0]',
    '-A INPUT -j PVEFW-INPUT',
    '-A PVEFW-INPUT -j PVEFW-HOST-IN',
    '-A PVEFW-HOST-IN -i lo -j ACCEPT',
    '-A PVEFW-HOST-IN -m conntrack --ctstate INVALID -j DROP',
    '-A PVEFW-HOST-IN -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-A PVEFW-HOST-IN -p igmp -j RETURN',
    '-A PVEFW-HOST-IN -s 10.0.0.12/32 -d 10.0.0.11/32 -p udp -m udp --dport 5404:5405 -j RETURN',
    '-A PVEFW-HOST-IN -j PVEFW-Drop',
    '-A PVEFW-HOST-IN -j DROP',
    '-A PVEFW-Drop -p tcp -m multiport --dports 135,139,445 -j DROP',
  ];

  test('above the hook of pve-firewall, whose resource is named', () => {
    const rules = save(...PVE).replace('INPUT DROP', 'INPUT ACCEPT');
    const plan = planOn(node(rules, { file: '' }), resource(MULTICAST));
    expect(commands(plan).try).toEqual([`iptables -w -t filter -I INPUT 1 ${WORDS}`]);
    expect(plan.changes[0]?.note).toMatch(/before "-A INPUT -j PVEFW-INPUT"; pve-firewall is active here/);
    const below = save(...PVE, `-A INPUT ${WORDS}`).replace('INPUT DROP', 'INPUT ACCEPT');
    const moved = planOn(node(below, { file: below }), resource(MULTICAST));
    expect(moved.changes).toMatchObject([
      { layer: 'runtime', property: 'position', from: 'unreachable' },
      { layer: 'persistent', property: 'position', line: 18 },
    ]);
    expect(commands(moved)).toEqual({
      try: [`iptables -w -t filter -D INPUT ${WORDS}`, `iptables -w -t filter -I INPUT 1 ${WORDS}`],
      undo: [`iptables -w -t filter -D INPUT ${WORDS}`, `iptables -w -t filter -I INPUT 2 ${WORDS}`],
    });
    const seen = observe(node(rules), iptablesBackend.reads({} as never));
    expect(iptablesBackend.detect(seen)).toEqual({
      isActive: false,
      reason: 'the rules of INPUT belong to pve_firewall',
    });
  });

  test('position: first, last, a number; one that is of no use is an error', () => {
    const rules = save('-A INPUT -i lo -j ACCEPT', '-A INPUT -p tcp -j ACCEPT', '-A INPUT -s 0.0.0.0/0 -j DROP');
    const at = (position: unknown) =>
      commands(planOn(node(rules, { file: rules }), resource({ ...MULTICAST, position }))).try[0];
    expect(at('first')).toContain('-I INPUT 1 ');
    expect(at(2)).toContain('-I INPUT 2 ');
    expect(at('before terminal')).toContain('-I INPUT 3 ');
    expect(() => at('last')).toThrow(
      'position last of INPUT that runs is after "-A INPUT -j DROP": the rule would do nothing',
    );
    expect(() => at(9)).toThrow('position 9');
  });

  test('a rule said in other words is there; one with another target is not', () => {
    const there = (rule: string) => planOn(node(save(rule), { file: save(rule) }), resource(MULTICAST)).changes.length;
    expect(there('-A INPUT -m comment --comment "by hand" -m addrtype --dst-type MULTICAST -j ACCEPT')).toBe(0);
    expect(there('-A INPUT -m addrtype --dst-type MULTICAST -j DROP')).toBe(2);
    const seed = { chain: 'INPUT', protocol: 'udp', ctstate: 'NEW', dports: [5404, 5405], jump: 'ACCEPT' };
    const text = save('-A INPUT -p udp -m state --state NEW -m multiport --dports 5405,5404 -j ACCEPT');
    expect(planOn(node(text, { file: text }), resource(seed)).changes).toEqual([]);
  });

  test('absent takes all of them, and puts them back where they were', () => {
    const rules = save(
      `-A INPUT ${WORDS}`,
      '-A INPUT -p tcp -j ACCEPT',
      '-A INPUT -m addrtype --dst-type MULTICAST -j ACCEPT',
    );
    const plan = planOn(node(rules, { file: EMPTY }), resource({ ...MULTICAST, state: 'absent' }));
    expect(commands(plan)).toEqual({
      try: [
        'iptables -w -t filter -D INPUT -m addrtype --dst-type MULTICAST -j ACCEPT',
        `iptables -w -t filter -D INPUT ${WORDS}`,
      ],
      undo: [
        `iptables -w -t filter -I INPUT 1 ${WORDS}`,
        'iptables -w -t filter -I INPUT 3 -m addrtype --dst-type MULTICAST -j ACCEPT',
      ],
    });
    expect(plan.keep).toEqual([]);
  });
});

describe('what gives the rules at boot', () => {
  test('no loader: blocked with what to install, a file without loader is named', () => {
    const bare = node(save());
    const files = { '/etc/iptables/rules.v4': save() };
    expect(planOn({ ...bare, files }, resource(MULTICAST)).blocked).toBe(
      'nothing loads the rules of iptables at boot; "/etc/iptables/rules.v4" is there, but nothing was found that loads it: install iptables-persistent ("apt-get install iptables-persistent"), or iptables-services on RHEL',
    );
    const ufw = save(':ufw-before-input - [0:0]', '-A INPUT -j ufw-before-input');
    expect(planOn({ ...node(ufw), files: {} }, resource(MULTICAST)).blocked).toContain('here ufw is active');
  });

  test("RHEL's file, made with its mode; a service that is off", () => {
    const files = { '/usr/lib/systemd/system/iptables.service': '', '/proc/1/comm': 'systemd\n' };
    const rhel = (more: Record<string, string>): Node => ({ ...node(EMPTY), files: { ...files, ...more } });
    expect(planOn(rhel({}), resource(MULTICAST)).blocked).toContain('iptables.service is not enabled');
    const plan = planOn(
      rhel({ '/etc/systemd/system/multi-user.target.wants/iptables.service': '' }),
      resource(MULTICAST),
    );
    expect(plan.blocked).toBeUndefined();
    expect(plan.keep).toMatchObject([
      { path: '/etc/sysconfig/iptables', mode: 0o600, validate: ['iptables-restore', '--test', '%s'] },
    ]);
    expect(afterEdits(rhel({}), plan.keep).files['/etc/sysconfig/iptables']).toBe(
      `*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT ${WORDS}\nCOMMIT\n`,
    );
  });

  test('a file that is broken, or that iptables-restore refuses, is told with its line', () => {
    expect(() => planOn(node(save(), { file: '*filter\n:INPUT\n' }), resource(MULTICAST))).toThrow(
      '/etc/iptables/rules.v4:2:',
    );
    const windows = planOn(node(save(), { file: save().replaceAll('\n', '\r\n') }), resource(MULTICAST));
    expect(windows.blocked).toMatch(/rules\.v4:1: .*CR LF/);
  });
});

describe('places of iptables', () => {
  const DROPS = save('-A INPUT -p udp -j DROP');

  test('the legacy one is changed where it has the rules; an old iptables has no -w', () => {
    const runs = { 'iptables-nft-save': { stdout: '' }, 'iptables-legacy-save': { stdout: DROPS } };
    const plan = planOn(node('', { runs }), resource({ ...MULTICAST, position: 'first' }));
    expect(commands(plan).try[0]).toMatch(/^iptables-legacy -w -t filter -I INPUT 1 /);
    expect(plan.changes[0]?.note).toContain('the rules are those of "iptables-legacy", while "iptables" is nft');
    const old = { 'iptables --version': { stdout: 'iptables v1.4.7\n' }, 'iptables-legacy-save': { code: 127 } };
    const rhel6 = planOn(node(DROPS, { runs: old }), resource({ ...MULTICAST, position: 'first' }));
    expect(commands(rhel6).try[0]).toMatch(/^iptables -t filter -I INPUT 1 /);
  });

  test('a wish is not fulfilled while the other place drops', () => {
    const open = save('-A INPUT -j ACCEPT');
    const runs = { 'iptables-legacy-save': { stdout: DROPS } };
    const plan = planOn(node(open, { file: open, runs }), resource({ accept: ['corosync'] }));
    expect(plan.changes).toMatchObject([
      {
        layer: 'runtime',
        property: 'ipv4 corosync',
        note: 'dropped in INPUT by "-A INPUT -p udp -j DROP" of iptables-legacy',
      },
    ]);
    expect(plan.blocked).toContain('"iptables-legacy" has rules too');
  });

  test('no iptables, no right to look, a table that nft changed', () => {
    const fails = (runs: Node['runs']) => () => planOn(node('', { ...(runs && { runs }) }), resource(MULTICAST));
    expect(fails({ 'iptables --version': { code: 127 } })).toThrow('there is no program "iptables"');
    const denied = { code: 4, stderr: 'Permission denied (you must be root)\n' };
    expect(fails({ 'iptables-nft-save': denied, 'iptables-save': denied })).toThrow('you must be root');
    const odd = { stdout: "# Table `filter' is incompatible, use 'nft' tool.\n" };
    expect(fails({ 'iptables-nft-save': odd })).toThrow('was made with nft');
  });

  test('a rule as text that iptables refuses, or writes in another way', () => {
    const rule = { chain: 'INPUT', rule: '-p udp -m udp --dport domain -j ACCEPT' };
    const check = 'iptables -w -t filter -C INPUT -p udp -m udp --dport domain -m comment --comment mcastctl -j ACCEPT';
    const on = (result: object) => () => planOn(node(save(), { runs: { [check]: result } }), resource(rule));
    expect(on({ code: 2, stderr: "Bad argument `x'\nTry\n" })).toThrow("iptables refuses the rule: Bad argument `x'");
    expect(on({ code: 0 })).toThrow('"iptables -S INPUT" writes it in another way');
    expect(on({ code: 1 })().changes[0]).toMatchObject({ property: 'rule', from: 'absent' });
  });
});

test('what is dropped at different places comes to stand before each of them, in both layers', () => {
  const rules = save(
    '-A INPUT -i lo -j ACCEPT',
    '-A INPUT -p udp -j REJECT --reject-with icmp-port-unreachable',
    '-A INPUT -j DROP',
  );
  const before = node(rules, { file: rules });
  const plan = planOn(before, resource({ accept: ['multicast', 'corosync', 'igmp'] }));
  const comment = '-m comment --comment mcastctl -j ACCEPT';
  expect(commands(plan).try).toEqual([
    `iptables -w -t filter -I INPUT 3 -m addrtype --dst-type MULTICAST ${comment}`,
    `iptables -w -t filter -I INPUT 2 -p udp -m udp --dport 5404:5412 ${comment}`,
    `iptables -w -t filter -I INPUT 5 -p 2 ${comment}`,
  ]);
  expect(afterEdits(before, plan.keep).files['/etc/iptables/rules.v4']).toBe(
    save(
      '-A INPUT -i lo -j ACCEPT',
      `-A INPUT -p udp -m udp --dport 5404:5412 ${comment}`,
      '-A INPUT -p udp -j REJECT --reject-with icmp-port-unreachable',
      `-A INPUT -m addrtype --dst-type MULTICAST ${comment}`,
      `-A INPUT -p 2 ${comment}`,
      '-A INPUT -j DROP',
    ),
  );
});

test('a wish leaves a chain alone that drops nothing, and takes only what carries its comment', () => {
  const open = node(EMPTY, { file: EMPTY });
  expect(planOn(open, resource({ accept: ['multicast', 'corosync', 'igmp'] })).changes).toEqual([]);
  const rules = save('-A INPUT -p igmp -j ACCEPT', '-A INPUT -p igmp -m comment --comment mcastctl -j ACCEPT');
  const gone = planOn(node(rules, { file: rules }), resource({ accept: ['igmp'], state: 'absent' }));
  expect(gone.changes).toMatchObject([
    { layer: 'runtime', property: 'ipv4 igmp', to: 'absent' },
    { layer: 'persistent', property: 'ipv4 igmp', line: 6 },
  ]);
  expect(commands(gone).try).toEqual([
    'iptables -w -t filter -D INPUT -p igmp -m comment --comment mcastctl -j ACCEPT',
  ]);
});
