import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report, TaskReport } from '../../src/core/report.ts';
import { mcastctl } from '../support/cli.ts';
import { FIREWALLD_LAYER } from '../support/lab.ts';
import { type LabRun, startLabRun } from '../support/lab-run.ts';

// Real firewalld with its nftables back end and a system bus of its own on pve1; pve2 sends. One story, in order.

const START = `
  mkdir -p /run/dbus
  setsid dbus-daemon --system --nofork --nopidfile >/dev/null 2>&1 &
  until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
  setsid firewalld --nofork --nopid >/dev/null 2>&1 &
  until firewall-cmd --state >/dev/null 2>&1; do sleep 0.1; done
`;
const ALL = '- firewalld: { accept: [multicast, corosync, igmp] }\n';

let lab: LabRun;
beforeAll(async () => {
  lab = await startLabRun({ nodes: 2, switch: 'flood', layers: [FIREWALLD_LAYER] });
  await lab.on('pve1', 'timeout', '30', 'sh', '-c', START);
}, 60_000);
afterAll(() => lab?.down());

const cmd = (...args: string[]) => lab.on('pve1', 'firewall-cmd', ...args);

/** How many of 10 packets to corosync's port arrive at pve1, by multicast. */
async function arriving(): Promise<number | undefined> {
  const args = ['--port', '5405', '--count', '10', '--interval', '20ms', '--format', 'json'];
  const { stdout } = await mcastctl(['probe', lab.inventory, ...args]);
  return (JSON.parse(stdout) as Report).probe?.paths.find(({ to }) => to === 'pve1')?.multicast.received;
}

const said = (tasks: readonly TaskReport[]) =>
  tasks.flatMap((task) => task.changes.map(({ layer, property }) => `${layer} ${property}`));
const inBoth = (zone: string, properties: readonly string[]) =>
  ['runtime', 'persistent'].flatMap((layer) => properties.map((each) => `${layer} ${each} in zone "${zone}"`));

describe('firewalld', { timeout: 60_000 }, () => {
  it('lets multicast, corosync and IGMP in, now and at the next boot', async () => {
    expect(await arriving()).toBe(0);
    const { code, tasks } = await lab.run('apply', ALL);
    expect([code, tasks.map(({ status }) => status)]).toEqual([0, ['changed']]);
    expect(said(tasks)).toEqual(
      inBoth('public', ['ipv4 multicast', 'ipv4 corosync', 'ipv4 igmp', 'ipv6 multicast', 'ipv6 corosync']),
    );
    const rules = await lab.on('pve1', 'nft', 'list', 'chain', 'inet', 'firewalld', 'filter_IN_public_allow');
    for (const rule of ['udp dport 5404-5412', 'ip daddr 224.0.0.0/4', 'ip6 daddr ff00::/8', 'igmp'])
      expect(rules).toMatch(new RegExp(`${rule}.* accept`));
    const permanent = await lab.on('pve1', 'cat', '/etc/firewalld/zones/public.xml');
    for (const part of ['<port port="5404-5412" protocol="udp"/>', '<protocol value="igmp"/>', 'address="ff00::/8"'])
      expect(permanent).toContain(part);
    expect(await arriving()).toBe(10);
  });

  it('a second apply changes nothing, also after a reload', async () => {
    await cmd('--reload');
    expect(await lab.run('apply', ALL)).toMatchObject({ code: 0, tasks: [{ status: 'ok' }] });
  });

  it('check sees what drifted in each layer, and apply brings it back', async () => {
    await cmd('--remove-rich-rule=rule family="ipv6" destination address="ff00::/8" accept');
    await cmd('--permanent', '--remove-port=5404-5412/udp');
    const { code, tasks } = await lab.run('check', ALL);
    expect(code).toBe(2);
    const { tasks: same } = await lab.run('check', ALL.replace('firewalld', 'firewall'));
    expect(said(same)).toEqual(said(tasks));
    expect(same[0]?.changes[0]?.note).toMatch(/^by firewalld, since "firewall-cmd" says that firewalld runs/);
    expect(said(tasks)).toEqual([
      'runtime ipv6 multicast in zone "public"',
      'persistent ipv4 corosync in zone "public"',
      'persistent ipv6 corosync in zone "public"',
    ]);
    expect((await lab.run('apply', ALL)).code).toBe(0);
    expect(await cmd('--list-rich-rules')).toContain('ff00::/8');
    expect(await cmd('--permanent', '--list-ports')).toBe('5404-5412/udp\n');
  });

  it('a rich rule that refuses it is named, and nothing is tried', async () => {
    const drop = 'rule family="ipv4" destination address="224.0.0.0/4" drop';
    await cmd(`--add-rich-rule=${drop}`);
    const { code, tasks } = await lab.run('apply', ALL);
    expect(code).toBe(1);
    expect(tasks[0]?.error).toContain(
      `zone "public" refuses ipv4 multicast before any rule could let it in: "${drop}"; remove that`,
    );
    await cmd(`--remove-rich-rule=${drop}`);
  });

  it('the zone of an interface counts, and so does the service that is about corosync', async () => {
    await cmd('--zone=internal', '--add-interface=vmbr0');
    for (const permanent of [[], ['--permanent']])
      await cmd(...permanent, '--zone=internal', '--add-service=high-availability');
    const { tasks } = await lab.run('check', ALL);
    expect(said(tasks)).toEqual(inBoth('internal', ['ipv4 multicast', 'ipv4 igmp', 'ipv6 multicast']));
  });

  it('what a failed task began is taken back whole, with the ports that firewalld joined', async () => {
    const task = '- firewalld: { accept: [corosync, igmp], zone: work }\n';
    await cmd('--zone=work', '--add-port=5405/udp', '--add-port=5411-5420/udp');
    await lab.on('pve1', 'mount', '--bind', '-o', 'ro', '/etc/firewalld', '/etc/firewalld');
    const { code, tasks } = await lab.run('apply', task);
    expect([code, tasks[0]?.status]).toEqual([1, 'failed']);
    expect(tasks[0]?.error).toMatch(/^"firewall-cmd --permanent --zone=work --add-port=5404-5412\/udp" failed/);
    expect(tasks[0]?.error).not.toContain('undo failed');
    await lab.on('pve1', 'umount', '/etc/firewalld');
    expect(await cmd('--zone=work', '--list-ports')).toBe('5405/udp 5411-5420/udp\n');
    expect(await cmd('--zone=work', '--list-protocols')).toBe('\n');
  });

  it('what is for one source is a rich rule, and absent takes it away', async () => {
    const task = '- firewalld: { accept: [multicast, corosync], zone: work, source: 10.0.0.0/24';
    expect((await lab.run('apply', `${task} }\n`)).code).toBe(0);
    expect(await cmd('--permanent', '--zone=work', '--list-rich-rules')).toContain(
      'rule family="ipv4" source address="10.0.0.0/24" destination address="224.0.0.0/4" accept\n',
    );
    const { code, tasks } = await lab.run('apply', `${task}, state: absent }\n`);
    expect([code, said(tasks).length]).toEqual([0, 4]);
    for (const permanent of [[], ['--permanent']])
      expect(await cmd(...permanent, '--zone=work', '--list-rich-rules')).toBe('\n');
  });
});
