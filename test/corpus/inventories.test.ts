import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { inventoryCommand } from '../../src/commands/inventory.ts';

/** Folder of real-world samples; they belong to other people and are not part of the project. */
const samples = process.env.MCASTCTL_SAMPLES ?? fileURLToPath(new URL('../../../shared/samples', import.meta.url));
const EXPECTED = '.expected.json';
const MESSAGE = '.message.txt';

function list(file: string) {
  const text = { out: '', err: '' };
  const io = {
    out: (part: string) => {
      text.out += part;
    },
    err: (part: string) => {
      text.err += part;
    },
  };
  return { code: inventoryCommand(file, { list: true }, io), ...text };
}

/** The inventory file of a sample: itself, or the one plain file at the top of its folder. */
function sourceOf(path: string): string {
  if (!statSync(path).isDirectory()) return path;
  const [file] = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isFile());
  return join(path, file?.name ?? '');
}

function namesIn(folder: string, suffix: string): string[] {
  const path = join(samples, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length));
}

const good = namesIn('inventories', EXPECTED);
const bad = namesIn('inventories-bad', MESSAGE);

it('finds the samples', () => {
  expect(good.length, `no inventories below "${samples}"; set MCASTCTL_SAMPLES to their folder`).toBeGreaterThan(0);
  expect(bad.length, `no faulty inventories below "${samples}"; set MCASTCTL_SAMPLES to their folder`).toBeGreaterThan(
    0,
  );
});

describe('lists as ansible-inventory does', () => {
  it.each(good)('%s', (name) => {
    const path = join(samples, 'inventories', name);
    const { out, code, err } = list(sourceOf(path));
    expect(out, err).toBe(readFileSync(path + EXPECTED, 'utf8'));
    expect(code).toBe(0);
  });
});

describe('refuses what Ansible can not parse, with the place', () => {
  it.each(bad)('%s', (name) => {
    const path = join(samples, 'inventories-bad', name);
    const isAccepted = /unparsed is an error: exit status 0/.test(readFileSync(path + MESSAGE, 'utf8'));
    const { out, code, err } = list(sourceOf(path));
    expect(err).toMatch(/:\d+:\d+: .+\n(?: {2}.+\n)?> +\d+ \|/);
    expect(code).toBe(isAccepted ? 0 : 3);
    expect(out).toBe(isAccepted ? readFileSync(path + EXPECTED, 'utf8') : '');
    if (!isAccepted) expect(err).toContain('hint: ');
  });
});
