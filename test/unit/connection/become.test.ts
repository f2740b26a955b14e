import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { connect, resolveTarget } from '../../../src/connection/index.ts';
import type { Link } from '../../../src/core/connection.ts';
import { HostError } from '../../../src/core/errors.ts';
import { finish, runProgram } from '../../support/run-program.ts';
import { type Home, knownLine, makeHome, type Sshd, startSshd } from '../../support/sshd.ts';
import { makeSudoBox, PASSWORD, type SudoBox } from '../../support/sudo.ts';

const links: Link[] = [];

afterEach(async () => {
  await Promise.all(links.splice(0).map((link) => link.close()));
});

async function local(path: string, vars: Record<string, unknown> = {}): Promise<Link> {
  const options = { env: { PATH: path, LC_ALL: 'C' } };
  const all = { ansible_connection: 'local', ansible_become: true, ansible_become_user: 'daemon', ...vars };
  const link = await connect(resolveTarget('node1', all, options), options);
  links.push(link);
  return link;
}

async function failureOf(pending: Promise<unknown>): Promise<HostError> {
  const error = await pending.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof HostError) return error;
  throw error ?? new Error('it went well');
}

const PATH = process.env['PATH'] ?? '';

test('a node that prints without end in place of sudo is left alone', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mcastctl-sudo-'));
  try {
    writeFileSync(join(dir, 'sudo'), '#!/bin/sh\nexec /usr/bin/yes\n', { mode: 0o755 });
    const link = await local(dir, { ansible_become_password: 'x' });
    const error = await failureOf(link.start(['true']));
    expect(error.message).toBe('can\'t become "daemon": the node prints without end before the program begins');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

describe('sudo that needs no password', () => {
  test('runs the program as the other user, with all of its streams', async () => {
    const link = await local(PATH);
    const script = 'id -un; cat; echo "$1" >&2; exit 3';
    const result = await runProgram(link, ['sh', '-c', script, 'sh', '$(id); "x"'], 'fed\n');
    expect(result).toEqual({ stdout: 'daemon\nfed\n', stderr: '$(id); "x"\n', code: 3, signal: null });
  });

  test('is not asked to become the user one is already', async () => {
    const link = await local('/nowhere', { ansible_become_user: 'root' });
    expect(await runProgram(link, ['/usr/bin/id', '-un'])).toMatchObject({ stdout: 'root\n' });
  });

  test('gets no password that was given in vain, and the program reads its own input', async () => {
    const link = await local(PATH, { ansible_become_password: 'unneeded' });
    const result = await runProgram(link, ['sh', '-c', 'echo err >&2; cat'], 'mine\n');
    expect(result).toEqual({ stdout: 'mine\n', stderr: 'err\n', code: 0, signal: null });
  });

  test('an unknown user is told', async () => {
    const link = await local(PATH, { ansible_become_user: 'nobody-of-that-name' });
    const error = await failureOf((await link.start(['true'])).exit);
    expect(error.message).toMatch(/^can't become "nobody-of-that-name": sudo: unknown user/);
    expect(error.hint).toBe('check ansible_become_user');
  });

  test('a missing sudo is told', async () => {
    const link = await local('/nowhere');
    expect((await failureOf(link.start(['true']))).message).toContain('"sudo" can\'t be started');
  });

  test('an exit code 1 of the program stays what it is', async () => {
    const link = await local(PATH);
    expect(await runProgram(link, ['sh', '-c', 'echo sudo is fine >&2; exit 1'])).toMatchObject({
      code: 1,
      stderr: 'sudo is fine\n',
    });
  });
});

describe('sudo that asks for a password', () => {
  let box: SudoBox;

  beforeAll(() => {
    box = makeSudoBox(['Defaults lecture=always', 'Defaults passwd_tries=3', 'nobody ALL=(ALL) ALL']);
  });

  afterAll(() => {
    box.remove();
  });

  const path = (): string => `${box.dir}:${PATH}`;

  test('gets it once; the program sees neither it nor a prompt', async () => {
    const link = await local(path(), { ansible_become_password: PASSWORD });
    const child = await link.start(['sh', '-c', 'id -un; cat; echo err >&2; exit 4']);
    expect(await finish(child, 'fed\n')).toEqual({ stdout: 'daemon\nfed\n', stderr: 'err\n', code: 4, signal: null });
  });

  test('passes a large input and output on', async () => {
    const link = await local(path(), { ansible_become_password: PASSWORD });
    const text = 'line of text\n'.repeat(100_000);
    const result = await runProgram(link, ['cat'], text);
    expect(result.stdout).toBe(text);
  });

  test('a wrong one is an error that does not show it; it is sent once', async () => {
    const link = await local(path(), { ansible_become_password: 'wrong-guess' });
    const error = await failureOf(link.start(['true']));
    expect(error.message).toBe('can\'t become "daemon": sudo does not take the password');
    expect(error.hint).toContain('-K');
    expect(`${error.stack}`).not.toContain('wrong-guess');
  });

  test('it is in no argument and no environment', async () => {
    const link = await local(path(), { ansible_become_password: PASSWORD });
    const seen = await runProgram(link, ['sh', '-c', 'env; cat /proc/$PPID/cmdline; cat /proc/$$/cmdline']);
    expect(seen.stdout).toContain('SUDO_USER=nobody');
    expect(seen.stdout).not.toContain('corr3ct');
    expect(box.calls()).toContain('-S');
    expect(box.calls()).not.toContain('corr3ct');
  });

  test('without one the error says how to give it', async () => {
    const link = await local(path());
    const child = await link.start(['true']);
    const error = await failureOf(child.exit);
    expect(error.message).toBe('can\'t become "daemon": sudo: a password is required');
    expect(error.hint).toContain('-K');
  });

  test('a user who may not is told so', async () => {
    const strict = makeSudoBox(['root ALL=(ALL) ALL']);
    const link = await local(`${strict.dir}:${PATH}`, { ansible_become_password: PASSWORD });
    const error = await failureOf(link.start(['true']));
    expect(error.message).toContain('nobody is not in the sudoers file');
    strict.remove();
  });
});

describe('by SSH', () => {
  let home: Home;
  let sshd: Sshd;
  let box: SudoBox;

  beforeAll(async () => {
    box = makeSudoBox(['nobody ALL=(ALL) ALL']);
    home = makeHome();
    const key = home.key('host');
    // The real sudo asks root for nothing, so the session's PATH leads to one that is called by another user.
    const extra = [`SetEnv PATH=${box.dir}:/usr/bin:/bin`];
    sshd = await startSshd(home, [key], [`${home.key('user')}.pub`], extra);
    home.write('known_hosts', knownLine(sshd.port, key));
  });

  afterAll(async () => {
    await sshd.stop();
    home.remove();
    box.remove();
  });

  async function remote(vars: Record<string, unknown>): Promise<Link> {
    const options = { homeDir: home.dir, env: {}, sshConfigFile: 'none', becomePassword: PASSWORD };
    const all = {
      ansible_host: '127.0.0.1',
      ansible_port: sshd.port,
      ansible_user: 'root',
      ansible_ssh_private_key_file: home.path('user'),
      ansible_become: 'yes',
      ansible_become_user: 'daemon',
      ...vars,
    };
    const link = await connect(resolveTarget('node1', all, options), options);
    links.push(link);
    return link;
  }

  test('the password of the prompt is used, and arguments arrive as they are', async () => {
    const link = await remote({});
    const odd = ["it's", '$(id)', '', 'a\nb', '"; touch pwned; #'];
    const result = await runProgram(link, ['sh', '-c', 'id -un; printf "%s\\0" "$@"; cat', 'sh', ...odd], 'in');
    expect(result).toEqual({
      stdout: `daemon\n${odd.map((word) => `${word}\0`).join('')}in`,
      stderr: '',
      code: 0,
      signal: null,
    });
  });

  test('a wrong one in the inventory outranks it and is refused', async () => {
    const link = await remote({ ansible_become_password: 'wrong-guess' });
    expect((await failureOf(link.start(['true']))).message).toContain('does not take the password');
  });

  test('root stays root without sudo', async () => {
    const before = box.calls();
    const link = await remote({ ansible_become_user: 'root' });
    expect(await runProgram(link, ['id', '-un'])).toMatchObject({ stdout: 'root\n' });
    expect(box.calls()).toBe(before);
  });
});

describe('a local host', () => {
  test('starts programs without a shell', async () => {
    const link = await local(PATH, { ansible_become: false });
    const odd = ['$HOME', "it's", '', '*', 'a\nb'];
    expect(await runProgram(link, ['printf', '%s\\0', ...odd])).toMatchObject({
      stdout: odd.map((word) => `${word}\0`).join(''),
      code: 0,
    });
    expect(await runProgram(link, ['sh', '-c', 'kill -TERM $$'])).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  test('tells which program is missing', async () => {
    const link = await local(PATH, { ansible_become: false });
    expect((await failureOf(link.start(['no-such-program']))).message).toMatch(/^"no-such-program" can't be started/);
  });

  test('ends what still runs when it is closed', async () => {
    const link = await local(PATH, { ansible_become: false });
    const child = await link.start(['sleep', '60']);
    await link.close();
    expect(await child.exit).toEqual({ code: null, signal: 'SIGTERM' });
    await link.closed;
  });

  test('a program that ignores its input does no harm', async () => {
    const link = await local(PATH, { ansible_become: false });
    expect(await runProgram(link, ['true'], 'x'.repeat(1_000_000))).toMatchObject({ code: 0 });
  });
});

test('a PATH without sudo on the host is told', async () => {
  const home = makeHome();
  const bin = mkdtempSync(join(tmpdir(), 'mcastctl-bin-'));
  mkdirSync(bin, { recursive: true });
  symlinkSync('/bin/sh', join(bin, 'sh'));
  const key = home.key('host');
  const sshd = await startSshd(home, [key], [`${home.key('user')}.pub`], [`SetEnv PATH=${bin}`]);
  home.write('known_hosts', knownLine(sshd.port, key));
  const options = { homeDir: home.dir, env: {}, sshConfigFile: 'none', become: true, becomeUser: 'daemon' };
  const vars = {
    ansible_host: '127.0.0.1',
    ansible_port: sshd.port,
    ansible_user: 'root',
    ansible_ssh_private_key_file: home.path('user'),
  };
  const link = await connect(resolveTarget('node1', vars, options), options);
  const child = await link.start(['true']);
  child.stdout.resume();
  child.stderr.resume();
  const error = await failureOf(child.exit);
  expect(error.message).toContain('sudo: ');
  expect(error.hint).toContain('install sudo on the host');
  await link.close();
  await sshd.stop();
  home.remove();
  rmSync(bin, { recursive: true });
});
