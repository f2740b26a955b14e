import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import ssh2, { type Connection } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ConnectionOptions, connect, resolveTarget } from '../../../src/connection/index.ts';
import type { Link } from '../../../src/core/connection.ts';
import { messageOf, UnreachableError } from '../../../src/core/errors.ts';
import { finish, runProgram } from '../../support/run-program.ts';
import { type Home, knownLine, makeHome, type Sshd, startSshd } from '../../support/sshd.ts';

let home: Home;
let sshd: Sshd;
let hostKey: string;

beforeAll(async () => {
  home = makeHome();
  hostKey = home.key('host');
  const keys = [
    home.key('plain'),
    home.key('locked', { passphrase: 'open sesame' }),
    home.key('locked-pem', { type: 'rsa', passphrase: 'pem words', format: 'PEM' }),
    home.key('rsa', { type: 'rsa' }),
    home.key('ecdsa', { type: 'ecdsa' }),
    home.key('in-agent'),
  ];
  home.key('stranger');
  sshd = await startSshd(
    home,
    [hostKey],
    keys.map((key) => `${key}.pub`),
  );
  home.write('known_hosts', knownLine(sshd.port, hostKey));
});

afterAll(async () => {
  await sshd.stop();
  home.remove();
});

function optionsOf(more: ConnectionOptions = {}): ConnectionOptions {
  return { homeDir: home.dir, env: { PATH: process.env['PATH'] }, sshConfigFile: 'none', ...more };
}

function connectWith(vars: Record<string, unknown>, more: ConnectionOptions = {}): Promise<Link> {
  const options = optionsOf(more);
  const all = { ansible_host: '127.0.0.1', ansible_port: sshd.port, ansible_user: 'root', ...vars };
  return connect(resolveTarget('node1', all, options), options);
}

function withKey(name: string, more?: ConnectionOptions): Promise<Link> {
  return connectWith({ ansible_ssh_private_key_file: home.path(name) }, more);
}

async function refusalOf(pending: Promise<Link>): Promise<UnreachableError> {
  try {
    await (await pending).close();
  } catch (error) {
    if (error instanceof UnreachableError) return error;
    throw error;
  }
  throw new Error('the login was not refused');
}

describe('a login by key', () => {
  test.each(['plain', 'rsa', 'ecdsa'])('with the %s key file', async (name) => {
    const link = await withKey(name);
    expect(link.host).toBe('node1');
    expect(await runProgram(link, ['id', '-un'])).toEqual({ stdout: 'root\n', stderr: '', code: 0, signal: null });
    await link.close();
    await link.closed;
  });

  test.each([
    ['locked', 'open sesame'],
    ['locked-pem', 'pem words'],
  ])('asks once for the passphrase of the %s key, for all hosts', async (name, passphrase) => {
    const asked: string[] = [];
    const options = optionsOf({
      askPassphrase: async (file) => {
        asked.push(file);
        await new Promise((resolve) => setTimeout(resolve, 50));
        return passphrase;
      },
    });
    const vars = {
      ansible_host: '127.0.0.1',
      ansible_port: sshd.port,
      ansible_user: 'root',
      ansible_ssh_private_key_file: home.path(name),
    };
    const links = await Promise.all(
      ['a', 'b', 'c'].map((host) => connect(resolveTarget(host, vars, options), options)),
    );
    expect(asked).toEqual([home.path(name)]);
    await Promise.all(links.map((link) => link.close()));
  });

  test('the time that a person types does not count', async () => {
    const link = await withKey('locked', {
      connectTimeoutMs: 1500,
      askPassphrase: async () => {
        await new Promise((resolve) => setTimeout(resolve, 2000));
        return 'open sesame';
      },
    });
    await link.close();
  });

  test('a wrong passphrase and nobody to ask are told', async () => {
    const wrong = await refusalOf(withKey('locked', { askPassphrase: async () => 'secret-guess' }));
    expect(wrong.message).toContain(`the passphrase given for key "${home.path('locked')}" is wrong`);
    expect(wrong.message).not.toContain('secret-guess');
    const nobody = await refusalOf(withKey('locked'));
    expect(nobody.message).toContain('has a passphrase and nobody can be asked for it');
  });

  test('a refused login lists what was tried and what the host takes', async () => {
    const error = await refusalOf(withKey('stranger'));
    const key = home.path('stranger');
    expect(error.message).toBe(
      `127.0.0.1 port ${sshd.port} refuses the login of "root"; tried: key "${key}"; the host takes: publickey, password, keyboard-interactive`,
    );
    expect(error.host).toBe('node1');
    const missing = await refusalOf(connectWith({ ansible_ssh_private_key_file: home.path('no-such-key') }));
    expect(missing.message).toContain(`key "${home.path('no-such-key')}" does not exist`);
    expect(missing.message).toContain('there was no key and no password to try');
  });
});

describe('a login by agent', () => {
  let socket: string;
  let agent: ReturnType<typeof spawn>;

  beforeAll(async () => {
    socket = home.path('agent.sock');
    agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise((resolve) => agent.stdout?.once('data', resolve));
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    execFileSync('ssh-add', ['-q', home.path('stranger')], { env });
    execFileSync('ssh-add', ['-q', home.path('in-agent')], { env });
  });

  afterAll(() => {
    agent.kill();
  });

  test('tries the keys that the agent holds', async () => {
    const link = await connectWith({}, { env: { SSH_AUTH_SOCK: socket } });
    await link.close();
  });

  test('IdentitiesOnly leaves the keys of other files aside; a public key file picks one', async () => {
    const vars = (name: string) => ({
      ansible_ssh_common_args: `-o IdentitiesOnly=yes -o IdentityAgent=${socket} -i ${home.path(name)}.pub`,
    });
    const refused = await refusalOf(connectWith(vars('stranger')));
    expect(refused.message).toContain('tried: agent key stranger;');
    const link = await connectWith(vars('in-agent'));
    await link.close();
  });

  test('an agent that is not there is told, not fatal', async () => {
    const env = { SSH_AUTH_SOCK: home.path('no-agent') };
    await (await withKey('plain', { env })).close();
    const error = await refusalOf(connectWith({}, { env }));
    expect(error.message).toContain(`the agent at "${home.path('no-agent')}" can't be used`);
  });
});

describe('a login by password', () => {
  let server: InstanceType<typeof ssh2.Server>;
  let port: number;
  const seen: string[] = [];

  beforeAll(async () => {
    // PAM is not set up for a test, so the server's half is ssh2's.
    server = new ssh2.Server({ hostKeys: [readFileSync(hostKey)] }, (client: Connection) => {
      client.on('error', () => undefined);
      client.on('authentication', (context) => {
        seen.push(context.method);
        const methods: ssh2.AuthenticationType[] = ['password', 'keyboard-interactive'];
        if (context.method === 'password' && context.username === 'pat' && context.password === 'pässword $1')
          context.accept();
        else if (context.method === 'keyboard-interactive' && context.username === 'kim') {
          context.prompt([{ prompt: 'Password: ', echo: false }], (answers) => {
            if (answers[0] === 'pässword $1') context.accept();
            else context.reject(methods);
          });
        } else context.reject(methods);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as { port: number }).port;
    home.write('known_hosts', knownLine(sshd.port, hostKey) + knownLine(port, hostKey));
  });

  afterAll(() => {
    server.close();
  });

  test.each(['pat', 'kim'])('from the inventory, as %s', async (user) => {
    const link = await connectWith({ ansible_port: port, ansible_user: user, ansible_password: 'pässword $1' });
    await link.close();
  });

  test('from the prompt where the inventory has none', async () => {
    const link = await connectWith({ ansible_port: port, ansible_user: 'pat' }, { askedPassword: 'pässword $1' });
    await link.close();
  });

  test('a wrong one is refused once and shown nowhere', async () => {
    seen.length = 0;
    const error = await refusalOf(
      connectWith({ ansible_port: port, ansible_user: 'pat', ansible_password: 'hunter2' }),
    );
    expect(error.message).toContain(
      'tried: password, keyboard-interactive; the host takes: password, keyboard-interactive',
    );
    expect(`${error.message}${error.hint}${error.stack}`).not.toContain('hunter2');
    expect(seen).toEqual(['password', 'keyboard-interactive']);
  });

  test('without anything to try the host is asked what it takes', async () => {
    const error = await refusalOf(connectWith({ ansible_port: port, ansible_user: 'pat' }));
    expect(error.message).toContain(
      'there was no key and no password to try; the host takes: password, keyboard-interactive',
    );
    expect(error.hint).toBe('give a key, or a password with -k');
  });
});

describe('a program on a host', () => {
  let link: Link;

  beforeAll(async () => {
    link = await withKey('plain');
  });

  afterAll(() => link.close());

  test('tells its exit code and both outputs', async () => {
    const result = await runProgram(link, ['sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect(result).toEqual({ stdout: 'out\n', stderr: 'err\n', code: 7, signal: null });
  });

  test('tells the signal that ended it', async () => {
    const result = await runProgram(link, ['sh', '-c', 'kill -KILL $$']);
    expect(result).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  test('reads its standard input to the end', async () => {
    const input = Buffer.alloc(3_000_000, 'Grüße\n');
    const result = await runProgram(link, ['wc', '-c'], input);
    expect(result.stdout.trim()).toBe('3000000');
  });

  test('gives all of a large output, also to a slow reader', async () => {
    const child = await link.start(['sh', '-c', 'head -c 5000000 /dev/zero; echo end >&2']);
    child.stdin.end();
    child.stderr.resume();
    let bytes = 0;
    for await (const chunk of child.stdout) {
      bytes += (chunk as Buffer).length;
      if (bytes % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(bytes).toBe(5_000_000);
    expect(await child.exit).toEqual({ code: 0, signal: null });
  });

  test('stays for a conversation while others run on the same login', async () => {
    const cat = await link.start(['cat']);
    const answer = new Promise<string>((resolve) =>
      cat.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
    );
    cat.stdin.write('first\n');
    expect(await answer).toBe('first\n');
    const others = await Promise.all(['a', 'b', 'c'].map((word) => runProgram(link, ['echo', word])));
    expect(others.map(({ stdout }) => stdout)).toEqual(['a\n', 'b\n', 'c\n']);
    expect(await finish(cat)).toMatchObject({ code: 0 });
    const session = / from 127\.0\.0\.1 port (\d+)/g;
    expect(sshd.log()).toMatch(session);
  });

  test('can be ended', async () => {
    const child = await link.start(['sleep', '60']);
    child.kill();
    expect(await child.exit).toMatchObject({ code: null });
  });

  test('gets every argument byte by byte', async () => {
    const byte = fc.oneof(
      { weight: 3, arbitrary: fc.string({ unit: 'binary' }) },
      fc.stringMatching(/^[ '"`$\\;&|<>(){}*?!#~\n\t=%-]{0,12}$/),
      fc.constantFrom('', '-n', '~', '$(touch pwned)', '"; touch pwned; #', "'", '\\', '\n', 'a=b', '!!', '*'),
    );
    const argument = byte.map((text) => Buffer.from(text.replaceAll('\0', '')).toString());
    const runs = fc.array(fc.array(argument, { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 1 });
    await fc.assert(
      fc.asyncProperty(runs, async ([argv = ['']]) => {
        const result = await runProgram(link, ['printf', '%s\\0', ...argv]);
        expect(result.stdout.split('\0').slice(0, -1)).toEqual(argv);
        expect(result.code).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  test('a NUL is refused before anything is sent', async () => {
    await expect(link.start(['echo', 'a\0b'])).rejects.toThrow('argument 1 of a command holds a NUL character');
  });
});

test('a connection that breaks ends the programs on it', async () => {
  const own = await startSshd(home, [hostKey], [`${home.path('plain')}.pub`]);
  home.write('known_hosts', knownLine(sshd.port, hostKey) + knownLine(own.port, hostKey));
  const link = await connectWith({ ansible_port: own.port, ansible_ssh_private_key_file: home.path('plain') });
  const child = await link.start(['sh', '-c', 'echo $PPID; exec sleep 60']);
  const pid = await new Promise<string>((resolve) =>
    child.stdout.once('data', (chunk: Buffer) => resolve(String(chunk))),
  );
  process.kill(Number(pid), 'SIGKILL');
  await expect(child.exit).rejects.toThrow(UnreachableError);
  await expect(child.exit.catch(messageOf)).resolves.toContain('the connection to "node1" broke');
  await link.closed;
  await expect(link.start(['true'])).rejects.toThrow(UnreachableError);
  await own.stop();
});
