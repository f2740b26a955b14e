import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addSecret,
  argvProblem,
  hiddenId,
  holdsSecret,
  redact,
  redactOutput,
  redactValue,
} from '../../../src/core/secrets.ts';

// What is a secret stays one for the life of the process: each case has its own.

describe('redact', () => {
  it.each([
    ['a word', 'hunter2-a', 'pass=hunter2-a;', 'pass=***;'],
    ['more than once', 'hunter2-b', 'hunter2-bhunter2-b hunter2-b', '*** ***'],
    ['with blanks around it', '  hunter2-c\n', '"hunter2-c"', '"***"'],
    ['in JSON', 'hunt"er\\2-d', 'x "hunt\\"er\\\\2-d" y', 'x "***" y'],
    ['in JSON in JSON', 'hunt"er2-e', JSON.stringify({ a: JSON.stringify('hunt"er2-e') }), '{"a":"\\"***\\""}'],
    ['in quotes of a shell', "hunt'er2-f", "echo 'hunt'\\''er2-f'", "echo '***'"],
    ['on one line', 'hunter2\n  g-line', 'said hunter2 g-line', 'said ***'],
    ['characters of regular expressions', 'a.*(h)+$', 'a.*(h)+$ axxh', '*** axxh'],
    ['beyond ASCII', 'pässwörd💥', '<pässwörd💥>', '<***>'],
  ])('%s', (_, secret, text, shown) => {
    addSecret(secret);
    expect(redact(text)).toBe(shown);
  });

  it('hides the lines of a key, as a diff shows them', () => {
    addSecret('-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\r\nx5dB1u7sQmYz\n==\n-----END KEY-----\n');
    expect(redact('+  x5dB1u7sQmYz\n+ MIIEowIBAAKCAQEA\n')).toBe('+  ***\n+ ***\n');
  });

  it('hides all of secrets that overlap', () => {
    addSecret('overlap-one');
    addSecret('one-overlap');
    addSecret('overlap-one-overlap-two');
    expect(redact('<overlap-one-overlap>')).toBe('<***>');
    expect(redact('<overlap-one-overlap-two>')).toBe('<***>');
  });

  it.each(['abc', 'true', 'False', 'null', ' no\n', ''])('leaves what is in everything: %j', (text) => {
    addSecret(text);
    expect(redact(`<${text}>`)).toBe(`<${text}>`);
  });
});

describe('redactOutput', () => {
  it('keeps a JSON document one, with its keys', () => {
    addSecret('changes');
    addSecret('": {');
    addSecret('40961234');
    const report = { changes: [{ to: 'my changes', size: 40961234, at: 4096 }], hosts: { a: { b: '": {' } } };
    const text = `${JSON.stringify(report, null, 2)}\n`;
    const shown = redactOutput(text);
    expect(JSON.parse(shown)).toEqual({
      changes: [{ to: 'my ***', size: '***', at: 4096 }],
      hosts: { a: { b: '***' } },
    });
    expect(shown.split('\n')).toHaveLength(text.split('\n').length);
  });

  it('takes what only looks like JSON for text', () => {
    addSecret('brace-secret');
    expect(redactOutput('{ brace-secret')).toBe('{ ***');
  });
});

it('redactValue: texts at any depth, not keys', () => {
  addSecret('deep-secret');
  expect(redactValue({ 'deep-secret': [1, null, { a: 'x deep-secret' }], b: true })).toEqual({
    'deep-secret': [1, null, { a: 'x ***' }],
    b: true,
  });
});

describe('argvProblem', () => {
  it.each([
    [['mysql', '--password=long-argument'], true],
    [['sh', '-c', 'echo xlong-argumentx'], true],
    [['login', 'pin7'], true],
    [['login', '--pin=pin7'], true],
    [['curl', '-u', 'me:pin7@host'], true],
    [['ls', '/opt/pin7/x', 'pin77'], false],
    [['ip', 'link', 'set', 'vmbr0-of-a-file'], false],
  ] as const)('%j', (argv, isProblem) => {
    addSecret('long-argument');
    addSecret('pin7');
    addSecret('vmbr0-of-a-file', true);
    const problem = argvProblem(argv);
    expect(problem !== null).toBe(isProblem);
    if (problem !== null) expect(problem).toMatch(/^argument \d of "\w+" holds a secret/);
  });
});

it('a name of an encrypted file is hidden, but makes no other text a secret', () => {
  addSecret('bridge-name', true);
  expect([redact('on bridge-name'), holdsSecret('on bridge-name')]).toEqual(['on ***', false]);
  addSecret('bridge-name');
  expect(holdsSecret('on bridge-name')).toBe(true);
});

it('an id without what it is called by', () => {
  expect(hiddenId('command[mysql -p x[1]]')).toBe('command[(hidden by no_log)]');
});

// Last: what it makes secrets of is in other texts.
it('any text of four characters and more is in no text afterwards', () => {
  const some = fc.string({ unit: 'grapheme', minLength: 4, maxLength: 30 }).filter((text) => text.trim().length >= 4);
  const around = fc.string({ unit: 'grapheme', maxLength: 20 });
  fc.assert(
    fc.property(some, around, around, (secret, before, after) => {
      addSecret(secret);
      const whole = secret.trim();
      if (['true', 'false', 'null', 'none'].includes(whole.toLowerCase()) || /^\*+$/.test(whole)) return;
      for (const text of [secret, JSON.stringify(secret)]) {
        const shown = redact(`${before}${text}${after}`);
        // What is left may by chance spell it together with the mask; the mask itself is no secret.
        if (!whole.includes('***')) expect(shown.replaceAll('***', '\0')).not.toContain(whole);
      }
    }),
    { numRuns: 300 },
  );
});
