import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { type RunningCli, startMcastctl } from '../support/cli.ts';
import { type Bench, type Known, startBench } from './support/bench.ts';
import { judgeNext, misreported, tidy } from './support/cases.ts';
import { countCase, isWhole, sample } from './support/extent.ts';
import type { Boundary } from './support/gate.ts';
import { holdAt, letGo, reached } from './support/hold.ts';
import type { FaultNode } from './support/node.ts';
import { settled, show, sideOf } from './support/shown.ts';
import { SUBJECTS } from './support/subjects.ts';

// What happens to processes and to lines: the built program over a real login, held at a boundary between two steps.

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(isWhole ? 8 : 4);
}, 120_000);
afterAll(() => bench?.down());

/** Seconds of `--confirm-timeout`: the least that it takes. */
const CONFIRM_S = 5;

interface Act {
  readonly name: string;
  /** Strikes while the run is held. The run is let go afterwards, where it is still there. */
  act(scene: { run: RunningCli; node: FaultNode; known: Known }): Promise<void>;
  /** After the run was let go. */
  afterwards?(scene: { run: RunningCli; node: FaultNode }): Promise<void>;
  /** What its exit code may be; null: ended by a signal. */
  readonly codes: readonly (number | null)[];
  /** The node can't take anything back by itself: it was started again. */
  readonly needsNextRun?: boolean;
}

/** The node's port of the switch. */
const port = (node: FaultNode) => node.name;
const line = (node: FaultNode, state: 'up' | 'down') =>
  bench.lab.exec('switch', ['ip', 'link', 'set', port(node), state]);
const lineDown = (seconds: number): Act => ({
  name: `the link of the node is down for ${seconds} s`,
  async act({ node }) {
    expect((await line(node, 'down')).code).toBe(0);
    setTimeout(() => void line(node, 'up'), seconds * 1000);
  },
  codes: [0, 1, 4],
});

const ACTS: readonly Act[] = [
  { name: 'SIGKILL of the controller', act: async ({ run }) => void run.child.kill('SIGKILL'), codes: [null] },
  {
    name: 'SIGSTOP of the controller, longer than the time',
    async act({ run }) {
      run.child.kill('SIGSTOP');
    },
    async afterwards({ run }) {
      await sleep((CONFIRM_S + 2) * 1000);
      run.child.kill('SIGCONT');
    },
    codes: [0, 1],
  },
  {
    name: 'SIGSTOP of the controller, for a moment',
    async act({ run }) {
      run.child.kill('SIGSTOP');
      setTimeout(() => run.child.kill('SIGCONT'), 1_500);
    },
    codes: [0],
  },
  { name: 'Ctrl-C', act: async ({ run }) => void run.child.kill('SIGINT'), codes: [130, 0] },
  {
    name: 'Ctrl-C twice',
    async act({ run }) {
      run.child.kill('SIGINT');
      await sleep(300);
      run.child.kill('SIGINT');
    },
    codes: [130, 0],
  },
  {
    name: 'the sshd of the login is killed',
    async act({ node }) {
      await node.must("pkill -KILL -f '^sshd(-session)?: root' || true");
    },
    codes: [0, 1, 4],
  },
  lineDown(2),
  lineDown(CONFIRM_S),
  lineDown(2 * CONFIRM_S),
];

async function runAct(act: Act, known: Known, boundary: Boundary): Promise<string[]> {
  const wrong: string[] = [];
  await bench.withNode(async (node) => {
    try {
      await bench.reset(node, known.subject);
      await holdAt(node, boundary.step, boundary.side);
      const options = ['--limit', node.name, '--confirm-timeout', String(CONFIRM_S), '--command-timeout', '10'];
      const playbook = bench.playbook(known.subject);
      const run = startMcastctl(['apply', bench.lab.inventory, '-p', playbook, ...options, '--format', 'json']);
      await Promise.race([
        reached(node),
        run.done.then(({ stderr, stdout }) => {
          throw new Error(`it ended before: ${stdout}${stderr}`);
        }),
      ]);
      await act.act({ run, node, known });
      await letGo(node);
      await act.afterwards?.({ run, node });
      const { code, stdout, stderr } = await run.done;
      if (!act.codes.includes(code)) wrong.push(`exit code ${code}: ${stdout}${stderr}`);
      await line(node, 'up');
      await settled(node);
      const side = sideOf(await show(node, known.subject), known.old, known.new);
      if (side !== 'old' && side !== 'new') wrong.push(`${side}; exit ${code}: ${stdout}${stderr}`);
      else if (stdout !== '') {
        const report: Report = JSON.parse(stdout);
        const host = report.hosts[node.name];
        if (host && code !== 130) {
          wrong.push(...misreported(side, { exitCode: code ?? -1, report: host }).map((text) => `${text}: ${stdout}`));
        }
      }
      await judgeNext(node, known, wrong);
    } catch (error) {
      wrong.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
      await letGo(node);
      await tidy(node);
    }
  });
  return wrong.map((text) => `${known.subject.name}: ${act.name}, ${boundary.side} ${boundary.step}: ${text}`);
}

it.concurrent.each(ACTS.map((act) => [act.name, act] as const))('%s', { timeout: 900_000 }, async (name, act) => {
  const subjects = SUBJECTS.filter((subject) => ['sysctl', 'iptables'].includes(subject.name));
  const known = await Promise.all(sample(name, subjects, 1).map((subject) => bench.know(subject)));
  const all = known.flatMap((each) =>
    each.steps
      .filter(({ verb }) => verb !== 'load')
      .map(({ step }) => ({ known: each, boundary: { step, side: 'question' as const } })),
  );
  const cases = sample(name, all, 1);
  for (const each of cases) countCase(name, each.known.subject.name, each.boundary);
  const wrong = (await Promise.all(cases.map((each) => runAct(act, each.known, each.boundary)))).flat();
  expect(wrong.map((text) => text.slice(0, 4_000))).toEqual([]);
});
