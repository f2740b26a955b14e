import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { mcastctl } from '../support/cli.ts';
import { startLab } from '../support/lab.ts';

let lab: Awaited<ReturnType<typeof startLab>>;

beforeAll(async () => {
  lab = await startLab({ nodes: 20, switch: 'strict' });
});
afterAll(() => lab?.down());

it('twenty nodes are brought to the desired state, and then a check has nothing to say', {
  timeout: 120_000,
}, async () => {
  const apply = await mcastctl(['apply', lab.inventory, '--format', 'json']);
  const report: Report = JSON.parse(apply.stdout);
  expect([apply.code, Object.values(report.hosts).map((host) => host.status)]).toEqual([0, Array(20).fill('changed')]);
  expect(report.probe?.paths).toHaveLength(20 * 19);
  expect(await mcastctl(['check', lab.inventory])).toEqual({ code: 0, stdout: '', stderr: '' });
});

it('a matrix of twenty nodes fits 80 columns', { timeout: 60_000 }, async () => {
  const { code, stdout } = await mcastctl(['probe', lab.inventory]);
  expect(code).toBe(0);
  expect(stdout).toContain('380 paths between 20 nodes: 380 ok');
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
});
