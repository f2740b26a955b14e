import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ConnectionOptions, connect, resolveTarget } from '../../../src/connection/index.ts';
import { UnreachableError } from '../../../src/core/errors.ts';
import { type Home, knownLine, makeHome, type Sshd, startSshd } from '../../support/sshd.ts';

let home: Home;
let sshd: Sshd;
let ed25519: string;
let rsa: string;
let other: string;

beforeAll(async () => {
  home = makeHome();
  ed25519 = home.key('host-ed25519');
  rsa = home.key('host-rsa', { type: 'rsa' });
  other = home.key('other-host');
  sshd = await startSshd(home, [ed25519, rsa], [`${home.key('user')}.pub`]);
});

afterAll(async () => {
  await sshd.stop();
  home.remove();
});

beforeEach(() => {
  home.write('known_hosts', '');
});

const notices: string[] = [];

async function logIn(more: ConnectionOptions = {}, args = ''): Promise<UnreachableError | undefined> {
  notices.length = 0;
  const options = {
    homeDir: home.dir,
    env: {},
    sshConfigFile: 'none',
    notice: (text: string) => notices.push(text),
    ...more,
  };
  const vars = {
    ansible_host: '127.0.0.1',
    ansible_port: sshd.port,
    ansible_user: 'root',
    ansible_ssh_private_key_file: home.path('user'),
    ansible_ssh_common_args: `-o GlobalKnownHostsFile=none ${args}`,
  };
  try {
    const link = await connect(resolveTarget('node1', vars, options), options);
    await link.close();
    return undefined;
  } catch (error) {
    if (error instanceof UnreachableError) return error;
    throw error;
  }
}

function fingerprint(key: string): string {
  return execFileSync('ssh-keygen', ['-lf', `${key}.pub`], { encoding: 'utf8' }).split(' ')[1] ?? '';
}

/** How many logins sshd has seen so far: refused before that, nothing was sent. */
function authAttempts(): number {
  return sshd
    .log()
    .split('\n')
    .filter((line) => /Accepted|Failed|Postponed|Connection closed by authenticating/.test(line)).length;
}

describe('a host that is known', () => {
  test('by its key', async () => {
    home.write('known_hosts', knownLine(sshd.port, ed25519));
    expect(await logIn()).toBeUndefined();
  });

  test('by another of its keys: that one is asked for', async () => {
    home.write('known_hosts', knownLine(sshd.port, rsa));
    expect(await logIn()).toBeUndefined();
  });

  test('by a hashed name', async () => {
    home.write('known_hosts', knownLine(sshd.port, ed25519));
    execFileSync('ssh-keygen', ['-q', '-H', '-f', home.path('known_hosts')], { stdio: 'ignore' });
    expect(home.read('known_hosts')).toMatch(/^\|1\|/);
    expect(await logIn()).toBeUndefined();
  });

  test.each(['127.0.0.1', '127.0.0.*', '*,!10.*'])('without its port, as "%s"', async (name) => {
    home.write('known_hosts', knownLine(sshd.port, ed25519).replace(/^\S+/, name));
    expect(await logIn()).toBeUndefined();
  });

  test('by HostKeyAlias, without a port', async () => {
    home.write('known_hosts', knownLine(sshd.port, ed25519).replace(/^\S+/, 'the-alias'));
    expect(await logIn({}, '-o HostKeyAlias=the-alias')).toBeUndefined();
  });

  test('by the second of its files', async () => {
    const file = home.write('known_elsewhere', knownLine(sshd.port, ed25519));
    expect(await logIn({}, `-o UserKnownHostsFile="${home.path('none')} ${file}"`)).toBeUndefined();
  });

  test('among lines that make no sense', async () => {
    home.write(
      'known_hosts',
      `# note\n\nnonsense\n@what is this\n@cert-authority *.org ssh-rsa AAAAB5W\n${knownLine(sshd.port, ed25519)}`,
    );
    expect(await logIn()).toBeUndefined();
  });
});

describe('a host key that has changed', () => {
  test('is refused before anything is sent, and the message says it all', async () => {
    home.write('known_hosts', `# first line\n${knownLine(sshd.port, other)}`);
    const before = authAttempts();
    const error = await logIn();
    expect(error?.message).toBe(
      `the host key of "node1" ([127.0.0.1]:${sshd.port}) has changed: known is the ED25519 key ${fingerprint(other)} ` +
        `(${home.path('known_hosts')}:2), shown is the ED25519 key ${fingerprint(ed25519)}; nothing was sent`,
    );
    expect(error?.hint).toBe(
      `if the host was reinstalled, remove the old key with: 'ssh-keygen' -f ${home.path('known_hosts')} -R '[127.0.0.1]:${sshd.port}'; ` +
        'if not, somebody else may be answering in its place',
    );
    expect(authAttempts()).toBe(before);
  });

  test('is refused with --accept-new too, and nothing is recorded', async () => {
    const file = home.write('known_hosts', knownLine(sshd.port, other));
    const text = readFileSync(file, 'utf8');
    expect((await logIn({ acceptNew: true }))?.message).toContain('has changed');
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('is refused where the host no longer has a key of the known type', async () => {
    const ecdsa = home.key('gone', { type: 'ecdsa' });
    home.write('known_hosts', knownLine(sshd.port, ecdsa));
    const error = await logIn({ acceptNew: true });
    expect(error?.message).toContain(`known is the ECDSA key ${fingerprint(ecdsa)}`);
  });

  test.each(['no', 'off'])('is refused with StrictHostKeyChecking %s, with a notice', async (value) => {
    home.write('known_hosts', knownLine(sshd.port, other));
    expect((await logIn({}, `-o StrictHostKeyChecking=${value}`))?.message).toContain('has changed');
    expect(notices).toEqual([expect.stringContaining(`StrictHostKeyChecking "${value}" is not followed`)]);
  });

  test('the command of the hint repairs it', async () => {
    home.write('known_hosts', knownLine(sshd.port, other) + knownLine(1, other));
    const command = /with: (.*?);/.exec((await logIn())?.hint ?? '')?.[1] ?? 'false';
    execFileSync('sh', ['-c', command], { stdio: 'ignore' });
    expect(await logIn({ acceptNew: true })).toBeUndefined();
  });
});

describe('a revoked key', () => {
  test('is refused even where it is also known', async () => {
    home.write(
      'known_hosts',
      `${knownLine(sshd.port, ed25519)}@revoked * ${knownLine(sshd.port, ed25519).replace(/^\S+ /, '')}`,
    );
    const error = await logIn({ acceptNew: true });
    expect(error?.message).toContain(`which is marked as revoked at ${home.path('known_hosts')}:2; nothing was sent`);
  });

  test('is refused by RevokedHostKeys', async () => {
    home.write('known_hosts', knownLine(sshd.port, ed25519));
    const list = home.write('revoked', readFileSync(`${ed25519}.pub`, 'utf8'));
    expect((await logIn({}, `-o RevokedHostKeys=${list}`))?.message).toContain(`which is revoked by "${list}"`);
    expect((await logIn({}, `-o RevokedHostKeys=${list}x`))?.message).toContain("can't be read");
  });
});

describe('a host that is not known', () => {
  test('is refused with its fingerprint and where it was looked for', async () => {
    const before = authAttempts();
    const error = await logIn();
    expect(error?.message).toContain(
      `it shows the ED25519 key ${fingerprint(ed25519)}, and "[127.0.0.1]:${sshd.port}" is in none of`,
    );
    expect(error?.message).toContain(home.path('known_hosts'));
    expect(error?.hint).toContain('--accept-new');
    expect(authAttempts()).toBe(before);
  });

  test('is recorded with --accept-new, once, so that ssh knows it too', async () => {
    home.write('known_hosts', 'unfinished line');
    expect(await logIn({ acceptNew: true })).toBeUndefined();
    expect(home.read('known_hosts')).toBe(`unfinished line\n${knownLine(sshd.port, ed25519)}`);
    expect(notices).toEqual([
      expect.stringContaining(`its ED25519 key ${fingerprint(ed25519)} was added to ${home.path('known_hosts')}`),
    ]);
    expect(await logIn()).toBeUndefined();
    expect(await logIn({ acceptNew: true })).toBeUndefined();
    expect(notices).toEqual([]);
    const found = execFileSync('ssh-keygen', ['-F', `[127.0.0.1]:${sshd.port}`, '-f', home.path('known_hosts')], {
      encoding: 'utf8',
    });
    expect(found).toContain('found: line 2');
  });

  test('is recorded under a hashed name with HashKnownHosts, in a folder made for it', async () => {
    const file = `${home.dir}/new/folder/known`;
    const args = `-o HashKnownHosts=yes -o UserKnownHostsFile=${file}`;
    expect(await logIn({ acceptNew: true }, args)).toBeUndefined();
    expect(readFileSync(file, 'utf8')).toMatch(/^\|1\|\S{28}\|\S{28} ssh-ed25519 \S+\n$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(`${home.dir}/new/folder`).mode & 0o777).toBe(0o700);
    expect(await logIn({}, args)).toBeUndefined();
  });

  test.each(['/dev/null', 'none'])(
    'is refused where UserKnownHostsFile is %s: the key could not be kept',
    async (file) => {
      expect((await logIn({ acceptNew: true }, `-o UserKnownHostsFile=${file}`))?.message).toContain(
        "can't be recorded",
      );
    },
  );

  test('StrictHostKeyChecking=accept-new of a configuration is not enough', async () => {
    expect((await logIn({}, '-o StrictHostKeyChecking=accept-new'))?.message).toContain('is not known');
    expect(existsSync(home.path('known_hosts2'))).toBe(false);
    expect(notices[0]).toContain('--accept-new');
  });
});
