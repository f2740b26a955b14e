// Shows on a throw-away cluster what mcastctl is for, with the commands that a user would type. Ends with an error as
// soon as one of them does not end as it is told here; the lab is always taken down.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const lab = ['--name', 'demo'];
// Long enough for the lab's switch to forget a group: 8 s instead of a real switch's 260 s.
const long = ['--duration', '14s'];
let isInterrupted = false;
// The command in hand hears the same signal; the lab is taken down when it has ended.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isInterrupted = true;
  });
}

/** Prints lines about what follows. */
function tell(...lines) {
  process.stdout.write(`\n${lines.map((line) => `# ${line}\n`).join('')}`);
}

/** Runs `mcastctl` and gives its output and exit code; shows them where `shown`, the command as one types it, is given. */
function mcastctl(args, shown) {
  if (shown !== undefined) process.stdout.write(`$ mcastctl ${shown}\n`);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['dist/cli.js', ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      if (shown !== undefined) process.stdout.write(text);
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout }));
  });
}

/** Runs `mcastctl`, and throws where it does not exit with `code` or does not print all `words`; no words: nothing at all. */
async function expectExit(code, args, { shown = args.join(' '), words } = {}) {
  const result = await mcastctl(args, shown);
  if (isInterrupted) throw new Error('interrupted');
  if (result.code !== code) throw new Error(`exit code ${code} was expected, it is ${result.code}`);
  process.stdout.write(`exit code ${code}, as expected\n`);
  if (words?.length === 0 && result.stdout !== '') throw new Error('no output was expected');
  const missing = (words ?? []).filter((word) => !result.stdout.includes(word));
  if (missing.length > 0) throw new Error(`the output lacks ${missing.map((word) => `"${word}"`).join(', ')}`);
}

/** A command that takes the lab's inventory. */
async function onLab(code, command, options, words) {
  const { stdout } = await mcastctl(['lab', 'inventory', ...lab]);
  const shown = [command, `"$(mcastctl lab inventory ${lab.join(' ')})"`, ...options].join(' ');
  await expectExit(code, [command, stdout.trim(), ...options], { shown, words });
}

async function show() {
  tell('Three nodes like those of Proxmox VE, on a switch that snoops IGMP and hears no querier.');
  await expectExit(0, [
    'lab',
    'up',
    ...lab,
    '--nodes',
    '3',
    '--switch',
    'strict',
    '--layer',
    '.cache/layers/ifupdown2',
  ]);

  tell(
    'Multicast works when a node has just joined, and dies when the switch forgets it: after 8 s here, after minutes',
    'on a real switch. Exit code 2: there is loss.',
  );
  await onLab(2, 'probe', long, ['lossy']);

  tell(
    'The playbook that ships turns on a querier with an address of its own on every node. Each change is tried, proved',
    'by real packets, and only then written to where the next boot finds it.',
  );
  await onLab(0, 'apply', []);

  tell('The same probe again.');
  await onLab(0, 'probe', long, ['6 ok']);

  tell('Nothing to say, nothing to do: what cron runs.');
  await onLab(0, 'check', [], []);

  tell('Somebody turns the querier of pve2 off by hand.');
  const off = ['ip', 'link', 'set', 'vmbr0', 'type', 'bridge', 'mcast_querier', '0'];
  await expectExit(0, ['lab', 'exec', ...lab, 'pve2', '--', ...off]);
  await onLab(2, 'check', [], ['pve2', 'runtime', 'multicast_querier']);

  tell('Repaired, and proved again.');
  await onLab(0, 'apply', [], ['pve2']);
  await onLab(0, 'check', [], []);
}

let exitCode = 0;
try {
  await show();
} catch (error) {
  exitCode = isInterrupted ? 130 : 1;
  process.stderr.write(`demo: ${error.message}\n`);
}
tell('The lab goes, and leaves nothing.');
const down = await mcastctl(['lab', 'down', ...lab], `lab down ${lab.join(' ')}`);
if (down.code !== 0) exitCode ||= 1;
if (exitCode === 0) process.stdout.write('\nAll of it went as told.\n');
process.exitCode = exitCode;
