import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, it } from 'vitest';

/**
 * Who may import whom: the one place where the direction is stated. A folder of src/ on the left may use the folders on
 * the right and itself. Files at the top of src/ are named by their file name.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  'paths.ts': [],
  'version.ts': ['paths.ts'],
  formats: ['core'],
  resources: ['core', 'formats'],
  config: ['core'],
  connection: ['core'],
  agent: ['core', 'paths.ts'],
  probe: ['core', 'agent', 'paths.ts'],
  engine: ['core', 'agent', 'probe'],
  journal: ['core'],
  ui: ['core'],
  lab: ['core'],
  commands: [
    'core',
    'config',
    'connection',
    'agent',
    'probe',
    'engine',
    'resources',
    'ui',
    'lab',
    'journal',
    'paths.ts',
  ],
  cli: ['core', 'commands', 'ui'],
  'cli.ts': ['core', 'cli', 'version.ts'],
};

const src = new URL('../../src', import.meta.url).pathname;

function sources(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    if (statSync(path).isDirectory()) return sources(path);
    return name.endsWith('.ts') && !name.endsWith('.d.ts') ? [path] : [];
  });
}

function areaOf(path: string): string {
  return relative(src, path).split('/')[0] ?? '';
}

it('imports go one way', () => {
  const files = sources(src);
  expect(files.length).toBeGreaterThan(30);
  const wrong = files.flatMap((file) => {
    const text = readFileSync(file, 'utf8');
    const imported = [...text.matchAll(/(?:from|import)\s*\(?\s*'(?<path>\.[^']+)'/g)].map((match) =>
      areaOf(join(dirname(file), match.groups?.path ?? '')),
    );
    const area = areaOf(file);
    const allowed = [area, ...(MAY_IMPORT[area] ?? [])];
    return imported.filter((other) => !allowed.includes(other)).map((other) => `${relative(src, file)} uses ${other}`);
  });
  expect(wrong).toEqual([]);
});

it('keeps files short enough to read in one go', () => {
  const long = sources(src).filter((file) => readFileSync(file, 'utf8').split('\n').length > 401);
  expect(long.map((file) => relative(src, file))).toEqual([]);
});
