import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentSession } from '../../src/agent/session.ts';
import type { Resource, ResourcePlan, Step } from '../../src/core/resource.ts';
import { sysctl } from '../../src/resources/sysctl.ts';
import { type ProbeNet, probeNet } from '../support/probe-net.ts';

let net: ProbeNet;
let agent: AgentSession;
beforeAll(async () => {
  net = probeNet(1);
  agent = await net.agent(0);
});
afterAll(() => {
  agent?.close();
  net?.down();
});

const resource = (params: Record<string, unknown>): Resource => {
  const [first] = sysctl.resources(sysctl.schema.parse(params));
  if (!first) throw new Error('no resource');
  return first;
};
const plan = async (wanted: Resource): Promise<ResourcePlan> => wanted.plan(await agent.read(wanted.reads));
const runtime = async (wanted: Resource) => (await plan(wanted)).changes.filter(({ layer }) => layer === 'runtime');
const perform = async (steps: readonly Step[]): Promise<void> => {
  for (const step of steps) {
    if (step.do !== 'set') throw new Error('only values are set');
    await agent.set(step.path, step.value);
  }
};

test.each([
  [{ 'net.ipv4.conf.eth0.rp_filter': 2 }, 0, 2],
  [{ 'net/ipv4/igmp_max_memberships': '77' }, 20, 77],
  [{ 'net.ipv4.tcp_rmem': '4096 100000  6000000' }, null, '4096 100000 6000000'],
])('%o is set, read back and taken back on a real kernel', async (params, from, to) => {
  if ('net.ipv4.conf.eth0.rp_filter' in params) net.exec(0, 'sysctl', '-qw', 'net.ipv4.conf.eth0.rp_filter=0');
  const wanted = resource(params);
  const [path] = wanted.reads.flatMap((read) => (read.read === 'file' ? [read.path] : []));
  const before = net.exec(0, 'cat', path ?? '');
  const first = await plan(wanted);
  expect(first.changes.filter(({ layer }) => layer === 'runtime')).toMatchObject([
    { property: 'value', to, ...(from !== null && { from }) },
  ]);
  await perform(first.try);
  expect(net.exec(0, 'cat', path ?? '')).not.toBe(before);
  expect(await runtime(wanted)).toEqual([]);
  await perform(first.undo);
  expect(net.exec(0, 'cat', path ?? '')).toBe(before);
});

test('a device name with a dot is found by either spelling', async () => {
  net.exec(0, 'ip', 'link', 'add', 'eth0.200', 'type', 'bridge');
  for (const key of ['net/ipv4/conf/eth0.200/rp_filter', 'net.ipv4.conf.eth0/200.rp_filter']) {
    const wanted = resource({ [key]: 1 });
    expect(wanted.id).toBe('sysctl[net.ipv4.conf.eth0/200.rp_filter]');
    await perform((await plan(wanted)).try);
    expect(net.exec(0, 'cat', '/proc/sys/net/ipv4/conf/eth0.200/rp_filter')).toBe('1\n');
    net.exec(0, 'sysctl', '-qw', 'net/ipv4/conf/eth0.200/rp_filter=0');
  }
});

test('what can not be read, or is not there, is an error that says so', async () => {
  await expect(plan(resource({ 'net.ipv4.route.flush': 1 }))).rejects.toThrow(
    '"/proc/sys/net/ipv4/route/flush" can\'t be read',
  );
  await expect(plan(resource({ 'net.ipv4.conf.vmbr9.rp_filter': 1 }))).rejects.toThrow(
    'this kernel has no setting "net.ipv4.conf.vmbr9.rp_filter"',
  );
  await expect(plan(resource({ 'net.ipv4': 1 }))).rejects.toThrow("can't be read");
});

test('a value that the kernel refuses fails in the step', async () => {
  const wanted = resource({ 'net.ipv4.conf.eth0.rp_filter': 'many' });
  await expect(perform((await plan(wanted)).try)).rejects.toThrow('Invalid argument');
});
