import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { renderValue } from '../../src/config/vars.ts';
import { resolveTarget } from '../../src/connection/index.ts';
import { InputError } from '../../src/core/errors.ts';
import type { HostReport, Report } from '../../src/core/report.ts';
import { normaliseSysctlValue } from '../../src/formats/sysctl-conf.ts';
import { netnsName } from '../../src/lab/layout.ts';
import { resourceTypes } from '../../src/resources/index.ts';
import { type CliResult, mcastctl } from '../support/cli.ts';
import { asYaml, CURATED, DEVICE_NAMES, hostileName, hostileText, placesOf, SENTINEL } from '../support/hostile.ts';
import { IFUPDOWN2_LAYER, startLab } from '../support/lab.ts';

// "No value from an inventory, playbook or node is ever interpreted by a shell": hostile strings in every place that takes a
// text. Each is either refused before a host is contacted, or arrives as it is, or fails with a sentence. None is executed.

const NODES = ['pve1', 'pve2', 'pve3'] as const;
const seed = Date.now() % 2 ** 31;
const texts = [...new Set([...CURATED, ...fc.sample(hostileText, { numRuns: 1_200, seed })])];
const names = [...new Set([...DEVICE_NAMES, ...fc.sample(hostileName, { numRuns: 60, seed })])];
/** Settings that take any text: made for this test on every node. Each string has its own, for tasks must not contradict each other. */
const MADE_KEYS = 2_000;
const keyOf = (index: number) => `net.core.k${index}`;

let lab: Awaited<ReturnType<typeof startLab>>;
/** Where the command line is started. */
let dir: string;
/** The variables that lead to a node of the lab. */
let connectionVars: Record<string, unknown>;

beforeAll(async () => {
  lab = await startLab({ nodes: 3, switch: 'flood', layers: [IFUPDOWN2_LAYER] });
  connectionVars = parse(readFileSync(lab.inventory, 'utf8')).all.children.cluster.vars;
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-injection-'));
  const folder = '/proc/sys/net/core';
  const make = `i=0; while [ $i -lt ${MADE_KEYS} ]; do echo 0 > ${folder}/k$i; i=$((i + 1)); done`;
  for (const node of NODES) await onNode(node, 'sh', '-ec', `mount -t tmpfs none ${folder}; ${make}`);
});
afterAll(async () => {
  await lab?.down();
  if (dir) rmSync(dir, { recursive: true });
});

async function onNode(node: string, ...argv: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(node, argv);
  expect({ argv, code, stderr }).toEqual({ argv, code: 0, stderr: '' });
  return stdout;
}

/** Folders in which a command that was executed would have left its file. */
const PLACES = ['/', '/root', '/tmp', '/run', '/etc', '/etc/network', '/etc/sysctl.d', '/var/tmp', '/dev/shm'];

/** The files that executed strings have left, on all nodes and on this machine. */
async function sentinels(): Promise<string[]> {
  const find = ['find', ...PLACES, '-maxdepth', '1', '-name', `${SENTINEL}*`] as const;
  const there = await Promise.all(
    NODES.map(async (node) =>
      (await onNode(node, ...find))
        .split('\n')
        .filter(Boolean)
        .map((path) => `${node}:${path}`),
    ),
  );
  const here = [dir, process.cwd(), lab.dir, ...PLACES].flatMap((folder) =>
    (existsSync(folder) ? readdirSync(folder) : []).flatMap((name) =>
      name.startsWith(SENTINEL) ? [join(folder, name)] : [],
    ),
  );
  return [...there.flat(), ...here];
}

function write(name: string, value: unknown): string {
  const path = join(dir, name);
  writeFileSync(path, asYaml(value));
  return path;
}

function run(...args: string[]): Promise<CliResult> {
  return mcastctl([...args, '--format', 'json'], { cwd: dir });
}

function reportOf({ stdout, stderr }: CliResult): Report {
  expect(stderr).not.toContain('internal error');
  const report: Report = JSON.parse(stdout);
  for (const host of Object.values(report.hosts)) {
    const errors = [host.error, ...host.tasks.map((task) => task.error)].filter((error) => error !== null);
    expect(errors.filter((error) => error.includes('internal error'))).toEqual([]);
  }
  return report;
}

function tasksOf(report: Report, host: string): HostReport['tasks'] {
  const failed = report.hosts[host]?.tasks.at(-1);
  expect([report.hosts[host]?.error ?? null, failed?.error]).toEqual([null, failed?.error]);
  return report.hosts[host]?.tasks ?? [];
}

/** Whether work throws nothing; InputError is a refusal, all else a bug. */
function isAccepted(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}

function inventory(name: string, hosts: Record<string, unknown>, vars: Record<string, unknown> = {}): string {
  return write(name, { all: { hosts, vars: { ...connectionVars, ...vars } } });
}

const address = (index: number) => `198.18.0.${11 + (index % NODES.length)}`;

interface Task {
  readonly name: string;
  readonly ignore_errors: true;
  readonly [type: string]: unknown;
}

/** Strings that each place of a resource lets through to the node, where there are more. */
const PER_PLACE = 5;

/** Parameters in which more places are used than in the example of the type, and nothing takes long. */
const BASES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  sysctl: { 'net.core.rmem_max': 1 },
  command: { argv: ['false'], unless: ['false'], undo: ['true'], env: { A: '1' }, chdir: '/', stdin: 'x', seconds: 1 },
  file: { path: '/srv/h', content: 'x', validate: ['true', '%s'] },
  service: { name: 'h', state: 'started', process: 'h', start: ['false'], stop: ['false'], seconds: 1 },
  package: { name: 'mcastctl-none', version: '1', seconds: 10 },
};

/** The parameters with what they name made one of its own, where the string stands elsewhere: tasks must not contradict each other. */
function ownParams(type: string, params: unknown, text: string, index: number): unknown {
  const given = params as Readonly<Record<string, unknown>>;
  const isIn = (value: unknown): boolean => JSON.stringify(value ?? null).includes(JSON.stringify(text).slice(1, -1));
  // The schema's own example names a setting: where the string is its value, it gets one of its own.
  if (type === 'sysctl') return Object.values(given).includes(text) ? { [keyOf(index)]: text } : params;
  // A program that takes nothing back would leave the host half done, and end the run.
  if (type === 'command' && isIn(given['undo'])) return { ...given, undo: ['true', text] };
  if (type === 'file') return text === given['path'] ? params : { ...given, path: `/srv/h${index}` };
  if (type === 'service' || type === 'package') return isIn(given['name']) ? params : { ...given, name: `h${index}` };
  return params;
}

/** Cuts tasks up so that no part holds two that want different things of one resource. */
function withoutConflicts(tasks: readonly Task[]): Task[][] {
  const parts: { readonly tasks: Task[]; readonly wants: Map<string, string> }[] = [];
  for (const [index, task] of tasks.entries()) {
    const [type, params] = Object.entries(task).find(([key]) => resourceTypes.has(key)) ?? [];
    const kind = resourceTypes.get(type ?? '');
    const sources = Object.fromEntries(Object.keys(kind?.sources ?? {}).map((name) => [name, `source of ${index}`]));
    const wants = (kind?.resources(kind.schema.parse(params), sources) ?? []).flatMap(({ id, wants: own = {} }) =>
      Object.entries(own).map(([property, value]) => [`${id} ${property}`, JSON.stringify(value)] as const),
    );
    const fits = parts.find((part) => wants.every(([key, value]) => (part.wants.get(key) ?? value) === value));
    const part = fits ?? { tasks: [], wants: new Map<string, string>() };
    if (fits === undefined) parts.push(part);
    part.tasks.push(task);
    for (const [key, value] of wants) part.wants.set(key, value);
  }
  return parts.map((part) => part.tasks);
}

describe(`hostile strings, seed ${seed}`, { timeout: 110_000 }, () => {
  /** Strings that were tried, and how often one reached a node. */
  const tried = new Set<string>();
  let arrived = 0;

  it('in every parameter of every resource', { timeout: 240_000 }, async () => {
    const tasks: Task[] = [];
    const sources: Task[] = [];
    for (const type of resourceTypes.values()) {
      const base = BASES[type.type] ?? Object.values(parse(type.example)[0]).find((value) => typeof value === 'object');
      const places = placesOf(type.schema);
      expect(places.filter(({ isText }) => isText).length).toBeGreaterThan(0);
      for (const place of places) {
        const label = `${type.type}: ${place.label}`;
        const isSource = Object.hasOwn(type.sources ?? {}, place.label);
        let passed = 0;
        // Most strings for the type whose values are any text, as many as time allows for the others.
        const isOpen = type.type === 'sysctl';
        for (const text of isOpen ? texts.slice(0, 500) : [...CURATED, ...DEVICE_NAMES]) {
          const params = place.put(base, text);
          const { success } = type.schema.safeParse(params);
          if (!place.isText) expect([label, text, success]).toEqual([label, text, false]);
          tried.add(text);
          const isLiteral = !/\{[{%]/.test(text);
          // A file of that name is what such a task asks for.
          if (place.label === 'path' && text.includes(SENTINEL)) continue;
          if (!success || !isLiteral || (!isOpen && ++passed > PER_PLACE)) continue;
          const task = {
            name: text,
            ignore_errors: true as const,
            [type.type]: ownParams(type.type, params, text, tasks.length),
          };
          (isSource ? sources : tasks).push(task);
        }
      }
    }
    expect(tasks.length).toBeGreaterThan(400);
    // Files of the controller that are not there: one run, refused before a host is contacted.
    const refused = await run('check', lab.inventory, '-p', write('sources.yml', [{ hosts: 'pve1', tasks: sources }]));
    expect([refused.code, refused.stderr.includes('internal error')]).toEqual([3, false]);
    expect(refused.stderr.match(/there is no file|can't be read/g)?.length).toBeGreaterThanOrEqual(PER_PLACE);
    const done: HostReport['tasks'][number][] = [];
    for (const [index, some] of withoutConflicts(tasks).entries()) {
      const file = write(`parameters-${index}.yml`, [{ hosts: 'pve1', name: CURATED[0], tasks: some }]);
      const found = tasksOf(reportOf(await run('apply', lab.inventory, '-p', file)), 'pve1');
      expect(new Set(found.map(({ name }) => name))).toEqual(new Set(some.map(({ name }) => name)));
      done.push(...found);
    }
    arrived += done.length;
    // What was let through must have arrived.
    const values = done.filter(({ resource }) => resource.startsWith('sysctl[net.core.k'));
    expect(values.length).toBeGreaterThan(200);
    for (const { name, status, error, changes } of values) {
      expect([name, status, error]).toEqual([name, expect.stringMatching(/^(?:changed|ok)$/), null]);
      if (changes[0]) expect(String(changes[0].to)).toBe(normaliseSysctlValue(name));
    }
    const files = done.filter(({ resource, status }) => resource.startsWith('file[/srv/h') && status === 'changed');
    expect(files.length).toBeGreaterThanOrEqual(PER_PLACE);
  });

  it('in variables of a host, used by templates', async () => {
    const given = texts.filter((text) => isAccepted(() => renderValue(text, {})));
    for (const text of texts) tried.add(text);
    const sysctl = resourceTypes.get('sysctl');
    const bridge = resourceTypes.get('bridge');
    const vars: Record<string, string> = {};
    const tasks: unknown[] = [];
    const wanted = new Map<string, string>();
    for (const [index, text] of [...given, ...names].entries()) {
      const rendered = String(renderValue(text, {}));
      const own = { name: `{{p${index}}}`, when: `p${index} == p${index}`, ignore_errors: true };
      vars[`p${index}`] = text;
      const key = keyOf(index);
      if (sysctl?.schema.safeParse({ [key]: rendered }).success) {
        tasks.push({ ...own, sysctl: { [key]: `{{p${index}}}` } });
        wanted.set(key, rendered);
      }
      if (bridge?.schema.safeParse({ name: rendered, multicast_querier: true }).success) {
        tasks.push({ ...own, bridge: { name: `{{p${index}}}`, multicast_querier: true } });
      }
    }
    expect(tasks.length).toBeGreaterThan(600);
    const hosts = inventory('vars.yml', { pve2: { ansible_host: address(1), ...vars } });
    const report = reportOf(await run('apply', hosts, '-p', write('variables.yml', [{ hosts: 'pve2', tasks }])));
    const done = tasksOf(report, 'pve2');
    expect(done).toHaveLength(tasks.length);
    arrived += done.length;
    expect(done.filter(({ resource, status }) => resource.startsWith('sysctl[') && status === 'failed')).toEqual([]);
    for (const [key, text] of [...wanted].slice(-4)) {
      const path = `/proc/sys/${key.replaceAll('.', '/')}`;
      expect(await onNode('pve2', 'cat', path)).toBe(`${Buffer.from(text.trim()).toString()}\n`);
    }
  });

  it('in what says how to reach a host', async () => {
    const place = [
      'ansible_host',
      'ansible_user',
      'ansible_become_user',
      'ansible_become_password',
      'ansible_password',
    ];
    const paths = ['ansible_ssh_private_key_file', 'ansible_connection', 'ansible_become_method', 'ansible_port'];
    const args = ['ansible_ssh_extra_args', 'ansible_ssh_common_args'];
    // Every part of the way in a command line that a shell reads.
    const config = join(dir, 'ssh_config');
    const lines = readFileSync(`${lab.dir}/ssh_config`, 'utf8');
    writeFileSync(config, lines.replace('%h %p', '%h %p %r %n'));
    const direct = join(dir, 'ssh_config_direct');
    writeFileSync(direct, lines.replace(/^ *ProxyCommand.*$/m, ''));
    const proxied: Record<string, unknown> = {};
    const plain: Record<string, unknown> = {};
    for (const name of [...place, ...paths, ...args]) {
      let usable = 0;
      for (const [index, text] of texts.entries()) {
        // A command of the user's own: what it does is up to them.
        if (args.includes(name) && /proxycommand|localcommand|knownhostscommand/i.test(text)) continue;
        tried.add(text);
        const more = name.startsWith('ansible_become') ? { ansible_become: true, ansible_become_user: 'nobody' } : {};
        const vars = { ansible_host: address(index), ...more, [name]: text };
        for (const [file, hosts] of [
          [config, proxied],
          [direct, plain],
        ] as const) {
          if (file === direct && index >= 100) continue;
          const all = { ...connectionVars, ansible_ssh_common_args: `-F ${file}`, ...vars };
          const isUsable = isAccepted(() => resolveTarget('host', all, { render: (value) => renderValue(value, all) }));
          if (!isUsable || usable++ > 40) continue;
          const own = name === 'ansible_ssh_common_args' ? {} : { ansible_ssh_common_args: `-F ${file}` };
          hosts[`${name}-${index}`] = { ...own, ...vars };
        }
      }
    }
    const book = write('reach.yml', [{ hosts: 'all', tasks: [{ sysctl: { [keyOf(MADE_KEYS - 100)]: 1 } }] }]);
    expect(Object.keys(proxied).length).toBeGreaterThan(50);
    expect(Object.keys(plain).length).toBeGreaterThan(100);
    const options = ['-p', book, '--timeout', '5', '--forks', '20', '--format', 'json'];
    const through = reportOf(await run('check', inventory('proxied.yml', proxied), ...options));
    // Without a ProxyCommand the nodes are reached from the controller's network only.
    const prefix = ['nsenter', `--net=/run/netns/${netnsName(lab.name, 'ctl')}`];
    const straight = reportOf(
      await mcastctl(['check', inventory('plain.yml', plain), ...options], { cwd: dir, prefix }),
    );
    for (const { hosts } of [through, straight]) {
      for (const [host, { status, error }] of Object.entries(hosts)) {
        expect([host, status, error]).toEqual([
          host,
          expect.stringMatching(/^(?:drift|unreachable|failed)$/),
          status === 'drift' ? null : expect.any(String),
        ]);
      }
      arrived += Object.keys(hosts).length;
    }
    // sudo was asked for users of these names, through the login shell.
    const become = Object.entries(straight.hosts).filter(([host]) => host.startsWith('ansible_become_user'));
    expect(become.filter(([, { error }]) => /unknown user|can't become/.test(error ?? '')).length).toBeGreaterThan(15);
  });

  it('as the device of a probe', async () => {
    const hosts = Object.fromEntries(
      [...DEVICE_NAMES, ...CURATED.slice(0, 30)].map((dev, index) => [
        `h${index}`,
        { ansible_host: address(index), dev },
      ]),
    );
    const result = await run('probe', inventory('devices.yml', hosts), '--interface', '{{dev}}', '--count', '2');
    reportOf(result);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(`there is no device "${DEVICE_NAMES[0]}"`);
    arrived += Object.keys(hosts).length;

    const devices = names.filter((name) => !name.includes('vmbr0')).slice(0, 24);
    const plays = devices.map((dev, index) => ({
      hosts: 'all',
      name: dev,
      probe: { interface: dev, count: 2 },
      tasks: [{ name: dev, ignore_errors: true, sysctl: { [keyOf(MADE_KEYS - 1 - index)]: 1 } }],
    }));
    const report = reportOf(await run('apply', lab.inventory, '-p', write('plays.yml', plays)));
    for (const [index, task] of tasksOf(report, 'pve1').entries()) {
      if (task.status === 'ok') continue;
      expect(task).toMatchObject({
        name: devices[index],
        status: 'failed',
        error: expect.stringContaining('no device'),
      });
    }
  });

  it('as names of bridges that exist', async () => {
    const known = DEVICE_NAMES.filter((name) => !/^(?:\*|--)$|%/.test(name));
    for (const node of ['pve1', 'pve3']) {
      for (const name of known) await onNode(node, 'ip', 'link', 'add', 'name', name, 'type', 'bridge');
      const stanzas = known.map((name) => `\niface ${name} inet manual\n\tbridge-ports none\n`).join('');
      await lab.exec(node, ['sh', '-c', 'cat >> /etc/network/interfaces'], { input: stanzas });
    }
    // On one node classic ifupdown, which knows these properties only as commands for a shell.
    await onNode('pve1', 'rm', '-r', '/usr/share/ifupdown2');
    const before = await onNode('pve1', 'cat', '/etc/network/interfaces');
    const tasks = known.flatMap((name) => [
      { ignore_errors: true, bridge: { name, multicast_querier: true } },
      { ignore_errors: true, sysctl: { [`net/ipv4/conf/${name}/rp_filter`]: 2 } },
    ]);
    const accepted = tasks.filter((task) =>
      Object.entries(task).every(([type, params]) => resourceTypes.get(type)?.schema.safeParse(params).success ?? true),
    );
    expect(accepted.length).toBeGreaterThan(known.length);
    const file = write(
      'bridges.yml',
      ['pve1', 'pve3'].map((hosts) => ({ hosts, tasks: accepted })),
    );
    const report = reportOf(await run('apply', lab.inventory, '-p', file));
    const [classic, modern] = [tasksOf(report, 'pve1'), tasksOf(report, 'pve3')];
    arrived += classic.length + modern.length;
    for (const name of known) {
      const links = JSON.parse(await onNode('pve3', 'ip', '-d', '-j', 'link', 'show', 'dev', name));
      const task = modern.find(({ resource }) => resource === `bridge[${name}]`);
      expect([name, links[0].linkinfo.info_data.mcast_querier]).toEqual([name, task?.status === 'changed' ? 1 : 0]);
    }
    expect(
      modern.filter(({ resource, status }) => resource.startsWith('bridge') && status === 'changed').length,
    ).toBeGreaterThan(10);
    // Nothing that a shell would read at the next boot holds such a name.
    expect(classic.filter(({ resource }) => resource.startsWith('bridge')).map(({ status }) => status)).not.toContain(
      'changed',
    );
    expect(await onNode('pve1', 'cat', '/etc/network/interfaces')).toBe(before);
  });

  it('as names of files, tags and patterns on the command line', async () => {
    for (const name of CURATED.filter((text) => /^[^/\0]{1,100}$/.test(text)).slice(0, 12)) {
      const folder = join(dir, `x${name}`);
      mkdirSync(folder);
      const hosts = join(folder, `x${name}.yml`);
      writeFileSync(hosts, readFileSync(lab.inventory));
      writeFileSync(join(folder, `vars${name}`), 'size: 1\n');
      const play = {
        hosts: 'cluster',
        vars_files: [`vars${name}`],
        tags: [name],
        tasks: [{ sysctl: { [keyOf(0)]: '{{size}}' } }],
      };
      writeFileSync(join(folder, 'site.yml'), asYaml([play]));
      const [result, limited, tagged] = await Promise.all([
        run('check', hosts, '-o', join(folder, `out${name}`), '-e', JSON.stringify({ other: name })),
        run('check', hosts, '-l', `x${name}`),
        run('check', hosts, '-t', `x${name}`),
      ]);
      expect([name, result.stdout, result.stderr]).toEqual([name, '', '']);
      const report: Report = JSON.parse(readFileSync(join(folder, `out${name}`), 'utf8'));
      expect(Object.values(report.hosts).map(({ status, error }) => [status, error])).toEqual(
        NODES.map(() => ['drift', null]),
      );
      expect([limited.code, tagged.code]).toEqual([3, 3]);
    }
  });

  it('are never executed, a thousand of them and more', async () => {
    expect(tried.size).toBeGreaterThan(1_000);
    expect(arrived).toBeGreaterThan(1_000);
    expect(await sentinels()).toEqual([]);
  });

  it('would have been noticed', async () => {
    // The same strings where somebody was careless, one way or the other.
    const careless = ['ip link show dev $1', 'ip link show dev "$1"', "ip link show dev '$1'", '$1'];
    const script = `mkdir -p /tmp/careless && cd /tmp/careless && while IFS= read -r -d '' text; do
      for way in "\${ways[@]}"; do
        rm -f pwned*; timeout 5 bash -c "\${way//'$1'/"$text"}" </dev/null >/dev/null 2>&1
        case "$(echo pwned*)" in 'pwned*') ;; *) count=$((count + 1)); break ;; esac
      done
    done; echo $count; touch /root/pwned /pwned`;
    const ways = careless.map((way) => `'${way.replaceAll("'", "'\\''")}'`).join(' ');
    const harmful = texts.filter((text) => /touch pwned|>\s*pwned/.test(text) && !text.includes('\0')).slice(0, 150);
    const { stdout } = await lab.exec('pve1', ['bash', '-c', `count=0; ways=(${ways}); ${script}`], {
      input: harmful.map((text) => `${text}\0`).join(''),
    });
    expect(Number(stdout)).toBeGreaterThan(harmful.length / 2);
    expect(await sentinels()).toEqual(['pve1:/pwned', 'pve1:/root/pwned']);
  });
});
