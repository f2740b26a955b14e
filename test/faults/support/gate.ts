import { PassThrough, Writable } from 'node:stream';
import { encodeMessage, type Field, MessageReader } from '../../../src/agent/wire.ts';
import type { Link, RemoteProcess } from '../../../src/core/connection.ts';
import { UnreachableError } from '../../../src/core/errors.ts';

/** A boundary between two steps of a run: before a question reaches the node, or before its answer reaches us. */
export interface Boundary {
  /** Verb of the question and how many such there were before it in its session, such as `write 0`. */
  readonly step: string;
  readonly side: 'question' | 'answer';
}

/** A message that is held at a boundary. */
export interface Held {
  readonly step: string;
  readonly side: Boundary['side'];
  readonly verb: string;
  /** Of a question its arguments, of an answer its fields; both without number. */
  readonly fields: readonly Buffer[];
}

/** What becomes of a held message: it goes on, goes on as another one, or is lost. Bytes are sent as they are. */
export type Fate = 'pass' | 'drop' | { readonly fields: readonly Field[] } | { readonly bytes: Buffer };

/** Sees each message before it goes on. A question that is lost may be answered in the node's place. */
export type Watcher = (held: Held, gate: Gate) => Fate | Promise<Fate>;

/** A connection to a node whose messages are counted and held. */
export interface Gate extends Link {
  /** The connection breaks for both: the agent sees the end of its input, we an error. */
  cut(): void;
  /** We see an error, the node sees nothing: its end of the line stays open and silent. */
  forsake(): void;
  /** The node sees the end of its input, we see nothing at all any more: as if we were no more. */
  vanish(): void;
  /** Nothing goes on in either direction until `resume`. */
  pause(): void;
  resume(): void;
  /** An answer of the node that it did not give: `ok` or `error`, then fields. */
  answer(step: string, fields: readonly Field[]): void;
  /** Process numbers of the program that stands for the login, on this machine. */
  readonly pid: number;
}

/** A question that is put only where a run has waited for something. */
export const AGAIN = 'read again';

/** Sent by clocks, at any time. */
const SIGNS_OF_LIFE = ['ping', 'renew'];

/**
 * Puts a gate before a link. Only its first program, the agent, is watched.
 * @param pidOf the process number of what the inner link started last
 */
export function gated(inner: Link, pidOf: () => number, watch: Watcher): Gate {
  let process: RemoteProcess | null = null;
  let toUs: PassThrough | null = null;
  let isPaused = false;
  let isGone = false;
  let wake: (() => void)[] = [];
  let fail: (error: Error) => void = () => {};
  /** By the agent's own numbers: the place of a question, and its verb. */
  const questions = new Map<number, { step: string; verb: string }>();
  const counts = new Map<string, number>();
  let isTaken = false;
  let chain = Promise.resolve();
  let answers = Promise.resolve();

  const whilePaused = async (): Promise<void> => {
    while (isPaused && !isGone) await new Promise<void>((resolve) => wake.push(resolve));
  };
  const awake = (): void => {
    for (const resume of wake) resume();
    wake = [];
  };

  async function pass(id: number, held: Held, send: (bytes: Buffer) => void): Promise<void> {
    await whilePaused();
    if (isGone) return;
    const fate = await watch(held, gate);
    await whilePaused();
    if (isGone || fate === 'drop') return;
    if (fate === 'pass') {
      const rest = held.side === 'question' ? [held.verb, ...held.fields] : held.fields;
      send(encodeMessage([id, ...rest]));
    } else send('bytes' in fate ? fate.bytes : encodeMessage([id, ...fate.fields]));
  }

  const gate: Gate = {
    host: inner.host,
    closed: inner.closed,
    close: () => inner.close(),
    get pid() {
      return pidOf();
    },
    cut() {
      gate.forsake();
      process?.stdin.destroy();
    },
    forsake() {
      isGone = true;
      awake();
      fail(new UnreachableError(inner.host, `the connection to "${inner.host}" broke`));
    },
    vanish() {
      isGone = true;
      awake();
      process?.stdin.destroy();
    },
    pause() {
      isPaused = true;
    },
    resume() {
      isPaused = false;
      awake();
    },
    answer(step, fields) {
      const found = [...questions].find(([, question]) => question.step === step);
      if (found && !isGone) toUs?.write(encodeMessage([found[0], ...fields]));
    },
    async start(argv) {
      const started = await inner.start(argv);
      process = started;
      // perl -e BOOTSTRAP LENGTH: so many bytes of program come before the first message.
      let program = Number(argv[3]);
      const asked = new MessageReader();
      const told = new MessageReader();
      const out = new PassThrough();
      toUs = out;
      started.stdin.on('error', () => {});
      const stdin = new Writable({
        write(chunk: Buffer, _, done) {
          done();
          const head = chunk.subarray(0, program);
          program -= head.length;
          if (head.length > 0) chain = chain.then(() => void (isGone || started.stdin.write(head)));
          for (const [first, verb, ...fields] of asked.push(chunk.subarray(head.length))) {
            const id = Number(first);
            const name = String(verb);
            const send = (bytes: Buffer): void => void started.stdin.write(bytes);
            if (SIGNS_OF_LIFE.includes(name)) {
              chain = chain.then(whilePaused).then(() => {
                if (!isGone) send(encodeMessage([id, name, ...fields]));
              });
              continue;
            }
            // What took long is read again: such a question is there or not.
            const kind = name === 'read' && isTaken ? AGAIN : name;
            isTaken = name === 'leftovers' || (isTaken && name === 'read');
            const number = counts.get(kind) ?? 0;
            counts.set(kind, number + 1);
            const step = `${kind} ${number}`;
            questions.set(id, { step, verb: name });
            chain = chain.then(() => pass(id, { step, side: 'question', verb: name, fields }, send));
          }
        },
        final(done) {
          // What the session says last goes out before its end does.
          chain = chain.then(whilePaused).then(() => void started.stdin.end());
          done();
        },
      });
      started.stdout.on('data', (chunk: Buffer) => {
        for (const [number, ...fields] of told.push(chunk)) {
          const id = Number(number);
          const question = questions.get(id);
          const send = (bytes: Buffer): void => void out.write(bytes);
          answers = answers.then(() =>
            question
              ? pass(id, { ...question, side: 'answer', fields }, send)
              : whilePaused().then(() => void (isGone || send(encodeMessage([id, ...fields])))),
          );
        }
      });
      const exit = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
        fail = reject;
        started.exit.then(
          (end) => void answers.then(whilePaused).then(() => (isGone ? undefined : resolve(end))),
          (error) => (isGone ? undefined : reject(error)),
        );
      });
      exit.catch(() => {});
      return { stdin, stdout: out, stderr: started.stderr, exit, kill: () => started.kill() };
    },
  };
  return gate;
}
