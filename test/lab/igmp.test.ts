import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LabRun, startLabRun } from '../support/lab-run.ts';

// One story on a real kernel, in order: wrong, right, stable, drifted, spoken to by an older querier, overruled by "all".

let lab: LabRun;
beforeAll(async () => {
  lab = await startLabRun({ nodes: 1, switch: 'flood' });
});
afterAll(() => lab?.down());

const TASK = '- igmp: { interface: vmbr0, version: 2, mld_version: 1, max_memberships: 64, qrv: 3 }\n';
const DROP_IN = '/etc/sysctl.d/99-zz-mcastctl.conf';

/** The version in force, as the kernel prints it. */
const spoken = async (device: string) =>
  lab.on('pve1', 'awk', `$2 == "${device}" { printf "%s", $5 }`, '/proc/net/igmp');
const sysctl = async (key: string) => Number(await lab.on('pve1', 'sysctl', '-n', key));

/** A general query from the controller: 12 bytes are IGMPv3, 8 with a response time IGMPv2. */
const QUERY = `socket(my $s, 2, 3, 2) or die $!;
setsockopt($s, 0, 32, pack 'C4', split /\\./, $ARGV[0]) or die $!;
my $query = pack 'C C n N', 0x11, 10, 0, 0;
my $sum = 0; $sum += $_ for unpack 'n*', $query;
$sum = ($sum & 0xffff) + ($sum >> 16);
substr($query, 2, 2) = pack 'n', ~$sum & 0xffff;
send($s, $query, 0, pack 'S n C4 x8', 2, 0, 224, 0, 0, 1) or die $!;`;

test('forced versions and limits are set in both layers', async () => {
  expect(await spoken('vmbr0')).toBe('V3');
  const { code, tasks } = await lab.run('apply', TASK);
  expect([code, tasks.map(({ resource, status }) => [resource, status])]).toEqual([
    0,
    [
      ['igmp[vmbr0]', 'changed'],
      ['igmp[host]', 'changed'],
    ],
  ]);
  expect(tasks.flatMap(({ changes }) => changes)).toEqual(
    expect.arrayContaining([
      { layer: 'runtime', property: 'version', from: 'auto', to: 2 },
      { layer: 'runtime', property: 'max_memberships', from: 20, to: 64 },
      { layer: 'persistent', property: 'qrv', from: null, to: 3, file: DROP_IN },
    ]),
  );
  expect(await spoken('vmbr0')).toBe('V2');
  expect(await sysctl('net.ipv6.conf.vmbr0.force_mld_version')).toBe(1);
  expect(await sysctl('net.ipv4.igmp_max_memberships')).toBe(64);
});

test('what the next boot gives a device that appears late is the same: systemd-sysctl, as its udev rule starts it', async () => {
  await lab.on('pve1', 'ip', 'link', 'add', 'vmbr7', 'type', 'bridge');
  await lab.on('pve1', 'ip', 'link', 'set', 'vmbr7', 'up');
  const { code } = await lab.run('apply', '- igmp: { interface: vmbr7, version: 1 }\n');
  expect([code, await spoken('vmbr7')]).toEqual([0, 'V1']);
  await lab.on('pve1', 'ip', 'link', 'del', 'vmbr7');
  await lab.on('pve1', 'ip', 'link', 'add', 'vmbr7', 'type', 'bridge');
  await lab.on('pve1', 'ip', 'link', 'set', 'vmbr7', 'up');
  expect(await spoken('vmbr7')).toBe('V3');
  await lab.on('pve1', '/lib/systemd/systemd-sysctl', '--prefix=/net/ipv4/conf/vmbr7');
  expect(await spoken('vmbr7')).toBe('V1');
});

test('a second apply changes nothing, and check is silent', async () => {
  const before = await lab.on('pve1', 'cat', DROP_IN);
  const { code, tasks } = await lab.run('apply', TASK);
  expect([code, tasks.map(({ status }) => status)]).toEqual([0, ['ok', 'ok']]);
  expect(await lab.on('pve1', 'cat', DROP_IN)).toBe(before);
  expect((await lab.run('check', TASK)).code).toBe(0);
});

test('check sees each layer that drifted by hand', async () => {
  await lab.on('pve1', 'sysctl', '-qw', 'net.ipv4.conf.vmbr0.force_igmp_version=0');
  const running = await lab.run('check', TASK);
  expect([running.code, running.tasks.flatMap(({ changes }) => changes)]).toEqual([
    2,
    [{ layer: 'runtime', property: 'version', from: 'auto', to: 2 }],
  ]);
  await lab.on('pve1', 'sysctl', '-qw', 'net.ipv4.conf.vmbr0.force_igmp_version=2');
  await lab.on('pve1', 'sed', '-i', '/max_memberships/d', DROP_IN);
  const kept = await lab.run('check', TASK);
  expect([kept.code, kept.tasks.flatMap(({ changes }) => changes)]).toEqual([
    2,
    [{ layer: 'persistent', property: 'max_memberships', from: null, to: 64, file: DROP_IN }],
  ]);
});

test('a live timer of an older querier is no difference, but told', async () => {
  const three = '- igmp: { interface: vmbr0, version: 3 }\n';
  expect((await lab.run('apply', three)).code).toBe(0);
  expect(await spoken('vmbr0')).toBe('V3');
  await lab.on('ctl', 'perl', '-e', QUERY, '198.18.0.1');
  await expect.poll(() => spoken('vmbr0'), { timeout: 3000 }).toBe('V2');
  const { code, tasks } = await lab.run('apply', three);
  expect([code, tasks]).toMatchObject([
    0,
    [{ status: 'ok', changes: [], note: expect.stringMatching(/still speaks IGMPv2/) }],
  ]);
  expect((await lab.run('check', three)).code).toBe(0);
});

test('"all" beats a device: that is refused with what to do, and cured so', async () => {
  const three = '- igmp: { interface: vmbr7, version: 3 }\n';
  const all = (version: string) => `- igmp: { interface: all, version: ${version} }\n`;
  expect((await lab.run('apply', all('2'))).code).toBe(0);
  expect(await lab.run('apply', three)).toMatchObject({
    code: 1,
    tasks: [
      { status: 'failed', error: expect.stringContaining('set "igmp: { interface: all, version: auto }" first') },
    ],
  });
  expect(await sysctl('net.ipv4.conf.vmbr7.force_igmp_version')).toBe(1);
  expect((await lab.run('apply', `${all('auto')}${three}`)).code).toBe(0);
  expect(await spoken('vmbr7')).toBe('V3');
});
