import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLI } from '../../support/cli.ts';

// Hosts that take the connection and never say a word: a run of them takes as long as --timeout.

const silent: Socket[] = [];
let server: Server;
let dir: string;

beforeAll(async () => {
  server = createServer((socket) => void silent.push(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-progress-'));
  const { port } = server.address() as AddressInfo;
  const vars = `{ ansible_host: 127.0.0.1, ansible_port: ${port}, ansible_user: root }`;
  writeFileSync(join(dir, 'inventory.yml'), `cluster:\n  hosts:\n    pve[1:50]:\n  vars: ${vars}\n`);
});
afterAll(() => {
  for (const socket of silent) socket.destroy();
  server.close();
  rmSync(dir, { recursive: true });
});

/** What a command prints on a terminal, made by script(1). */
async function onTerminal(
  command: string,
  env: Readonly<Record<string, string>>,
  typed: { readonly after: string; readonly keys: string } = { after: '', keys: '' },
): Promise<string> {
  const line = `stty rows 24 cols 100; node '${CLI}' ${command} '${join(dir, 'inventory.yml')}'`;
  const { CI: _, NO_COLOR: __, ...rest } = process.env;
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    env: { ...rest, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  let isTyped = false;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (!isTyped && typed.keys !== '' && text.includes(typed.after)) {
      isTyped = true;
      child.stdin.write(typed.keys);
    }
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  return `${text}exit code ${code}`;
}

const waiting = 'connecting: pve1, pve2, pve3, pve4, pve5 and 45 more';

describe('what a person sees who waits', () => {
  it.each([
    ['check', { TERM: 'dumb', LC_ALL: 'C.UTF-8' }],
    ['check', { TERM: 'xterm', LC_ALL: 'C' }],
    ['probe', { TERM: 'dumb', LC_ALL: 'C' }],
  ])(
    '%s on a terminal that can not rewrite lines or show Unicode: %j',
    async (command, env) => {
      const text = await onTerminal(`${command} -T 2`, env);
      expect(text.split('\r\n').filter((line) => line === waiting)).toHaveLength(1);
      expect(text.match(/within 2 s/g)).toHaveLength(1);
      expect(text).toMatch(/^[\n\r\u001b -~]*$/);
    },
    20_000,
  );

  it.each(['check', 'probe'])(
    '%s on any other',
    async (command) => {
      const text = await onTerminal(`${command} -T 2`, { TERM: 'xterm', LC_ALL: 'C.UTF-8' });
      expect(text).toContain('pve50: connecting');
      // Nobody is told that it went well, and nothing of the view is left above the report.
      expect(text).not.toContain('✔');
      expect(text.slice(text.lastIndexOf('connecting'))).toContain('\u001b[2K');
    },
    20_000,
  );

  it('Ctrl-C is heard while the list is shown', async () => {
    const env = { TERM: 'xterm', LC_ALL: 'C.UTF-8' };
    const startedAt = Date.now();
    const text = await onTerminal('check -T 15', env, { after: 'pve50: connecting', keys: '\u0003' });
    expect(Date.now() - startedAt).toBeLessThan(8_000);
    expect(text).toContain('interrupted: ');
    expect(text).toMatch(/exit code 130$/);
    // The cursor is shown again.
    expect(text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(text.lastIndexOf('\u001b[?25l'));
  }, 20_000);
});

describe('a password that is asked for', () => {
  it.each([
    ['Ctrl-D', '-k', 'SSH password: ', '\u0004'],
    ['Ctrl-C', '-k', 'SSH password: ', '\u0003'],
    ['Ctrl-C', '-J', 'Vault password: ', '\u0003'],
    ['Ctrl-C', '--vault-id prod@prompt', 'Vault password (prod): ', '\u0003'],
  ])('%s gives none, and nothing is begun: %s', async (_, flag, after, keys) => {
    const text = await onTerminal(`check ${flag}`, { TERM: 'xterm' }, { after, keys });
    expect(text).toContain('no password was given');
    expect(text).toMatch(/exit code 3$/);
  });
});
