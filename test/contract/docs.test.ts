import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { referencePages } from '../../scripts/docs/reference.ts';
import { validateCommand } from '../../src/commands/validate.ts';
import { loadInventory } from '../../src/config/inventory/index.ts';
import { anchorsOf, type Block, blocksOf, consoleSteps, linksOf } from '../support/markdown.ts';

// How blocks of the pages are held to what the program does:
// - `console`: each "$ " line is run by bash in a folder and a lab of the page's own, in order. Shown output must be what was
//   printed (standard output, standard error or both), times and the like apart; "…" stands for lines left out. Where none is shown,
//   nothing may come on standard output. A command that does not exit with 0 is followed by "$ echo $?". A block that can't be run says why: `<!-- not run: reason -->`.
// - `yaml KIND [FILE]`: inventory, playbook, tasks, play (keys of a play) or vars, checked by the real loader; with a file name
//   it is written to the page's folder before the commands run.
// - other languages (`text`, `ts`, `json`) are not checked.

const root = fileURLToPath(new URL('../../', import.meta.url));
const pages = ['README.md', 'CHANGELOG.md', ...markdownIn('docs')];
const texts = new Map(pages.map((page) => [page, readFileSync(root + page, 'utf8')]));
const LANGUAGES = ['console', 'yaml', 'text', 'ts', 'json'];
const KINDS = ['inventory', 'playbook', 'tasks', 'play', 'vars'];
const INVENTORY = `all:
  children:
    cluster:
      hosts: { "pve[1:3]": }
      vars: { cluster_bridge: vmbr0, cluster_nic: eth0 }
`;

function markdownIn(folder: string): string[] {
  return readdirSync(root + folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder with the repository's examples in it, the program on its own PATH, and the files that the page shows. */
function workshop(page: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'mcastctl-docs-'));
  folders.push(folder);
  mkdirSync(join(folder, '.bin'));
  symlinkSync(`${root}dist/cli.js`, join(folder, '.bin/mcastctl'));
  for (const name of ['inventories', 'playbooks', '.cache']) symlinkSync(root + name, join(folder, name));
  for (const { info, text } of blocksOf(texts.get(page) ?? '')) {
    const [language, , file] = info;
    if (language !== 'yaml' || file === undefined) continue;
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

describe('the reference', () => {
  const expected = referencePages((path) => (existsSync(root + path) ? readFileSync(root + path, 'utf8') : null));
  it.each([...expected])('%s is what "npm run docs" makes', (path, text) => {
    expect(readFileSync(root + path, 'utf8')).toBe(text);
  });
});

describe('links', () => {
  it.each(pages)('of %s lead somewhere', (page) => {
    const dead = linksOf(texts.get(page) ?? '').filter((target) => {
      if (/^(?:https?|mailto):/.test(target)) return false;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (!existsSync(root + file)) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(root + file, 'utf8')).has(anchor);
    });
    expect(dead).toEqual([]);
  });

  it('reach every page from README.md', () => {
    const reached = new Set<string>();
    const open = ['README.md'];
    for (let page = open.pop(); page !== undefined; page = open.pop()) {
      if (reached.has(page)) continue;
      reached.add(page);
      for (const target of linksOf(texts.get(page) ?? '')) {
        const file = join(dirname(page), target.split('#')[0] ?? '');
        if (texts.has(file)) open.push(file);
      }
    }
    expect(pages.filter((page) => !reached.has(page))).toEqual([]);
  });
});

describe('blocks', () => {
  it.each(pages)('of %s have a language, and those that are not run a reason', (page) => {
    for (const { info, line } of blocksOf(texts.get(page) ?? '')) {
      expect(LANGUAGES, `${page}:${line}`).toContain(info[0]);
      if (info[0] === 'yaml') expect(KINDS, `${page}:${line}`).toContain(info[1]);
    }
  });
});

const yamlPages = pages.filter((page) => blocksOf(texts.get(page) ?? '').some(({ info }) => info[0] === 'yaml'));

describe('YAML', () => {
  it.each(yamlPages)('of %s is valid', async (page) => {
    const folder = workshop(page);
    const own = blocksOf(texts.get(page) ?? '').filter(({ info }) => info[0] === 'yaml');
    const shown = own.find(({ info }) => info[1] === 'inventory' && info[2] !== undefined)?.info[2];
    const inventory = join(folder, shown ?? '.default.yml');
    if (shown === undefined) writeFileSync(inventory, INVENTORY);
    for (const block of own) {
      if (block.info[1] === 'vars') continue;
      const file = join(folder, `.block-${block.line}.yml`);
      writeFileSync(file, asFile(block));
      const place = `${page}:${block.line}`;
      if (block.info[1] === 'inventory') {
        expect(loadInventory(join(folder, block.info[2] ?? relative(folder, file)), {}).hosts, place).not.toEqual([]);
      } else {
        const playbook = block.info[2] === undefined ? file : join(folder, block.info[2]);
        expect(await validity(inventory, playbook), place).toMatch(/ are valid: /);
      }
    }
  });
});

function asFile({ info, text }: Block): string {
  const indented = (by: string) => text.replace(/^(?=.)/gm, by);
  if (info[1] === 'tasks') return `- hosts: cluster\n  tasks:\n${indented('    ')}`;
  return info[1] === 'play' ? `- hosts: cluster\n${indented('  ')}` : text;
}

async function validity(inventory: string, playbook: string): Promise<string> {
  let said = '';
  const take = (text: string) => {
    said += text;
  };
  try {
    await validateCommand(inventory, { playbook, verbose: false }, { out: take, err: take });
    return said;
  } catch (error) {
    return String(error);
  }
}

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runShell(command: string, before: number, cwd: string, lab: string): Promise<Ran> {
  const { NO_COLOR: _noColor, MCASTCTL_LAB: _lab, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', `(exit ${before})\n${command}`], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...env, PATH: `${cwd}/.bin:${env['PATH']}`, MCASTCTL_LAB: lab, LC_ALL: 'C.UTF-8' },
    });
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said.stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...said }));
  });
}

/** What may differ from run to run, made equal. */
function normal(text: string, lab: string): string {
  return text
    .replaceAll(lab, 'lab')
    .replaceAll(root, '/opt/mcastctl/')
    .replace(/\d+(?:\.\d+)? s\b/g, 'N s')
    .replaceAll('N s to N s', 'N s')
    .replace(/\d+(?:\.\d+)?%/g, 'N%')
    .replace(/\b\d+ of 1400 /g, 'N of 1400 ')
    .replace(/stopped after \d+ packets/g, 'stopped after N packets')
    .replace(/SHA256:[\w+/]+/g, 'SHA256:…')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/"(durationMs|rttMs)": [\d.]+/g, '"$1": N')
    .split('\n')
    .map((line) => line.replace(/[ \t]+/g, ' ').trim())
    .join('\n')
    .trim();
}

/** Whether shown output is what was printed; "…" alone on a line stands for any lines. */
function isShown(shown: string, printed: string): boolean {
  const parts = shown.split(/^…$/m).map((part) => part.trim().replace(/[\\^$.|?*+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${parts.join('[\\s\\S]*')}$`).test(printed);
}

const consolePages = pages.filter((page) =>
  blocksOf(texts.get(page) ?? '').some(({ info, notRun }) => info[0] === 'console' && notRun === undefined),
);

describe('commands', { timeout: 300_000 }, () => {
  it.concurrent.each(consolePages)('of %s do what the page says', async (page) => {
    const folder = workshop(page);
    chmodSync(folder, 0o755);
    const lab = `docs-${process.pid}-${consolePages.indexOf(page)}`;
    const blocks = blocksOf(texts.get(page) ?? '').filter(({ info, notRun }) => info[0] === 'console' && !notRun);
    const wrong: string[] = [];
    let last = 0;
    try {
      for (const block of blocks) {
        const steps = consoleSteps(block.text);
        for (const [index, { command, output }] of steps.entries()) {
          const place = `${page}:${block.line}: "$ ${command}"`;
          const { code, stdout, stderr } = await runShell(command, last, folder, lab);
          last = code ?? 1;
          const isTold = steps[index + 1]?.command === 'echo $?';
          if (last !== 0 && !isTold) wrong.push(`${place} exits with ${last}\n${stdout}${stderr}`);
          const shown = normal(output.join('\n'), lab);
          const printed = (output.length === 0 ? [stdout] : [stdout, stderr, stderr + stdout]).map((text) =>
            normal(text, lab),
          );
          if (!printed.some((text) => isShown(shown, text)))
            wrong.push(`${place} prints\n${stderr}${stdout}, not\n${output.join('\n')}`);
        }
      }
    } finally {
      await runShell('mcastctl lab down', 0, folder, lab);
    }
    expect(wrong.join('\n\n')).toBe('');
  });
});
