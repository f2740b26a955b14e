import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AgentSession } from '../../src/agent/session.ts';
import { probeHosts } from '../../src/commands/probe.ts';
import type { ProbeReport } from '../../src/core/probe.ts';
import type { ProbeParams } from '../../src/core/task.ts';
import { agentSource } from '../../src/paths.ts';
import { openProbe, type ProbeAgent, type ProbeSession } from '../../src/probe/session.ts';
import { type ProbeNet, probeNet } from '../support/probe-net.ts';

const PARAMS: ProbeParams = { group: '239.192.77.1', port: 4321, count: 20, intervalMs: 2, ttl: 1, maxLoss: 0 };
const anywhere = new Map<string, string>();

const verdicts = (report: ProbeReport): Record<string, string> =>
  Object.fromEntries(report.paths.map((path) => [`${path.from}>${path.to}`, path.verdict]));
const all = (verdict: string) => ({
  'a>b': verdict,
  'a>c': verdict,
  'b>a': verdict,
  'b>c': verdict,
  'c>a': verdict,
  'c>b': verdict,
});

test('all that runs on a node uses modules of perl-base alone', () => {
  const text = (['agent.pl', 'change.pl', 'probe.pl', 'switch.pl', 'undo.pl'] as const).map(agentSource).join('\n');
  const modules = new Set(
    [...text.matchAll(/^\s*(?:use|require) ([A-Z]\w*(?:::\w+)*)/gm)].map(([, name = '']) => name),
  );
  for (const [, name = ''] of text.matchAll(/require ([A-Z]\w*(?:::\w+)*)/g)) modules.add(name);
  expect([...modules]).toContain('Socket');
  const files = execFileSync('dpkg', ['-L', 'perl-base'], { encoding: 'utf8' });
  for (const name of modules) expect(files).toContain(`/${name.replaceAll('::', '/')}.pm\n`);
});

describe('three nodes at one switch', () => {
  let net: ProbeNet;
  let agents: Map<string, AgentSession>;
  let session: ProbeSession | null = null;

  beforeAll(async () => {
    net = probeNet(3);
    agents = new Map();
    for (const [index, node] of net.nodes.entries()) agents.set(node, await net.agent(index));
  });
  afterAll(() => {
    for (const agent of agents?.values() ?? []) agent.close();
    net?.down();
  });
  afterEach(async () => {
    await session?.close();
    session = null;
    for (const index of net.nodes.keys()) {
      net.exec(index, 'iptables', '-F');
      net.exec(index, 'iptables', '-t', 'mangle', '-F');
    }
  });

  const open = async (params: Partial<ProbeParams> = {}, interfaces = anywhere): Promise<ProbeSession> => {
    session = await openProbe(agents, { ...PARAMS, ...params }, interfaces);
    return session;
  };
  const iptables = (where: number, rule: string): void => void net.exec(where, 'iptables', ...rule.split(' '));

  test.each(['239.192.77.1', 'ff15::77:1', 'ff02::4321'])('all is well for %s, again and again', async (group) => {
    const probe = await open({ group });
    expect(probe.members.map(({ host, device }) => [host, device])).toEqual([
      ['a', 'eth0'],
      ['b', 'eth0'],
      ['c', 'eth0'],
    ]);
    for (const run of [1, 2, 3]) {
      const report = await probe.run();
      expect([run, verdicts(report)]).toEqual([run, all('ok')]);
      for (const path of report.paths) {
        const counts = { sent: 20, received: 20, duplicates: 0, outOfOrder: 0, firstSeq: 0, lastSeq: 19 };
        expect(path).toMatchObject({ unicast: counts, multicast: counts });
        expect(path.rttMs).toBeGreaterThan(0);
        expect(path.rttMs).toBeLessThan(100);
      }
      expect(probe.problems()).toEqual([]);
    }
  });

  test('a later run takes tenths of a second, and runs asked for together follow one another', async () => {
    const probe = await open({ count: 10, intervalMs: 10 });
    await probe.run();
    const start = performance.now();
    const reports = await Promise.all([probe.run(), probe.run({ count: 5 })]);
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(reports.map((report) => report.paths[0]?.multicast.received)).toEqual([10, 5]);
  });

  test('who waits for a run that another takes the place of is told, and not left without an answer', async () => {
    await open();
    const agent = agents.get('a');
    const slow = agent?.call('probe-run', [1, 0, 1_000, 10, 0]);
    const next = agent?.call('probe-run', [2, 0, 1, 1, 0]);
    await expect(slow).rejects.toThrow('another run was begun');
    await expect(next).resolves.toEqual([]);
    const first = agent?.call('probe-collect', [2, 200, 1, 1]);
    await expect(agent?.call('probe-collect', [2, 0])).rejects.toThrow('run 2 is being collected');
    await expect(first).resolves.toHaveLength(1);
    expect(agent?.failure).toBeNull();
  });

  test('a packet every millisecond keeps its pace', async () => {
    const probe = await open();
    await probe.run();
    const start = performance.now();
    const report = await probe.run({ count: 1_000, intervalMs: 1 });
    const elapsed = performance.now() - start;
    expect(verdicts(report)).toEqual(all('ok'));
    expect(elapsed).toBeGreaterThan(990);
    expect(elapsed).toBeLessThan(1_700);
  });

  test('a node that drops multicast is deaf, the others hear it', async () => {
    iptables(1, '-A INPUT -d 224.0.0.0/4 -p udp --dport 4321 -j DROP');
    const report = await (await open()).run();
    expect(verdicts(report)).toEqual({ ...all('ok'), 'a>b': 'unicast-only', 'c>b': 'unicast-only' });
  });

  test('a node that drops what it sends says so itself', async () => {
    iptables(1, '-A OUTPUT -d 239.192.77.1 -j DROP');
    const probe = await open();
    const report = await probe.run();
    expect(verdicts(report)).toEqual({ ...all('ok'), 'b>a': 'unicast-only', 'b>c': 'unicast-only' });
    expect(probe.problems()).toEqual([
      '"b" can\'t send to the group (Operation not permitted): a firewall on the node itself drops it',
    ]);
  });

  test('some loss is lossy, and counted', async () => {
    iptables(2, '-A INPUT -d 239.192.77.1 -m statistic --mode nth --every 3 --packet 0 -j DROP');
    const report = await (await open({ count: 40 })).run();
    expect(verdicts(report)).toEqual({ ...all('ok'), 'a>c': 'lossy', 'b>c': 'lossy' });
    const received = report.paths.filter((path) => path.to === 'c').map((path) => path.multicast.received);
    expect(received.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(52);
    expect(received.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(57);
    expect(verdicts(await (session ?? (await open())).run({ maxLoss: 50 }))).toEqual(all('ok'));
  });

  test('a port that is cut is unreachable for its node alone', async () => {
    const probe = await open();
    net.exec('sw', 'ip', 'link', 'set', 'p2', 'down');
    try {
      const report = await probe.run();
      const cut = { 'a>c': 'unreachable', 'b>c': 'unreachable', 'c>a': 'unreachable', 'c>b': 'unreachable' };
      expect(verdicts(report)).toEqual({ ...all('ok'), ...cut });
    } finally {
      net.exec('sw', 'ip', 'link', 'set', 'p2', 'up');
    }
  });

  test('duplicates are counted as such', async () => {
    iptables(0, `-t mangle -A POSTROUTING -d 239.192.77.1 -j TEE --gateway ${net.address(1)}`);
    const report = await (await open()).run();
    expect(report.paths.find((path) => path.from === 'a' && path.to === 'b')?.multicast).toMatchObject({
      received: 20,
      duplicates: 20,
    });
  });

  test('packets of another probe on the same group and port do not count', async () => {
    const probe = await open();
    const foreign =
      'use Socket; socket(my $s, PF_INET, SOCK_DGRAM, 0); for (0..19) { send $s, pack("a4 a8 N n n C x N d", "mcp1", "stranger", 1, 0, 65535, 1, $_, 0), 0, sockaddr_in(4321, inet_aton("239.192.77.1")); send $s, "x" x $_, 0, sockaddr_in(4321, inet_aton("198.18.0.2")) }';
    net.exec('sw', 'ip', 'addr', 'add', '198.18.0.200/24', 'dev', 'br0');
    net.exec('sw', 'ip', 'route', 'add', '224.0.0.0/4', 'dev', 'br0');
    net.exec('sw', 'perl', '-e', foreign);
    const report = await probe.run();
    expect(report.paths.every(({ multicast }) => multicast.received === 20 && multicast.duplicates === 0)).toBe(true);
  });

  test('a node that hangs or is gone holds nobody else', async () => {
    const silent: ProbeAgent = {
      load: async () => {},
      call: (verb) =>
        verb === 'probe-open'
          ? Promise.resolve([Buffer.from('198.18.0.99'), Buffer.from('eth0'), Buffer.from('2')])
          : new Promise(() => {}),
    };
    const start = performance.now();
    const probe = await openProbe(new Map<string, ProbeAgent>([...agents, ['d', silent]]), PARAMS, anywhere, {
      slackMs: 400,
      lingerMs: 200,
    });
    const report = await probe.run();
    expect(performance.now() - start).toBeLessThan(2_000);
    const toD = Object.fromEntries(
      ['a', 'b', 'c'].flatMap((node) => [
        [`${node}>d`, 'unreachable'],
        [`d>${node}`, 'unreachable'],
      ]),
    );
    expect(verdicts(report)).toEqual({ ...all('ok'), ...toD });
    expect(probe.problems()).toContain('"d" takes no part in the probe: no answer within 0.4 s');
    await probe.close();
  });

  test('a node that dies on the way leaves the others their verdicts', async () => {
    const doomed = await net.agent(2);
    const probe = await openProbe(new Map([...agents].slice(0, 2)).set('c', doomed), PARAMS, anywhere, {
      slackMs: 1_000,
    });
    const running = probe.run({ count: 100, intervalMs: 5 });
    await new Promise((resolve) => setTimeout(resolve, 400));
    await doomed.call('load', ['exit 7']).catch(() => {});
    const cut = { 'a>c': 'unreachable', 'b>c': 'unreachable', 'c>a': 'unreachable', 'c>b': 'unreachable' };
    expect(verdicts(await running)).toEqual({ ...all('ok'), ...cut });
    expect(probe.problems()).toEqual(['"c" takes no part in the probe: the agent ended with exit code 7']);
    await probe.close();
  });

  test('closing stops a long run at once', async () => {
    const probe = await open();
    await probe.run();
    const start = performance.now();
    const long = probe.run({ count: 1_000, intervalMs: 10 });
    const stopped = expect(long).rejects.toThrow('the probe was stopped');
    await new Promise((resolve) => setTimeout(resolve, 100));
    await probe.close();
    session = null;
    await stopped;
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(verdicts(await (await open()).run())).toEqual(all('ok'));
  });

  test('without a fine clock packets are counted all the same, round trips are not guessed', async () => {
    const blind: AgentSession[] = [];
    for (const index of net.nodes.keys()) {
      const agent = await net.agent(index);
      await agent.load('no warnings; sub fine_clock { 0 }');
      blind.push(agent);
    }
    const probe = await openProbe(
      new Map(net.nodes.map((node, index) => [node, blind[index] as AgentSession])),
      PARAMS,
      anywhere,
    );
    const report = await probe.run({ count: 5, intervalMs: 20 });
    expect(verdicts(report)).toEqual(all('ok'));
    expect(report.paths.map((path) => path.rttMs)).toEqual(Array(6).fill(null));
    await probe.close();
    for (const agent of blind) agent.close();
  });

  describe('joining', () => {
    test('the device that carries the SSH connection is taken, whatever routing says', async () => {
      net.exec(0, 'ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1');
      net.exec(0, 'ip', 'addr', 'add', '198.18.9.1/24', 'dev', 'up0');
      net.exec(0, 'ip', 'link', 'set', 'up0', 'up');
      net.exec(0, 'ip', 'link', 'set', 'up1', 'up');
      net.exec(0, 'ip', 'route', 'add', '224.0.0.0/4', 'dev', 'up0');
      const bySsh = await net.agent(0, '198.18.0.9 50000 198.18.0.1 22');
      const mapped = await net.agent(0, '::ffff:198.18.0.9 50000 ::ffff:198.18.0.1 22');
      const local = await net.agent(0, '127.0.0.1 50000 127.0.0.1 22');
      try {
        const found = [];
        for (const agent of [bySsh, mapped, local]) {
          const probe = await openProbe(new Map([['x', agent]]), PARAMS, anywhere);
          found.push(probe.members[0]);
          await probe.close();
        }
        const named = await openProbe(new Map([['x', local]]), PARAMS, new Map([['x', 'eth0']]));
        found.push(named.members[0]);
        await named.close();
        expect(found.map((member) => [member?.device, member?.address])).toEqual([
          ['eth0', '198.18.0.1'],
          ['eth0', '198.18.0.1'],
          ['up0', '198.18.9.1'],
          ['eth0', '198.18.0.1'],
        ]);
      } finally {
        for (const agent of [bySsh, mapped, local]) agent.close();
        net.exec(0, 'ip', 'link', 'del', 'up0');
      }
    });

    test('with link-local IPv6 addresses alone', async () => {
      const global = (verb: string) => {
        for (const index of net.nodes.keys())
          net.exec(
            index,
            'ip',
            'addr',
            verb,
            `fd77::${index + 1}/64`,
            'dev',
            'eth0',
            ...(verb === 'add' ? ['nodad'] : []),
          );
      };
      global('del');
      try {
        const probe = await open({ group: 'ff02::4321' });
        expect(probe.members.map(({ address }) => address.slice(0, 6))).toEqual(Array(3).fill('fe80::'));
        expect(verdicts(await probe.run())).toEqual(all('ok'));
      } finally {
        global('add');
      }
    });

    test('the group is joined on that device and left at the end', async () => {
      const probe = await open({}, new Map([['a', 'eth0']]));
      const joined = net.exec(0, 'ip', 'maddr', 'show', 'dev', 'eth0');
      expect(joined).toContain('239.192.77.1');
      await probe.close();
      session = null;
      expect(net.exec(0, 'ip', 'maddr', 'show', 'dev', 'eth0')).not.toContain('239.192.77.1');
    });

    test.each([
      ['vmbr9', 'there is no device "vmbr9"; there are: eth0'],
      ['a-name-that-is-too-long', 'there is no device "a-name-that-is-too-long"'],
      ['lo', 'device "lo" does not do multicast'],
    ])('on %s: refused', async (device, reason) => {
      await expect(open({}, new Map([['b', device]]))).rejects.toThrow(
        `can't probe 239.192.77.1 port 4321: "b": ${reason}`,
      );
    });

    test('a device that is down or has no address is named', async () => {
      net.exec(2, 'ip', 'link', 'add', 'bare0', 'type', 'bridge');
      try {
        const onBare = new Map([['c', 'bare0']]);
        await expect(open({}, onBare)).rejects.toThrow('"c": device "bare0" is down');
        net.exec(2, 'ip', 'link', 'set', 'bare0', 'up');
        await expect(open({}, onBare)).rejects.toThrow('"c": device "bare0" has no IPv4 address to probe from');
      } finally {
        net.exec(2, 'ip', 'link', 'del', 'bare0');
      }
    });

    test('a port in use is refused with the name of who has it, and the others leave again', async () => {
      const holder = await net.agent(1);
      const first = await openProbe(new Map([['b', holder]]), PARAMS, anywhere);
      try {
        await expect(open()).rejects.toThrow(
          /"b": UDP port 4321 is in use by perl \(pid \d+\): choose another with "port"/,
        );
        expect(net.exec(0, 'ip', 'maddr', 'show', 'dev', 'eth0')).not.toContain('239.192.77.1');
      } finally {
        await first.close();
        holder.close();
      }
    });

    test('too many groups: the setting is named', async () => {
      net.exec(1, 'sysctl', '-qw', 'net.ipv4.igmp_max_memberships=0');
      try {
        await expect(open()).rejects.toThrow('net.ipv4.igmp_max_memberships');
      } finally {
        net.exec(1, 'sysctl', '-qw', 'net.ipv4.igmp_max_memberships=20');
      }
    });
  });

  test('the command draws the matrix of what it found', async () => {
    const outcome = await probeHosts({ agents, params: PARAMS, interfaces: anywhere });
    expect([outcome.status, outcome.findings, verdicts(outcome.report)]).toEqual(['ok', [], all('ok')]);
  });

  test('one host alone can not be probed', async () => {
    const one = new Map([...agents].slice(0, 1));
    await expect(probeHosts({ agents: one, params: PARAMS, interfaces: anywhere })).rejects.toThrow(
      'a probe needs at least two hosts: only "a" is left',
    );
  });
});

describe('a switch that forgets memberships', () => {
  // As hardware does: one query (IGMPv3, RFC 3376) is heard and remembered, memberships age after two seconds, nobody asks again.
  const QUERY =
    'use Socket; socket(my $s, PF_INET, SOCK_RAW, 2) or die $!; setsockopt($s, 0, 32, inet_aton("198.18.0.3")); my $q = pack("CCnNCCn", 0x11, 1, 0, 0, 2, 125, 0); my $c = unpack("%32n*", $q); substr($q, 2, 2) = pack("n", ~(($c >> 16) + ($c & 0xffff)) & 0xffff); send($s, $q, 0, sockaddr_in(0, inet_aton("224.0.0.1"))) or die $!';
  let net: ProbeNet;
  let agents: Map<string, AgentSession>;
  beforeAll(async () => {
    net = probeNet(3, [
      'mcast_snooping',
      '1',
      'mcast_querier',
      '0',
      'mcast_membership_interval',
      '200',
      'mcast_querier_interval',
      '360000',
      'mcast_query_response_interval',
      '10',
    ]);
    for (const port of ['p0', 'p1', 'p2']) net.exec('sw', 'bridge', 'link', 'set', 'dev', port, 'mcast_router', '0');
    await new Promise((resolve) => setTimeout(resolve, 500));
    net.exec(2, 'perl', '-e', QUERY);
    await new Promise((resolve) => setTimeout(resolve, 500));
    agents = new Map();
    for (const [index, node] of net.nodes.entries()) agents.set(node, await net.agent(index));
  });
  afterAll(() => {
    for (const agent of agents?.values() ?? []) agent.close();
    net?.down();
  });

  test('a long probe sees multicast die while unicast goes on, and names the cause', async () => {
    const outcome = await probeHosts({
      agents,
      params: { ...PARAMS, count: 80, intervalMs: 50 },
      interfaces: anywhere,
    });
    expect(outcome.status).toBe('drift');
    expect(verdicts(outcome.report)).toEqual(all('lossy'));
    expect(outcome.report.paths.every((path) => path.unicast.received === 80)).toBe(true);
    expect(outcome.findings).toEqual([
      expect.stringMatching(/^multicast died on all paths after .* while unicast went on: .*querier/),
    ]);
  });

  test('who stays joined is found dead by the next run, also by a short one', async () => {
    const probe = await openProbe(agents, { ...PARAMS, group: '239.192.77.2' }, anywhere);
    expect(verdicts(await probe.run())).toEqual(all('ok'));
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    expect(verdicts(await probe.run())).toEqual(all('unicast-only'));
    await probe.close();
  });
});
