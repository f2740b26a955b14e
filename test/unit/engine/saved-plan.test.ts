import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentSession, type ReadSession } from '../../../src/agent/session.ts';
import { HostError } from '../../../src/core/errors.ts';
import type { Resource, ResourcePlan } from '../../../src/core/resource.ts';
import type { SavedPlan } from '../../../src/core/saved-plan.ts';
import type { CompiledPlay } from '../../../src/core/task.ts';
import { applyPlays } from '../../../src/engine/apply.ts';
import { checkHosts } from '../../../src/engine/check.ts';
import { type OpenedSession, readsOf } from '../../../src/engine/fleet.ts';
import { bindingTo, otherWishes, saveHost, savePlays } from '../../../src/engine/saved-plan.ts';
import { localLink } from '../../support/local-link.ts';
import { probeReport, toyPlay, toyResource, toyTask } from '../../support/toy.ts';

// Real agents on this machine, one a host; only the packets are scripted.

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-saved-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const common = { forks: 9, emit: () => {}, signal: new AbortController().signal };

async function opened<Session extends ReadSession>(session: Session): Promise<OpenedSession<Session>> {
  return { session, close: async () => session.close() };
}

/** Saves what a check of the plays finds. */
async function save(plays: readonly CompiledPlay[]): Promise<SavedPlan> {
  const open = async (host: string) => opened(await AgentSession.openToRead(localLink(host), readsOf(plays, host)));
  const outcomes = await checkHosts({ ...common, plays, open });
  const source = { path: '/x', hash: '' };
  return {
    format: 'mcastctl plan',
    version: 1,
    madeAt: '',
    who: '',
    inventory: source,
    playbook: source,
    options: { extraVars: [] },
    login: {},
    plays: savePlays(plays),
    hosts: Object.fromEntries(
      [...outcomes].map(([host, { plans, report }]) => [host, saveHost(plays, host, plans, report.error)]),
    ),
  };
}

/** Does a plan, through JSON as from its file. */
async function apply(plays: readonly CompiledPlay[], plan: SavedPlan, onProbe = () => {}) {
  const open = async (host: string) =>
    opened(await AgentSession.open(localLink(host), { stateDir: join(dir, `state.${host}`) }));
  const result = await applyPlays({
    ...common,
    plays,
    open,
    confirm: { seconds: 5, run: 'test', who: 'a test', patience: 0 },
    binding: bindingTo(JSON.parse(JSON.stringify(plan)), plays),
    openProber: async (play) => ({
      async run() {
        onProbe();
        return probeReport(play.hosts, 20);
      },
      close: async () => {},
    }),
  });
  return Object.fromEntries(result.hosts);
}

function toy(host: string, name: string): Resource {
  const [runtime, persistent] = ['run', 'conf'].map((end) => join(dir, `${host}.${name}.${end}`)) as [string, string];
  writeFileSync(runtime, 'old');
  writeFileSync(persistent, 'old');
  return toyResource({ name, runtime, persistent, value: 'new' });
}

const now = (host: string, name: string) =>
  ['run', 'conf'].map((end) => readFileSync(join(dir, `${host}.${name}.${end}`), 'utf8')).join(' ');

function play(...hosts: string[]): CompiledPlay {
  return toyPlay(
    Object.fromEntries(
      hosts.map((host) => [
        host,
        ['x', 'y', 'z'].map((name) => toyTask(host, name, [toy(host, name)], { ignoreErrors: true })),
      ]),
    ),
  );
}

describe('a run that is bound', () => {
  it('does what was planned', async () => {
    const plays = [play('a', 'b')];
    const hosts = await apply(plays, await save(plays));
    expect([hosts['a']?.status, hosts['b']?.status, now('a', 'z')]).toEqual(['changed', 'changed', 'new new']);
  });

  it('leaves a host alone that has moved, its whole run', async () => {
    const plays = [play('a', 'b')];
    const plan = await save(plays);
    writeFileSync(join(dir, 'a.y.run'), 'moved');
    writeFileSync(join(dir, 'a.z.conf'), 'new');
    const hosts = await apply(plays, plan);
    expect(hosts['a']).toMatchObject({ status: 'failed', tasks: [] });
    expect(hosts['a']?.error).toContain(
      `toy[y] runtime y: planned from "old" to "new", is "moved" now; toy[z] persistent z in ${dir}/a.z.conf: planned from "old" to "new", is "new" now`,
    );
    expect([now('a', 'x'), now('b', 'x')]).toEqual(['old old', 'new new']);
  });

  it('begins no later batch where a host has moved', async () => {
    const plays = [{ ...play('a', 'b'), batches: [['a'], ['b']] }];
    const plan = await save(plays);
    writeFileSync(join(dir, 'a.y.run'), 'moved');
    const hosts = await apply(plays, plan);
    expect([hosts['b']?.status, hosts['b']?.error, now('b', 'x')]).toEqual(['failed', 'not done: a failed', 'old old']);
  });

  it('stops at the task before which the host moved, whatever its ignore_errors says', async () => {
    const plays = [play('a', 'b')];
    const plan = await save(plays);
    let probes = 0;
    const hosts = await apply(plays, plan, () => {
      if (++probes === 2) writeFileSync(join(dir, 'a.y.run'), 'moved');
    });
    expect(hosts['a']?.tasks).toMatchObject([
      { name: 'x', status: 'changed' },
      {
        name: 'y',
        status: 'failed',
        error:
          'not done, as it is not what was planned: toy[y] runtime y: planned from "old" to "new", is "moved" now (make a new plan)',
      },
    ]);
    expect([now('a', 'x'), now('a', 'y'), now('a', 'z')]).toEqual(['new new', 'moved old', 'old old']);
  });

  it('does not mind what became right in the meantime at its turn', async () => {
    const plays = [play('a', 'b')];
    const plan = await save(plays);
    let probes = 0;
    const hosts = await apply(plays, plan, () => {
      if (++probes === 2) for (const end of ['run', 'conf']) writeFileSync(join(dir, `a.y.${end}`), 'new');
    });
    expect(hosts['a']?.tasks.map(({ status }) => status)).toEqual(['changed', 'ok', 'changed']);
  });

  it('refuses a host that could not be read then, or is not in the plan', async () => {
    const plays = [play('a', 'b')];
    const { hosts, ...plan } = await save(plays);
    const { a } = hosts;
    if (!a) throw new Error('no host');
    const done = await apply(plays, { ...plan, hosts: { a: { ...a, error: 'gone', tasks: [] } } });
    expect([done['a']?.error, done['b']?.error]).toMatchObject([
      expect.stringContaining('it could not be read then: gone'),
      expect.stringContaining('it is not in the plan'),
    ]);
    expect([now('a', 'x'), now('b', 'x')]).toEqual(['old old', 'old old']);
  });
});

describe('what counts as moved', () => {
  let plan: ResourcePlan | HostError;
  const NOTHING: ResourcePlan = { changes: [], try: [], undo: [], keep: [] };
  const change = { layer: 'runtime', property: 'p', from: 1, to: 2 } as const;
  const differs: ResourcePlan = { ...NOTHING, changes: [change], try: [{ do: 'run', argv: ['true'] }] };
  const resource: Resource = {
    id: 'toy[x]',
    reads: [],
    plan() {
      if (plan instanceof HostError) throw plan;
      return plan;
    },
  };
  async function moved(then: ResourcePlan | HostError, after: ResourcePlan | HostError): Promise<string | null> {
    const plays = [toyPlay({ a: [toyTask('a', 'x', [resource])] })];
    plan = then;
    const saved = await save(plays);
    plan = after;
    const open = async (host: string) => opened(await AgentSession.openToRead(localLink(host), []));
    const outcome = (await checkHosts({ ...common, plays, open })).get('a');
    return (
      bindingTo(saved, plays)
        .moved('a', outcome?.plans ?? [])
        .join('; ') || null
    );
  }

  it.each<[string, ResourcePlan | HostError, ResourcePlan | HostError, string | null]>([
    ['the same', differs, differs, null],
    [
      'another line, another note',
      { ...differs, changes: [{ ...change, line: 3, note: 'for 5 s' }], note: '7 packets' },
      { ...differs, changes: [{ ...change, line: 9, note: 'for 9 s' }], note: '8 packets', explain: ['x'] },
      null,
    ],
    ['another error', new HostError('pid 1'), new HostError('pid 2'), null],
    [
      'another value',
      differs,
      { ...differs, changes: [{ ...change, from: 7 }] },
      'toy[x] runtime p: planned from 1 to 2, is 7 now',
    ],
    ['a value of another kind', differs, { ...differs, changes: [{ ...change, from: '1' }] }, 'is "1" now'],
    ['nothing left', differs, NOTHING, 'toy[x] runtime p: planned from 1 to 2, is 2 now'],
    ['something new', NOTHING, differs, 'toy[x] runtime p: no change was planned, is 1 now'],
    [
      'the second of two lines',
      { ...differs, changes: [change, change] },
      { ...differs, changes: [change, { ...change, from: 5 }] },
      'planned from 1 to 2, is 5 now',
    ],
    [
      'another step',
      differs,
      { ...differs, try: [{ do: 'run', argv: ['false', 'x'] }] },
      'task "x": planned to do "true", would do "false x" now',
    ],
    [
      'other standard input',
      differs,
      { ...differs, try: [{ do: 'run', argv: ['true'], stdin: 'x' }] },
      'planned to do "true"',
    ],
    ['it fails now', differs, new HostError('no device'), 'toy[x]: no device'],
    ['it failed then', new HostError('no device'), differs, 'toy[x] could not be compared then, and can be now'],
    ['it is left out now', differs, { ...NOTHING, skipped: 'none' }, 'toy[x] is left out now'],
    ['it was left out then', { ...NOTHING, skipped: 'none' }, NOTHING, 'toy[x] was left out then, and is not now'],
  ])('%s', async (_, then, after, expected) => {
    const found = await moved(then, after);
    if (expected === null) expect(found).toBeNull();
    else expect(found).toContain(expected);
  });
});

describe('what is wanted', () => {
  it('is the same whatever the order of the keys, and another where a parameter, a play or a task is', async () => {
    const made = (params: unknown) => {
      const task = toyTask('a', 'x', [toy('a', 'x')]);
      return {
        ...task,
        items: task.items.map((item) => ({ ...item, made: { type: 'toy', params, texts: { src: 'one' } } })),
      };
    };
    const one = [toyPlay({ a: [made({ a: 1, b: [2] })] })];
    const saved = await save(one);
    expect(otherWishes(saved, one)).toEqual([]);
    expect(otherWishes(saved, [toyPlay({ a: [made({ b: [2], a: 1 })] })])).toEqual([]);
    expect(otherWishes(saved, [toyPlay({ a: [made({ a: 1, b: [3] })] })])).toEqual([
      'task "x" of a wants something else than then',
    ]);
    expect(otherWishes(saved, [toyPlay({ a: [] })])).toEqual(['task "x" of a wants something else than then']);
    expect(otherWishes(saved, [...one, ...one])).toContain('there are not as many plays as then');
    const [first] = one;
    if (!first) throw new Error('no play');
    expect(otherWishes(saved, [{ ...first, probe: { ...first.probe, count: 99 } }])).toEqual([
      `hosts, batches or probe of play "${first.name}" are not as they were then`,
    ]);
  });
});
