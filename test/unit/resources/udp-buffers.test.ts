import { describe, expect, it } from 'vitest';
import { sysctl } from '../../../src/resources/sysctl.ts';
import { type Node, planOn } from '../../support/observed.ts';

describe('udp_buffers', () => {
  const RUNNING = { '/proc/sys/net/core/rmem_max': '212992\n', '/proc/sys/net/core/wmem_max': '212992\n' };
  const corosync = (version: string) => ({
    'corosync -v': { stdout: `Corosync Cluster Engine, version '${version}'\nCopyright (c) 2006-2021 Red Hat, Inc.\n` },
  });
  const conf = (transport: string | null) =>
    `totem {\n  version: 2\n${transport === null ? '' : `  transport: ${transport}\n`}}\n`;

  it.each([
    ['3.1.7', 'udp', 1_048_576],
    ['3.1.7', 'udpu', 2_179_072],
    ['3.1.7', 'knet', 8_388_608],
    ['3.1.7', null, 8_388_608],
    ['2.4.6', null, 160_000],
    ['1.4.7', 'udpu', 160_000],
  ])('auto is what corosync %s asks for with transport %s', (version, transport, bytes) => {
    const node: Node = {
      files: { ...RUNNING, '/etc/corosync/corosync.conf': conf(transport) },
      runs: corosync(version),
    };
    const [receive] = sysctl.resources(sysctl.schema.parse({ udp_buffers: 'auto' }));
    if (!receive) throw new Error('two limits');
    const plan = planOn(node, receive);
    const wanted = bytes > 212_992 ? [expect.objectContaining({ layer: 'runtime', from: 212_992, to: bytes })] : [];
    expect(plan.changes).toEqual([...wanted, expect.objectContaining({ layer: 'persistent', from: null, to: bytes })]);
    expect(plan.explain?.join('\n')).toContain(`= ${bytes}`.replace(/^= 8388608$/, '8388608'));
  });

  it('leaves a limit alone that is larger, in both layers', () => {
    const node: Node = {
      files: {
        ...RUNNING,
        '/proc/sys/net/core/rmem_max': '26214400\n',
        '/etc/sysctl.d/50-big.conf': 'net.core.rmem_max = 26214400\n',
        '/etc/corosync/corosync.conf': conf('udp'),
      },
      runs: corosync('3.1.7'),
    };
    const plans = sysctl.resources(sysctl.schema.parse({ udp_buffers: 'auto' })).map((each) => planOn(node, each));
    expect(plans.map(({ changes }) => changes.length)).toEqual([0, 2]);
  });

  it("takes Proxmox's own file before the copy, and the largest need where there is no corosync", () => {
    const [receive] = sysctl.resources(sysctl.schema.parse({ udp_buffers: 'auto' }));
    if (!receive) throw new Error('two limits');
    const files = { ...RUNNING, '/etc/corosync/corosync.conf': conf('udp'), '/etc/pve/corosync.conf': conf('knet') };
    expect(planOn({ files, runs: corosync('3.1.10') }, receive).explain?.[1]).toBe(
      'transport knet, by /etc/pve/corosync.conf:3',
    );
    expect(planOn({ files }, receive).changes[0]).toMatchObject({ to: 8_388_608 });
    expect(() =>
      planOn({ files: { ...files, '/etc/pve/corosync.conf': conf('iba') }, runs: corosync('3.1.7') }, receive),
    ).toThrow('transport "iba" of /etc/pve/corosync.conf:3');
  });

  it('as a number sets both limits and no default', () => {
    const ids = sysctl.resources(sysctl.schema.parse({ udp_buffers: 26_214_400 })).map(({ id }) => id);
    expect(ids).toEqual(['sysctl[net.core.rmem_max]', 'sysctl[net.core.wmem_max]']);
  });

  it.each([
    [{ udp_buffers: 'large' }, '"udp_buffers" is auto or bytes'],
    [{ udp_buffers: 12 }, '"udp_buffers" is auto or bytes'],
    [{ udp_buffers: 'auto', 'net.core.rmem_max': 1 }, '"udp_buffers" stands for "net.core.rmem_max" too'],
  ])('%o is refused', (params, message) => {
    expect(sysctl.schema.safeParse(params).error?.issues[0]?.message).toContain(message);
  });
});
