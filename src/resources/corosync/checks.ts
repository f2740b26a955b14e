import { HostError } from '../../core/errors.ts';
import type { Observations } from '../../core/resource.ts';
import {
  blocksAt,
  type CorosyncConf,
  itemAt,
  itemIn,
  printCorosyncConf,
  proxmoxFault,
  valueFaults,
} from '../../formats/corosync-conf.ts';
import type { Transport } from './keys.ts';
import { type ClusterNode, linkDevice, tokenOf } from './node.ts';
import type { CorosyncParams } from './params.ts';
import { VERSION } from './reads.ts';
import { nodeBlock, transportOf } from './targets.ts';

/** The MTU that IPoIB multicast has whatever the device says: it always goes by datagrams (kernel documentation, ipoib). */
const IPOIB_MTU = 2044;

/**
 * What `corosync -t` does not see in a file, and what depends on the node.
 * @param conf the file as it is to be
 * @throws HostError with what to do
 */
export function checkConf(conf: CorosyncConf, node: ClusterNode, params: CorosyncParams, seen: Observations): void {
  const transport = transportOf(conf);
  checkProgram(transport, seen);
  checkValues(conf, node.isShared);
  checkLinks(conf, transport);
  checkTieBreaker(conf);
  if (params.totem['token'] !== undefined || params.totem['consensus'] !== undefined) checkConsensus(conf);
  const isNamed = params.totem['netmtu'] !== undefined || params.totem['transport'] !== undefined;
  if (isNamed && transport !== 'knet') checkMtu(conf, transport, node, seen);
}

/** The corosync after 3.1 is built without udp and udpu unless told otherwise: configure.ac, --enable-unencrypted --enable-udpu. */
function checkProgram(transport: Transport, seen: Observations): void {
  const { code, stdout } = seen.run(VERSION);
  if (code !== 0) throw new HostError('corosync is not installed', { hint: 'install the package corosync first' });
  const major = Number(/version '(\d+)/.exec(stdout)?.[1] ?? 3);
  if (major < 3)
    throw new HostError(`corosync ${major} is older than what this manages`, {
      hint: 'it needs corosync 3, of 2018 or later',
    });
  const missing = ['without_udpu', 'enforce_encryption'].find((word) => stdout.split(/\s+/).includes(word));
  if (transport === 'knet' || missing === undefined) return;
  throw new HostError(`this corosync is built without transport ${transport} ("corosync -v" says ${missing})`, {
    hint: 'use transport: knet',
  });
}

function checkValues(conf: CorosyncConf, isShared: boolean): void {
  const [fault] = valueFaults(conf);
  if (fault !== undefined)
    throw new HostError(`${conf.file}: ${fault.message}`, { hint: 'correct it in the file or name it in the task' });
  const refused = isShared ? proxmoxFault(printCorosyncConf(conf)) : null;
  if (refused !== null)
    throw new HostError(`Proxmox VE could not read the new ${conf.file}: ${refused}`, {
      hint: 'correct the file by hand first',
    });
}

function checkLinks(conf: CorosyncConf, transport: Transport): void {
  if (transport === 'knet') return;
  const numbers = blocksAt(conf, 'totem.interface').map((block) => itemIn(block, 'linknumber')?.value ?? '0');
  const rings = blocksAt(conf, 'nodelist.node').flatMap((block) =>
    block.items.flatMap(({ key }) => /^ring([1-7])_addr$/.exec(key)?.[1] ?? []),
  );
  const more = [...numbers, ...rings].find((number) => Number(number) > 0);
  if (more === undefined) return;
  throw new HostError(`${conf.file} has a link ${more}, and transport ${transport} has only link 0`, {
    hint: `give each node "ring${more}_addr: null" and the interface "absent: true", or use transport: knet`,
  });
}

/** votequorum turns it off by itself then (votequorum_readconfig). */
function checkTieBreaker(conf: CorosyncConf): void {
  const of = (key: string) => itemAt(conf, 'quorum', key)?.value;
  const nodes = blocksAt(conf, 'nodelist.node').length;
  if (of('auto_tie_breaker') !== '1' || nodes % 2 === 0 || of('wait_for_all') === '1') return;
  throw new HostError(
    `auto_tie_breaker with ${nodes} nodes, an odd number, needs wait_for_all: corosync would turn it off`,
    {
      hint: 'add "wait_for_all: true" below quorum, or leave auto_tie_breaker out',
    },
  );
}

/** corosync.conf(5), "consensus": corosync 3.1.7 takes less, and forms odd memberships then. */
function checkConsensus(conf: CorosyncConf): void {
  const consensus = itemAt(conf, 'totem', 'consensus')?.value;
  if (consensus === undefined) return;
  const nodes = blocksAt(conf, 'nodelist.node').length;
  const token = tokenOf(conf);
  const least = Math.ceil(1.2 * token);
  if (Number(consensus) >= least) return;
  throw new HostError(
    `consensus is ${consensus}, and 1.2 times the token time of ${nodes} nodes (${token}) is ${least}`,
    {
      hint: `set "consensus: ${least}" or more, or "consensus: null" to let corosync work it out`,
    },
  );
}

function checkMtu(conf: CorosyncConf, transport: Transport, node: ClusterNode, seen: Observations): void {
  const block = nodeBlock(conf, node.name);
  const device = linkDevice(node, block === undefined ? undefined : itemIn(block, 'ring0_addr')?.value);
  if (device === undefined) return;
  const own = itemAt(conf, 'totem', 'netmtu')?.value;
  const netmtu = Number(own ?? 1500);
  const said = own === undefined ? 'netmtu is 1500 by default' : `netmtu is ${netmtu}`;
  if (netmtu > device.mtu)
    throw new HostError(
      `${said}, and the MTU of "${device.name}" is ${device.mtu}: larger packets would be fragmented or lost`,
      {
        hint: `set "netmtu: ${device.mtu}" or less, or raise the MTU of the device, of all nodes and of the switch`,
      },
    );
  if (!device.isInfiniband || transport !== 'udp' || netmtu <= IPOIB_MTU) return;
  if (ipoibMode(device.name, seen) !== 'connected') return;
  throw new HostError(
    `${said}, and multicast over IPoIB in connected mode ("${device.name}") carries ${IPOIB_MTU} bytes`,
    {
      hint: `set "netmtu: ${IPOIB_MTU}" or less`,
    },
  );
}

function ipoibMode(device: string, seen: Observations): string | undefined {
  const files = seen.dir('/sys/class/net', 'mode', '') ?? [];
  return files.find(({ path }) => path === `/sys/class/net/${device}/mode`)?.text.trim();
}
