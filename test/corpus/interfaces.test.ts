import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Dialect, lineAt, parseInterfaces, printInterfaces } from '../../src/formats/interfaces.ts';
import { BridgeParams, bridge } from '../../src/resources/bridge.ts';
import { afterEdits, type Node, planOn } from '../support/observed.ts';

/** Folder of real-world samples; they belong to other people and are not part of the project. */
const samples = process.env.MCASTCTL_SAMPLES ?? fileURLToPath(new URL('../../../shared/samples', import.meta.url));
const names = readdirSync(`${samples}/interfaces`);
const MAIN = '/etc/network/interfaces';
const DIALECTS: readonly Dialect[] = ['ifupdown', 'ifupdown2'];

test('there are samples', () => {
  expect(names.length).toBeGreaterThan(50);
});

describe.each(DIALECTS)('%s', (dialect) => {
  test.each(names)('%s', (name) => {
    const text = readFileSync(`${samples}/interfaces/${name}`, 'latin1');
    const file = parseInterfaces(text, dialect);
    expect(printInterfaces(file)).toBe(text);
    const headers = file.lines.filter((line) => line.kind === 'keyword' && line.key === 'iface');
    expect(file.stanzas).toHaveLength(headers.length);
    for (const { name: device } of file.stanzas) {
      if (/^[A-Za-z0-9_.-]{1,15}$/.test(device)) manage(device, text, dialect);
    }
  });
});

/** Every stanza, taken for a bridge's, can be managed: the plan then is empty, and only added lines differ. */
function manage(device: string, text: string, dialect: Dialect): void {
  const params = { name: device, multicast_querier: true, multicast_query_use_ifaddr: true };
  const [resource] = bridge.resources(BridgeParams.parse(params));
  if (resource === undefined) throw new Error('one task is one bridge');
  const info = { info_kind: 'bridge', info_data: { mcast_querier: 1, mcast_query_use_ifaddr: 1 } };
  const stdout = JSON.stringify([{ ifname: device, linkinfo: info, addr_info: [{ family: 'inet' }] }]);
  const folders = dialect === 'ifupdown2' ? ['/usr/share/ifupdown2'] : [];
  const node: Node = { files: { [MAIN]: text }, folders, runs: { [`ip -d -j addr show dev ${device}`]: { stdout } } };
  const plan = planOn(node, resource);
  const after = afterEdits(node, plan.keep);
  expect(planOn(after, resource).changes).toEqual([]);
  const values = (source: string) => {
    const file = parseInterfaces(source, dialect);
    return file.stanzas.map((stanza) => [
      stanza.name,
      ...stanza.options.map((index) => `${lineAt(file, index).key} ${lineAt(file, index).value}`),
    ]);
  };
  const isOurs = (option: string) => /mcquerier|mcqifaddr|multicast_quer/.test(option);
  const foreign = (source: string) => values(source).map((options) => options.filter((option) => !isOurs(option)));
  expect(foreign(after.files[MAIN] ?? '')).toEqual(foreign(text));
}
