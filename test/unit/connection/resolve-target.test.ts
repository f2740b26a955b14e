import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ConnectionOptions, resolveTarget } from '../../../src/connection/index.ts';
import type { SshTarget } from '../../../src/connection/target.ts';
import { InputError } from '../../../src/core/errors.ts';
import { type Home, makeHome } from '../../support/sshd.ts';

let home: Home;

beforeEach(() => {
  home = makeHome();
});

afterEach(() => {
  home.remove();
});

function optionsOf(more: ConnectionOptions = {}): ConnectionOptions {
  return { homeDir: home.dir, env: {}, systemConfigFile: home.path('system-config'), ...more };
}

function resolve(host: string, vars: Record<string, unknown> = {}, more: ConnectionOptions = {}): SshTarget {
  const target = resolveTarget(host, vars, optionsOf(more));
  if (target.kind !== 'ssh') throw new Error('not by ssh');
  return target;
}

function faultsOf(vars: Record<string, unknown>, more: ConnectionOptions = {}): readonly string[] {
  try {
    resolveTarget('node1', vars, optionsOf(more));
  } catch (error) {
    if (error instanceof InputError) return error.faults.map((fault) => fault.message);
    throw error;
  }
  return [];
}

describe('without a word about it', () => {
  test('a host is reached as OpenSSH would', () => {
    expect(resolve('Node1')).toMatchObject({
      host: 'Node1',
      address: 'node1',
      port: 22,
      user: userInfo().username,
      identitiesOnly: false,
      hostKeys: {
        name: 'node1',
        userFiles: [home.path('known_hosts'), home.path('known_hosts2')],
        globalFiles: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
      },
      connectTimeoutMs: 10_000,
      keepaliveMs: 15_000,
      keepaliveCount: 3,
      methods: ['publickey', 'password', 'keyboard-interactive'],
      notices: [],
    });
    expect(resolve('node1').keyFiles.map(({ path }) => path)).toContain(home.path('id_ed25519'));
    expect(resolve('node1')).not.toHaveProperty('proxy.kind');
  });
});

describe('variables of the inventory', () => {
  test('outrank flags, arguments and configuration; each of these the next', () => {
    home.write('config', 'Host *\n User config\n Port 4\n HostKeyAlias alias\n IdentityFile /config-key\n');
    const args = { ansible_ssh_common_args: '-l args -p 3' };
    const all = { ...args, ansible_user: 'vars', ansible_port: '2' };
    expect(resolve('a', all, { user: 'flag' })).toMatchObject({ user: 'vars', port: 2 });
    expect(resolve('a', args, { user: 'flag' })).toMatchObject({ user: 'flag', port: 3 });
    expect(resolve('a', args)).toMatchObject({ user: 'args', port: 3 });
    expect(resolve('a')).toMatchObject({ user: 'config', port: 4, hostKeys: { name: 'alias' } });
    const keys = { ansible_ssh_private_key_file: '~/vars-key', ansible_ssh_extra_args: '-i /args-key' };
    expect(resolve('a', keys, { privateKeys: ['/flag-key'] }).keyFiles).toEqual([
      { path: `${home.dir}/vars-key`, isNamed: true },
      { path: '/flag-key', isNamed: true },
      { path: '/args-key', isNamed: false },
      { path: '/config-key', isNamed: false },
    ]);
  });

  test('the older names count too', () => {
    const vars = {
      ansible_ssh_host: '192.0.2.1',
      ansible_ssh_port: 2222,
      ansible_ssh_user: 'old',
      ansible_ssh_pass: 'pw',
    };
    const target = resolve('a', vars, { askedPassword: 'prompt' });
    expect(target).toMatchObject({
      address: '192.0.2.1',
      port: 2222,
      user: 'old',
      hostKeys: { name: '[192.0.2.1]:2222', plainName: '192.0.2.1' },
    });
    expect(target.password?.reveal()).toBe('pw');
    expect(resolve('a', {}, { askedPassword: 'prompt' }).password?.reveal()).toBe('prompt');
  });

  test('may be templates', () => {
    const values: Record<string, unknown> = { '{{a}}': '192.0.2.7', '{{p}}': 2200, '{{yes}}': true };
    const render = (text: unknown): unknown => values[String(text)] ?? text;
    const target = resolve(
      'a',
      { ansible_host: '{{a}}', ansible_port: '{{p}}', ansible_become: '{{yes}}' },
      { render },
    );
    expect(target).toMatchObject({ address: '192.0.2.7', port: 2200, become: { user: 'root' } });
    const failing = {
      render: () => {
        throw new InputError([{ message: 'unknown name "a"' }]);
      },
    };
    expect(faultsOf({ ansible_host: '{{a}}' }, failing)).toEqual(['unknown name "a"']);
  });

  test('become', () => {
    expect(resolve('a').become).toBeUndefined();
    expect(resolve('a', {}, { become: true, becomeUser: 'op', becomePassword: 'x' }).become).toMatchObject({
      user: 'op',
    });
    expect(resolve('a', { ansible_become: 'no' }, { become: true }).become).toBeUndefined();
    const vars = { ansible_become: 'yes', ansible_become_user: 'vars', ansible_become_pass: 'mine' };
    const become = resolve('a', vars, { becomeUser: 'flag', becomePassword: 'prompt' }).become;
    expect(become?.user).toBe('vars');
    expect(become?.password?.reveal()).toBe('mine');
    expect(faultsOf({ ansible_become: true, ansible_become_method: 'su' })).toEqual([
      'host "node1": ansible_become_method "su" is not supported',
    ]);
  });

  test('ansible_connection', () => {
    expect(resolveTarget('a', { ansible_connection: 'local', ansible_host: '192.0.2.1' }, optionsOf())).toEqual({
      kind: 'local',
      host: 'a',
      become: undefined,
      notices: [],
    });
    for (const name of ['ssh', 'smart', 'paramiko', 'ansible.builtin.ssh'])
      expect(resolve('a', { ansible_connection: name }).kind).toBe('ssh');
    expect(faultsOf({ ansible_connection: 'docker' })).toEqual([
      'host "node1": ansible_connection "docker" is not supported',
    ]);
  });

  test('faults are all told at once', () => {
    const vars = {
      ansible_port: 'abc',
      ansible_user: ['a'],
      ansible_become: 'perhaps',
      ansible_timeout: -1,
      ansible_password: { __ansible_vault: 'x' },
      ansible_ssh_common_args: '-L 1:2:3',
      ansible_connection: 'winrm',
    };
    expect(faultsOf(vars)).toEqual([
      'host "node1": ansible_connection "winrm" is not supported',
      'host "node1": ansible_become must be true or false, not "perhaps"',
      'host "node1": ansible_ssh_common_args: the argument "-L" is not supported',
      'host "node1": ansible_ssh_common_args: the argument "1:2:3" is not supported',
      'host "node1": ansible_port must be a port number, 1 to 65535, not "abc"',
      'host "node1": ansible_user must be text, not a list',
      'host "node1": ansible_password must be text',
      'host "node1": ansible_timeout must be a number of seconds, 1 to 86400, not "-1"',
    ]);
  });

  test.each([0, 70_000, -1, 22.5, '22x', true])('ansible_port %s is a fault', (port) => {
    expect(faultsOf({ ansible_port: port })).toEqual([
      `host "node1": ansible_port must be a port number, 1 to 65535, not "${port}"`,
    ]);
  });
});

describe('ssh_config', () => {
  /** What ssh itself makes of the file; the folder for Include is the account's own, so paths are written in full. */
  function sshSays(file: string, host: string, ...keywords: string[]): string[] {
    const out = execFileSync('ssh', ['-G', '-F', file, host], { encoding: 'utf8', stdio: 'pipe' });
    return out.split('\n').filter((line) => keywords.includes(line.split(' ')[0] ?? ''));
  }

  test('Host, Match, Include and tokens mean what ssh makes of them', () => {
    mkdirSync(home.path('conf.d'));
    writeFileSync(
      home.path('conf.d/10-a.conf'),
      'Port 1010\nHost other\n  User included-other\nHost inc*\n  User included\n',
    );
    writeFileSync(home.path('conf.d/20-b.conf'), 'Port 2020\n');
    const file = home.write(
      'main',
      `Host inc*
  Include ${home.path('conf.d')}/[0-9]*.conf
Host alias
  HostName real.example.org
Match originalhost alias exec "test %h = real.example.org -a %n = alias"
  User by-exec
Match host real.example.org
  Port 77
Match host *.example.org,!bad.example.org user by-exec
  ProxyJump op@jump:2200
Match final host real.example.org
  HostKeyAlias final-%h
Host "quoted" 'single' other
  ProxyCommand nc -x "a  b"=c 'd' %%h %h %p # kept
Match !host quoted,alias,real.example.org
  IdentityFile /keys/%r@%n:%p
  IdentityFile "/with space/%%"
Host *
  User=fallback
  Port 22
`,
    );
    for (const host of ['inc1', 'other', 'alias', 'real.example.org', 'bad.example.org', 'quoted', 'single', 'Plain']) {
      const target = resolve(host, {}, { sshConfigFile: file });
      const [user, hostname, port] = sshSays(file, host, 'user', 'hostname', 'port').map((line) => line.split(' ')[1]);
      expect({ host, user: target.user, hostname: target.address, port: String(target.port) }).toEqual({
        host,
        user,
        hostname,
        port,
      });
      const proxy = sshSays(file, host, 'proxycommand')[0]?.slice('proxycommand '.length);
      const filled = proxy?.replaceAll(
        /%(.)/g,
        (_whole, letter) => ({ h: hostname, p: port })[letter as string] ?? letter,
      );
      expect(target.proxy?.kind === 'command' ? target.proxy.command : undefined).toBe(filled);
    }
    expect(resolve('alias', {}, { sshConfigFile: file }).proxy).toMatchObject({
      kind: 'jump',
      via: { user: 'op', address: 'jump', port: 2200 },
    });
    expect(resolve('Plain', {}, { sshConfigFile: file }).keyFiles.map(({ path }) => path)).toEqual([
      '/keys/fallback@Plain:22',
      '/with space/%',
    ]);
  });

  test("the user's file outranks the system's; -F replaces both", () => {
    home.write('config', 'User mine\n');
    home.write('system-config', 'User theirs\nPort 99\n');
    expect(resolve('a')).toMatchObject({ user: 'mine', port: 99 });
    const file = home.write('chosen', 'User chosen\n');
    expect(resolve('a', {}, { sshConfigFile: file })).toMatchObject({ user: 'chosen', port: 22 });
    expect(resolve('a', { ansible_ssh_common_args: `-F ${file}` })).toMatchObject({ user: 'chosen', port: 22 });
    expect(faultsOf({}, { sshConfigFile: '/no/such/file' })).toEqual([
      'host "node1": the ssh configuration file "/no/such/file" does not exist',
    ]);
  });

  test('an edited file is read again', () => {
    home.write('config', 'User before\n');
    expect(resolve('a').user).toBe('before');
    home.write('config', 'User afterwards\n');
    expect(resolve('a').user).toBe('afterwards');
  });

  test('times, agents and switches', () => {
    const file = home.write(
      'c',
      'ConnectTimeout 1m30\nServerAliveInterval 5\nServerAliveCountMax 2\nIdentityAgent $MY_AGENT\nIdentitiesOnly yes\n' +
        'PreferredAuthentications password,publickey,gssapi-with-mic\nKbdInteractiveAuthentication no\nAddressFamily inet6\n' +
        'UserKnownHostsFile ~/a "/b c/%h" $' +
        '{DIR}/d\nHashKnownHosts yes\nIdentityFile none\n',
    );
    expect(
      resolve('a', {}, { sshConfigFile: file, env: { MY_AGENT: '/agent', DIR: '/dir' }, connectTimeoutMs: 3000 }),
    ).toMatchObject({
      connectTimeoutMs: 90_000,
      keepaliveMs: 5000,
      keepaliveCount: 2,
      agentSocket: '/agent',
      identitiesOnly: true,
      methods: ['password', 'publickey'],
      family: 6,
      hostKeys: { userFiles: [`${home.dir}/a`, '/b c/a', '/dir/d'], isHashing: true },
      keyFiles: [],
    });
    expect(resolve('a', { ansible_timeout: 7 }, { sshConfigFile: file, env: { DIR: '' } })).toMatchObject({
      connectTimeoutMs: 7000,
    });
  });

  test('faults come with their place, also from parts that are not about the host', () => {
    const file = home.write(
      'bad',
      'IgnoreUnknown Use*\nHost other\n  Prot 22\nPort abc\nUseKeychain yes\nUser\nMatch all exec x\nConnectTimeout soon\nUser "x\n',
    );
    try {
      resolve('node1', {}, { sshConfigFile: file });
      expect.unreachable();
    } catch (error) {
      const { faults } = error as InputError;
      expect(faults.map(({ source, message }) => [source?.line, message])).toEqual([
        [6, '"User" has no argument after the keyword'],
        [9, 'a quote (") is not closed'],
        [3, '"prot" is no keyword of ssh_config'],
        [4, 'port must be a port number, 1 to 65535, not "abc"'],
        [7, 'Match "all" can\'t be combined with other criteria'],
        [8, 'connecttimeout must be a time such as "10" or "1m", not "soon"'],
      ]);
      expect(faults[2]?.hint).toBe('did you mean "port"?');
      expect(faults[2]?.frame).toContain('> 3 |   Prot 22');
    }
  });

  test('a file that includes itself ends in a fault', () => {
    const file = home.write('self', `Include ${home.path('self')}\n`);
    expect(faultsOf({}, { sshConfigFile: file })).toEqual(['Include is nested more than 16 deep']);
  });

  test('Match exec does not run with names that a shell would interpret', () => {
    const file = home.write('c', `Match exec "touch ${home.path('ran-for-')}%n"\n  User x\n`);
    expect(faultsOf({ ansible_host: '$(touch pwned)' }, { sshConfigFile: file })[0]).toContain(
      "can't be used with Match exec",
    );
    expect(resolve('fine', {}, { sshConfigFile: file, env: { PATH: process.env['PATH'] } }).user).toBe('x');
    expect(readdirSync(home.path('')).filter((name) => name.startsWith('ran-for-'))).toEqual(['ran-for-fine']);
    expect(existsSync('pwned')).toBe(false);
  });
});
