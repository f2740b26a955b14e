import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forTerminal } from '../../../src/ui/io.ts';
import { CLI } from '../../support/cli.ts';

describe('what a terminal is given', () => {
  it.each([
    ['plain "text", ä → ✓\n\tof two lines\n', 'plain "text", ä → ✓\n\tof two lines\n'],
    ['\u001b[31mred\u001b[39m', '\u001b[31mred\u001b[39m'],
    ['\u001b[8mhidden\u202egnp.exe', '\\x1b[8mhidden\\u202egnp.exe'],
    ['\u001b]0;title\u0007', '\\x1b]0;title\\x07'],
    ['\u001b[2J\u001b[1;1Hgone\rback\u009b2J', '\\x1b[2J\\x1b[1;1Hgone\\x0dback\\x9b2J'],
  ])('%j', (text, shown) => {
    expect(forTerminal(text)).toBe(shown);
  });

  it('holds no command but colours, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(forTerminal(text).replace(/\u001b\[\d{1,2}m/g, '')).not.toMatch(/(?![\t\n])\p{Cc}/u);
      }),
    );
  });

  it('holds none in an error of the command line either', () => {
    const dir = mkdtempSync(join(tmpdir(), 'mcastctl-terminal-'));
    try {
      const file = join(dir, 'inventory.yml');
      writeFileSync(file, 'all:\n  hosts:\n    a:\n');
      const line = `node '${CLI}' inventory '${file}' --host "$(printf '\\033c\\007')"`;
      // script(1) gives it a terminal.
      const { stdout } = spawnSync('script', ['-qec', line, '/dev/null'], { encoding: 'utf8' });
      expect(stdout).toContain('\\x1bc\\x07');
      expect(stdout).not.toContain('\u001bc');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
