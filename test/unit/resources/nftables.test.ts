import { describe, expect, test } from 'vitest';
import { firewall } from '../../../src/resources/firewall.ts';
import { NftablesParams, nftables } from '../../../src/resources/nftables.ts';
import { afterEdits, type Node, planOn } from '../../support/observed.ts';

const CONF = '/etc/nftables.conf';
const faults = (params: object) =>
  NftablesParams.safeParse(params).error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`) ?? [];
function resource(params: object) {
  const [first] = nftables.resources(NftablesParams.parse(params));
  if (first === undefined) throw new Error('no resource');
  return first;
}

/** `nft -j list ruleset` of one chain that drops by its policy, with some rules before. */
function ruleset(
  chain: { family?: string; table?: string; name?: string; policy?: string },
  ...rules: object[]
): string {
  const { family = 'inet', table = 'filter', name = 'input', policy = 'drop' } = chain;
  const list = rules.map((rule, at) => ({ rule: { family, table, chain: name, handle: at + 10, ...rule } }));
  const head = { chain: { family, table, name, handle: 1, type: 'filter', hook: 'input', prio: 0, policy } };
  return JSON.stringify({ nftables: [{ metainfo: { json_schema_version: 1 } }, head, ...list] });
}
const node = (stdout: string, files: Record<string, string> = {}, runs: Node['runs'] = {}): Node => ({
  files,
  runs: { 'nft -j list ruleset': { stdout }, ...runs },
});
const conf = (body: string): string => `table inet filter {\n\tchain input {\n${body}\t}\n}\n`;
const BASE = '\t\ttype filter hook input priority 0; policy drop;\n';
const argvs = (steps: ReturnType<typeof planOn>['try']) =>
  steps.map((step) => (step.do === 'run' ? step.argv.filter((word) => !word.includes('\n')).join(' ') : step.do));
const IGMP = { accept: ['igmp'], family: 'ipv4' };
const RULE = 'meta l4proto igmp accept comment "mcastctl"';

describe('parameters', () => {
  const raw = { table: 'inet filter', chain: 'input' };
  test.each([
    [{}, 'accept is missing'],
    [{ rule: 'accept' }, 'table is missing'],
    [{ ...raw, rule: 'accept', accept: ['igmp'] }, 'rule does not go with "accept"'],
    [{ chain: 'input', accept: ['igmp'] }, 'chain goes with "rule"'],
    [{ ...raw, rule: 'accept', ports: 5405 }, 'ports goes with "accept"'],
    [{ ...raw, table: 'filter', rule: 'accept' }, 'table must be family and name'],
    [{ ...raw, chain: 'in; flush ruleset', rule: 'accept' }, 'chain must be the name of a chain'],
    [{ ...raw, rule: 'drop' }, 'drops everything'],
    [{ ...raw, rule: 'counter log reject' }, 'drops everything'],
    [{ ...raw, rule: 'accept; flush ruleset' }, 'is not one rule'],
    [{ ...raw, rule: 'accept } } table inet x { chain y { drop' }, 'is not one rule'],
    [{ ...raw, rule: 'udp dport { 1, 2 accept' }, 'is not one rule'],
    [{ ...raw, rule: 'add rule inet filter input accept' }, 'begins with "add"'],
    [{ ...raw, rule: 'include "/etc/shadow"' }, 'begins with "include"'],
    [{ ...raw, rule: 'accept comment "x"' }, 'must not hold a comment'],
    [{ ...raw, rule: 'accept # x' }, 'must be one line without comment'],
    [{ ...raw, rule: 'udp dport 5404\u20135412 accept' }, '(U+2013)'],
  ])('%j', (params, message) => {
    expect(faults(params).join('\n')).toContain(message);
  });

  test('a dash between ports is not made two', () => {
    expect(faults({ ...raw, rule: 'udp dport 5404\u20135412 accept' }).join()).toContain('write "5404-5412"');
  });
});

describe('the file keeps its form', () => {
  const edited = (text: string, files: Record<string, string> = {}): string | undefined => {
    const before = node(ruleset({}), { [CONF]: text, ...files });
    return afterEdits(before, planOn(before, resource(IGMP)).keep).files[CONF];
  };
  test.each([
    ['at the end of a block', conf(`${BASE}\t\taccept_not\n`), conf(`${BASE}\t\taccept_not\n\t\t${RULE}\n`)],
    [
      'before what drops',
      conf(`${BASE}\t\tcounter drop # all\n`),
      conf(`${BASE}\t\t${RULE}\n\t\tcounter drop # all\n`),
    ],
    [
      'two rules on a line',
      conf(`${BASE}\t\tiif lo accept; drop\n`),
      conf(`${BASE}\t\tiif lo accept; ${RULE}; drop\n`),
    ],
    [
      'one line in all',
      'table inet filter { chain input { type filter hook input priority 0; policy drop; } }',
      `table inet filter { chain input { type filter hook input priority 0; policy drop; ${RULE}; } }`,
    ],
    [
      'one line without last separator',
      'table inet filter { chain input { type filter hook input priority 0; policy drop; iif lo accept }}',
      `table inet filter { chain input { type filter hook input priority 0; policy drop; iif lo accept; ${RULE}; }}`,
    ],
    [
      'Windows line ends',
      conf(`${BASE}\t\tdrop\n`).replaceAll('\n', '\r\n'),
      conf(`${BASE}\t\t${RULE}\n\t\tdrop\n`).replaceAll('\n', '\r\n'),
    ],
    [
      'commands',
      'add table inet filter\nadd chain inet filter input { type filter hook input priority 0; }\nadd rule inet filter input iif lo accept\nadd rule inet filter input drop\n',
      `add table inet filter\nadd chain inet filter input { type filter hook input priority 0; }\nadd rule inet filter input iif lo accept\nadd rule inet filter input ${RULE}\nadd rule inet filter input drop\n`,
    ],
    [
      'commands without end',
      'add table inet filter\nadd chain inet filter input { type filter hook input priority 0; policy drop; }\nadd rule inet filter input iif lo accept',
      `add table inet filter\nadd chain inet filter input { type filter hook input priority 0; policy drop; }\nadd rule inet filter input iif lo accept\nadd rule inet filter input ${RULE}`,
    ],
  ])('%s', (_, before, after) => {
    expect(edited(before)).toBe(after);
    expect(edited(after)).toBe(after);
  });

  test('two blocks of one chain, in two files: where the drop is', () => {
    const first = `${conf(BASE)}include "nftables.d/more.nft"\n`;
    const files = { '/etc/nftables.d/more.nft': conf('\t\tip protocol igmp drop\n') };
    const before = node(ruleset({}), { [CONF]: first, ...files });
    const plan = planOn(before, resource(IGMP));
    expect(plan.changes.at(-1)).toMatchObject({ file: '/etc/nftables.d/more.nft', line: 3 });
    const after = afterEdits(before, plan.keep).files;
    expect(after[CONF]).toBe(first);
    expect(after['/etc/nftables.d/more.nft']).toBe(conf(`\t\t${RULE}\n\t\tip protocol igmp drop\n`));
  });

  test('a variable is followed', () => {
    const text = `define NO = { igmp, icmp }\n${conf(`${BASE}\t\tmeta l4proto $NO drop\n\t\taccept\n`)}`;
    expect(edited(text)).toContain(`${RULE}\n\t\tmeta l4proto $NO drop`);
  });
});

describe('what runs', () => {
  test('before the rule that drops, by its handle; taken back by handle too', () => {
    const rules = ruleset({}, { expr: [{ accept: null }], comment: 'x' }).replace('"accept":null', '"counter":null');
    const drop = { expr: [{ counter: { packets: 1, bytes: 2 } }, { drop: null }] };
    const plan = planOn(node(ruleset({}, {}, drop), { [CONF]: conf(BASE) }), resource(IGMP));
    expect(argvs(plan.try)).toEqual([`nft insert rule inet filter input handle 11 ${RULE}`]);
    expect(argvs(plan.undo)).toEqual(['perl -e inet filter input mcastctl 10 11']);
    expect(argvs(planOn(node(rules, { [CONF]: conf(BASE) }), resource(IGMP)).try)).toEqual([
      `nft add rule inet filter input ${RULE}`,
    ]);
  });

  test('moved up: what was put in goes first when it is undone, then the old one comes back', () => {
    const udp = { match: { op: '==', left: { payload: { protocol: 'udp', field: 'dport' } }, right: 5405 } };
    const params = { table: 'inet filter', chain: 'input', rule: 'udp dport 5405 accept' };
    const [added] = planOn(node(ruleset({}), { [CONF]: conf(BASE) }), resource(params)).try;
    const text = added?.do === 'run' ? added.argv.slice(6).join(' ') : '';
    const comment = /"(.*)"/.exec(text)?.[1];
    const live = ruleset(
      {},
      { expr: [udp, { drop: null }] },
      { expr: [udp, { accept: null }], comment },
      { expr: [{ counter: null }] },
    );
    const plan = planOn(
      node(live, { [CONF]: conf(`${BASE}\t\tudp dport 5405 drop\n\t\t${text}\n`) }),
      resource(params),
    );
    expect(plan.changes.map(({ layer, property }) => [layer, property])).toEqual([
      ['runtime', 'position'],
      ['persistent', 'position'],
    ]);
    expect(argvs(plan.try)).toEqual([
      `nft insert rule inet filter input handle 10 ${text}`,
      'nft delete rule inet filter input handle 11',
    ]);
    expect(argvs(plan.undo)).toEqual([
      `perl -e inet filter input ${comment} 10 11 12`,
      `nft insert rule inet filter input handle 12 ${text}`,
    ]);
    const after = afterEdits(node(live, { [CONF]: conf(`${BASE}\t\tudp dport 5405 drop\n\t\t${text}\n`) }), plan.keep);
    expect(after.files[CONF]).toBe(conf(`${BASE}\t\t${text}\n\t\tudp dport 5405 drop\n`));
  });

  test('absent: only what carries the comment and says the same', () => {
    const igmp = { match: { op: '==', left: { meta: { key: 'l4proto' } }, right: 'igmp' } };
    const text = ruleset(
      {},
      { expr: [igmp, { accept: null }] },
      { expr: [igmp, { accept: null }], comment: 'mcastctl' },
      { expr: [{ drop: null }] },
    );
    const before = node(text, { [CONF]: conf(`${BASE}\t\t${RULE} # ours\n\t\tip protocol igmp accept\n`) });
    const plan = planOn(before, resource({ ...IGMP, state: 'absent' }));
    expect(argvs(plan.try)).toEqual(['nft delete rule inet filter input handle 11']);
    expect(argvs(plan.undo)).toEqual([`nft insert rule inet filter input handle 12 ${RULE}`]);
    expect(afterEdits(before, plan.keep).files[CONF]).toBe(conf(`${BASE}\t\t # ours\n\t\tip protocol igmp accept\n`));
  });

  test('no program, no right, no sense', () => {
    const fails = (result: object) => () =>
      planOn({ files: {}, runs: { 'nft -j list ruleset': result } }, resource(IGMP));
    expect(fails({ code: 127 })).toThrow('there is no program "nft"');
    expect(fails({ code: 1, stderr: 'Operation not permitted\n' })).toThrow('Operation not permitted');
    expect(fails({ stdout: 'Error: JSON support not compiled-in\n' })).toThrow('not understood');
    const odd = ruleset({ name: 'in put' });
    expect(planOn(node(ruleset({ name: 'in put', policy: 'accept' })), resource(IGMP)).changes).toEqual([]);
    expect(() =>
      planOn(node(odd, { [CONF]: 'table inet filter {\nchain "in put" {\n}\n}\n' }), resource(IGMP)),
    ).toThrow("can't be given");
  });

  test('a chain that no file makes, or a file that is not loaded, blocks', () => {
    expect(planOn(node(ruleset({})), resource(IGMP)).blocked).toContain(
      'does not make the chain "inet filter input" at boot',
    );
    const other = planOn(node(ruleset({}), { [CONF]: 'include "/opt/rules.nft"\n' }), resource(IGMP));
    expect(other.blocked).toContain('were not read: /opt/rules.nft');
    const off = { [CONF]: conf(BASE), '/proc/1/comm': 'systemd\n' };
    expect(planOn(node(ruleset({}), off), resource(IGMP)).blocked).toContain('nftables.service is not enabled');
    const on = { ...off, '/etc/systemd/system/sysinit.target.wants/nftables.service': '' };
    expect(planOn(node(ruleset({}), on), resource(IGMP)).blocked).toBeUndefined();
  });

  test("other programs' tables are left alone", () => {
    for (const chain of [
      { table: 'firewalld', name: 'filter_INPUT' },
      { table: 'proxmox-firewall' },
      { family: 'ip', name: 'INPUT' },
    ])
      expect(planOn(node(ruleset(chain)), resource(IGMP)).changes).toEqual([]);
    const owned = { table: 'ip filter', chain: 'INPUT', rule: 'accept' };
    expect(() => planOn(node(ruleset({ family: 'ip', name: 'INPUT' })), resource(owned))).toThrow(
      'belongs to iptables',
    );
    expect(() => planOn(node(ruleset({})), resource({ ...owned, table: 'inet x', chain: 'y' }))).toThrow(
      'there is no chain "inet x y"',
    );
  });
});

describe('firewall', () => {
  const [wish] = firewall.resources(firewall.schema.parse(IGMP));
  const plan = (files: Record<string, string>, nft: string, rules: string, persistent = false) => {
    if (wish === undefined) throw new Error('no resource');
    const mark = persistent ? { '/usr/share/netfilter-persistent/plugins.d/15-ip4tables': '' } : {};
    const runs = {
      'iptables --version': { stdout: 'iptables v1.8.9 (nf_tables)\n' },
      'iptables-nft-save': { stdout: rules },
      'iptables-legacy-save': { stdout: '' },
    };
    return planOn(node(nft, { ...files, ...mark }, runs), wish);
  };
  const SAVE = '*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n';

  test('nothing active, nothing to do', () => {
    expect(plan({}, '{"nftables": []}', '').changes).toEqual([]);
  });

  test('a table in capitals is of nftables where its file makes it, of iptables where not', () => {
    const capitals = ruleset({ family: 'ip', name: 'INPUT' });
    const text = 'table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n';
    const byNft = plan({ [CONF]: text }, capitals, SAVE);
    expect(new Set(byNft.changes.map(({ note }) => /by (\w+), since/.exec(note ?? '')?.[1]))).toEqual(
      new Set(['nftables']),
    );
    const byIptables = plan({}, capitals, SAVE, true);
    expect(byIptables.changes.map(({ note }) => /by (\w+), since/.exec(note ?? '')?.[1])).toEqual(['iptables']);
  });

  test('what the next boot brings counts, ufw is done as iptables, and what can not be read is an error', () => {
    const file = { '/etc/iptables/rules.v4': SAVE };
    expect(plan(file, '{"nftables": []}', '', true).changes).toMatchObject([
      {
        layer: 'persistent',
        note: expect.stringContaining('by iptables, since "/etc/iptables/rules.v4" gives rules at boot'),
      },
    ]);
    const ufw = SAVE.replace('COMMIT', ':ufw-user-input - [0:0]\n-A INPUT -j ufw-user-input\nCOMMIT');
    expect(plan({}, '{"nftables": []}', ufw).blocked).toContain('here ufw is active');
    expect(() => plan({ [CONF]: 'table inet x {\n' }, '{"nftables": []}', '')).toThrow(
      `${CONF}:1:14: a brace is never closed`,
    );
    expect(() => plan({}, '{"nftables": []}', "# Table `filter' is incompatible, use 'nft' tool.\n")).toThrow(
      'was made with nft',
    );
  });
});
