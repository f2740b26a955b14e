import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { format, type Opened, type Trial } from '../../scripts/corpus/format.ts';
import { runCorpus } from '../../scripts/corpus/run.ts';
import { formatErrorAt } from '../../src/formats/format-error.ts';

const root = new URL('../..', import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), 'mcastctl-corpus-'));
const SAMPLES: Readonly<Record<string, string | Buffer>> = {
  'corosync/good.conf': 'totem {\r\n\tversion: 2\r\n\ttransport:udpu\r\n}',
  'corosync/deep/down/latin1.conf': Buffer.from('# caf\xe9\ntotem {\n  token: 1000\n}\n', 'latin1'),
  'corosync/broken.conf': 'totem {\n  version: 2\n',
  'corosync/empty.conf': '',
  'interfaces/interfaces': 'auto vmbr0\niface vmbr0 inet static\n\taddress 10.0.0.1/24\n\tbridge-ports eno1\n',
  'sysctl/90.conf': '# x\r\nnet.core.rmem_max = 1\r\n',
};

beforeAll(() => {
  for (const [path, text] of Object.entries(SAMPLES)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

function command(...args: readonly string[]) {
  return spawnSync(process.execPath, ['scripts/corpus.js', ...args], { cwd: root, encoding: 'utf8' });
}

/** A row of the table, its columns set apart by two blanks or more. */
function row(text: string, name: string): readonly string[] {
  const line = text.split('\n').find((other) => other.startsWith(`${name}  `));
  return line?.split(/ {2,}/).slice(1) ?? [];
}

describe('the command', () => {
  test('tells of each format what was read, refused and edited', () => {
    const { stdout, stderr, status } = command(dir);
    expect(stderr).toBe('');
    const [files, equal, refused, edits, strayed, failures] = row(stdout, 'corosync.conf');
    expect([files, equal, refused, strayed, failures]).toEqual(['4', '3', '1', '0', '0']);
    expect(Number(edits)).toBeGreaterThan(20);
    expect(row(stdout, 'interfaces, ifupdown2').slice(0, 3)).toEqual(['1', '1', '0']);
    expect(row(stdout, 'sysctl.d').slice(0, 3)).toEqual(['1', '1', '0']);
    expect(row(stdout, 'cluster.conf')).toEqual(['no folder']);
    expect(stdout).toContain('corosync/broken.conf:1:1: the block "totem" that begins here has no "}"');
    expect(status).toBe(0);
  });

  test.each([[['--what']], [[dir, dir]], [[join(dir, 'none')]], [[join(dir, 'corosync')]]])(
    'used wrongly: %j',
    (args) => {
      const { stdout, stderr, status } = command(...args);
      expect(stdout).toBe('');
      expect(stderr).toContain('hint: npm run corpus -- DIR');
      expect(status).toBe(3);
    },
  );
});

describe('finds what a format does wrong', () => {
  const trial = (change: Partial<Trial>): Trial => ({
    what: 'x',
    edited: () => SAMPLES['sysctl/90.conf']?.toString() ?? '',
    touches: [],
    adds: 0,
    objection: () => undefined,
    ...change,
  });
  const withTrial = (change: Partial<Trial>): Opened => fake({ edits: [{ kind: 'k', trials: () => [trial(change)] }] });
  const fake = (change: Partial<Parameters<typeof format<string>>[0]>): Opened =>
    format<string>({
      name: 'fake',
      folder: 'sysctl',
      parse: (text) => text,
      print: (text) => text,
      edits: [],
      ...change,
    });

  test.each([
    ['other bytes', fake({ print: (text) => text.trim() }), 'written back, it has other bytes'],
    ['a crash', fake({ parse: () => JSON.parse('x') }), 'SyntaxError'],
    [
      'an error without a line',
      fake({
        parse: (text, file) => {
          throw Object.assign(formatErrorAt('x', file, text, 0), { source: {} });
        },
      }),
      'x',
    ],
    ['a touched line', withTrial({ edited: () => '# y\r\nnet.core.rmem_max = 1\r\n' }), 'line 1 changes: "# x\\r\\n"'],
    [
      'lines too many',
      withTrial({ edited: () => '# x\r\nnet.core.rmem_max = 1\r\n\r\n' }),
      '1 lines are new, 0 at most should be',
    ],
    [
      'another line end',
      withTrial({ edited: () => '# x\nnet.core.rmem_max = 1\r\n', touches: [0], adds: 1 }),
      'a line ends in "\\n"',
    ],
    ['a last line end lost', withTrial({ edited: () => '# x', touches: [0], adds: 1 }), 'line 2 changes'],
    ['an edit that does not take', withTrial({ objection: () => 'no' }), 'k: x: no'],
    ['an edit that throws', withTrial({ edited: () => JSON.parse('x') }), 'k: x: Unexpected token'],
  ])('%s', (_, opened, reason) => {
    const { text, isGood } = runCorpus(dir, [opened]);
    expect(text).toContain('failed:\n  sysctl/90.conf (fake): ');
    expect(text).toContain(reason);
    expect(isGood).toBe(false);
  });

  test('nothing where there is nothing', () => {
    const { text, isGood } = runCorpus(dir, [withTrial({})]);
    expect(row(text, 'fake')).toEqual(['1', '1', '0', '1', '0', '0']);
    expect(isGood).toBe(true);
  });
});
