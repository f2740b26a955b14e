import { createHash } from 'node:crypto';
import { afterAll } from 'vitest';
import type { Boundary } from './gate.ts';

/** Whether all cases are run (`npm run test:faults`), or a part that stands for them (`npm test`). */
export const isWhole = process.env['MCASTCTL_FAULTS'] === 'all';

/** All of `items`, or `count` of them: always the same ones for a name, others for another. */
export function sample<T>(name: string, items: readonly T[], count: number): readonly T[] {
  if (isWhole) return items;
  const order = (index: number) => createHash('sha256').update(`${name} ${index}`).digest('hex');
  return items
    .map((item, index) => ({ item, key: order(index) }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    .slice(0, count)
    .map(({ item }) => item);
}

const counted = { cases: 0, faults: new Set<string>(), steps: new Set<string>(), subjects: new Set<string>() };

/** Counts a case for the line at the end. */
export function countCase(fault: string, subject: string, boundary: Boundary): void {
  counted.cases++;
  counted.faults.add(fault);
  counted.subjects.add(subject);
  counted.steps.add(`${subject} ${boundary.side} ${boundary.step}`);
}

afterAll(() => {
  if (counted.cases === 0) return;
  const { cases, faults, steps, subjects } = counted;
  process.stdout.write(
    `${cases} fault cases: ${faults.size} faults, ${steps.size} step boundaries of ${subjects.size} resources\n`,
  );
});
