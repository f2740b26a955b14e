import { randomBytes } from 'node:crypto';
import { type Readable, Transform } from 'node:stream';
import type { RemoteProcess } from '../core/connection.ts';
import { HostError } from '../core/errors.ts';
import type { Become } from './target.ts';

type Argv = readonly [string, ...string[]];
/** Starts a program as the user of the login. */
export type StartPlain = (argv: Argv) => Promise<RemoteProcess>;

const SUDO_TIMEOUT_MS = 30_000;
const MAX_SEEN = 4096;
/** Far more than a greeting and a lecture. */
const MAX_BEFORE_START = 256 << 10;

/**
 * Starts a program as another user by sudo.
 * Without a password sudo is told not to ask, and nothing is waited for. With one, the password is sent when sudo asks, never
 * before, and only once: a program behind a sudo that asks nothing does not find it on its standard input.
 * @throws HostError where sudo refuses
 * @see sudo(8)
 */
export async function startAs(become: Become, argv: Argv, start: StartPlain): Promise<RemoteProcess> {
  if (become.password === undefined) {
    return watchRefusal(become, await start(['sudo', '-H', '-n', '-u', become.user, '--', ...argv]));
  }
  const mark = randomBytes(12).toString('hex');
  const prompt = `[mcastctl ${mark}] password: `;
  const token = `mcastctl ${mark} started`;
  const script = `echo '${token}'; exec "$@"`;
  const child = await start([
    'sudo',
    '-H',
    '-S',
    '-p',
    prompt,
    '-u',
    become.user,
    '--',
    'sh',
    '-c',
    script,
    'sh',
    ...argv,
  ]);
  return answerPrompt(become, child, prompt, `${token}\n`);
}

/** Turns sudo's own refusal into an error of `exit`; everything else passes. */
function watchRefusal(become: Become, child: RemoteProcess): RemoteProcess {
  let seen = '';
  const stderr = child.stderr.pipe(
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        if (seen.length < MAX_SEEN) seen += chunk.toString('utf8');
        done(null, chunk);
      },
    }),
  );
  const exit = child.exit.then(async (end) => {
    if (end.code !== 1 && end.code !== 127) return end;
    // The exit can overtake what was written just before it.
    await settled(child.stderr);
    const error = explainRefusal(become, seen);
    if (error) throw error;
    return end;
  });
  exit.catch(() => undefined);
  return { stdin: child.stdin, stdout: child.stdout, stderr, exit, kill: () => child.kill() };
}

function settled(stream: Readable): Promise<void> {
  if (stream.readableEnded || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 500);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    stream.once('end', done).once('close', done);
  });
}

const REFUSALS: readonly { readonly pattern: RegExp; readonly hint: (user: string) => string }[] = [
  {
    pattern:
      /^sudo: (?:a password is required|a terminal is required|no tty present|interactive authentication is required).*$/m,
    hint: () => 'give the password with -K or ansible_become_password, or allow it without one (NOPASSWD) in sudoers',
  },
  {
    pattern: /^.*(?:is not in the sudoers file|is not allowed to (?:execute|run)|may not run sudo).*$/m,
    hint: (user) => `allow the user of the login to become "${user}" in sudoers, or log in as another user`,
  },
  { pattern: /^sudo: unknown user.*$/m, hint: () => 'check ansible_become_user' },
  { pattern: /^sudo: .*must have a tty.*$/m, hint: () => 'remove "Defaults requiretty" from sudoers for this user' },
  {
    pattern: /^(?:.*\bsudo: (?:command )?not found|.*"sudo" can't be started.*)$/m,
    hint: () => 'install sudo on the host, or log in as the user itself without ansible_become',
  },
  { pattern: /^sudo: .*(?:sudoers|setuid root|effective uid).*$/m, hint: () => 'repair sudo on the host' },
];

function explainRefusal(become: Become, stderr: string): HostError | undefined {
  for (const { pattern, hint } of REFUSALS) {
    const line = pattern.exec(stderr)?.[0];
    if (line !== undefined)
      return new HostError(`can't become "${become.user}": ${line.trim()}`, { hint: hint(become.user) });
  }
  return undefined;
}

/** Waits for the prompt or for the program's start; takes the marks of both out of the streams. */
function answerPrompt(become: Become, child: RemoteProcess, prompt: string, token: string): Promise<RemoteProcess> {
  const promptBytes = Buffer.from(prompt);
  const tokenBytes = Buffer.from(token);
  return new Promise((resolve, reject) => {
    let out = Buffer.alloc(0);
    let err = Buffer.alloc(0);
    let isAnswered = false;
    let isOver = false;
    const finish = (): void => {
      isOver = true;
      clearTimeout(timer);
      child.stdout.off('readable', onOut);
      child.stderr.off('readable', onErr);
    };
    const fail = (message: string, hint: string): void => {
      if (isOver) return;
      finish();
      child.exit.catch(() => undefined);
      child.kill();
      reject(new HostError(`can't become "${become.user}": ${message}`, { hint }));
    };
    // Read step by step, not as a flow: what follows the token is left for whoever takes the streams over.
    const isTooMuch = (): boolean => {
      if (out.length + err.length <= MAX_BEFORE_START) return false;
      fail('the node prints without end before the program begins', 'try sudo on the host by hand');
      return true;
    };
    const onOut = (): void => {
      out = Buffer.concat([out, readNow(child.stdout)]);
      const at = out.indexOf(tokenBytes);
      if (at < 0) {
        isTooMuch();
        return;
      }
      finish();
      giveBack(child.stdout, out.subarray(at + tokenBytes.length));
      // sudo ends the line of the prompt itself; what it wrote before, as its lecture, is not the program's.
      giveBack(child.stderr, isAnswered ? withoutLeadingNewline(err) : err);
      resolve(child);
    };
    const onErr = (): void => {
      err = Buffer.concat([err, readNow(child.stderr)]);
      const at = err.indexOf(promptBytes);
      if (at < 0) {
        isTooMuch();
        return;
      }
      if (isAnswered) {
        fail('sudo does not take the password', 'check the password given with -K or ansible_become_password');
        return;
      }
      isAnswered = true;
      err = err.subarray(at + promptBytes.length);
      child.stdin.write(`${become.password?.reveal()}\n`);
    };
    const timer = setTimeout(
      () => fail(`sudo gave no answer within ${SUDO_TIMEOUT_MS / 1000} s`, 'try sudo on the host by hand'),
      SUDO_TIMEOUT_MS,
    );
    child.stdout.on('readable', onOut);
    child.stderr.on('readable', onErr);
    child.exit.then(
      async ({ code }) => {
        await Promise.all([settled(child.stdout), settled(child.stderr)]);
        if (isOver) return;
        const known = explainRefusal(become, err.toString('utf8'));
        const said = err.toString('utf8').trim().split('\n').at(-1) || `exit code ${code}`;
        if (known) fail(known.message.replace(/^can't become "[^"]*": /, ''), known.hint ?? '');
        else fail(`sudo ended before the program began: ${said}`, 'try sudo on the host by hand');
      },
      (error: unknown) => {
        if (isOver) return;
        finish();
        reject(error);
      },
    );
  });
}

function readNow(stream: Readable): Buffer {
  const chunk: unknown = stream.read();
  return Buffer.isBuffer(chunk) ? chunk : Buffer.alloc(0);
}

function giveBack(stream: Readable, rest: Buffer): void {
  if (rest.length > 0) stream.unshift(rest);
}

function withoutLeadingNewline(bytes: Buffer): Buffer {
  return bytes[0] === 0x0a ? bytes.subarray(1) : bytes;
}
