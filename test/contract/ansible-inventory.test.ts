import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type InventoryOptions, inventoryCommand } from '../../src/commands/inventory.ts';

const folder = fileURLToPath(new URL('../fixtures/inventories', import.meta.url));
const files = readdirSync(folder).map((name) => join(folder, name, mainFile(name)));
const run = promisify(execFile);

/**
 * The reference is ansible-core 2.14. Later versions print the same but for a "profile" of the program, and for these
 * inventories, whose tags, order and internal variables they treat otherwise: there its recorded answers count.
 */
const CHANGED_LATER = ['09', '12', '18'];
const RECORDED = fileURLToPath(new URL('../fixtures/ansible-2.14.json', import.meta.url));
const recorded: Readonly<Record<string, string>> = JSON.parse(readFileSync(RECORDED, 'utf8'));

interface Case {
  readonly file: string;
  /** What both commands take. */
  readonly args: readonly string[];
  readonly options: InventoryOptions;
}

const cases: readonly Case[] = [
  ...files.map((file) => ({ file, args: ['--list'], options: { list: true } })),
  ...['02', '10', '11', '14', '17'].map((id) => ({ file: byId(id), args: ['--graph'], options: { graph: true } })),
  ...['02', '04', '05', '18'].map((id) => ({
    file: byId(id),
    args: ['--list', '--export'],
    options: { list: true, export: true },
  })),
  ...(
    [
      ['04', 'h1'],
      ['07', 'h'],
      ['11', 'c'],
      ['18', 'quiet'],
    ] as const
  ).map(([id, host]) => ({ file: byId(id), args: ['--host', host], options: { host } })),
  ...[
    ['a=1 b="two words" c=\'x y\' d={{ e f }}'],
    ['{"site": 1.0, "deep": {"x": [1, 1e3]}}', 'site=last'],
    ['{level: extra, when: 0755}'],
    ['escaped=a\\tb\\x41 eq=a=b quoted="a\\"b" empty='],
  ].map((extraVars) => ({
    file: byId('02'),
    args: ['--list', ...extraVars.flatMap((text) => ['-e', text])],
    options: { list: true, extraVars },
  })),
];

function mainFile(name: string): string {
  return readdirSync(join(folder, name)).find((entry) => entry.startsWith('hosts')) ?? 'hosts.yml';
}

function byId(id: string): string {
  const file = files.find((path) => path.startsWith(join(folder, id)));
  if (file === undefined) throw new Error(`no inventory ${id}`);
  return file;
}

function ours({ file, options }: Case): string {
  let out = '';
  let err = '';
  const code = inventoryCommand(file, options, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return code === 0 ? out : err;
}

const answers = new Map<Case, string>();
const PROFILE = /,\n +"profile": "inventory_legacy"/;
let isReference = false;

function keyOf({ file, args }: Case): string {
  return [file.slice(folder.length + 1), ...args].join(' ');
}

// Ansible also reads group_vars in the current folder: it runs in an empty one.
const empty = mkdtempSync(join(tmpdir(), 'mcastctl-inventory-'));

beforeAll(async () => {
  const found = spawnSync('ansible-inventory', ['--version'], { cwd: empty, encoding: 'utf8' });
  if (found.error !== undefined) throw new Error('ansible-inventory is missing: apt-get install ansible-core');
  const version = Number(/core 2\.(?<minor>\d+)/.exec(found.stdout)?.groups?.minor);
  isReference = version === 14;
  const config = join(empty, 'ansible.cfg');
  writeFileSync(config, '');
  const env = { ...process.env, ANSIBLE_CONFIG: config, ANSIBLE_NOCOLOR: '1', LC_ALL: 'C.UTF-8' };
  const open = [...cases];
  const worker = async () => {
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      const { stdout } = await run('ansible-inventory', ['-i', next.file, ...next.args], { env, cwd: empty });
      const isRecorded = !isReference && keyOf(next) in recorded;
      answers.set(next, isRecorded ? (recorded[keyOf(next)] ?? '') : stdout.replace(PROFILE, ''));
    }
  };
  await Promise.all([worker(), worker()]);
}, 300_000);

afterAll(() => rmSync(empty, { recursive: true }));

it('has at least fifteen inventories', () => expect(files.length).toBeGreaterThanOrEqual(15));

it('the recorded answers are those of ansible-core 2.14', () => {
  const changed = cases.filter(({ file }) => CHANGED_LATER.some((id) => file.startsWith(join(folder, id))));
  const now = Object.fromEntries(changed.map((each) => [keyOf(each), answers.get(each)]));
  expect(changed.length).toBeGreaterThan(3);
  expect(recorded).toEqual(now);
});

describe('prints what ansible-inventory prints', () => {
  it.each(cases.map((each) => [each.file.slice(folder.length + 1), each.args.join(' '), each] as const))(
    '%s %s',
    (_file, _args, each) => {
      const expected = answers.get(each);
      expect(expected).toMatch(/^[{@]/);
      expect(ours(each)).toBe(expected);
    },
  );
});
