import { describe, expect, test } from 'vitest';
import { codeFrame, formatSource, sourceAt } from '../../../src/core/source.ts';

const frame = (text: string, line: number) => codeFrame(text, { file: 'f', line, column: 3 }).split('\n');

describe('code frame', () => {
  test('shows the line, its neighbours and a caret', () => {
    expect(frame('a: 1\n\tb: 2\nc: 3\nd: 4\n', 2)).toEqual(['  1 | a: 1', '> 2 |  b: 2', '    |   ^', '  3 | c: 3']);
  });

  test.each([
    ['ansible_password: hunter2', 'ansible_password: ***'],
    ['    ansible_become_pass: "hunter2" # old', '    ansible_become_pass: ***'],
    ['a: { ansible_ssh_pass: hunter2, x: hunter2 }', 'a: { ansible_ssh_pass: ***'],
    ['host1 ansible_password=hunter2', 'host1 ansible_password=***'],
    ['"secret" : hunter2', '"secret" : ***'],
    ['token: 3000', 'token: 3000'],
    ['passwords.yml', 'passwords.yml'],
  ])('keeps the value of a password to itself: %s', (line, shown) => {
    expect(frame(`x: 1\n${line}\n`, 1)[2]).toBe(`  2 | ${shown}`);
    expect(frame(`x: 1\n${line}\n`, 2)[1]).toBe(`> 2 | ${shown}`);
  });

  test('keeps to itself what stands on the lines below the key too', () => {
    const text = 'v:\n  ansible_password: |\n    hunter2\n\n    hunter3\n  port: 22\n';
    expect([...frame(text, 3), ...frame(text, 5)].join('\n')).not.toContain('hunter');
    expect(frame(text, 5).at(-1)).toBe('  6 |   port: 22');
  });
});

test('a place is told by line and column from 1', () => {
  expect(formatSource(sourceAt('f', 'ab\ncd', 4))).toBe('f:2:2');
});
