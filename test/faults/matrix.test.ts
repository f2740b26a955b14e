import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Bench, startBench } from './support/bench.ts';
import { type CaseName, type Fault, runCase } from './support/cases.ts';
import { countCase, isWhole, sample } from './support/extent.ts';
import { CUTS, DISKS, DOWN_FOR_GOOD, IN_WRITE, LIES, PROGRAMS } from './support/faults.ts';
import { SUBJECTS } from './support/subjects.ts';

// Resources × boundaries between two steps × faults, on real nodes. The engine runs in this process, and the messages to a node's agent are
// held at one boundary while the fault strikes; what a login adds is the matter of process.test.ts.

/** What a part of the cases is taken from: learning a resource takes two runs. */
const PART = ['sysctl', 'bridge', 'file', 'template', 'kernel_cmdline', 'iptables'];

const FAULTS: readonly Fault[] = [
  ...CUTS,
  ...(isWhole ? [DOWN_FOR_GOOD] : []),
  ...LIES,
  ...PROGRAMS,
  ...DISKS,
  ...IN_WRITE,
];

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(isWhole ? 16 : 8);
}, 120_000);
afterAll(() => bench?.down());

it.concurrent.each(FAULTS.map((fault) => [fault.name, fault] as const))(
  '%s',
  { timeout: 900_000 },
  async (name, fault) => {
    const few = isWhole ? SUBJECTS : SUBJECTS.filter((subject) => PART.includes(subject.name));
    const subjects = sample(
      name,
      few.filter((subject) => (fault.subjects ?? [subject.name]).includes(subject.name)),
      2,
    );
    const known = await Promise.all(subjects.map((subject) => bench.know(subject)));
    const all = known.flatMap((each) => fault.at(each).map((boundary): CaseName => ({ known: each, fault, boundary })));
    const cases = sample(name, all, 3);
    for (const each of cases) countCase(name, each.known.subject.name, each.boundary);
    const wrong = (await Promise.all(cases.map((each) => runCase(bench, each)))).flat();
    expect(wrong.map((text) => text.slice(0, 4_000))).toEqual([]);
  },
);
