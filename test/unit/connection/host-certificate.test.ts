import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connect, resolveTarget } from '../../../src/connection/index.ts';
import type { Link } from '../../../src/core/connection.ts';
import { UnreachableError } from '../../../src/core/errors.ts';
import { runProgram } from '../../support/run-program.ts';
import { type Home, makeHome, type Sshd, startSshd } from '../../support/sshd.ts';

let home: Home;
let sshd: Sshd;
let authority: string;

beforeAll(async () => {
  home = makeHome();
  const host = home.key('host');
  authority = home.key('ca');
  execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'node1', '-h', '-n', '127.0.0.1', `${host}.pub`]);
  sshd = await startSshd(home, [host], [`${home.key('user')}.pub`], [`HostCertificate ${host}-cert.pub`]);
});

afterAll(async () => {
  await sshd.stop();
  home.remove();
});

beforeEach(() => {
  home.write('known_hosts', authorityLine(authority));
});

function authorityLine(key: string): string {
  return `@cert-authority 127.0.0.* ${readFileSync(`${key}.pub`, 'utf8')}`;
}

function logIn(more: Record<string, unknown> = {}): Promise<Link> {
  const options = {
    homeDir: home.dir,
    env: { PATH: process.env['PATH'] },
    sshConfigFile: 'none',
    connectTimeoutMs: 3000,
  };
  const vars = {
    ansible_host: '127.0.0.1',
    ansible_port: sshd.port,
    ansible_user: 'root',
    ansible_ssh_private_key_file: home.path('user'),
    ansible_ssh_common_args: '-o GlobalKnownHostsFile=none',
    ...more,
  };
  return connect(resolveTarget('node1', vars, options), options);
}

function logins(): number {
  return sshd
    .log()
    .split('\n')
    .filter((line) => line.startsWith('Accepted publickey')).length;
}

function controlFolders(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('mcastctl-ssh-'));
}

test('a host known by its authority alone is reached with one login, and nothing stays behind', async () => {
  const foldersBefore = controlFolders();
  const loginsBefore = logins();
  const link = await logIn();
  const odd = ['%h %%', '$(id)', "it's", '', 'a  b\n'];
  const result = await runProgram(link, ['printf', '%s\\0', ...odd]);
  expect(result).toMatchObject({ stdout: odd.map((word) => `${word}\0`).join(''), code: 0 });
  expect(await runProgram(link, ['sh', '-c', 'cat; exit 5'], 'fed')).toMatchObject({ stdout: 'fed', code: 5 });
  expect(logins()).toBe(loginsBefore + 1);
  await link.close();
  await link.closed;
  await expect(link.start(['true'])).rejects.toThrow(UnreachableError);
  expect(controlFolders()).toEqual(foldersBefore);
});

test('a certificate of another authority is refused, in the words of ssh', async () => {
  home.write('known_hosts', authorityLine(home.key('other-ca')));
  const before = logins();
  await expect(logIn()).rejects.toThrow(
    /the system's ssh can't log in to 127\.0\.0\.1 port \d+ as "root": .*Host key verification failed/s,
  );
  expect(logins()).toBe(before);
});

test('a connection that breaks ends the programs on it', async () => {
  const link = await logIn();
  const child = await link.start(['sh', '-c', 'echo $PPID; exec sleep 60']);
  const pid = await new Promise<string>((resolve) =>
    child.stdout.once('data', (chunk: Buffer) => resolve(String(chunk))),
  );
  process.kill(Number(pid), 'SIGKILL');
  await expect(child.exit).rejects.toThrow(UnreachableError);
  await link.closed;
});

test('without ssh on this machine the message says what to do', async () => {
  const options = { homeDir: home.dir, env: { PATH: '/nowhere' }, sshConfigFile: 'none' };
  const vars = { ansible_host: '127.0.0.1', ansible_port: sshd.port, ansible_user: 'root' };
  await expect(connect(resolveTarget('node1', vars, options), options)).rejects.toThrow(/"ssh" can't be started/);
});
