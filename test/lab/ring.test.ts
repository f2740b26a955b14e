import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ETHTOOL_STAND_IN } from '../support/ethtool-stand-in.ts';
import { IFUPDOWN2_LAYER } from '../support/lab.ts';
import { type LabRun, startLabRun } from '../support/lab-run.ts';

// Namespaces have no NIC with rings: veth and bridges are the real negative cases, and a stand-in for ethtool plays vmxnet3 for "ens4".
// Real rings are a matter for the VM tests.

const INTERFACES = '/etc/network/interfaces';
const ring = (params: string): string => `- ring: { ${params} }\n`;

async function startNode(layers: readonly string[], interfaces: string): Promise<LabRun> {
  const lab = await startLabRun({ nodes: 1, switch: 'flood', layers });
  await lab.on('pve1', 'ip', 'link', 'add', 'ens4', 'type', 'veth', 'peer', 'name', 'ens4p');
  await lab.write('pve1', '/usr/local/sbin/ethtool', ETHTOOL_STAND_IN, '755');
  await lab.write('pve1', INTERFACES, interfaces);
  return lab;
}

/** The current sizes, as the node's ethtool prints them. */
async function sizes(lab: LabRun): Promise<Record<string, number>> {
  const [, now = ''] = (await lab.on('pve1', '/usr/local/sbin/ethtool', '-g', 'ens4')).split(
    'Current hardware settings:',
  );
  return Object.fromEntries(
    [...now.matchAll(/^(\w[\w ]*):\s*(\d+)$/gm)].map(([, label, size]) => [label, Number(size)]),
  );
}

describe('with ifupdown2', () => {
  let lab: LabRun;
  const STANZA = 'auto ens4\niface ens4 inet manual\n\tmtu 1500\n';
  beforeAll(async () => {
    lab = await startNode([IFUPDOWN2_LAYER], STANZA);
    await lab.on('pve1', 'ln', '-s', '/usr/share/ifupdown2/__main__.py', '/run/ifreload');
  });
  afterAll(() => lab?.down());
  const TASK = ring('device: ens4, rx: max, tx: 500');

  test('rings are set at once and kept in one line', async () => {
    const { code, tasks } = await lab.run('apply', TASK);
    expect([code, tasks]).toMatchObject([
      0,
      [
        {
          status: 'changed',
          impact: { kind: 'link-down' },
          changes: [
            { layer: 'runtime', property: 'rx', from: 1024, to: 4096 },
            { layer: 'persistent', property: 'rx', from: null, to: 4096, file: INTERFACES },
            { layer: 'persistent', property: 'tx', from: null, to: 500, file: INTERFACES },
          ],
        },
      ],
    ]);
    expect(await sizes(lab)).toMatchObject({ RX: 4096, TX: 512 });
    expect(await lab.on('pve1', 'cat', INTERFACES)).toBe(`${STANZA}\tpost-up ethtool -G ens4 rx 4096 tx 500 || true\n`);
  });

  test('the driver rounded a size up: the next apply changes nothing and check is silent', async () => {
    const again = await lab.run('apply', TASK);
    expect([again.code, again.tasks]).toMatchObject([
      0,
      [{ status: 'ok', changes: [], note: 'tx of "ens4" is 512: its driver rounds 500 up' }],
    ]);
    expect((await lab.run('check', TASK)).code).toBe(0);
  });

  test('ifupdown2 itself gives the sizes back after they were lost', async () => {
    await lab.on('pve1', 'rm', '/run/ethtool-stand-in');
    expect((await lab.run('check', TASK)).tasks).toMatchObject([
      { status: 'drift', changes: [{ layer: 'runtime', property: 'rx', from: 1024, to: 4096 }] },
    ]);
    await lab.on('pve1', '/run/ifreload', '-a');
    expect(await sizes(lab)).toMatchObject({ RX: 4096, TX: 512 });
    expect((await lab.run('check', TASK)).code).toBe(0);
  });

  test('a line of another hand is found and replaced, not doubled', async () => {
    await lab.on('pve1', 'sed', '-i', 's/rx 4096 tx 500 || true/rx 256/', INTERFACES);
    const { tasks } = await lab.run('check', TASK);
    expect(tasks).toMatchObject([
      {
        changes: [
          { layer: 'persistent', property: 'rx', from: 256, to: 4096, file: INTERFACES, line: 4 },
          { layer: 'persistent', property: 'tx', from: null, to: 500, file: INTERFACES },
        ],
      },
    ]);
    expect((await lab.run('apply', TASK)).code).toBe(0);
    expect(await lab.on('pve1', 'cat', INTERFACES)).toBe(`${STANZA}\tpost-up ethtool -G ens4 rx 4096 tx 500\n`);
  });

  test('more than the device can do is refused before anything is tried', async () => {
    const { code, tasks } = await lab.run('apply', ring('device: ens4, rx: 8192, rx_jumbo: 9000, tx: 64'));
    expect([code, tasks]).toMatchObject([
      1,
      [{ error: expect.stringContaining('rx is at most 4096, not 8192; rx_jumbo is at most 4096, not 9000') }],
    ]);
    expect(await sizes(lab)).toMatchObject({ RX: 4096, TX: 512 });
  });

  test('a real device without rings is left alone, a silent one for check; "fail" makes it an error', async () => {
    for (const device of ['ens4p', 'eth0']) {
      const { code, tasks } = await lab.run('apply', ring(`device: ${device}, rx: max`));
      expect([code, tasks]).toMatchObject([0, [{ status: 'skipped', note: expect.stringContaining('left alone') }]]);
      expect((await lab.run('check', ring(`device: ${device}, rx: max`))).code).toBe(0);
    }
    const failed = await lab.run('apply', ring('device: ens4p, rx: max, when_unsupported: fail'));
    expect([failed.code, failed.tasks]).toMatchObject([1, [{ status: 'failed' }]]);
  });

  test('a bridge is refused with the names of its ports', async () => {
    expect((await lab.run('apply', ring('device: vmbr0, rx: max'))).tasks).toMatchObject([
      { status: 'failed', error: '"vmbr0" is a bridge and has no rings: its ports have (write device: eth0)' },
    ]);
  });
});

test("classic ifupdown keeps them by the options of Debian's ethtool hook, which the hook then sets", async () => {
  const lab = await startNode([], 'auto ens4\niface ens4 inet manual\n');
  try {
    const task = ring('device: ens4, rx: 2048, rx_jumbo: max');
    expect((await lab.run('apply', task)).code).toBe(0);
    expect(await lab.on('pve1', 'cat', INTERFACES)).toBe(
      'auto ens4\niface ens4 inet manual\n\thardware-dma-ring-rx 2048\n\thardware-dma-ring-rx-jumbo 4096\n',
    );
    expect((await lab.run('apply', task)).tasks).toMatchObject([{ status: 'ok' }]);
    // What ifup does at boot: it hands the options to the scripts of if-up.d. The hook knows ethtool by its path.
    await lab.on('pve1', 'rm', '/run/ethtool-stand-in');
    await lab.on('pve1', 'mv', '/usr/local/sbin/ethtool', '/root/stand-in');
    await lab.on('pve1', 'cp', '/usr/sbin/ethtool', '/usr/sbin/ethtool.real');
    await lab.on('pve1', 'cp', '/root/stand-in', '/sbin/ethtool');
    const hook = ['IFACE=ens4', 'IF_HARDWARE_DMA_RING_RX=2048', 'IF_HARDWARE_DMA_RING_RX_JUMBO=4096'] as const;
    await lab.on('pve1', 'env', ...hook, '/etc/network/if-up.d/ethtool');
    await lab.on('pve1', 'mv', '/root/stand-in', '/usr/local/sbin/ethtool');
    expect(await sizes(lab)).toMatchObject({ RX: 2048, 'RX Jumbo': 4096 });
  } finally {
    await lab.down();
  }
});
