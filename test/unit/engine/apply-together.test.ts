import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentSession } from '../../../src/agent/session.ts';
import { HostError, UnreachableError } from '../../../src/core/errors.ts';
import type { RunEvent } from '../../../src/core/events.ts';
import type { Condition, Observations, Resource, Stage, Together, TogetherPlan } from '../../../src/core/resource.ts';
import type { CompiledPlay, HostTask } from '../../../src/core/task.ts';
import { applyPlays } from '../../../src/engine/apply.ts';
import type { OpenedSession } from '../../../src/engine/fleet.ts';
import { exitCodeOf, runStatus } from '../../../src/engine/outcome.ts';
import { localLink } from '../../support/local-link.ts';
import { probeReport, toyPlay, toyResource, toyTask } from '../../support/toy.ts';

// Real agents on this machine, one a host, and real files; only the packets are scripted.

let dir: string;
let events: RunEvent[];
let interrupt: AbortController;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-together-'));
  events = [];
  interrupt = new AbortController();
});
afterEach(() => {
  rmSync(dir, { recursive: true });
  rmSync(`${dir}.state`, { recursive: true, force: true });
});

async function open(host: string): Promise<OpenedSession> {
  if (host.startsWith('down')) throw new UnreachableError(host, 'connection refused');
  const session = await AgentSession.open(localLink(host), {
    commandTimeoutMs: 2_000,
    stateDir: join(`${dir}.state`, host),
  });
  return { session, close: async () => session.close() };
}

const conf = (host: string) => join(dir, `${host}.conf`);
const daemon = (host: string) => join(dir, `${host}.running`);
const now = (...hosts: string[]) =>
  hosts.map((host) => `${readFileSync(conf(host), 'utf8')}/${readFileSync(daemon(host), 'utf8')}`);

interface Options {
  /** The host whose second stage fails. */
  readonly fails?: string;
  readonly advice?: string;
  readonly blocked?: string;
  /** What the condition after the last stage finds wrong for so many looks. */
  readonly looks?: number;
  readonly guard?: string;
  readonly onStage?: (name: string) => void;
}

/** A file and the daemon that has read it, on each host: the file is written on all, then all daemons read it. */
function shared(host: string, options: Options = {}): Resource {
  writeFileSync(conf(host), 'old');
  writeFileSync(daemon(host), 'old');
  const reads = [conf(host), daemon(host)].map((path) => ({ read: 'file' as const, path }));
  const textOf = (seen: Observations, path: string) => seen.file(path)?.text ?? null;
  let looks = options.looks ?? 0;
  function stages(hosts: readonly string[], text: string): Stage[] {
    const steps = (of: (host: string) => Stage['steps'] extends ReadonlyMap<string, infer S> ? S : never) =>
      new Map(hosts.map((each) => [each, of(each)]));
    return [
      {
        name: `write ${text}`,
        guard: { hosts, reads: [], seconds: 0, problem: () => options.guard ?? null },
        steps: steps((each) => [{ do: 'edit', path: conf(each), edit: () => text }]),
      },
      {
        name: `reload ${text}`,
        steps: steps((each) => [
          { do: 'run', argv: each === options.fails && text === 'new' ? ['false'] : ['cp', conf(each), daemon(each)] },
        ]),
        until: {
          hosts,
          reads: hosts.map((each) => ({ read: 'file', path: daemon(each) })),
          seconds: 1,
          problem(seen) {
            options.onStage?.(`reload ${text}`);
            if (text === 'new' && looks-- > 0) return 'the members are not all back';
            const late = [...seen].find(([each, of]) => textOf(of, daemon(each)) !== text);
            return late ? `${late[0]} has not read it` : null;
          },
        },
      },
    ];
  }
  const together: Together = {
    plan: (seen) => ({
      stages: stages([...seen.keys()], 'new'),
      ...(options.blocked !== undefined && { blocked: options.blocked }),
      undo: () =>
        options.advice === undefined
          ? { stages: stages([...seen.keys()], 'old') }
          : { stages: [], advice: options.advice },
    }),
  };
  return {
    id: 'shared[all]',
    reads,
    together,
    plan(seen) {
      const [kept, running] = [textOf(seen, conf(host)), textOf(seen, daemon(host))];
      const changes = [
        ...(running === 'new' ? [] : [{ layer: 'runtime' as const, property: 'text', from: running, to: 'new' }]),
        ...(kept === 'new' ? [] : [{ layer: 'persistent' as const, property: 'text', from: kept, to: 'new' }]),
      ];
      return { changes, try: [], undo: [], keep: [] };
    },
  };
}

const task = (host: string, options?: Options, more: Partial<HostTask> = {}) =>
  toyTask(host, 'shared', [shared(host, options)], more);

async function apply(plays: readonly CompiledPlay[], received: readonly number[] = [20], onProbe = () => {}) {
  let probes = 0;
  const result = await applyPlays({
    plays,
    open,
    forks: 50,
    emit: (event) => void events.push(event),
    signal: interrupt.signal,
    confirm: { seconds: 5, run: 'test', who: 'a test', patience: 0 },
    openProber: async (play) => ({
      async run() {
        onProbe();
        return probeReport(play.hosts, received[Math.min(probes++, received.length - 1)] ?? 20);
      },
      close: async () => {},
    }),
  });
  const hosts = Object.fromEntries(result.hosts);
  return { hosts, probes, isWhole: result.isWhole, exitCode: exitCodeOf(runStatus(Object.values(hosts))) };
}

const playOf = (hosts: readonly string[], options?: Options, more: Partial<CompiledPlay> = {}) =>
  toyPlay(Object.fromEntries(hosts.map((host) => [host, [task(host, options)]])), more);

describe('a task that is done on all hosts together', () => {
  it('is written everywhere, then read everywhere, proved once, and then there is nothing to do', async () => {
    const plays = [playOf(['a', 'b', 'c'])];
    const first = await apply(plays);
    expect(first.exitCode).toBe(0);
    expect(Object.values(first.hosts).map(({ status }) => status)).toEqual(['changed', 'changed', 'changed']);
    expect(now('a', 'b', 'c')).toEqual(['new/new', 'new/new', 'new/new']);
    expect(first.probes).toBe(2);
    const second = await apply(plays);
    expect([second.hosts['c']?.status, second.probes]).toEqual(['ok', 0]);
  });

  it('waits for a condition that comes to hold in time', async () => {
    expect((await apply([playOf(['a', 'b'], { looks: 2 })])).exitCode).toBe(0);
  });

  it('is taken back on all where one stage fails on one', async () => {
    const { hosts, exitCode, isWhole } = await apply([playOf(['a', 'b', 'c'], { fails: 'b' })]);
    expect(exitCode).toBe(1);
    expect(isWhole).toBe(true);
    expect(now('a', 'b', 'c')).toEqual(['old/old', 'old/old', 'old/old']);
    for (const host of ['a', 'b', 'c']) {
      expect(hosts[host]?.tasks[0]).toMatchObject({
        status: 'failed',
        error: '"reload new": b: "false" failed with exit code 1: it printed no reason',
      });
    }
  });

  it('is taken back where a condition does not come to hold', async () => {
    const { hosts } = await apply([playOf(['a', 'b'], { looks: 1_000 })]);
    expect(hosts['a']?.tasks[0]?.error).toBe('"reload new" within 1 s: the members are not all back');
    expect(now('a', 'b')).toEqual(['old/old', 'old/old']);
  });

  it('is taken back where multicast is worse, and lets no host go on', async () => {
    const plays = [
      toyPlay({
        a: [task('a'), toyTask('a', 'after', [quiet('a')])],
        b: [task('b'), toyTask('b', 'after', [quiet('b')])],
      }),
    ];
    const { hosts, exitCode } = await apply(plays, [20, 0]);
    expect(exitCode).toBe(1);
    expect(hosts['b']?.tasks).toMatchObject([
      { status: 'rolled-back', error: expect.stringContaining('multicast is worse than before') },
    ]);
    expect(now('a', 'b')).toEqual(['old/old', 'old/old']);
  });

  it('is left as it is where undoing could cost more, with the word what to do', async () => {
    const { hosts, isWhole } = await apply([
      playOf(['a', 'b'], { fails: 'b', advice: 'start it on b, then run again' }),
    ]);
    expect(isWhole).toBe(false);
    expect(hosts['a']?.tasks[0]?.error).toContain('; start it on b, then run again');
    expect(now('a', 'b')).toEqual(['new/new', 'new/old']);
  });

  it('is not begun where a guard does not hold or the resource says that it can not be done', async () => {
    for (const options of [{ guard: 'no quorum' }, { blocked: 'c is not in this run' }]) {
      const { hosts, isWhole } = await apply([playOf(['a', 'b'], options)]);
      expect(isWhole).toBe(true);
      expect(hosts['a']?.tasks[0]?.error).toContain(options.guard ?? options.blocked);
      expect(now('a', 'b')).toEqual(['old/old', 'old/old']);
    }
  });

  it('is done for all batches when the first one comes to it', async () => {
    const { hosts, exitCode, probes } = await apply([playOf(['a', 'b', 'c'], {}, { batches: [['a'], ['b', 'c']] })]);
    expect(exitCode).toBe(0);
    expect(Object.values(hosts).map(({ tasks }) => tasks.map(({ status }) => status))).toEqual([
      ['changed'],
      ['changed'],
      ['changed'],
    ]);
    expect(probes).toBe(2);
  });

  it('is done on none where one host is down or has failed before', async () => {
    const down = await apply([playOf(['a', 'down'])]);
    expect(down.exitCode).toBe(1);
    expect(down.hosts['a']?.error).toContain('all nodes change together, and down can not be read');
    expect(now('a')).toEqual(['old/old']);
    const failing = toyPlay({
      a: [toyTask('a', 'before', [quiet('a')]), task('a')],
      b: [toyTask('b', 'before', [quiet('b', 'blocked by something')]), task('b')],
    });
    const failed = await apply([failing]);
    expect(failed.hosts['a']?.error).toContain('all nodes change together, and b has failed');
    expect(now('a', 'b')).toEqual(['old/old', 'old/old']);
  });

  it('leaves out hosts where "when" leaves it out', async () => {
    const out = { items: [{ resources: [shared('c')], when: () => false }] };
    const plays = [toyPlay({ a: [task('a')], b: [task('b')], c: [toyTask('c', 'shared', [], out)] })];
    const { hosts, exitCode } = await apply(plays);
    expect(exitCode).toBe(0);
    expect(hosts['c']?.tasks[0]?.status).toBe('skipped');
    expect(now('a', 'b', 'c')).toEqual(['new/new', 'new/new', 'old/old']);
  });

  it('is taken back on Ctrl-C between two stages', async () => {
    const onStage = (name: string) => name === 'reload new' && interrupt.abort();
    const { hosts, isWhole } = await apply([playOf(['a', 'b'], { looks: 1, onStage })]);
    expect(isWhole).toBe(true);
    expect(hosts['a']?.tasks[0]).toMatchObject({
      status: 'rolled-back',
      error: expect.stringContaining('interrupted'),
    });
    expect(now('a', 'b')).toEqual(['old/old', 'old/old']);
  });

  it('as a handler does not wait for hosts that were not notified', async () => {
    const first = (host: string, notify: readonly string[]) =>
      toyTask(host, 'before', [quiet(host)], { notify, source: { file: 'play.yml', line: 9, column: 1 } });
    const handler = (host: string, name: string, line: number) =>
      toyTask(host, name, [shared(host)], { source: { file: 'play.yml', line, column: 1 } });
    const plays = [
      toyPlay(
        { a: [first('a', ['one'])], b: [first('b', ['two'])] },
        {
          handlers: new Map(['a', 'b'].map((host) => [host, [handler(host, 'one', 20), handler(host, 'two', 21)]])),
        },
      ),
    ];
    expect((await apply(plays)).exitCode).toBe(0);
    expect(now('a', 'b')).toEqual(['new/new', 'new/new']);
  });
});

/** The task of which the last stage waits for a condition of the test's own. */
function waiting(
  until: Partial<Condition> & Pick<Condition, 'problem'>,
  undo: TogetherPlan['undo'] = () => ({ stages: [] }),
) {
  const hosts = ['a', 'b'];
  const resources = hosts.map((host): Resource => {
    const resource = shared(host);
    const plan = (seen: ReadonlyMap<string, Observations>): TogetherPlan => {
      const stages = resource.together?.plan(seen).stages ?? [];
      return {
        stages: [...stages, { name: 'wait', steps: new Map(), until: { hosts, reads: [], seconds: 3, ...until } }],
        undo,
      };
    };
    return { ...resource, together: { plan } };
  });
  return [
    toyPlay(
      Object.fromEntries(
        hosts.map((host, index) => [host, [toyTask(host, 'shared', resources.slice(index, index + 1))]]),
      ),
    ),
  ];
}

describe('a condition after a stage', () => {
  it('has to hold without a break for as long as it says', async () => {
    const looks: (string | null)[] = ['not yet', null, 'gone again', null];
    const began = performance.now();
    const { exitCode } = await apply(
      waiting({ steadySeconds: 0.5, problem: () => (looks.length > 1 ? (looks.shift() ?? null) : (looks[0] ?? null)) }),
    );
    expect(exitCode).toBe(0);
    expect(performance.now() - began).toBeGreaterThan(3 * 300 + 500);
    const { hosts } = await apply(waiting({ seconds: 0.4, steadySeconds: 5, problem: () => null }));
    expect(hosts['a']?.tasks[0]?.error).toContain('"wait" within 0.4 s: it did not last');
  });

  it('is not waited for where it will not come to hold, and what takes it back knows how the hosts are', async () => {
    const seen: unknown[] = [];
    const began = performance.now();
    const hopeless = waiting(
      {
        seconds: 20,
        problem: () => {
          throw new HostError('the daemon has ended', { hint: 'look at its log' });
        },
      },
      (begun, now) => {
        seen.push(begun, ...[...now].map(([host, of]) => [host, of.file(daemon(host))?.text]));
        return { stages: [], advice: 'start it again' };
      },
    );
    const { hosts } = await apply(hopeless);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(hosts['b']?.tasks[0]?.error).toContain('"wait": the daemon has ended (look at its log); start it again');
    expect(seen).toEqual([3, ['a', 'new'], ['b', 'new']]);
  });

  it('is cut short by Ctrl-C', async () => {
    const began = performance.now();
    const problem = () => {
      interrupt.abort();
      return 'not yet';
    };
    const { hosts } = await apply(waiting({ seconds: 20, problem }, () => ({ stages: [] })));
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(hosts['a']?.tasks[0]?.error).toContain('interrupted');
  });
});

/** A resource of one host alone. */
function quiet(host: string, blocked?: string): Resource {
  const [runtime, persistent] = [join(dir, `${host}.q.run`), join(dir, `${host}.q.conf`)];
  writeFileSync(runtime, 'old');
  writeFileSync(persistent, 'old');
  return toyResource({ name: 'q', runtime, persistent, value: 'new', ...(blocked !== undefined && { blocked }) });
}
