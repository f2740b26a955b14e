import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentSession } from '../../../src/agent/session.ts';
import { HostError, UnreachableError } from '../../../src/core/errors.ts';
import type { RunEvent } from '../../../src/core/events.ts';
import type { ProbeReport } from '../../../src/core/probe.ts';
import type { Change, Observations, Resource, ResourcePlan, Step } from '../../../src/core/resource.ts';
import type { CompiledPlay, Facts } from '../../../src/core/task.ts';
import { applyPlays } from '../../../src/engine/apply.ts';
import { checkHosts } from '../../../src/engine/check.ts';
import type { OpenedSession } from '../../../src/engine/fleet.ts';
import { exitCodeOf, runStatus, worst } from '../../../src/engine/outcome.ts';
import { taskLines } from '../../../src/ui/text-report.ts';
import { localLink } from '../../support/local-link.ts';
import { probeReport, type Toy, toyPlay, toyResource, toyTask } from '../../support/toy.ts';

// Real agents on this machine, one a host; only the packets are scripted: what the probe says is the test's input.

let dir: string;
let events: RunEvent[];
let interrupt: AbortController;
let sessions: Map<string, AgentSession>;
let logins: number;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-engine-'));
  events = [];
  interrupt = new AbortController();
  sessions = new Map();
  logins = 0;
});
afterEach(() => {
  for (const session of sessions.values()) session.close();
  rmSync(dir, { recursive: true });
  rmSync(`${dir}.state`, { recursive: true, force: true });
});

async function open(host: string): Promise<OpenedSession> {
  if (host.startsWith('down')) throw new UnreachableError(host, 'connection refused', { hint: 'is sshd running?' });
  logins++;
  const session = await AgentSession.open(localLink(host), {
    commandTimeoutMs: 2_000,
    stateDir: join(`${dir}.state`, host),
  });
  sessions.set(host, session);
  return { session, close: async () => session.close() };
}

function context(plays: readonly CompiledPlay[]) {
  return { plays, open, forks: 50, emit: (event: RunEvent) => void events.push(event), signal: interrupt.signal };
}

function toy(host: string, name = 'x', more: Partial<Toy> = {}) {
  const runtime = join(dir, `${host}.${name}.run`);
  const persistent = join(dir, `${host}.${name}.conf`);
  writeFileSync(runtime, 'old');
  writeFileSync(persistent, 'old');
  return toyResource({ name, runtime, persistent, value: 'new', ...more });
}

function now(host: string, name = 'x') {
  return ['run', 'conf'].map((end) => readFileSync(join(dir, `${host}.${name}.${end}`), 'utf8'));
}

/** Applies with a probe whose answers are given one after the other; the last one is repeated. */
async function apply(
  plays: readonly CompiledPlay[],
  received: readonly number[] = [20],
  onProbe: () => unknown = () => {},
) {
  let probes = 0;
  const result = await applyPlays({
    ...context(plays),
    confirm: { seconds: 5, run: 'test', who: 'a test', patience: 0 },
    openProber: async (play) => ({
      async run(): Promise<ProbeReport> {
        const got = received[Math.min(probes++, received.length - 1)] ?? 20;
        await onProbe();
        return probeReport(play.hosts, got);
      },
      close: async () => {},
    }),
  });
  const hosts = Object.fromEntries(result.hosts);
  return {
    hosts,
    probe: result.probe,
    isWhole: result.isWhole,
    probes,
    exitCode: exitCodeOf(runStatus(Object.values(hosts))),
  };
}

describe('apply', () => {
  it('tries, proves and keeps, and then has nothing to do', async () => {
    const plays = [toyPlay({ a: [toyTask('a', 'one', [toy('a')])], b: [toyTask('b', 'one', [toy('b')])] })];
    const first = await apply(plays);
    expect(first.exitCode).toBe(0);
    expect(first.hosts.a).toMatchObject({ status: 'changed', tasks: [{ resource: 'toy[x]', status: 'changed' }] });
    expect([now('a'), now('b')]).toEqual([
      ['new', 'new'],
      ['new', 'new'],
    ]);
    const second = await apply(plays);
    expect(second.hosts.a).toMatchObject({ status: 'ok', tasks: [{ status: 'ok', changes: [] }] });
    expect([second.probes, second.probe]).toEqual([0, null]);
    expect(logins).toBe(4);
  });

  it('persists only after the proof', async () => {
    const seen: string[][] = [];
    await apply([toyPlay({ a: [toyTask('a', 'one', [toy('a')])], b: [] })], [20], () => seen.push(now('a')));
    expect(seen).toEqual([
      ['old', 'old'],
      ['new', 'old'],
    ]);
    expect(now('a')).toEqual(['new', 'new']);
  });

  it('takes a change back that makes multicast worse, persists nothing, stops everyone and says why', async () => {
    const plays = [
      toyPlay({
        a: [toyTask('a', 'one', [toy('a')]), toyTask('a', 'two', [toy('a', 'y')])],
        b: [],
      }),
    ];
    const { hosts, exitCode } = await apply(plays, [20, 0]);
    expect(exitCode).toBe(1);
    expect(hosts.a?.tasks).toHaveLength(1);
    expect(hosts.a?.tasks[0]).toMatchObject({
      status: 'rolled-back',
      error: expect.stringContaining('multicast is worse than before'),
    });
    expect([now('a'), now('a', 'y')]).toEqual([
      ['old', 'old'],
      ['old', 'old'],
    ]);
  });

  it('keeps a change where multicast was as bad before', async () => {
    const { exitCode } = await apply([toyPlay({ a: [toyTask('a', 'one', [toy('a')])], b: [] })], [0, 0]);
    expect(exitCode).toBe(0);
    expect(now('a')).toEqual(['new', 'new']);
  });

  it('writes a value that only the next boot lacks, without a probe', async () => {
    const resource = toy('a');
    writeFileSync(join(dir, 'a.x.run'), 'new');
    const { probes, hosts } = await apply([toyPlay({ a: [toyTask('a', 'one', [resource])], b: [] })]);
    expect([probes, hosts.a?.status, now('a')]).toEqual([0, 'changed', ['new', 'new']]);
  });

  it('says that a host alone is not proved with packets', async () => {
    const { hosts, probes } = await apply([
      toyPlay({ a: [toyTask('a', 'one', [toy('a')]), toyTask('a', 'two', [toy('a', 'y')])] }),
    ]);
    expect([probes, hosts.a?.status]).toEqual([0, 'changed']);
    const notes = events.filter((event) => event.type === 'note');
    expect(notes).toMatchObject([{ text: expect.stringContaining('not proved with packets') }]);
  });

  it('tries nothing where the persistent layer is blocked', async () => {
    const plays = [
      toyPlay({ a: [toyTask('a', 'one', [toy('a', 'x', { blocked: 'zz.conf:3 overrides it' })])], b: [] }),
    ];
    const { hosts, probes } = await apply(plays);
    expect(hosts.a?.tasks[0]).toMatchObject({ status: 'failed', error: 'zz.conf:3 overrides it' });
    expect([probes, now('a')]).toEqual([0, ['old', 'old']]);
  });

  it('puts back what a failed step left', async () => {
    const plays = [toyPlay({ a: [toyTask('a', 'one', [toy('a', 'x', { failsAfterSet: true })])], b: [] })];
    const { hosts } = await apply(plays);
    expect(hosts.a?.tasks[0]).toMatchObject({ status: 'failed', error: expect.stringContaining('exit code 9: boom') });
    expect(now('a')).toEqual(['old', 'old']);
  });

  it.each([
    ['a bug', new TypeError('x is not a function'), 'internal error: TypeError: x is not a function'],
    ['a device that is gone', new HostError('no device "x"'), 'toy[x] after the change: no device "x"'],
  ])('takes a change back where it can not be read back because of %s', async (_, error, text) => {
    const plays = [toyPlay({ a: [toyTask('a', 'one', [toy('a', 'x', { throwsAfterSet: error })])], b: [] })];
    const { hosts, probes, isWhole, exitCode } = await apply(plays);
    expect(hosts.a?.tasks[0]).toMatchObject({ status: 'failed', error: expect.stringContaining(text) });
    expect(hosts.a?.tasks[0]?.error).not.toContain('undo failed');
    expect([now('a'), probes, isWhole, exitCode]).toEqual([['old', 'old'], 1, true, 1]);
  });

  it('knows resources of one task apart that have the same property', async () => {
    const other = toy('a', 'y', { property: 'value' });
    writeFileSync(join(dir, 'a.y.run'), 'older');
    const plays = [toyPlay({ a: [toyTask('a', 'one', [toy('a', 'x', { property: 'value' }), other])], b: [] })];
    const { hosts } = await apply(plays, [20, 0]);
    expect(hosts.a?.tasks.map(({ status }) => status)).toEqual(['rolled-back', 'rolled-back']);
    expect([now('a'), now('a', 'y')]).toEqual([
      ['old', 'old'],
      ['older', 'old'],
    ]);
  });

  it('stops everyone where a disproved change can not be taken back, and says what is left', async () => {
    const tasks = (host: string) => [
      toyTask(host, 'one', [toy(host)], { ignoreErrors: true }),
      toyTask(host, 'two', [toy(host, 'y')], { ignoreErrors: true }),
    ];
    let probes = 0;
    const { hosts, isWhole } = await apply([toyPlay({ a: tasks('a'), b: tasks('b') })], [20, 0], () => {
      if (++probes === 2) rmSync(join(dir, 'a.x.run'));
    });
    expect(isWhole).toBe(false);
    expect(hosts.a?.tasks[0]).toMatchObject({ status: 'failed', error: expect.stringContaining('undo failed') });
    expect(hosts.b).toMatchObject({ tasks: [{ status: 'rolled-back' }], error: expect.stringContaining('not done') });
    expect([now('a', 'y')[0], now('b', 'y')[0]]).toEqual(['old', 'old']);
  });

  it('takes a host for lost whose agent talks nonsense in the middle, and does not try to undo there', async () => {
    const plays = [toyPlay({ a: [toyTask('a', 'one', [toy('a')])], b: [toyTask('b', 'one', [toy('b')])], c: [] })];
    const { hosts, isWhole } = await apply(plays, [20], async () => {
      if (now('a')[0] === 'new')
        await sessions
          .get('a')
          ?.load('syswrite STDOUT, "Broadcast message\n"')
          .catch(() => {});
    });
    expect(hosts.a).toMatchObject({ status: 'failed', error: expect.stringContaining('"Broadcast message') });
    expect(hosts.a?.tasks[0]?.error).toContain('the node has taken back task "one" of run test by a test by itself');
    expect(hosts.a?.tasks[0]?.error).not.toContain('undo failed');
    expect([hosts.b?.status, isWhole, now('a')]).toEqual(['changed', true, ['old', 'old']]);
  });

  it('reports a task of a later play that was not done, whatever handlers ran before', async () => {
    const handlers = new Map([['a', [toyTask('a', 'after', [toy('a', 'h')])]]]);
    const first = toyPlay({ a: [toyTask('a', 'one', [toy('a')], { notify: ['after'] })], b: [] }, { handlers });
    const second = toyPlay({
      b: [toyTask('b', 'bad', [toy('b', 'x', { failsAfterSet: true })])],
      a: [toyTask('a', 'two', [toy('a', 'y')])],
    });
    const { hosts } = await apply([first, { ...second, batches: [['b'], ['a']] }]);
    expect(hosts.a).toMatchObject({ status: 'failed', error: 'not done: b failed' });
    expect(now('a', 'y')).toEqual(['old', 'old']);
  });

  it('reads again for a later play', async () => {
    const first = toyPlay({ a: [], b: [toyTask('b', 'one', [toy('b')])] });
    const second = toyPlay({ a: [toyTask('a', 'two', [toy('a')])], b: [] });
    let probes = 0;
    const { hosts } = await apply([first, second], [20, 20, 20, 0], () => {
      if (++probes === 2) writeFileSync(join(dir, 'a.x.run'), 'theirs');
    });
    expect(hosts.a?.tasks[0]).toMatchObject({ status: 'rolled-back' });
    expect(now('a')).toEqual(['theirs', 'old']);
  });

  it('puts the running value back where the file was changed by someone else meanwhile', async () => {
    const plays = [toyPlay({ a: [toyTask('a', 'one', [toy('a')])], b: [] })];
    const { hosts } = await apply(plays, [20], () => writeFileSync(join(dir, 'a.x.conf'), 'theirs'));
    expect(hosts.a?.tasks[0]?.error).toContain('has changed since it was read');
    expect(now('a')).toEqual(['old', 'theirs']);
  });

  it('puts back all files of a task whose last file could not be written', async () => {
    const good = toy('a', 'x');
    const bad = toyResource({
      name: 'y',
      runtime: join(dir, 'a.x.run'),
      persistent: join(dir, 'gone/deeper/y.conf'),
      value: 'new',
    });
    const { hosts } = await apply([toyPlay({ a: [toyTask('a', 'one', [good, bad])], b: [] })]);
    expect(hosts.a?.tasks[0]).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('No such file or directory'),
    });
    expect(now('a')).toEqual(['old', 'old']);
    expect(readdirSync(dir).sort()).toEqual(['a.x.conf', 'a.x.run']);
  });

  it('does not try any resource of a task in which one fails', async () => {
    const missing = toyResource({ name: 'y', runtime: join(dir, 'none'), persistent: join(dir, 'none'), value: 'new' });
    const { hosts } = await apply([toyPlay({ a: [toyTask('a', 'one', [toy('a'), missing])], b: [] })]);
    expect(hosts.a?.tasks.map((task) => [task.status, task.error])).toEqual([
      ['skipped', 'not tried: another resource of the task failed'],
      ['failed', 'no device "y"'],
    ]);
    expect(now('a')).toEqual(['old', 'old']);
  });

  it('undoes the task in hand on Ctrl-C and begins no other', async () => {
    const plays = [toyPlay({ a: [toyTask('a', 'one', [toy('a')]), toyTask('a', 'two', [toy('a', 'y')])], b: [] })];
    let probes = 0;
    const { hosts } = await apply(plays, [20], async () => {
      if (++probes < 2) return;
      interrupt.abort();
      await new Promise((resolve) => setTimeout(resolve, 20));
    });
    expect(hosts.a).toMatchObject({ status: 'failed', error: 'not done: task "one" failed' });
    expect(hosts.a?.tasks[0]).toMatchObject({
      status: 'rolled-back',
      error: 'interrupted: what was tried is taken back',
    });
    expect([now('a'), now('a', 'y')]).toEqual([
      ['old', 'old'],
      ['old', 'old'],
    ]);
  });

  it('waits until the node has taken the task back where the connection breaks in the middle', async () => {
    const plays = [toyPlay({ a: [toyTask('a', 'one', [toy('a')])], b: [toyTask('b', 'one', [toy('b')])] })];
    const { hosts, exitCode } = await apply(plays, [20], () => {
      if (now('a')[0] !== 'new') return;
      const broken = sessions.get('a');
      if (broken) broken.call = () => Promise.reject(new UnreachableError('a', 'the connection broke'));
    });
    expect(hosts.a).toMatchObject({
      status: 'unreachable',
      tasks: [{ status: 'rolled-back', error: expect.stringContaining('the node has taken back task "one"') }],
    });
    expect(now('a')).toEqual(['old', 'old']);
    expect(hosts.b?.status).toBe('changed');
    expect(exitCode).toBe(1);
  });

  it('goes on with the others where a host is down', async () => {
    const plays = [toyPlay({ down1: [], a: [toyTask('a', 'one', [toy('a')])] })];
    const { hosts, exitCode } = await apply(plays);
    expect(hosts.down1).toMatchObject({ status: 'unreachable', error: 'connection refused (is sshd running?)' });
    expect([hosts.a?.status, exitCode]).toEqual(['changed', 4]);
  });

  it('changes batches one after the other and stops after one that failed', async () => {
    const plays = [
      toyPlay(
        {
          a: [toyTask('a', 'one', [toy('a', 'x', { failsAfterSet: true })])],
          b: [toyTask('b', 'one', [toy('b')])],
        },
        { batches: [['a'], ['b']] },
      ),
    ];
    const { hosts } = await apply(plays);
    expect(hosts.b).toMatchObject({ status: 'failed', error: 'not done: a failed', tasks: [] });
    expect(now('b')).toEqual(['old', 'old']);
  });

  it('goes on after a failed task with ignore_errors', async () => {
    const plays = [
      toyPlay({
        a: [
          toyTask('a', 'one', [toy('a', 'x', { failsAfterSet: true })], { ignoreErrors: true }),
          toyTask('a', 'two', [toy('a', 'y')]),
        ],
        b: [],
      }),
    ];
    await apply(plays);
    expect([now('a'), now('a', 'y')]).toEqual([
      ['old', 'old'],
      ['new', 'new'],
    ]);
  });

  it('runs handlers of tasks that changed something, once, at the end', async () => {
    const handlers = new Map([['a', [toyTask('a', 'after', [toy('a', 'h')]), toyTask('a', 'never', [toy('a', 'n')])]]]);
    const task = (name: string, toyName: string) => toyTask('a', name, [toy('a', toyName)], { notify: ['after'] });
    const { hosts } = await apply([toyPlay({ a: [task('one', 'x'), task('two', 'y')], b: [] }, { handlers })]);
    expect(hosts.a?.tasks.map((report) => report.name)).toEqual(['one', 'two', 'after']);
    expect([now('a', 'h'), now('a', 'n')]).toEqual([
      ['new', 'new'],
      ['old', 'old'],
    ]);
  });

  it('shares one probe among hosts that ask at the same time', async () => {
    const hosts = ['a', 'b', 'c', 'd'];
    const plays = [toyPlay(Object.fromEntries(hosts.map((host) => [host, [toyTask(host, 'one', [toy(host)])]])))];
    const { probes, exitCode } = await apply(plays, [20], () => new Promise((resolve) => setTimeout(resolve, 100)));
    expect(exitCode).toBe(0);
    expect(probes).toBeLessThanOrEqual(4);
  });

  it('leaves a read-only directory as it was', async () => {
    const resource = toy('a');
    chmodSync(join(dir, 'a.x.conf'), 0o600);
    await apply([toyPlay({ a: [toyTask('a', 'one', [resource])], b: [] })]);
    expect(readdirSync(dir).filter((name) => name.includes('tmp'))).toEqual([]);
  });
});

describe('check', () => {
  it('reports drift of both layers, and changes nothing', async () => {
    const outcomes = await checkHosts(context([toyPlay({ a: [toyTask('a', 'one', [toy('a')])], down1: [] })]));
    expect(outcomes.get('a')?.report).toMatchObject({
      status: 'drift',
      tasks: [{ status: 'drift', changes: [{ layer: 'runtime' }, { layer: 'persistent' }] }],
    });
    expect(outcomes.get('down1')?.report.status).toBe('unreachable');
    expect(now('a')).toEqual(['old', 'old']);
  });

  it('leaves out what "when" leaves out', async () => {
    const resource = toy('a');
    const task = toyTask('a', 'one', [], { items: [{ resources: [resource], when: () => false }] });
    const outcomes = await checkHosts(context([toyPlay({ a: [task] })]));
    expect(outcomes.get('a')?.report).toMatchObject({ status: 'ok', tasks: [{ status: 'skipped', changes: [] }] });
  });

  it('logs in once and asks once, however many tasks there are', async () => {
    const tasks = Array.from({ length: 20 }, (_, index) => toyTask('a', `t${index}`, [toy('a', `n${index}`)]));
    let calls = 0;
    await checkHosts({
      ...context([toyPlay({ a: tasks })]),
      open: async (host) => {
        const opened = await open(host);
        const call = opened.session.call.bind(opened.session);
        opened.session.call = (...args) => {
          calls++;
          return call(...args);
        };
        return opened;
      },
    });
    expect([logins, calls]).toEqual([1, 1]);
  });
});

describe('tasks that contradict each other once the facts are known', () => {
  const wishing = (host: string, value: string) => ({ ...toy(host), wants: { x: value } });
  const when = (resource: ReturnType<typeof wishing>, hostname: boolean) => ({
    items: [{ resources: [resource], isConstant: false, when: (facts: Facts) => (facts.hostname !== '') === hostname }],
  });

  it('are refused on their host before anything is tried', async () => {
    const tasks = (host: string, other: boolean) => [
      toyTask(host, 'one', [], when(wishing(host, 'new'), true)),
      toyTask(host, 'two', [], {
        ...when(wishing(host, 'else'), other),
        source: { file: 'p.yml', line: 9, column: 3 },
      }),
    ];
    const play = toyPlay({ a: tasks('a', true), b: tasks('b', false) }, { needsFacts: true });
    const { hosts, exitCode } = await apply([play]);
    expect(hosts.a).toMatchObject({
      status: 'failed',
      tasks: [],
      error: expect.stringMatching(
        /^toy\[x\]: x is to be "new" by task "one" \(play.yml:1:1\) and "else" by task "two" \(p.yml:9:3\)/,
      ),
    });
    expect([hosts.b?.status, exitCode]).toEqual(['changed', 1]);
    expect(now('a')).toEqual(['old', 'old']);
  });
});

/** A resource of one file, changed as the test tells; it counts how often each of its programs ran in a file beside it. */
function kept(host: string, more: Partial<ResourcePlan>, wanted = 'new'): Resource {
  const file = join(dir, `${host}.conf`);
  return {
    id: 'kept[x]',
    reads: [{ read: 'file', path: file }],
    plan(seen) {
      const text = seen.file(file)?.text ?? null;
      if (text === wanted) return { changes: [], try: [], undo: [], keep: [] };
      const changes = [{ layer: 'persistent' as const, property: 'text', from: text, to: wanted, file }];
      const { keep = [], ...rest } = more;
      return { changes, try: [], undo: [], ...rest, keep: [{ do: 'edit', path: file, edit: () => wanted }, ...keep] };
    },
  };
}

const sh = (script: string, seconds?: number, stdin?: string): Step => ({
  do: 'run',
  argv: ['sh', '-c', script],
  ...(seconds !== undefined && { seconds }),
  ...(stdin !== undefined && { stdin }),
});
const read = (name: string) => readFileSync(join(dir, name), 'utf8');
const log = (text: string) => `echo ${text} "$(cat ${dir}/a.conf)" >> ${dir}/log`;

describe('what is kept', () => {
  beforeEach(() => writeFileSync(join(dir, 'a.conf'), 'old'));
  const one = (resources: readonly Resource[]) => [toyPlay({ a: [toyTask('a', 'one', resources)], b: [] })];

  it('runs the programs of keep after all edits, equal ones once, with their input', async () => {
    const other = { ...toy('a', 'y'), id: 'toy[y]' as const };
    const first = kept('a', { keep: [sh(log('after')), sh(`cat >> ${dir}/log`, 5, 'from stdin\n')] });
    const again = { ...first, id: 'kept[y]' as const };
    const { hosts, probes } = await apply(one([first, again, other]));
    expect(hosts.a?.status).toBe('changed');
    expect(read('log')).toBe('after new\nfrom stdin\n');
    expect([now('a', 'y'), probes]).toEqual([['new', 'new'], 2]);
  });

  it('takes back files first, then programs, also of the one that failed', async () => {
    const steps = { keep: [sh(log('first')), sh('echo no >&2; exit 3')], unkeep: [sh(log('back'))] };
    const { hosts, isWhole } = await apply(one([kept('a', steps)]));
    expect(hosts.a?.tasks[0]).toMatchObject({ status: 'failed', error: expect.stringContaining('exit code 3: no') });
    expect(hosts.a?.tasks[0]?.error).not.toContain('undo failed');
    expect([read('log'), read('a.conf'), isWhole]).toEqual(['first new\nback old\n', 'old', true]);
  });

  it('takes no program back that was not begun', async () => {
    const bad = toyResource({
      name: 'y',
      runtime: join(dir, 'a.x.run'),
      persistent: join(dir, 'no/no/y'),
      value: 'new',
    });
    toy('a');
    const { hosts } = await apply(one([kept('a', { keep: [sh(log('never'))], unkeep: [sh(log('never'))] }), bad]));
    expect(hosts.a?.status).toBe('failed');
    expect([read('a.conf'), readdirSync(dir).includes('log')]).toEqual(['old', false]);
  });

  it('stops a program at its own time limit', async () => {
    const { hosts } = await apply(one([kept('a', { keep: [sh('sleep 5', 0.2)] })]));
    expect(hosts.a?.tasks[0]?.error).toContain('did not end within 0.2 s');
    expect(read('a.conf')).toBe('old');
  });

  it('gives a program more time than other steps where it says so', async () => {
    const { hosts } = await apply(one([kept('a', { keep: [sh('sleep 2.2', 9)] })]));
    expect(hosts.a?.status).toBe('changed');
  });

  it('proves a value that follows the file, after it was written', async () => {
    const follows: Change = { layer: 'runtime', property: 'x', from: 'old', to: 'new', after: 'keep' };
    const resource = kept('a', {});
    const plan = (seen: Observations): ResourcePlan => {
      const { changes, ...rest } = resource.plan(seen);
      return { ...rest, changes: changes.length === 0 ? [] : [follows, ...changes] };
    };
    const seen: string[] = [];
    const good = await apply(one([{ ...resource, plan }]), [20], () => seen.push(read('a.conf')));
    expect([seen, good.hosts.a?.status]).toEqual([['old', 'new'], 'changed']);
    writeFileSync(join(dir, 'a.conf'), 'old');
    const bad = await apply(one([{ ...resource, plan }]), [20, 0]);
    expect(bad.hosts.a?.tasks[0]).toMatchObject({ status: 'rolled-back' });
    expect(read('a.conf')).toBe('old');
  });

  it('fails where a value that should follow the file does not', async () => {
    const stays: Change = { layer: 'runtime', property: 'x', from: 'old', to: 'new', after: 'keep' };
    const resource = kept('a', {});
    const plan = (seen: Observations) => {
      const found = resource.plan(seen);
      return { ...found, changes: [stays, ...found.changes] };
    };
    const { hosts } = await apply(one([{ ...resource, plan }]));
    expect(hosts.a?.tasks[0]?.error).toBe('runtime x is "old" after the files were written, wanted "new"');
    expect(read('a.conf')).toBe('old');
  });

  it('tells what waits for the next boot: a state of its own', async () => {
    const pending: Change = { layer: 'runtime', property: 'x', from: 'old', to: 'new', after: 'reboot' };
    const resource = kept('a', {});
    const plan = (seen: Observations) => {
      const found = resource.plan(seen);
      return { ...found, changes: [pending, ...found.changes] };
    };
    const plays = one([{ ...resource, plan }]);
    const first = await apply(plays);
    expect([first.hosts.a?.status, first.exitCode, first.probes, read('a.conf')]).toEqual(['changed', 0, 0, 'new']);
    const second = await apply(plays);
    expect(second.hosts.a).toMatchObject({ status: 'ok', tasks: [{ status: 'ok', changes: [pending] }] });
    const checked = await checkHosts(context(plays));
    expect(checked.get('a')?.report).toMatchObject({
      status: 'drift',
      tasks: [{ status: 'drift', changes: [pending] }],
    });
    const lines = taskLines(checked.get('a')?.report.tasks[0] ?? never(), { paint: PLAIN, unicode: true });
    expect(lines.join('\n')).toContain('runtime     x: "old" → "new"  pending reboot');
  });

  it('does an action each time, and does not compare it afterwards', async () => {
    const action: Change = { layer: 'runtime', property: 'restarted', from: false, to: true, isAction: true };
    const steps = { try: [sh(log('restart'))], undo: [], keep: [] };
    const resource: Resource = {
      id: 'act[x]',
      reads: [],
      isAction: true,
      plan: () => ({ changes: [action], ...steps }),
    };
    for (const _ of [1, 2]) {
      const { hosts, probes } = await apply(one([resource]));
      expect([hosts.a?.status, probes]).toEqual(['changed', 2]);
    }
    expect(read('log')).toBe('restart old\nrestart old\n');
    const bad = await apply(one([resource]), [20, 0]);
    expect(bad.hosts.a?.tasks[0]).toMatchObject({ status: 'rolled-back' });
    expect(bad.hosts.a?.tasks[0]?.error).not.toContain('undo failed');
  });

  it('puts no file in place that a program refuses', async () => {
    const file = join(dir, 'a.conf');
    const resource = kept('a', {});
    const refusing = (script: string): Resource => ({
      ...resource,
      plan(seen) {
        const validate = ['sh', '-c', script, 'sh', '%s'] as const;
        const keep = resource.plan(seen).keep.map((step) => (step.do === 'edit' ? { ...step, validate } : step));
        return { ...resource.plan(seen), keep };
      },
    });
    const { hosts } = await apply(one([refusing(`echo "$1 holds $(cat "$1")" >&2; exit 1`)]));
    const temporary = join(dir, `.a.conf.${hostname()}.mcastctl-tmp`);
    expect(hosts.a?.tasks[0]?.error).toBe(
      `${file}: the new text was refused by "sh": ${temporary} holds new (nothing was written: correct the parameters of the task)`,
    );
    expect([read('a.conf'), readdirSync(dir)]).toEqual(['old', ['a.conf']]);
    const good = await apply(one([refusing('grep -q new "$1"')]));
    expect([good.hosts.a?.status, read('a.conf')]).toEqual(['changed', 'new']);
  });

  it('gives a file its mode and owner with its text, and both back', async () => {
    const file = join(dir, 'a.conf');
    chmodSync(file, 0o640);
    const attributes = { mode: 0o600, uid: 0, gid: 0 };
    const resource = kept('a', { keep: [sh(`stat -c %a ${file} >> ${dir}/log; exit 1`)] });
    const owning: Resource = {
      ...resource,
      plan(seen) {
        const found = resource.plan(seen);
        return { ...found, keep: found.keep.map((step) => (step.do === 'edit' ? { ...step, attributes } : step)) };
      },
    };
    await apply(one([owning]));
    expect([read('log'), (statSync(file).mode & 0o7777).toString(8), read('a.conf')]).toEqual(['600\n', '640', 'old']);
  });

  it('changes the mode of a file whose text stays', async () => {
    const file = join(dir, 'a.conf');
    chmodSync(file, 0o644);
    const resource: Resource = {
      id: 'mode[x]',
      reads: [{ read: 'file', path: file }],
      plan(seen) {
        const mode = seen.file(file)?.mode;
        if (mode === 0o600) return { changes: [], try: [], undo: [], keep: [] };
        const changes = [{ layer: 'persistent' as const, property: 'mode', from: mode, to: 0o600 }];
        const attributes = { mode: 0o600 };
        return { changes, try: [], undo: [], keep: [{ do: 'edit', path: file, edit: (text) => text, attributes }] };
      },
    };
    const { hosts } = await apply(one([resource]));
    expect([hosts.a?.status, statSync(file).mode & 0o777, read('a.conf')]).toEqual(['changed', 0o600, 'old']);
  });
});

const same = (text: string): string => text;
const PLAIN = { good: same, warn: same, bad: same, dim: same, bold: same };

function never(): never {
  throw new Error('there is no task');
}

describe('exit codes', () => {
  it.each([
    [['ok', 'changed'], 0],
    [['ok', 'drift'], 2],
    [['drift', 'unreachable'], 4],
    [['unreachable', 'failed', 'drift'], 1],
  ] as const)('%j gives %i', (statuses, code) => expect(exitCodeOf(worst(statuses))).toBe(code));
});
