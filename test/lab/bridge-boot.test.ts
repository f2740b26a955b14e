import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readCommand } from '../../src/resources/bridge/commands.ts';
import { BridgeParams, bridge } from '../../src/resources/bridge.ts';
import { afterEdits, type Node, planOn } from '../support/observed.ts';

const MAIN = '/etc/network/interfaces';
const layer = fileURLToPath(new URL('../../.cache/layers/ifupdown2', import.meta.url));

/** Runs a script in network and mount namespaces of its own, which end with it. */
function isolated(script: string, args: readonly string[], input = ''): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync('unshare', ['-nm', 'sh', '-eu', '-c', script, 'sh', ...args], {
    input,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`exit ${status}: ${stderr}${stdout}`);
  return { stdout, stderr };
}

/** What `ip` says of vmbr0 after ifupdown2 itself brought up all interfaces of a file. */
function boot(interfaces: string): string {
  if (!existsSync(layer)) throw new Error(`${layer} is missing: run "npm run setup"`);
  const at = mkdtempSync(join(tmpdir(), 'mcastctl-boot-'));
  const script = `
    mount -t tmpfs t "$1"
    mkdir "$1/upper" "$1/work" "$1/root"
    cp -a "$2/." "$1/upper"
    mount -t overlay o -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
    mount -t proc p "$1/root/proc"
    mount -t sysfs s "$1/root/sys"
    mount -t tmpfs r "$1/root/run"
    mount --rbind /dev "$1/root/dev"
    mkdir -p "$1/root/etc/network" "$1/root/run/network"
    cat > "$1/root${MAIN}"
    ln -s /usr/share/ifupdown2/__main__.py "$1/root/run/ifup"
    chroot "$1/root" /run/ifup -a >&2
    ip -d -j addr show dev vmbr0
  `;
  try {
    return isolated(script, [at, layer], interfaces).stdout;
  } finally {
    rmdirSync(at);
  }
}

function resource(input: { readonly [key: string]: unknown }) {
  const [only] = bridge.resources(BridgeParams.parse({ name: 'vmbr0', ...input }));
  if (only === undefined) throw new Error('one task is one bridge');
  return only;
}

const HEAD = `auto lo
iface lo inet loopback

auto vmbr0
iface vmbr0 inet static
\taddress 198.18.0.2/24
\tbridge-ports none
\tbridge-stp off
`;

const ALL = {
  multicast_snooping: false,
  multicast_querier: true,
  multicast_query_use_ifaddr: true,
  multicast_igmp_version: 3,
  multicast_mld_version: 2,
  multicast_router: 2,
  multicast_query_interval: 60,
  multicast_query_response_interval: 5,
  multicast_querier_interval: 130,
  multicast_membership_interval: 140,
  multicast_last_member_interval: 2,
  multicast_startup_query_interval: 15,
  multicast_last_member_count: 3,
  multicast_startup_query_count: 4,
  multicast_hash_max: 1024,
  multicast_stats_enabled: true,
};

const CASES: readonly (readonly [string, string])[] = [
  ['a plain stanza', HEAD],
  ['wrong values in several spellings', `${HEAD}\tbridge_mcquerier off\n\tbridge-mcsnoop yes\n\tbridge-mcqi 7\n`],
  [
    'values given twice',
    `${HEAD}\tbridge-mcquerier no\n\tbridge-mcquerier yes\n\tbridge-mcrouter 1\n\tbridge-mcrouter 2\n`,
  ],
  [
    'commands that fight it',
    `${HEAD}\tpost-up ( echo 0 > /sys/devices/virtual/net/$IFACE/bridge/multicast_querier )\n\tup ip link set vmbr0 type bridge mcast_router 0 mcast_igmp_version 2\n`,
  ],
  [
    'continued lines and a comment that swallows one',
    `${HEAD}\t# note \\\n\tbridge-mcstats on\n\tbridge-mcqri \\\n\n 9 \\\n`,
  ],
  [
    'two stanzas, CR LF, no last line end',
    `${HEAD}iface vmbr0 inet6 static\n\taddress 2001:db8::2/64\n\tbridge-mcsnoop on`.replaceAll('\n', '\r\n'),
  ],
];

test.each(CASES)('ifupdown2 reads the edited file as meant: %s', (_, text) => {
  const wanted = resource(ALL);
  const node: Node = { files: { [MAIN]: text }, folders: ['/usr/share/ifupdown2'], runs: {} };
  const before = { ...node, runs: { 'ip -d -j addr show dev vmbr0': { stdout: boot(text) } } };
  const plan = planOn(before, wanted);
  expect(plan.blocked).toBeUndefined();
  // What a boot gives and the file does not is no less a difference: the two layers agree on what is set.
  const given = (layer: string) =>
    new Map(plan.changes.filter((change) => change.layer === layer).map(({ property, from }) => [property, from]));
  const running = given('runtime');
  for (const [property, from] of given('persistent')) {
    if (typeof from === 'boolean' || typeof from === 'number')
      expect([property, running.get(property)]).toEqual([property, from]);
  }
  const after = afterEdits(before, plan.keep);
  const runs = { 'ip -d -j addr show dev vmbr0': { stdout: boot(after.files[MAIN] ?? '') } };
  expect(planOn({ ...after, runs }, wanted).changes).toEqual([]);
});

test('a shell does what was read out of a command', () => {
  const commands = [
    'echo 1 > /sys/class/net/vmbr0/bridge/multicast_querier',
    '( echo 1 > /sys/devices/virtual/net/$IFACE/bridge/multicast_querier )',
    '{ echo 1 > "/sys/class/net/$IFACE/bridge/multicast_querier"; }',
    "echo -n '9' >/sys/class/net/$IFACE/bridge/multicast_querier 2>/dev/null || true; true",
    'ip link set dev $IFACE type bridge mcast_querier 1 mcast_snooping 0 mcast_query_interval 4000',
    '[ -e /sys/class/net/vmbr0 ] && echo 500 > /sys/class/net/vmbr0/bridge/multicast_last_member_interval',
    'echo 1 > /sys/class/net/vmbr0/bridge/multicast_querier; echo 0 > /sys/class/net/vmbr0/bridge/multicast_querier',
    'echo 1 > /sys/class/net/vmbr0/bridge/multicast_querier && echo 2048 > /sys/class/net/vmbr0/bridge/hash_max',
  ];
  const script = `
    mount -t sysfs s /sys
    for command; do
      ip link add vmbr0 type bridge
      IFACE=vmbr0 sh -c "$command"
      (cd /sys/class/net/vmbr0/bridge && grep -s . multicast_* hash_max)
      echo --
      ip link del vmbr0
    done
  `;
  const blocks = isolated(script, commands).stdout.split('--\n');
  for (const [index, command] of commands.entries()) {
    const values = new Map((blocks[index] ?? '').split('\n').map((line) => line.split(':') as [string, string]));
    const { settings } = readCommand(command, 'vmbr0');
    const last = new Map(settings.map(({ property, value }) => [property.sysfs, value]));
    expect(last.size, command).toBeGreaterThan(0);
    for (const [file, value] of last) expect([command, file, values.get(file)]).toEqual([command, file, String(value)]);
  }
});
