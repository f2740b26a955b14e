import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { parseEthtoolRings, ringsOf } from '../../src/formats/ethtool-rings.ts';
import { parseProcIgmp, parseProcIgmp6 } from '../../src/formats/proc-igmp.ts';

/** Runs a script in a network namespace that ends with it. */
function inNamespace(script: string): string {
  const options = { encoding: 'utf8', stdio: 'pipe', env: { ...process.env, LC_ALL: 'C' } } as const;
  return execFileSync('unshare', ['-n', 'sh', '-euc', script], options);
}

const VETH = 'ip link add corosync-ring01 type veth peer name vb; ';

test('ethtool on a veth, a bridge and no device at all', () => {
  const ask = (device: string): string =>
    inNamespace(`${VETH} ip link add br0 type bridge; ethtool -g ${device} 2>&1 || :`);
  for (const device of ['corosync-ring01', 'br0']) {
    expect(ringsOf(parseEthtoolRings(ask(device)), device).kind).toBe('unsupported');
  }
  expect(ringsOf(parseEthtoolRings(ask('nosuch')), 'nosuch').kind).toBe('no-device');
});

test('groups and versions of the kernel are those that ip shows', () => {
  const join = `
    const socket = require('dgram').createSocket('udp4');
    socket.bind(0, () => {
      for (const group of ['239.192.77.1', '226.94.1.1']) socket.addMembership(group, '10.9.1.1');
      const run = (...argv) => require('child_process').execFileSync(argv[0], argv.slice(1), { encoding: 'utf8' });
      const read = (path) => require('fs').readFileSync(path, 'utf8');
      console.log(JSON.stringify({ igmp: read('/proc/net/igmp'), igmp6: read('/proc/net/igmp6'), ip: run('ip', '-j', 'maddr') }));
      socket.close();
    });`;
  const out = inNamespace(
    `${VETH} ip addr add 10.9.1.1/24 dev corosync-ring01
    ip link set corosync-ring01 up; ip link set vb up; ip link set lo up
    echo 2 > /proc/sys/net/ipv4/conf/corosync-ring01/force_igmp_version
    exec '${process.execPath}' -e "$JOIN"`.replace('"$JOIN"', `'${join.replaceAll("'", '"')}'`),
  );
  const seen: { igmp: string; igmp6: string; ip: string } = JSON.parse(out);
  const shown: { ifname: string; maddr: { family: string; address: string }[] }[] = JSON.parse(seen.ip);
  const table = parseProcIgmp(seen.igmp);
  const table6 = parseProcIgmp6(seen.igmp6);
  for (const { ifname, maddr } of shown) {
    const addresses = (family: string): string[] =>
      maddr.filter((each) => each.family === family).map((each) => each.address);
    const groups = table.interfaces.find((each) => each.name === ifname)?.groups ?? [];
    expect(groups.map((group) => group.address).toSorted()).toEqual(addresses('inet').toSorted());
    const groups6 = table6.groups.filter((group) => group.name === ifname);
    expect(groups6.map((group) => group.address).toSorted()).toEqual(addresses('inet6').toSorted());
  }
  const ring = table.interfaces.find((each) => each.name === 'corosync-ring01');
  expect(ring?.querier).toBe('V2');
  expect(ring?.groups.map((group) => group.address)).toContain('239.192.77.1');
});
