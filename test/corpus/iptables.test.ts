import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { FormatError } from '../../src/formats/format-error.ts';
import { IptablesParams, iptables } from '../../src/resources/iptables.ts';
import { afterEdits, type Node, planOn } from '../support/observed.ts';

/** Folder of real-world samples; they belong to other people and are not part of the project. */
const samples = process.env.MCASTCTL_SAMPLES ?? fileURLToPath(new URL('../../../shared/samples', import.meta.url));
const names = readdirSync(`${samples}/iptables`);
const RULES = '/etc/iptables/rules.v4';

const node = (text: string): Node => ({
  files: { '/usr/share/netfilter-persistent/plugins.d/15-ip4tables': '', [RULES]: text },
  runs: {
    'iptables --version': { stdout: 'iptables v1.8.9 (nf_tables)\n' },
    'iptables-nft-save': { stdout: text },
    'iptables-legacy-save': { stdout: '' },
  },
});
function planned(text: string, params: object) {
  const [resource] = iptables.resources(IptablesParams.parse({ family: 'ipv4', ...params }));
  if (resource === undefined) throw new Error('no resource');
  const plan = planOn(node(text), resource);
  return { ...plan, text: afterEdits(node(text), plan.keep).files[RULES] ?? '' };
}

const TASKS = [
  { accept: ['multicast', 'corosync', 'igmp'] },
  { accept: ['corosync'], ports: [5405, '6000-6010'], source: ['10.0.0.0/24', '192.168.1.0/24'], interface: 'vmbr0' },
  { chain: 'INPUT', match: 'addrtype', dst_type: 'MULTICAST', jump: 'ACCEPT' },
  { chain: 'INPUT', protocol: 'udp', match: 'state', ctstate: 'NEW', dports: [5404, 5405], jump: 'ACCEPT' },
];

test('there are samples', () => {
  expect(names.length).toBeGreaterThan(20);
});

test.each(names)('%s: what was added is enough, and goes again without a trace', (name) => {
  const text = readFileSync(`${samples}/iptables/${name}`, 'latin1');
  for (const task of TASKS) {
    let added: ReturnType<typeof planned>;
    try {
      added = planned(text, task);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
      continue;
    }
    // Windows line ends are refused by iptables-restore, and then here.
    if (added.blocked !== undefined) expect(added.blocked).toMatch(/refuses/);
    const again = planned(added.text, task);
    expect(again.changes).toEqual([]);
    const gone = planned(added.text, { ...task, state: 'absent' });
    if (added.text !== text && !text.includes('mcastctl')) expect(gone.text).toBe(text);
  }
});
