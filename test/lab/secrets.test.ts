import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliResult, mcastctl } from '../support/cli.ts';
import { type Lab, startLab } from '../support/lab.ts';
import { makeVaultFolder, VAULT_PASSWORD, vaultYaml } from '../support/vault.ts';

// Values that the real ansible-vault encrypted are used on a real node, by a user who needs a password for sudo, while all
// command lines of node and controller are watched.

const SUDO_PASSWORD = 'sudo "pass" $(word) \\x';
const OLD = 'old-secret-of-the-node';
const DB = "db'pass word";
const TOKEN = 'token-of-an-encrypted-file';
const PLAIN = 'plain-but-hidden';
const SECRETS = [SUDO_PASSWORD, DB, TOKEN, VAULT_PASSWORD];

const folder = makeVaultFolder();
let lab: Lab;
let vars = '';
let args: readonly string[] = [];
const journal = join(folder.dir, 'state');

beforeAll(async () => {
  const [sudo = '', db = '', token = ''] = await folder.encryptAll([
    SUDO_PASSWORD,
    DB,
    `{"api": {"token": "${TOKEN}"}}\n`,
  ]);
  lab = await startLab({ nodes: 1, switch: 'flood' });
  await on('useradd', '-m', '-s', '/bin/sh', 'admin');
  await put('/etc/sudoers.d/admin', 'admin ALL=(ALL) ALL\n', '440');
  const { code } = await lab.exec('pve1', ['chpasswd'], { input: `admin:${SUDO_PASSWORD}\n` });
  expect(code).toBe(0);
  await on('sh', '-c', 'mkdir /home/admin/.ssh && cp /root/.ssh/authorized_keys /home/admin/.ssh/');
  await on('chown', '-R', 'admin:', '/home/admin/.ssh');
  vars = folder.write(
    'vars.yml',
    `ansible_user: admin
ansible_become: true
ansible_become_password: ${vaultYaml(sudo)}
db: ${vaultYaml(db)}
`,
  );
  folder.write('token.json', token);
  args = [lab.inventory, '-e', `@${vars}`, '--vault-password-file', folder.passwordFile];
}, 60_000);
afterAll(async () => {
  await lab?.down();
  folder.remove();
});

async function on(...argv: readonly [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec('pve1', argv);
  if (code !== 0) throw new Error(`"${argv.join(' ')}" ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

async function put(path: string, text: string, mode = '644'): Promise<void> {
  const script = 'cat > "$1" && chmod "$2" "$1"';
  const { code } = await lab.exec('pve1', ['sh', '-c', script, 'sh', path, mode], { input: text });
  expect(code).toBe(0);
}

function run(command: string, tasks: string, ...more: readonly string[]): Promise<CliResult> {
  const text = `- hosts: all\n  probe: { count: 2 }\n  vars_files: [token.json]\n  tasks:\n${tasks.replace(/^(?=.)/gm, '    ')}`;
  const playbook = folder.write('site.yml', text);
  return mcastctl([command, ...args, '-p', playbook, ...more], { env: { XDG_STATE_HOME: journal } });
}

/** What was said, with the spellings in which secrets are looked for. */
function expectNone(
  { stdout, stderr }: Pick<CliResult, 'stdout' | 'stderr'>,
  secrets: readonly string[] = SECRETS,
): void {
  for (const secret of secrets) {
    for (const spelling of [secret, JSON.stringify(secret).slice(1, -1), secret.replaceAll("'", "'\\''")])
      expect(`${stdout}${stderr}`).not.toContain(spelling);
  }
}

/** Reads all command lines of this machine, so of its labs too, over and over; gives those in which a text was found. */
function watchCommandLines(wanted: readonly string[]): { stop(): Promise<{ found: string[]; rounds: number }> } {
  const script = `
    my @wanted = map { chomp; pack 'H*', $_ } split /,/, scalar <STDIN>;
    my (%found, $rounds, $ready);
    vec($ready, 0, 1) = 1;
    until (select(my $in = $ready, undef, undef, 0.002)) {
      $rounds++;
      for my $path (glob '/proc/[0-9]*/cmdline') {
        open my $file, '<', $path or next;
        local $/;
        my $line = <$file> // '';
        for (@wanted) { $found{$line} = 1 if index($line, $_) >= 0 }
      }
    }
    tr/\\0/ / for my @lines = keys %found;
    print join "\\n", $rounds, @lines;
  `;
  const child = spawn('perl', ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  // Written to it, not given as arguments: it would find itself.
  child.stdin.write(`${wanted.map((each) => Buffer.from(each).toString('hex')).join(',')}\n`);
  return {
    stop: () =>
      new Promise((resolve) => {
        child.once('close', () => {
          const [rounds = '', ...found] = text.split('\n');
          resolve({ found, rounds: Number(rounds) });
        });
        child.stdin.end();
      }),
  };
}

const TASKS = `
- name: File with {{db}}
  file: { path: /etc/app.conf, content: "user=app\\npassword={{db}}\\n", mode: "0600" }
- name: Program that reads a secret
  command:
    argv: [sh, -c, 'cat > /root/token; sleep 0.2']
    stdin: "{{api.token}}\\n"
    creates: /root/token
- name: Nobody sees
  no_log: true
  file: { path: /etc/hidden.conf, content: "${PLAIN}\\n" }
`;

describe('a run with secrets', () => {
  test('shows none in plan, with all differences and commands', { timeout: 30_000 }, async () => {
    await put('/etc/app.conf', `user=app\npassword=${OLD}\n`);
    for (const more of [
      ['--diff', '--commands', '-v'],
      ['--format', 'json'],
    ]) {
      const plan = await run('plan', TASKS, ...more);
      expect(plan.code, plan.stderr).toBe(2);
      // The old one is known to nobody: such a file is not shown at all.
      expectNone(plan, [...SECRETS, OLD, PLAIN]);
      expect(plan.stdout).toContain('File with ***');
      expect(plan.stdout).toContain('another secret text');
      expect(plan.stdout).toContain('file[(hidden by no_log)]');
    }
    const explained = await run('explain', TASKS).catch(() => null);
    expect(explained?.code).not.toBe(0);
  });

  test('puts them on the node, and on no command line', { timeout: 30_000 }, async () => {
    const watch = watchCommandLines([...SECRETS, PLAIN]);
    const report = join(folder.dir, 'report.json');
    const applied = await run('apply', TASKS, '--format', 'json', '-o', report);
    const { found, rounds } = await watch.stop();
    expect(applied.code, applied.stderr + readFileSync(report, 'utf8')).toBe(0);
    expect(found).toEqual([]);
    expect(rounds).toBeGreaterThan(50);
    expectNone({ ...applied, stdout: readFileSync(report, 'utf8') }, [...SECRETS, OLD, PLAIN]);
    expect(applied.stderr).toContain('pve1: File with ***: writing');
    expect(await on('cat', '/etc/app.conf')).toBe(`user=app\npassword=${DB}\n`);
    expect(await on('cat', '/root/token')).toBe(`${TOKEN}\n`);
    expect(await on('cat', '/etc/hidden.conf')).toBe(`${PLAIN}\n`);
    const again = await run('check', TASKS);
    expect([again.code, again.stdout]).toEqual([0, '']);
  });

  test('the watch finds what is there', async () => {
    const watch = watchCommandLines([TOKEN]);
    await on('sh', '-c', 'sleep 0.3; true', TOKEN);
    expect((await watch.stop()).found.join()).toContain(TOKEN);
  });

  test('keeps none in the journal, and says so where it is taken back', { timeout: 30_000 }, async () => {
    const runs = join(journal, 'mcastctl/runs');
    const records = readdirSync(runs).map((name) => readFileSync(join(runs, name), 'utf8'));
    expect(records).toHaveLength(1);
    expectNone({ stdout: records.join(''), stderr: '' }, [...SECRETS, OLD, PLAIN]);
    const back = await mcastctl(['rollback', ...args], { env: { XDG_STATE_HOME: journal } });
    expect(back.code).toBe(1);
    expect(back.stdout).toContain('its values are secret, which no journal keeps');
    expectNone(back, [...SECRETS, OLD, PLAIN]);
    expect(await on('cat', '/etc/app.conf')).toBe(`user=app\npassword=${DB}\n`);
  });

  test('"--undo run" takes it back all the same', { timeout: 30_000 }, async () => {
    await put('/etc/app.conf', `user=app\npassword=${OLD}\n`, '600');
    const failing = `${TASKS}- name: Fails\n  command: { argv: [sh, -c, 'exit 3'], unless: ['false'] }\n`;
    const failed = await run('apply', failing, '--undo', 'run');
    expect(failed.code).toBe(1);
    expect(await on('cat', '/etc/app.conf')).toBe(`user=app\npassword=${OLD}\n`);
    expectNone(failed, [...SECRETS, PLAIN]);
  });
});

describe('what goes wrong', () => {
  test('a program that repeats its secret in an error', { timeout: 30_000 }, async () => {
    const tasks = `
- name: Talks
  command: { argv: [sh, -c, 'read x; echo "no: $x" >&2; exit 3'], stdin: "{{db}}\\n", unless: ['false'] }
  ignore_errors: true
- name: Talks, hidden
  no_log: true
  command: { argv: [sh, -c, 'echo ${PLAIN} >&2; exit 3'], unless: ['false'] }
`;
    for (const more of [[], ['--format', 'json']]) {
      const result = await run('apply', tasks, ...more);
      expect(result.code).toBe(1);
      expect(result.stdout).toContain('no: ***');
      expect(result.stdout).toContain('(hidden by no_log)');
      expectNone(result, [...SECRETS, PLAIN]);
    }
  });

  test('a wrong password for sudo', { timeout: 30_000 }, async () => {
    const wrong = folder.write('wrong.yml', `ansible_become_password: wrong-sudo-password\n`);
    const result = await run('check', TASKS, '-e', `@${wrong}`);
    expect(result.code).toBe(1);
    expect(result.stdout).toContain('sudo does not take the password');
    expectNone(result, [...SECRETS, 'wrong-sudo-password']);
  });

  test('a step with a secret argument is refused before anything is tried, with what to do', async () => {
    const tasks = `
- name: Tells everybody
  command: { argv: [touch, "/root/{{api.token}}"], creates: /root/told }
`;
    const result = await run('apply', tasks);
    expect(result.code).toBe(1);
    expect(result.stdout).toMatch(/argument 1 of "touch" holds a secret, which others on the node could read.*stdin/);
    expectNone(result);
    expect(await on('ls', '/root')).not.toContain(TOKEN);
  });

  test('so is one that is only asked, before a host is contacted', async () => {
    const tasks = `
- command: { argv: ['true'], unless: [grep, -q, "{{db}}", /etc/app.conf] }
`;
    const result = await run('plan', tasks);
    expect(result.code).toBe(3);
    expect(result.stderr).toMatch(/site\.yml:\d+:\d+: argument 2 of "grep" holds a secret/);
    expectNone(result);
  });

  test('a crash shows its stack without secrets', async () => {
    const crash = folder.write('crash.mjs', '');
    writeFileSync(
      crash,
      `process.once('beforeExit', () => { throw new Error(${JSON.stringify(`crash with ${DB}`)}); });\n`,
    );
    const playbook = folder.write('site.yml', '- hosts: all\n  tasks:\n    - file: { path: /x, content: "{{db}}" }\n');
    const env = { NODE_OPTIONS: `--import ${crash}` };
    const result = await mcastctl(['validate', ...args, '-p', playbook], { env });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^internal error: Error: crash with \*\*\*\n +at /);
    expectNone(result);
  });
});
