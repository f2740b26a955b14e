import type { Observations } from '../../src/core/resource.ts';
import { LOCAL_CONF, READS, SHARED_CONF } from '../../src/resources/corosync/reads.ts';
import { type Node, observe } from './observed.ts';

const VERSION =
  "Corosync Cluster Engine, version '3.1.7'\nCopyright (c) 2006-2021 Red Hat, Inc.\n\nBuilt-in features: dbus monitoring watchdog augeas systemd xmlconf vqsim nozzle snmp pie relro bindnow\n";

export interface Observed {
  readonly number: number;
  readonly text: string | null;
  /** The text of /etc/pve/corosync.conf. */
  readonly shared?: string;
  /** Draft of someone else there. */
  readonly draft?: string;
  /** null: corosync does not run. */
  readonly cmap?: Readonly<Record<string, string>> | null;
  /** Local addresses of its sockets. */
  readonly sockets?: readonly string[];
  readonly quorate?: boolean;
  readonly flags?: string;
  /** `mtu:` of corosync-cfgtool -n. */
  readonly mtu?: number;
  readonly members?: readonly number[];
  readonly version?: string;
  readonly deviceMtu?: number;
  readonly linkType?: string;
  readonly mode?: string;
  readonly systemd?: boolean;
  readonly dependents?: readonly string[];
  readonly words?: string;
  /** Its process is there and does not answer yet. */
  readonly isStarting?: boolean;
}

/** A node of three as Debian's corosync 3.1.7 answers there, cut down to what is looked at. */
export function observed(node: Observed): Observations {
  const own = `198.18.0.${10 + node.number}`;
  const members = node.members ?? [1, 2, 3];
  const version = /config_version: (\d+)/.exec(node.text ?? '')?.[1] ?? '0';
  const cmap = {
    'totem.config_version': version,
    'quorum.provider': 'corosync_votequorum',
    'runtime.votequorum.this_node_id': String(node.number),
    'runtime.config.totem.token': '3650',
    ...Object.fromEntries(members.map((id) => [`runtime.members.${id}.status`, 'joined'])),
    ...Object.fromEntries(members.map((id) => [`runtime.members.${id}.config_version`, version])),
    ...Object.fromEntries(
      [1, 2, 3].flatMap((id) => [
        [`nodelist.node.${id - 1}.name`, `pve${id}`],
        [`nodelist.node.${id - 1}.nodeid`, String(id)],
        [`nodelist.node.${id - 1}.ring0_addr`, `198.18.0.${10 + id}`],
      ]),
    ),
    ...node.cmap,
  };
  const isRunning = node.cmap !== null;
  const isAnswering = isRunning && node.isStarting !== true;
  const sockets = node.sockets ?? [`${own}:5405`];
  const states = ['pacemaker', 'corosync-qdevice', 'dlm', 'sbd'].map((unit) =>
    node.dependents?.includes(unit) ? 'active' : 'inactive',
  );
  const runs: Node['runs'] = {
    'corosync-cmapctl': isAnswering
      ? {
          stdout: Object.entries(cmap)
            .map(([key, value]) => `${key} (str) = ${value}\n`)
            .join(''),
        }
      : { code: 1, stderr: 'Failed to initialize the cmap API. Error CS_ERR_LIBRARY\n' },
    'corosync-quorumtool -s': {
      stdout: `Quorate:          ${node.quorate === false ? 'No' : 'Yes'}\nFlags:            ${node.flags ?? 'Quorate '}\n`,
    },
    'corosync-cfgtool -n': {
      stdout: `Local node ID 1, transport udp\nnodeid: 2 reachable\n   LINK: 0  (198.18.0.12) enabled connected mtu: ${node.mtu ?? 1410}\n`,
    },
    'ss -H -u -a -n -p': {
      stdout: sockets
        .map((local) => `UNCONN 0      0     ${local} 0.0.0.0:* users:(("corosync",pid=37,fd=11))\n`)
        .join(''),
    },
    'corosync -v': { stdout: node.version ?? VERSION },
    'pgrep -a -x --ns 1 --nslist pid corosync': isRunning
      ? { stdout: `37 corosync${node.words ?? ''}\n` }
      : { code: 1 },
    'ip -j address show': {
      stdout: JSON.stringify([
        { ifname: 'lo', mtu: 65536, link_type: 'loopback', addr_info: [{ local: '127.0.0.1' }] },
        {
          ifname: 'vmbr0',
          mtu: node.deviceMtu ?? 1500,
          link_type: node.linkType ?? 'ether',
          addr_info: [{ local: own }],
        },
      ]),
    },
    'systemctl is-active pacemaker corosync-qdevice dlm sbd': { code: 3, stdout: `${states.join('\n')}\n` },
  };
  const files: Record<string, string> = {
    '/proc/sys/kernel/hostname': `pve${node.number}\n`,
    '/sys/class/net/vmbr0/link_mode': '0\n',
    ...(node.mode !== undefined && { '/sys/class/net/vmbr0/mode': `${node.mode}\n` }),
    ...(node.text !== null && { [LOCAL_CONF]: node.text }),
    ...(node.shared !== undefined && { [SHARED_CONF]: node.shared }),
    ...(node.draft !== undefined && { '/etc/pve/corosync.conf.new': node.draft }),
  };
  const folders = node.systemd === true ? ['/run/systemd/system'] : [];
  return observe({ files, folders, runs }, READS);
}

/** The same three nodes. */
export function observedCluster(
  text: string,
  more: Partial<Observed> = {},
  each: (number: number) => Partial<Observed> = () => ({}),
) {
  return new Map(
    [1, 2, 3].map((number): [string, Observations] => [
      `pve${number}`,
      observed({ number, text, ...more, ...each(number) }),
    ]),
  );
}
