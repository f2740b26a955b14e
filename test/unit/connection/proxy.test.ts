import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ConnectionOptions, connect, resolveTarget } from '../../../src/connection/index.ts';
import type { Link } from '../../../src/core/connection.ts';
import { UnreachableError } from '../../../src/core/errors.ts';
import { runProgram } from '../../support/run-program.ts';
import { freePort, type Home, knownLine, makeHome, type Sshd, startSshd } from '../../support/sshd.ts';

let home: Home;
let bastion: Sshd;
let inner: Sshd;
let node: Sshd;
let config: string;

const PIPE = `${process.execPath} -e 'const s=require("net").connect(%p,"%h");process.stdin.pipe(s).pipe(process.stdout)'`;

beforeAll(async () => {
  home = makeHome();
  const authorized = [`${home.key('user')}.pub`];
  const keys = ['bastion', 'inner', 'node'].map((name) => home.key(`host-${name}`));
  [bastion, inner, node] = (await Promise.all(keys.map((key) => startSshd(home, [key], authorized)))) as [
    Sshd,
    Sshd,
    Sshd,
  ];
});

afterAll(async () => {
  await Promise.all([bastion, inner, node].map((sshd) => sshd.stop()));
  home.remove();
});

beforeEach(() => {
  const ports = { bastion: bastion.port, inner: inner.port, node: node.port };
  home.write(
    'known_hosts',
    Object.entries(ports)
      .map(([name, port]) => knownLine(port, home.path(`host-${name}`)))
      .join(''),
  );
  config = home.write(
    'config',
    `Host bastion
  Port ${bastion.port}
Host inner
  Port ${inner.port}
Host looped
  ProxyJump looped
Host bastion inner looped
  HostName 127.0.0.1
Host *
  User root
  GlobalKnownHostsFile none
  IdentityFile ${home.path('user')}
`,
  );
});

const notices: string[] = [];

function optionsOf(more: ConnectionOptions = {}): ConnectionOptions {
  notices.length = 0;
  const env = { PATH: process.env['PATH'] };
  return {
    homeDir: home.dir,
    env,
    sshConfigFile: config,
    notice: (text) => notices.push(text),
    connectTimeoutMs: 3000,
    ...more,
  };
}

function logIn(args: string, options = optionsOf(), host = 'node1'): Promise<Link> {
  const vars = { ansible_host: '127.0.0.1', ansible_port: node.port, ansible_ssh_common_args: args };
  return connect(resolveTarget(host, vars, options), options);
}

async function refusalOf(pending: Promise<Link>): Promise<UnreachableError> {
  const error = await pending.then(
    (link) => link.close(),
    (reason: unknown) => reason,
  );
  if (error instanceof UnreachableError) return error;
  throw error ?? new Error('connected');
}

function logins(sshd: Sshd): number {
  return sshd
    .log()
    .split('\n')
    .filter((line) => line.startsWith('Accepted publickey')).length;
}

describe('ProxyJump', () => {
  test('logs in once on the jump host for all hosts behind it, and leaves it with the last of them', async () => {
    const before = { bastion: logins(bastion), node: logins(node) };
    const options = optionsOf();
    const hosts = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'];
    const links = await Promise.all(hosts.map((host) => logIn('-J bastion', options, host)));
    const results = await Promise.all(links.map((link) => runProgram(link, ['echo', link.host])));
    expect(results.map(({ stdout }) => stdout.trim())).toEqual(hosts);
    expect(logins(bastion)).toBe(before.bastion + 1);
    expect(logins(node)).toBe(before.node + hosts.length);
    const open = (): number => bastion.log().split('Disconnected from').length;
    const openBefore = open();
    await Promise.all(links.slice(1).map((link) => link.close()));
    expect(await runProgram(links[0] as Link, ['echo', 'still here'])).toMatchObject({ stdout: 'still here\n' });
    await links[0]?.close();
    await expect.poll(open).toBe(openBefore + 1);
  });

  test('goes through a chain', async () => {
    const before = [bastion, inner, node].map(logins);
    const link = await logIn('-J bastion,inner');
    expect(await runProgram(link, ['echo', 'far'])).toMatchObject({ stdout: 'far\n' });
    expect([bastion, inner, node].map(logins)).toEqual(before.map((count) => count + 1));
    await link.close();
  });

  test('a chain may be written in parts', async () => {
    home.write('config', `Host inner\n  ProxyJump bastion\n${home.read('config')}`);
    const before = [bastion, inner, node].map(logins);
    await (await logIn(`-J root@inner:${inner.port}`)).close();
    expect([bastion, inner, node].map(logins)).toEqual(before.map((count) => count + 1));
  });

  test('each host of the chain is verified', async () => {
    home.write(
      'known_hosts',
      knownLine(bastion.port, home.path('host-node')) + knownLine(node.port, home.path('host-node')),
    );
    const before = logins(bastion);
    const error = await refusalOf(logIn('-J bastion'));
    expect(error.host).toBe('node1');
    expect(error.message).toMatch(/^the jump host "bastion" can't be used: the host key of .* has changed/);
    expect(error.hint).toContain('-R');
    expect(logins(bastion)).toBe(before);
  });

  test('--accept-new holds for each', async () => {
    home.write('known_hosts', '');
    await (await logIn('-J bastion', optionsOf({ acceptNew: true }))).close();
    expect(notices).toHaveLength(2);
    expect(home.read('known_hosts').split('\n')).toHaveLength(3);
  });

  test("a host that the jump host can't reach is told as such", async () => {
    const options = optionsOf();
    const vars = { ansible_host: '127.0.0.1', ansible_port: await freePort(), ansible_ssh_common_args: '-J bastion' };
    const error = await refusalOf(connect(resolveTarget('node1', vars, options), options));
    expect(error.message).toMatch(/^the jump host "bastion" can't reach 127\.0\.0\.1 port \d+: Connection refused$/);
  });

  test('when the jump host goes, the programs behind it end', async () => {
    const own = await startSshd(home, [home.path('host-bastion')], [`${home.path('user')}.pub`]);
    home.write(
      'known_hosts',
      knownLine(own.port, home.path('host-bastion')) + knownLine(node.port, home.path('host-node')),
    );
    const options = optionsOf();
    const link = await logIn(`-J 127.0.0.1:${own.port}`, options);
    const child = await link.start(['sleep', '60']);
    const exit = expect(child.exit).rejects.toThrow(UnreachableError);
    own.dropSessions();
    await exit;
    await link.closed;
    await own.stop();
  });

  test('a circle is found before anything is contacted', () => {
    const options = optionsOf();
    expect(() => resolveTarget('looped', {}, options)).toThrow(/ProxyJump "looped" leads in a circle/);
  });
});

describe('ProxyCommand', () => {
  test('carries the connection, with the values put in', async () => {
    const link = await logIn(`-o ProxyCommand="${PIPE.replaceAll('"', '\\"')}"`);
    expect(await runProgram(link, ['wc', '-c'], 'x'.repeat(1_000_000))).toMatchObject({ stdout: '1000000\n' });
    await link.close();
    await link.closed;
  });

  test('from ssh_config, with its quotes', async () => {
    home.write('config', `Host 127.0.0.1\n  ProxyCommand ${PIPE}\n${home.read('config')}`);
    await (await logIn('')).close();
  });

  test('a failing one is told with its own words', async () => {
    const error = await refusalOf(logIn(`-o ProxyCommand="sh -c 'echo no way through >&2; exit 3'"`));
    expect(error.message).toBe(
      `the ProxyCommand "sh -c 'echo no way through >&2; exit 3'" failed: no way through (exit code 3)`,
    );
    const missing = await refusalOf(logIn('-o ProxyCommand=no-such-program'));
    expect(missing.message).toMatch(/no-such-program.*not found.*\(exit code 127\)/);
  });

  test('its program ends with the connection', async () => {
    const file = home.path('proxy-pid');
    const link = await logIn(
      `-o ProxyCommand="sh -c 'echo \\$\\$ > ${file}; exec ${PIPE.replaceAll(/["']/g, (quote) => (quote === '"' ? '\\"' : `'\\\\''`))}'"`,
    );
    const pid = Number(home.read('proxy-pid'));
    expect(() => process.kill(pid, 0)).not.toThrow();
    await link.close();
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  test('a host name that a shell would interpret is refused before anything runs', () => {
    const options = optionsOf();
    for (const host of ['$(touch pwned)', 'a;b', '-oProxyCommand=x', 'a b', '`id`', 'x\ny']) {
      const vars = { ansible_host: host, ansible_ssh_common_args: '-o ProxyCommand="nc %h %p"' };
      expect(() => resolveTarget('node1', vars, options)).toThrow(/can't be used with ProxyCommand/);
    }
    const user = { ansible_user: 'a;b', ansible_ssh_common_args: '-o ProxyCommand="nc %h %p"' };
    expect(() => resolveTarget('node1', user, options)).toThrow('the user "a;b" can\'t be used with ProxyCommand');
  });
});

describe('a host that does not play along', () => {
  let server: Server;
  let port: number;
  let onConnection: (socket: Socket) => void;
  let connections: number;

  beforeAll(async () => {
    server = createServer((socket) => {
      connections++;
      socket.on('error', () => undefined);
      onConnection(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as { port: number }).port;
  });

  beforeEach(() => {
    connections = 0;
  });

  afterAll(() => {
    server.close();
  });

  function logInHere(more: ConnectionOptions = {}, at = port): Promise<Link> {
    const options = optionsOf(more);
    const target = resolveTarget('node1', { ansible_host: '127.0.0.1', ansible_port: at }, options);
    return connect(target, options);
  }

  test.each([
    ['closes at once', (socket: Socket) => socket.end()],
    ['says why and closes', (socket: Socket) => socket.end('Exceeded MaxStartups\r\n')],
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
    ['closes after its banner', (socket: Socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
  ])('one that %s is tried once more, then given up', async (_name, behave) => {
    onConnection = behave;
    const error = await refusalOf(logInHere());
    expect(error.message).toContain('closed the connection before the key exchange was done');
    expect(error.hint).toContain('MaxStartups');
    expect(connections).toBe(2);
  });

  test('one that drops only the first login is logged in to', async () => {
    home.write('known_hosts', knownLine(port, home.path('host-node')));
    onConnection = (socket) => {
      if (connections === 1) {
        socket.destroy();
        return;
      }
      import('node:net').then(({ connect: dial }) => {
        const real = dial(node.port, '127.0.0.1');
        real.on('error', () => undefined);
        socket.pipe(real).pipe(socket);
      });
    };
    await (await logInHere()).close();
    expect(connections).toBe(2);
  });

  test('one that never says a word is given up in time, without a second try', async () => {
    onConnection = () => undefined;
    const started = performance.now();
    const error = await refusalOf(logInHere({ connectTimeoutMs: 400 }));
    expect(error.message).toBe(`the SSH key exchange was not done by 127.0.0.1 port ${port} within 0.4 s`);
    expect(performance.now() - started).toBeLessThan(2000);
    expect(connections).toBe(1);
  });

  test('one that is no SSH server is told as such', async () => {
    onConnection = (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(2000));
    const error = await refusalOf(logInHere({ connectTimeoutMs: 1000 }));
    expect(error.message).toMatch(/no SSH session with|key exchange was not done/);
  });

  test('a closed port and an unknown name are told at once', async () => {
    const closed = await refusalOf(logInHere({}, await freePort()));
    expect(closed.message).toMatch(/^127\.0\.0\.1 port \d+ refuses the connection$/);
    const options = optionsOf();
    const unknown = await refusalOf(
      connect(resolveTarget('node1', { ansible_host: 'no-such-host.invalid' }, options), options),
    );
    expect(unknown.message).toMatch(/^the name "no-such-host\.invalid" can't be resolved/);
  });

  test('a peer that falls silent is found out', async () => {
    home.write('known_hosts', knownLine(port, home.path('host-node')));
    const pairs: Socket[][] = [];
    onConnection = (socket) => {
      import('node:net').then(({ connect: dial }) => {
        const real = dial(node.port, '127.0.0.1');
        real.on('error', () => undefined);
        socket.pipe(real).pipe(socket);
        pairs.push([socket, real]);
      });
    };
    const link = await logInHere({ keepaliveMs: 150 });
    const child = await link.start(['sleep', '60']);
    for (const [socket, real] of pairs) {
      socket?.unpipe();
      real?.unpipe();
    }
    await expect(child.exit).rejects.toThrow('the connection to "node1" broke: Keepalive timeout');
    await link.closed;
    for (const socket of pairs.flat()) socket.destroy();
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
