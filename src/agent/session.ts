import type { Link, RemoteProcess } from '../core/connection.ts';
import { HostError, messageOf, UnreachableError } from '../core/errors.ts';
import type { Argv, FileAttributes, FileState, Observations, Read, RunResult } from '../core/resource.ts';
import { ARGV_HINT, argvProblem, redact } from '../core/secrets.ts';
import type { Facts } from '../core/task.ts';
import { agentSource } from '../paths.ts';
import { encodeRead, observationsOf, readKey, runResult, uniqueReads } from './observations.ts';
import { decodeFields, encodeFields, encodeMessage, type Field, MessageReader } from './wire.ts';

/** Reads exactly as many bytes as its argument says, then becomes what it read: perl's own buffering would eat requests. */
const BOOTSTRAP =
  'my$n=shift;my$s="";while(length$s<$n){sysread(STDIN,$s,$n-length$s,length$s)||exit 1}eval$s;print STDERR $@;exit 1';

/** Milliseconds beyond its own time limit after which a silent agent counts as lost. */
const GRACE_MS = 5_000;

/** The node did not hear from us in time, and took the task in hand back by itself. */
export class UndoneByNode extends HostError {}

const CLOSED = new HostError('the session is closed');

/** Where a node keeps what it needs to take a task back, and what it tells of it. */
export const STATE_DIR = '/var/lib/mcastctl';

export interface SessionOptions {
  /** Folder on the node for what outlives the session; default STATE_DIR. */
  readonly stateDir?: string;
  /** Milliseconds that a step on a node may take. Default 60,000. */
  readonly commandTimeoutMs?: number;
}

interface Pending {
  readonly verb: string;
  resolve(fields: Buffer[]): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

/** What those may do who only look. A node behind it can be asked what was registered when it was opened, and nothing else. */
export interface ReadSession {
  readonly host: string;
  /** Effective user id and the SSH_CONNECTION of the agent ("" for a local host). */
  hello(): Promise<{ readonly uid: number; readonly sshConnection: string }>;
  /** Puts all questions in one message, which counts as one step. Equal ones are asked once. */
  read(reads: readonly Read[]): Promise<Observations>;
  facts(): Promise<Facts>;
  /** Why nothing can be asked any more, where the session ended by itself; null while it is up, and after `close`. */
  readonly failure: Error | null;
  close(): void;
}

/** The verbs that change nothing. */
const READING: ReadonlySet<string> = new Set(['read', 'facts']);

/** The agent on one host: one program for the whole run, asked over its standard input. */
export class AgentSession implements ReadSession {
  readonly host: string;
  readonly stateDir: string;
  readonly #process: RemoteProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #reader = new MessageReader();
  readonly #commandTimeoutMs: number;
  readonly #hello: Promise<{ uid: number; sshConnection: string }>;
  /** Names of the reads that a session to look with was opened for; null: it may do anything. */
  readonly #registered: ReadonlySet<string> | null;
  #nextId = 1;
  #isGreeted = false;
  #stderr = '';
  #end: Error | null = null;
  #change: Promise<void> | undefined;

  private constructor(host: string, process: RemoteProcess, options: SessionOptions, registered?: readonly Read[]) {
    this.host = host;
    this.#registered = registered === undefined ? null : new Set(registered.map(readKey));
    this.stateDir = options.stateDir ?? STATE_DIR;
    this.#process = process;
    this.#commandTimeoutMs = options.commandTimeoutMs ?? 60_000;
    this.#hello = this.#expect(0, 'hello', this.#commandTimeoutMs).then((fields) => ({
      uid: Number(fields[0]),
      sshConnection: fields[1]?.toString() ?? '',
    }));
    this.#hello.catch(() => {});
    process.stdout.on('data', (chunk: Buffer) => this.#take(chunk));
    process.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = redact(this.#stderr + chunk.toString('utf8')).slice(-4_096);
    });
    process.stdin.on('error', () => {});
    process.exit.then(
      ({ code }) => this.#fail(this.#exitError(code)),
      (error: Error) => this.#fail(error),
    );
  }

  /**
   * Starts the agent over `link`. Nothing is waited for: the first request travels with the program.
   * @throws UnreachableError, HostError from `link.start`
   */
  static open(link: Link, options: SessionOptions = {}): Promise<AgentSession> {
    return AgentSession.#start(link, options);
  }

  /**
   * Starts the agent to look with: it answers `reads` and tells facts. Whatever else it is asked for is refused here as a bug, and
   * by the node itself, where no verb is left that could change something.
   * @param reads every question that will be put
   * @throws UnreachableError, HostError from `link.start`
   */
  static async openToRead(link: Link, reads: readonly Read[], options: SessionOptions = {}): Promise<ReadSession> {
    const session = await AgentSession.#start(link, options, reads);
    const registered = uniqueReads(reads).map((read) => encodeRead(read, session.#readSeconds));
    // It travels with the program and before the first question, so that nothing waits for it.
    session.#request('seal', registered).catch((error: Error) => session.#fail(error));
    return session;
  }

  static async #start(link: Link, options: SessionOptions, registered?: readonly Read[]): Promise<AgentSession> {
    const source = Buffer.from(agentSource('agent.pl'), 'utf8');
    const process = await link.start(['perl', '-e', BOOTSTRAP, String(source.length)]);
    const session = new AgentSession(link.host, process, options, registered);
    process.stdin.write(source);
    return session;
  }

  /** Effective user id and the SSH_CONNECTION of the agent ("" for a local host). */
  hello(): Promise<{ readonly uid: number; readonly sshConnection: string }> {
    return this.#hello;
  }

  /** Puts all questions in one message, which counts as one step. Equal ones are asked once. */
  async read(reads: readonly Read[]): Promise<Observations> {
    const asked = uniqueReads(reads);
    for (const read of asked) if (read.read === 'run') refuseSecrets(read.argv);
    const foreign = asked.find((read) => this.#registered?.has(readKey(read)) === false);
    if (foreign) throw new Error(`a read that was not registered: ${readKey(foreign).replaceAll('\0', ' ')}`);
    const encoded = asked.map((read) => encodeRead(read, this.#readSeconds));
    const answers = await this.call('read', encoded);
    return observationsOf(asked, answers);
  }

  async facts(): Promise<Facts> {
    const [hostname, kernel, arch, release, ...nics] = await this.call('facts', []);
    const os = new Map(
      [...String(release).matchAll(/^(?<key>\w+)=(?<quote>["']?)(?<value>.*)\k<quote>$/gm)].map((match) => [
        match.groups?.key,
        match.groups?.value ?? '',
      ]),
    );
    return {
      hostname: String(hostname),
      kernel: String(kernel),
      arch: String(arch),
      os: { id: os.get('ID') ?? '', version: os.get('VERSION_ID') ?? '' },
      nics: Object.fromEntries(
        nics.map((nic) => {
          const [name, driver, mac, mtu] = decodeFields(nic).map(String);
          return [name, { driver: driver ?? '', mac: mac ?? '', mtu: Number(mtu) }];
        }),
      ),
    };
  }

  /**
   * Starts a program, without a shell. A non-zero exit is a result, not an error.
   * @throws HostError where an argument holds a secret: others on the node could read it
   */
  async run(argv: Argv, options: { stdin?: string; timeoutMs?: number } = {}): Promise<RunResult> {
    refuseSecrets(argv);
    await this.#loadChange();
    const timeoutMs = options.timeoutMs ?? this.#commandTimeoutMs;
    const fields = await this.call('run', [timeoutMs / 1000, options.stdin ?? '', ...argv], timeoutMs);
    return runResult(argv, fields);
  }

  /** Writes a value of /proc or /sys. */
  async set(path: string, value: string): Promise<void> {
    await this.#loadChange();
    await this.call('set', [path, value]);
  }

  /**
   * Replaces a file atomically.
   * @param before what the file was when the new text was made; throws HostError where it is something else now
   * @param text null removes the file
   * @param mode of a new file; one that exists keeps its own
   * @param validate programs that must accept the new file before it takes the old one's place, `%s` its temporary path
   * @param attributes what the file has afterwards, new or not
   */
  async write(
    path: string,
    before: FileState | null,
    text: string | null,
    mode: number,
    validate: readonly Argv[] = [],
    attributes: FileAttributes = {},
  ): Promise<void> {
    await this.#loadChange();
    const state = before === null ? 'none' : 'file';
    const encoding = before?.encoding ?? 'utf8';
    // Such a file is read one character a byte: what is no byte would be written as another character.
    if (encoding === 'latin1' && /[^\u0000-\u00ff]/.test(text ?? ''))
      throw new HostError(`${path} is not UTF-8, and what is to be written there is beyond Latin-1`, {
        hint: 'convert the file to UTF-8',
      });
    const expected = Buffer.from(before?.text ?? '', encoding);
    if (text === null) await this.call('remove', [path, state, expected]);
    else {
      const bytes = Buffer.from(text, encoding);
      const wanted = [attributes.mode?.toString(8), attributes.uid, attributes.gid]
        .map((each) => each ?? '-')
        .join(' ');
      const programs = validate.map(encodeFields);
      await this.call('write', [path, mode.toString(8), wanted, state, expected, bytes, ...programs]);
    }
  }

  /** The verbs that change something are sent when the first of them is needed. */
  #loadChange(): Promise<void> {
    this.#change ??= this.load(agentSource('change.pl'));
    return this.#change;
  }

  /** Adds verbs that build on those that change something. */
  async loadWithChange(source: string): Promise<void> {
    await this.#loadChange();
    await this.load(source);
  }

  /** Adds verbs to the agent. */
  async load(source: string): Promise<void> {
    await this.call('load', [source]);
  }

  /**
   * Asks the agent.
   * @param timeoutMs time the request may take by its own nature; the agent is given a few seconds more to say so itself
   * @throws HostError where the agent refuses, UnreachableError where the connection is gone
   */
  async call(verb: string, args: readonly Field[], timeoutMs = this.#commandTimeoutMs): Promise<Buffer[]> {
    if (this.#registered && !READING.has(verb)) throw new Error(`"${verb}" in a session that only looks`);
    return this.#request(verb, args, timeoutMs);
  }

  /** Seconds that all reads of a message may take together. */
  get #readSeconds(): number {
    return this.#commandTimeoutMs / 1000;
  }

  #request(verb: string, args: readonly Field[], timeoutMs = this.#commandTimeoutMs): Promise<Buffer[]> {
    if (this.#end) return Promise.reject(this.#end);
    const id = this.#nextId++;
    const answer = this.#expect(id, verb, timeoutMs + GRACE_MS);
    this.#process.stdin.write(encodeMessage([id, verb, ...args]));
    return answer;
  }

  /** Why nothing can be asked any more, where the session ended by itself; null while it is up, and after `close`. */
  get failure(): Error | null {
    return this.#end === CLOSED ? null : this.#end;
  }

  /** Ends the agent: it leaves when its standard input ends. */
  close(): void {
    this.#end ??= CLOSED;
    for (const pending of this.#pending.values()) clearTimeout(pending.timer);
    this.#pending.clear();
    this.#process.stdin.end();
  }

  #expect(id: number, verb: string, timeoutMs: number): Promise<Buffer[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#fail(
          new UnreachableError(this.host, `no answer to "${verb}" within ${Math.round(timeoutMs / 1000)} s`, {
            hint: 'the node hangs, or the network to it is gone',
          }),
        );
        this.#process.kill();
      }, timeoutMs);
      timer.unref();
      this.#pending.set(id, { verb, resolve, reject, timer });
    });
  }

  #take(chunk: Buffer): void {
    if (this.#end) return;
    try {
      for (const [id, status, ...fields] of this.#reader.push(chunk)) this.#settle(Number(id), String(status), fields);
    } catch (cause) {
      this.#fail(this.#foreign(cause));
      this.#process.kill();
    }
  }

  /** What comes back is not what the agent says: a shell that greets, a program that writes in between, a node that lies. */
  #foreign(cause: unknown): HostError {
    const said = excerpt(this.#reader.rest.toString('utf8', 0, 1_000));
    const waiting = [...this.#pending.values()].map(({ verb }) => `"${verb}"`).join(', ');
    const hint = this.#isGreeted
      ? 'something on the node writes to the terminal of the login, or is not what it seems'
      : 'a start-up file of the login shell (.bashrc) must not print anything when there is no terminal';
    const step = waiting === '' ? 'unasked' : waiting;
    const text = `the node answered ${step} with something else than the agent does (${messageOf(cause)})`;
    return new HostError(said === '' ? text : `${text}: "${said}"`, { hint, cause });
  }

  #settle(id: number, status: string, fields: Buffer[]): void {
    const pending = this.#pending.get(id);
    if (!pending) throw new RangeError('an answer to a question that was not put');
    if (id === 0) this.#isGreeted = true;
    clearTimeout(pending.timer);
    this.#pending.delete(id);
    if (status === 'ok') pending.resolve(fields);
    else if (String(fields[1]) === 'UNDONE') pending.reject(new UndoneByNode(String(fields[0])));
    else pending.reject(new HostError(String(fields[0]), hintFor(String(fields[1]))));
  }

  #exitError(code: number | null): Error {
    const said = excerpt(this.#stderr);
    if (code === 127)
      return new HostError('perl is missing on the node', {
        hint: 'install perl-base (Debian) or perl-interpreter (RHEL)',
      });
    return new HostError(
      `the agent ended with ${code === null ? 'a signal' : `exit code ${code}`}${said && `: ${said}`}`,
    );
  }

  #fail(error: Error): void {
    this.#end ??= error;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of waiting) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
  }
}

function refuseSecrets(argv: Argv): void {
  const problem = argvProblem(argv);
  if (problem !== null) throw new HostError(problem, { hint: ARGV_HINT });
}

const ERRNO_HINTS: Readonly<Record<string, string>> = {
  '1': 'become root with -b',
  '13': 'become root with -b',
  '28': 'the file system is full: make room and run again',
  '30': 'the file system, or in a container this part of /proc, is read-only',
  CHANGED: 'someone else edits it: run again',
  LOCKED: 'wait for it, or give --lock-timeout; a run that is gone holds no lock',
  INVALID: 'nothing was written: correct the parameters of the task',
};

function hintFor(errno: string): { hint?: string } {
  const hint = ERRNO_HINTS[errno];
  return hint === undefined ? {} : { hint };
}

/** Foreign text for a message: one line, no control characters, 300 characters at most. */
function excerpt(said: string): string {
  // Before it is cut: what is left of a secret would not be known as one.
  const line = redact(said)
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/\p{Cc}/gu, '?');
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
