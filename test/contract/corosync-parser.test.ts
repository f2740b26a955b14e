import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { parseCorosyncConf, printCorosyncConf, valueFaults } from '../../src/formats/corosync-conf.ts';
import { FormatError } from '../../src/formats/format-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'mcastctl-corosync-'));
afterAll(() => rmSync(folder, { recursive: true }));

const RUNS = Number(process.env.MCASTCTL_RUNS ?? 100);
const AT_ONCE = 8;

/**
 * The line that the real parser complains of; 0 where it reads the file, whatever it says of the cluster described.
 */
async function corosyncRefuses(text: string, path: string): Promise<number> {
  await writeFile(path, text);
  const stderr = await run('corosync', ['-t', '-c', path]);
  const line = /^parser error: .*?:(\d+): /m.exec(stderr)?.[1];
  expect(line !== undefined || /parse error in config|exiting with status/.test(stderr), stderr).toBe(true);
  return line === undefined ? 0 : Number(line);
}

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      stderr += part;
    });
    child.on('error', reject);
    child.on('close', () => resolve(stderr));
  });
}

/** Ours: the first line with what the parser, or the look at the values, refuses. */
function weRefuse(text: string, path: string): number | 'stricter' {
  try {
    const conf = parseCorosyncConf(text, path);
    expect(printCorosyncConf(conf)).toBe(text);
    return valueFaults(conf)[0]?.source?.line ?? 0;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    expect(error.message).toBe(`${path}:${error.source.line}:${error.source.column}: ${error.fault}`);
    // Another block ends this one too early, after which corosync frees memory twice: refused on purpose.
    if (error.fault.startsWith('corosync takes no block within')) return 'stricter';
    const lines = text.split(/(?<=\n)/);
    // We name the line in which the open block begins, corosync the last one of the file.
    const line = error.fault.endsWith('has no "}"') ? lines.length + 1 : error.source.line;
    return Math.min(line, lines.length, firstBadValue(lines.slice(0, line - 1).join(''), path));
  }
}

/** The first line of a good beginning of a file that holds a value that corosync refuses. */
function firstBadValue(start: string, path: string): number {
  for (let depth = 0; depth < 20; depth++) {
    try {
      const conf = parseCorosyncConf(`${start}\n${'}\n'.repeat(depth)}`, path);
      return valueFaults(conf)[0]?.source?.line ?? Number.POSITIVE_INFINITY;
    } catch {
      // one more block is open
    }
  }
  return Number.POSITIVE_INFINITY;
}

const WORDS = [
  'totem',
  'interface',
  'nodelist',
  'node',
  'logging',
  'logger_subsys',
  'logging_daemon',
  'quorum',
  'device',
  'uidgid',
  'member',
  'x',
  'a.b',
  'ä',
  'b c',
  '',
  'x#1',
  'k'.repeat(120),
];
// No ring0_addr: corosync would ask the name servers for each word. No config_version: corosync 3.1.7 aborts where it is no number, and leaves its memory in /var/lib/corosync.
const KEYS = [
  'version',
  'token',
  'netmtu',
  'transport',
  'linknumber',
  'mcastport',
  'ttl',
  'nodeid',
  'quorum_votes',
  'name',
  'subsys',
  'debug',
  'memberaddr',
  'two_node',
  'crypto_cipher',
  'ip_version',
  'provider',
  'k',
  'kk',
  'k y',
  'k#',
  '',
  'ö',
  '}',
  'key:',
  'k'.repeat(140),
];
const VALUES = [
  '2',
  '0',
  '-1',
  '+3',
  '255',
  '256',
  '65536',
  '4294967296',
  'udp',
  'none',
  'ipv4',
  'on # no comment',
  '10.0.0.1',
  'ff15::1',
  'a b',
  '',
  'ä',
  '}',
  'x:y',
  '0x10',
  'corosync',
  'QUORUM',
  'v'.repeat(480),
  'v'.repeat(511),
];
const BLANKS = ['', ' ', '\t', '  ', ' \t ', '\f', '\u00a0'];
const ENDS = ['\n', '\n', '\n', '\r\n', ' \n', '\t\r\n', '\r\r\n', '\r \n', '\v\n'];

const of = (values: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...values);
const blank = fc.oneof({ weight: 12, arbitrary: of(['', ' ', '\t', '  ']) }, { weight: 1, arbitrary: of(BLANKS) });
const end = fc.oneof({ weight: 15, arbitrary: of(['\n', '\r\n']) }, { weight: 1, arbitrary: of(ENDS) });
/** Mostly words that corosync accepts: one odd thing in a file is what shows a difference. */
const word = fc.oneof({ weight: 30, arbitrary: of(WORDS.slice(0, 13)) }, { weight: 1, arbitrary: of(WORDS) });
const key = fc.oneof({ weight: 30, arbitrary: of(KEYS.slice(0, 18)) }, { weight: 1, arbitrary: of(KEYS) });
const value = fc.oneof({ weight: 6, arbitrary: of(['1', '2', '3']) }, { weight: 4, arbitrary: of(VALUES) });
const colon = fc.oneof(
  { weight: 15, arbitrary: of([': ', ':', ':\t']) },
  { weight: 1, arbitrary: of([' :', '::', ': : ']) },
);
const item = fc.tuple(blank, key, colon, value, end).map((parts) => parts.join(''));
const comment = fc
  .tuple(blank, of(['', '# x', '#}', '# a { b: c', `#${'x'.repeat(520)}`]), end)
  .map((parts) => parts.join(''));
const odd = fc
  .tuple(
    blank,
    of(['}', '} # x', 'x }', '{', '{ x', ': {', ':', 'word', 'x { # y', '}}', ' : x', 'x{', '\r', ': x']),
    end,
  )
  .map((parts) => parts.join(''));

const { body } = fc.letrec<{ block: string; body: string }>((tie) => ({
  block: fc
    .tuple(blank, word, of([' {', '{', '\t{', ': {', ' { ']), end, tie('body'), blank, end)
    .map(
      ([indent, name, brace, lineEnd, inner, closing, closingEnd]) =>
        `${indent}${name}${brace}${lineEnd}${inner}${closing}}${closingEnd}`,
    ),
  body: fc
    .array(
      fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        { weight: 20, arbitrary: item },
        { weight: 5, arbitrary: comment },
        { weight: 1, arbitrary: odd },
        { weight: 12, arbitrary: tie('block') },
      ),
      { maxLength: 6 },
    )
    .map((parts) => parts.join('')),
}));
const real = of([
  'totem {\n  version: 2\n  interface {\n    linknumber: 0\n  }\n}\n',
  'nodelist {\n\tnode {\n\t\tring0_addr: 10.0.0.1\n\t}\n}\n',
]);
const file = fc
  .tuple(fc.oneof({ weight: 4, arbitrary: fc.constant('') }, { weight: 1, arbitrary: real }), body, fc.nat({ max: 3 }))
  .map(([start, rest, cut]) => (cut === 0 ? (start + rest).replace(/\n$/, '') : start + rest));

test('corosync refuses the same files in the same line', async () => {
  const texts = fc.sample(file, { numRuns: RUNS, seed: 7 });
  const tally = { read: 0, refused: 0 };
  const next = texts.values();
  const worker = async (_: unknown, number: number): Promise<void> => {
    const path = join(folder, `${number}.conf`);
    for (const text of next) {
      const theirs = await corosyncRefuses(text, path);
      const ours = weRefuse(text, path);
      if (ours === 'stricter') continue;
      tally[ours === 0 ? 'read' : 'refused']++;
      expect(ours, JSON.stringify(text)).toBe(theirs);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  // Without many of both, equal answers would say little.
  expect(tally.read).toBeGreaterThan(RUNS / 10);
  expect(tally.refused).toBeGreaterThan(RUNS / 10);
}, 600_000);
