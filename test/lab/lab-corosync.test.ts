import { afterAll, expect, test } from 'vitest';
import { mcastctl } from '../support/cli.ts';
import { type Lab, startLab } from '../support/lab.ts';

let lab: Lab | null = null;
afterAll(async () => {
  await lab?.down();
});

test.each([
  ['udp', ['198.18.0.12:5404', '198.18.0.12:5405', '239.192.99.7:5405']],
  ['knet', ['198.18.0.12:5405']],
] as const)('a lab comes with a cluster of corosync over %s', async (corosync, sockets) => {
  lab = await startLab({ nodes: 3, switch: 'flood', corosync });
  const { stdout } = await lab.exec('pve2', ['ss', '-Huanp']);
  const lines = stdout.split('\n').filter((line) => line.includes('"corosync"'));
  expect(lines.map((line) => line.trim().split(/\s+/)[3]).toSorted()).toEqual(sockets);
  const quorum = await lab.exec('pve3', ['corosync-quorumtool', '-s']);
  expect(quorum.stdout).toMatch(/^Quorate: +Yes/m);
  const status = await mcastctl(['lab', 'status', '--name', lab.name]);
  expect(status.stdout).toContain(`flood switch, MaxStartups 500, corosync over ${corosync}`);
  await lab.down();
  lab = null;
});

test('another transport is refused before anything is made', async () => {
  const { code, stderr } = await mcastctl(['lab', 'up', '--name', 'none', '--corosync', 'udpu']);
  expect(code).toBe(3);
  expect(stderr).toContain('udpu');
});
