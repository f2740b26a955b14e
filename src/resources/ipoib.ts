import * as z from 'zod';
import type { Read, Resource, ResourcePlan, ResourceType } from '../core/resource.ts';
import { deviceName } from './device-name.ts';
import { INTERFACES_READS, MAIN, type PersistentPlan, readTree } from './interfaces/files.ts';
import { planStanza } from './interfaces/stanza.ts';
import { COROSYNC_READS, netmtuNote } from './ipoib/netmtu.ts';
import { planRuntime, runtimeReads } from './ipoib/runtime.ts';
import { modeSetting, mtuSetting } from './ipoib/stanza.ts';
import { LARGEST, MULTICAST_LIMIT, type WantedIpoib } from './ipoib/wanted.ts';

const MTU_FAULT = `must be a whole number from 576 to ${LARGEST.connected}`;

const IpoibParams = z
  .strictObject({
    device: deviceName('an IPoIB interface', 'ib0').refine((name) => !name.startsWith('-'), 'must not begin with "-"'),
    mode: z
      .literal(['datagram', 'connected'], { error: 'must be datagram or connected' })
      .optional()
      .describe('datagram, or connected for a large MTU of unicast'),
    mtu: z
      .int({ error: MTU_FAULT })
      .min(576, MTU_FAULT)
      .max(LARGEST.connected, MTU_FAULT)
      .optional()
      .describe(
        `MTU in bytes: at most ${LARGEST.datagram} in datagram mode (2044 on most fabrics), ${LARGEST.connected} in connected mode`,
      ),
    netmtu: z
      .int({ error: 'must be a whole number from 576' })
      .min(576, 'must be a whole number from 576')
      .optional()
      .describe(
        `The netmtu that corosync is to have over this interface, only checked: at most the MTU, and ${MULTICAST_LIMIT} in connected mode`,
      ),
  })
  .superRefine((params, context) => {
    if (context.issues.length > 0) return;
    const fault = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    const { mode, mtu, netmtu } = params;
    if (mode === undefined && mtu === undefined) fault([], 'names nothing to set: add mode or mtu');
    if (mode === 'datagram' && mtu !== undefined && mtu > LARGEST.datagram)
      fault(['mtu'], `must be at most ${LARGEST.datagram} in datagram mode: an InfiniBand packet, 4096, less 4`);
    if (netmtu === undefined) return;
    if (mode === 'connected' && netmtu > MULTICAST_LIMIT)
      fault(
        ['netmtu'],
        `must be at most ${MULTICAST_LIMIT} in connected mode: multicast always travels as datagrams, whatever the MTU`,
      );
    else if (netmtu > (mtu ?? LARGEST.datagram))
      fault(['netmtu'], `must be at most the MTU, ${mtu ?? LARGEST.datagram}`);
  });

/**
 * Mode and MTU of an IPoIB interface. Running: sysfs and ip(8). Persistent: its stanza in /etc/network/interfaces. corosync's netmtu is
 * looked at and not changed.
 */
export const ipoib = {
  type: 'ipoib',
  summary: 'Mode and MTU of an IP-over-InfiniBand interface, now and at the next boot',
  schema: IpoibParams,
  example: `- name: Datagrams, which is what multicast is anyway
  ipoib: { device: ib0, mode: datagram, mtu: 2044 }
`,
  resources: ({ device, mode, mtu, netmtu }) => [ipoibResource({ device, mode, mtu, netmtu })],
} satisfies ResourceType<typeof IpoibParams>;

function ipoibResource(wanted: WantedIpoib): Resource {
  const { device, mode, mtu } = wanted;
  const reads: readonly Read[] = [...runtimeReads(device), ...INTERFACES_READS, ...COROSYNC_READS];
  return {
    id: `ipoib[${device}]`,
    reads,
    wants: { ...(mode !== undefined && { mode }), ...(mtu !== undefined && { mtu }) },
    plan(seen): ResourcePlan {
      const runtime = planRuntime(wanted, seen);
      const settings = [
        ...(mode === undefined ? [] : [modeSetting(device, mode)]),
        ...(mtu === undefined ? [] : [mtuSetting(device, mtu)]),
      ];
      const persistent = planStanza(device, settings, readTree(seen), seen) ?? unplaced(wanted);
      const note = netmtuNote(runtime.limit, wanted, seen);
      return {
        changes: [...runtime.changes, ...persistent.changes],
        try: runtime.try,
        undo: runtime.undo,
        keep: persistent.keep,
        ...(persistent.blocked !== undefined && { blocked: persistent.blocked }),
        ...(runtime.changes.length > 0 && {
          impact: {
            kind: 'link-down',
            text: `"${device}" loses its paths to all peers for a moment while mode or MTU change`,
          },
        }),
        ...(note !== undefined && { note }),
      };
    },
  };
}

function unplaced({ device, mode, mtu }: WantedIpoib): PersistentPlan {
  const all = { ...(mode !== undefined && { mode }), ...(mtu !== undefined && { mtu }) };
  return {
    changes: Object.entries(all).map(([property, to]) => ({ layer: 'persistent', property, from: null, to })),
    keep: [],
    blocked: `no "iface ${device}" stanza in ${MAIN} or what it sources: only there can mode and MTU be kept`,
  };
}
