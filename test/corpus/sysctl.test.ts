import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { bootSetting, bootTable, isGlob, parseSysctlConf, setInDropIn } from '../../src/formats/sysctl-conf.ts';

/** Folder of real-world samples; they belong to other people and are not part of the project. */
const samples = process.env.MCASTCTL_SAMPLES ?? fileURLToPath(new URL('../../../shared/samples', import.meta.url));
const names = readdirSync(`${samples}/sysctl`).filter((name) => name.endsWith('.conf'));

test('there are samples', () => {
  expect(names.length).toBeGreaterThan(5);
});

test.each(names)('%s: every line is understood, and editing touches one line only', (name) => {
  const text = readFileSync(`${samples}/sysctl/${name}`, 'utf8');
  const entries = parseSysctlConf(text);
  const rows = text.split('\n');
  const meant = rows.filter((row) => /^\s*[^#;\s]/.test(row) && (row.includes('=') || row.trim().startsWith('-')));
  expect(entries).toHaveLength(meant.length);
  for (const { path, line } of entries.filter((entry) => !isGlob(entry.path))) {
    const edited = setInDropIn(text, path, '123456');
    expect(bootSetting(bootTable([{ path: '/x', text: edited }]), path)?.value).toBe('123456');
    const own = entries.filter((entry) => entry.path === path).map((entry) => entry.line);
    expect(own).toContain(line);
    const rest = rows.filter((_, index) => !own.includes(index + 1));
    const after = edited.split('\n').filter((row) => !row.endsWith(' = 123456'));
    expect(after.join('\n').trimEnd()).toBe(rest.join('\n').trimEnd());
  }
});
