import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { labDown, labExec, labInventory, labStatus, labUp } from '../../src/commands/lab.ts';
import { labPaths, netnsName } from '../../src/lab/layout.ts';
import { labNamespaces, labProcesses, nodeProcess } from '../../src/lab/processes.ts';
import { labStatusOf } from '../../src/lab/state.ts';
import { IFUPDOWN2_LAYER, type Lab, startLab } from '../support/lab.ts';

const names: string[] = [];

/** A name that only this test uses; its lab is taken down when the test is over. */
function freshName(): string {
  const name = `test-${process.pid}-${names.length}-own`;
  names.push(name);
  return name;
}

/** Collects what a command says. */
function collect() {
  const said = { out: '', err: '' };
  const io = {
    out(text: string) {
      said.out += text;
    },
    err(text: string) {
      said.err += text;
    },
  };
  return { said, io };
}

/** All that is left on this machine of a lab. */
function traces(name: string) {
  return {
    namespaces: labNamespaces(name),
    processes: labProcesses(name),
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`/${name}/`) || line.includes(`/${name} `) || line.includes(netnsName(name, ''))),
    files: readdirSync('/run/mcastctl-lab').filter((file) => file === name || file === `${name}.lock`),
  };
}

const NOTHING = { namespaces: [], processes: [], mounts: [], files: [] };

afterEach(async () => {
  for (const name of names.splice(0)) await labDown({ name }, collect().io);
});

describe('a lab that is up', () => {
  let lab: Lab;
  beforeAll(async () => {
    const start = performance.now();
    lab = await startLab({ nodes: 3, layers: [IFUPDOWN2_LAYER] });
    process.stdout.write(`3 nodes ready after ${Math.round(performance.now() - start)} ms\n`);
  });
  afterAll(() => lab.down());

  test('shows its nodes and its inventory', async () => {
    const { said, io } = collect();
    expect(await labStatus({ name: lab.name }, io)).toBe(0);
    expect(said.out).toContain(`the lab "${lab.name}" is up: 3 nodes, strict switch`);
    expect(said.out).toContain('pve3  198.18.0.13    up');
    const path = collect();
    expect(await labInventory({ name: lab.name }, path.io)).toBe(0);
    expect(path.said.out).toBe(`${lab.inventory}\n`);
  });

  test('up again changes nothing; otherwise made is refused', async () => {
    const before = labStatusOf(lab.name).nodes.map((node) => node.pid);
    const { said, io } = collect();
    expect(await labUp({ name: lab.name, nodes: 3, layers: [IFUPDOWN2_LAYER] }, io)).toBe(0);
    expect(said).toEqual({ out: `${lab.inventory}\n`, err: `the lab "${lab.name}" is up already\n` });
    expect(labStatusOf(lab.name).nodes.map((node) => node.pid)).toEqual(before);
    await expect(labUp({ name: lab.name, nodes: 4, layers: [IFUPDOWN2_LAYER] }, io)).rejects.toThrow(
      `the lab "${lab.name}" is up already, made otherwise: 3 nodes, strict switch`,
    );
  });

  test('each node has a name, an address, a root and a home of its own', async () => {
    const addresses = await lab.exec('pve2', ['sh', '-c', 'hostname; pwd; ip -br address show vmbr0']);
    expect(addresses.stdout).toMatch(/^pve2\n\/root\nvmbr0 +UP +198\.18\.0\.12\/15 /);
    await lab.exec('pve1', ['sh', '-c', 'echo mine >/etc/only-here; echo mine >/run/only-here']);
    const others = await lab.exec('pve2', ['cat', '/etc/only-here', '/run/only-here']);
    expect(others.code).toBe(1);
    expect(existsSync('/etc/only-here')).toBe(false);
    expect((await lab.exec('pve1', ['ls', '-A', '/root'])).stdout).toBe('.bashrc\n.profile\n.ssh\n');
    expect((await lab.exec('pve3', ['getent', 'hosts', 'pve1'])).stdout).toMatch(/^198\.18\.0\.11 +pve1/);
  });

  test('nothing of this machine can be changed from a node', async () => {
    const { stdout } = await lab.exec('pve1', [
      'sh',
      '-c',
      'for f in /proc/sys/vm/swappiness /sys/kernel/mm/ksm/run; do cat $f >/tmp/v; (cat /tmp/v >$f) 2>&1 | grep -c Read-only; done; ls /dev',
    ]);
    expect(stdout).toMatch(/^1\n1\n/);
    expect(stdout).not.toMatch(/vda|sda|loop|mem$/m);
    const before = readFileSync('/proc/sys/net/core/rmem_max', 'utf8');
    const limit = await lab.exec('pve1', ['sysctl', '-n', '-w', 'net.core.rmem_max=12345678']);
    expect([limit.code, limit.stdout]).toEqual([0, '12345678\n']);
    expect((await lab.exec('pve1', ['cat', '/proc/sys/net/core/rmem_max'])).stdout).toBe('12345678\n');
    expect(readFileSync('/proc/sys/net/core/rmem_max', 'utf8')).toBe(before);
    expect((await lab.exec('pve2', ['cat', '/proc/sys/net/core/rmem_max'])).stdout).toBe(before);
    const writable = await lab.exec('pve1', ['sh', '-c', 'echo 30 >/proc/sys/net/ipv4/igmp_max_memberships']);
    expect(writable.code).toBe(0);
  });

  test('exec passes arguments as they are and gives the exit code', async () => {
    expect(await labExec({ name: lab.name }, 'pve1', ['sh', '-c', 'exit 7'])).toBe(7);
    expect(await labExec({ name: lab.name }, 'pve1', ['sh', '-c', 'kill -TERM $$'])).toBe(143);
    const argument = '"; touch /tmp/pwned; #';
    expect((await lab.exec('pve1', ['printf', '%s', argument])).stdout).toBe(argument);
    await expect(labExec({ name: lab.name }, 'pve11', [])).rejects.toThrow(`the lab "${lab.name}" has no "pve11"`);
    expect((await lab.exec('ctl', ['ip', '-br', 'address', 'show', 'eth0'])).stdout).toContain('198.18.0.1/15');
    expect((await lab.exec('switch', ['bridge', 'link'])).stdout.match(/^\d+: (\w+)/gm)).toHaveLength(4);
  });

  test('ssh and Ansible use its files as they are', () => {
    const { sshConfig } = labPaths(lab.name);
    expect(execFileSync('ssh', ['-F', sshConfig, 'pve3', 'hostname'], { encoding: 'utf8' })).toBe('pve3\n');
    expect(execFileSync('ssh', ['-F', sshConfig, '198.18.0.12', 'hostname'], { encoding: 'utf8' })).toBe('pve2\n');
    const listed = execFileSync('ansible-inventory', ['-i', lab.inventory, '--list'], { encoding: 'utf8' });
    expect(JSON.parse(listed).cluster.hosts).toEqual(['pve1', 'pve2', 'pve3']);
    const ping = spawnSync('ansible', ['-i', lab.inventory, 'cluster', '-m', 'raw', '-a', 'hostname'], {
      encoding: 'utf8',
    });
    expect(ping.stdout).toMatch(/^pve1$/m);
    expect(ping.status).toBe(0);
  });

  test('the relay carries much data both ways', () => {
    const { sshConfig } = labPaths(lab.name);
    const input = Buffer.alloc(4_000_000, 'multicast ');
    expect(execFileSync('ssh', ['-F', sshConfig, 'pve1', 'cat'], { input, maxBuffer: 5e6 }).equals(input)).toBe(true);
  });

  test('what the nodes run is what their interfaces file says, for ifupdown2', async () => {
    const check = await lab.exec('pve1', ['ifquery', '--check', 'vmbr0']);
    expect(check.code, check.stdout).toBe(0);
    expect(check.stdout).toMatch(/bridge-mcqi 3 +\[pass\]/);
    const reload = await lab.exec('pve1', ['ifreload', '-a']);
    expect(reload.code, reload.stderr).toBe(0);
    expect((await lab.exec('pve1', ['ifquery', '--check', '-a'])).code).toBe(0);
  });
});

const SENDER = `use Socket;
$| = 1;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
setsockopt($s, 0, 32, inet_aton($ARGV[0])) or die $!;
for my $n (1 .. $ARGV[1]) {
    send($s, $n, 0, sockaddr_in(4321, inet_aton('239.192.77.9'))) or die $!;
    select(undef, undef, undef, 0.1);
}
`;

const RECEIVER = `use Socket;
$| = 1;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
bind($s, sockaddr_in(4321, INADDR_ANY)) or die $!;
setsockopt($s, 0, 35, inet_aton('239.192.77.9') . inet_aton($ARGV[0])) or die $!;
print "ready\\n";
while (1) {
    defined recv($s, my $n, 64, 0) or die $!;
    print "$n\\n";
}
`;

/** What pve2 of `to` receives of `count` packets that pve1 of `from` sends, ten a second, from the moment of joining. */
async function received(from: Lab, to: Lab, count: number): Promise<number[]> {
  const receiver = to.exec('pve2', ['timeout', String(count / 10 + 2), 'perl', '-e', RECEIVER, '198.18.0.12']);
  await sleep(500);
  expect((await from.exec('pve1', ['perl', '-e', SENDER, '198.18.0.11', String(count)])).code).toBe(0);
  const [ready, ...numbers] = (await receiver).stdout.trim().split('\n');
  expect(ready).toBe('ready');
  return numbers.map(Number);
}

describe('the switch', () => {
  let strict: Lab;
  let flood: Lab;
  beforeAll(async () => {
    [strict, flood] = await Promise.all([startLab(), startLab({ nodes: 2, switch: 'flood' })]);
  });
  afterAll(async () => {
    await Promise.all([strict.down(), flood.down()]);
  });

  test('strict: forgets a member after 8 s, and a querier with an address cures it; flood: never forgets', async () => {
    const [dying, flooded] = await Promise.all([received(strict, strict, 110), received(flood, flood, 110)]);
    expect(flooded).toHaveLength(110);
    expect(dying.slice(0, 60)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
    expect(dying.at(-1), 'the last one that arrived, a tenth of a second each').toBeLessThan(105);
    const querier = [
      'ip',
      'link',
      'set',
      'vmbr0',
      'type',
      'bridge',
      'mcast_querier',
      '1',
      'mcast_query_use_ifaddr',
      '1',
    ];
    expect((await strict.exec('pve3', querier)).code).toBe(0);
    await sleep(2500);
    expect(await received(strict, strict, 110)).toHaveLength(110);
  }, 60_000);

  test('two labs do not hear each other', async () => {
    expect(await received(strict, flood, 5)).toEqual([]);
    expect(await received(flood, flood, 5)).toHaveLength(5);
  });
});

describe('down', () => {
  test('leaves nothing, and says so where there was nothing', async () => {
    const name = freshName();
    await labUp({ name, nodes: 2 }, collect().io);
    const shell = spawn('ip', ['netns', 'exec', netnsName(name, 'ctl'), 'sleep', '60'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => shell.once('exit', resolve));
    await sleep(100);
    expect(await labDown({ name }, collect().io)).toBe(0);
    await ended;
    expect(traces(name)).toEqual(NOTHING);
    const { said, io } = collect();
    expect(await labDown({ name }, io)).toBe(0);
    expect(said.err).toBe(`there is no lab "${name}"\n`);
    expect(traces(name)).toEqual(NOTHING);
  });

  test('leaves a lab alone whose name begins with the same letters', async () => {
    const name = freshName();
    names.push(`${name}-pve1`);
    await labUp({ name, nodes: 1 }, collect().io);
    await labUp({ name: `${name}-pve1`, nodes: 1 }, collect().io);
    await labDown({ name }, collect().io);
    expect(labStatusOf(`${name}-pve1`).state).toBe('up');
  });
});

describe('a lab that was killed', () => {
  test('is cleaned at the next up', async () => {
    const name = freshName();
    await labUp({ name, nodes: 2 }, collect().io);
    const first = labStatusOf(name).nodes[0];
    const pid = first && nodeProcess(first);
    if (!pid) throw new Error('pve1 does not run');
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => labStatusOf(name).state).toBe('broken');
    const { said, io } = collect();
    expect(await labUp({ name, nodes: 1 }, io)).toBe(0);
    expect(said.err).toContain(`removing what is left of a lab "${name}" that was killed`);
    expect(labNamespaces(name)).toHaveLength(3);
  });

  test('is cleaned where it was killed while it started', async () => {
    const name = freshName();
    const up = spawn(process.execPath, ['dist/cli.js', 'lab', 'up', '--name', name, '--nodes', '6'], {
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => up.once('exit', resolve));
    await expect.poll(() => labNamespaces(name).length, { interval: 2 }).toBe(8);
    up.kill('SIGKILL');
    await ended;
    const { said, io } = collect();
    expect(await labUp({ name, nodes: 2 }, io)).toBe(0);
    expect(said.err).toContain('removing what is left');
    expect(labNamespaces(name)).toHaveLength(4);
  });

  test('is cleaned whatever is left of it', async () => {
    const name = freshName();
    const { dir } = labPaths(name);
    mkdirSync(`${dir}/nodes/pve1`, { recursive: true });
    writeFileSync(`${dir}/nodes/pve1/pid`, `${process.pid}\n`);
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', dir]);
    execFileSync('ip', ['netns', 'add', netnsName(name, 'pve7')]);
    writeFileSync(`/run/netns/${netnsName(name, 'switch')}`, '');
    expect(labStatusOf(name).state).toBe('broken');
    await labUp({ name, nodes: 1 }, collect().io);
    expect(labStatusOf(name).state).toBe('up');
    await labDown({ name }, collect().io);
    expect(traces(name)).toEqual(NOTHING);
  });
});

describe('an up that does not come to its end', () => {
  test('interrupted: nothing is left, exit 130', async () => {
    const name = freshName();
    const controller = new AbortController();
    const up = labUp({ name, nodes: 5, signal: controller.signal }, collect().io);
    await expect.poll(() => labNamespaces(name).length, { interval: 2 }).toBeGreaterThan(2);
    controller.abort();
    expect(await up).toBe(130);
    expect(traces(name)).toEqual(NOTHING);
  });

  test('failed: says why, nothing is left', async () => {
    const name = freshName();
    const layer = mkdtempSync('/tmp/mcastctl-layer-');
    mkdirSync(`${layer}/etc`);
    mkdirSync(`${layer}/usr/sbin`, { recursive: true });
    writeFileSync(`${layer}/usr/sbin/sshd`, '#!/bin/sh\necho no sshd today; exit 1\n', { mode: 0o755 });
    const up = labUp({ name, nodes: 2, layers: [layer] }, collect().io);
    await expect(up).rejects.toThrow(/the lab's node "pve[12]" ended at its start: no sshd today/);
    rmSync(layer, { recursive: true });
    expect(traces(name)).toEqual(NOTHING);
  });

  test('a second one of the same name at the same time is refused', async () => {
    const name = freshName();
    const both = await Promise.allSettled([
      labUp({ name, nodes: 2 }, collect().io),
      labUp({ name, nodes: 2 }, collect().io),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = both.find((result) => result.status === 'rejected');
    expect(String(refused?.reason)).toContain(`another "mcastctl lab" is at work on the lab "${name}"`);
    expect(labStatusOf(name).state).toBe('up');
  });
});

describe('a machine that can not carry a lab', () => {
  // Where nobody may read it, whoever owns the checkout.
  const open = mkdtempSync(join(tmpdir(), 'mcastctl-nobody-'));
  chmodSync(open, 0o755);
  cpSync('dist', join(open, 'dist'), { recursive: true });
  cpSync('package.json', join(open, 'package.json'));
  const program = [process.execPath, join(open, 'dist/cli.js'), 'lab'];
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', ...program];
  afterAll(() => rmSync(open, { recursive: true }));
  const up = ['up', '--name', 'test-nobody'];

  test('without root: one sentence, exit 3', () => {
    const { status, stdout, stderr } = spawnSync('setpriv', [...nobody, ...up], { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toContain('the lab needs root: it makes network namespaces and mounts');
    expect(labStatusOf('test-nobody').state).toBe('absent');
  });

  test('with a root that may not make namespaces: one sentence, exit 3', () => {
    const unprivileged = ['--bounding-set=-sys_admin', process.execPath, 'dist/cli.js', 'lab', ...up];
    const { status, stdout, stderr } = spawnSync('setpriv', unprivileged, { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toContain('this machine does not let root make namespaces, which the lab is built of');
  });

  test('without CAP_MKNOD: the sentence names the first thing that is refused', () => {
    const unprivileged = ['--bounding-set=-mknod', process.execPath, 'dist/cli.js', 'lab', ...up];
    const { status, stderr } = spawnSync('setpriv', unprivileged, { encoding: 'utf8' });
    expect(status).toBe(3);
    expect(stderr).toContain('this machine does not let root make');
    expect(labStatusOf('test-nobody').state).toBe('absent');
  });
});

describe('input', () => {
  test.each([
    [{ name: 'Lab!' }, '"Lab!" can\'t be the name of a lab'],
    [{ nodes: 0 }, '--nodes is "0": it takes a number from 1 to 200'],
    [{ nodes: 201 }, '--nodes is "201"'],
    [{ switch: 'hub' }, '--switch is "hub": it takes "strict" or "flood"'],
    [{ maxStartups: '10;id' }, '--max-startups is "10;id"'],
    [{ layers: ['/no/such/layer'] }, 'the layer "/no/such/layer" is no folder'],
  ])('%j is refused', async (options, message) => {
    await expect(labUp({ name: 'test-input', ...options }, collect().io)).rejects.toThrow(message);
    expect(labStatusOf('test-input').state).toBe('absent');
  });

  test('a layer that would hide /sbin is refused', async () => {
    const layer = mkdtempSync('/tmp/mcastctl-layer-');
    mkdirSync(`${layer}/sbin`);
    await expect(labUp({ name: 'test-input', layers: [layer] }, collect().io)).rejects.toThrow(
      /has a folder "sbin", which would hide the link "\/sbin" of the nodes/,
    );
    rmSync(layer, { recursive: true });
  });

  test('exec and inventory of a lab that is not up say what to do', async () => {
    const sentence = 'the lab "test-none" is not up\nhint: start it with "mcastctl lab up --name test-none"';
    await expect(labExec({ name: 'test-none' }, 'pve1', ['true'])).rejects.toThrow(sentence);
    await expect(labInventory({ name: 'test-none' }, collect().io)).rejects.toThrow(sentence);
  });
});
