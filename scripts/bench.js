// Measures `check` against what an administrator would use instead, on the same lab nodes in the same run: OpenSSH that
// only logs in, and Ansible doing the same tasks. Commands take turns, so that a machine that slows down slows all of them.
// Options: --nodes N (20), --rounds N (7), --ansible-rounds N (3), --write (puts the table into README.md).
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '7' },
    'ansible-rounds': { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const name = `bench-${process.pid}`;
const nodes = Number(values.nodes);

function mcastctl(args) {
  return execFileSync(process.execPath, ['dist/cli.js', ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Seconds that a command takes, and a note on standard error. Throws where it does not exit with 0. */
function seconds({ title, argv, env = {}, input = '' }) {
  const start = process.hrtime.bigint();
  const { status, stderr, stdout } = spawnSync(argv[0], argv.slice(1), {
    cwd: root,
    input,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  const taken = Number(process.hrtime.bigint() - start) / 1e9;
  if (status !== 0) throw new Error(`${title}: exit code ${status}\n${stdout.slice(-2000)}${stderr.slice(-2000)}`);
  console.error(`${taken.toFixed(2).padStart(7)} s  ${title}`);
  return taken;
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function competitors(inventory) {
  const dir = dirname(inventory);
  const addresses = [...readFileSync(inventory, 'utf8').matchAll(/ansible_host: (\S+)/g)].map(
    ([, address]) => `${address}\n`,
  );
  const ssh = (more) => [
    ...[
      'ip',
      'netns',
      'exec',
      `mcastctl-${name}-ctl`,
      'xargs',
      '-P',
      '50',
      '-I{}',
      'ssh',
      '-F',
      'none',
      '-i',
      `${dir}/id_ed25519`,
    ],
    ...['-o', `UserKnownHostsFile=${dir}/known_hosts`, '-o', 'IdentitiesOnly=yes', ...more, 'root@{}', 'true'],
  ];
  const input = addresses.join('');
  // As ssh, from the namespace that the nodes are in: the lab's ProxyCommand would cost only one of the two.
  const direct = `ansible_ssh_common_args='-F none -o UserKnownHostsFile=${dir}/known_hosts'`;
  const program = [process.execPath, 'dist/cli.js', 'check', inventory];
  return {
    check: {
      title: '`mcastctl check` of the shipped playbook',
      argv: ['ip', 'netns', 'exec', `mcastctl-${name}-ctl`, ...program, '-e', direct],
    },
    peers: [
      { title: 'OpenSSH, `xargs -P 50 ssh HOST true`', argv: ssh([]), input, aim: 0.6 },
      {
        title: 'the same with `KexAlgorithms=curve25519-sha256`',
        argv: ssh(['-o', 'KexAlgorithms=curve25519-sha256']),
        input,
        aim: 1.8,
      },
    ],
    ansible: {
      title: 'Ansible, the same tasks, `--check`, pipelining, 50 forks, connections kept',
      argv: ['ansible-playbook', '-i', inventory, '--check', 'scripts/bench/ansible.yml'],
      env: { ANSIBLE_PIPELINING: 'True', ANSIBLE_FORKS: '50' },
      aim: 1 / 30,
    },
  };
}

/** Times two commands in turn, after a round that does not count. */
function duel(one, other, rounds) {
  seconds(one);
  seconds(other);
  const pairs = Array.from({ length: rounds }, () => [seconds(one), seconds(other)]);
  const ratios = pairs.map(([a, b]) => a / b);
  return {
    title: other.title,
    own: median(pairs.map(([a]) => a)),
    theirs: median(pairs.map(([, b]) => b)),
    ratio: median(ratios),
    range: [Math.min(...ratios), Math.max(...ratios)],
    aim: other.aim,
  };
}

function table(rows) {
  const lines = rows.map(
    ({ title, own, theirs, ratio, range, aim }) =>
      `| ${title} | ${theirs.toFixed(2)} | ${own.toFixed(2)} | ${ratio.toFixed(3)} (${range.map((value) => value.toFixed(3)).join(' to ')}) | ${aim.toFixed(3)} |`,
  );
  return [
    `Seconds for ${nodes} nodes of the lab on ${execFileSync('nproc', { encoding: 'utf8' }).trim()} cores, medians of commands that took turns; nothing to change.`,
    '',
    '| compared with | it takes | `mcastctl check` takes | ratio (range) | aim |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

try {
  const inventory = mcastctl([
    'lab',
    'up',
    '--name',
    name,
    '--nodes',
    String(nodes),
    '--layer',
    '.cache/layers/ifupdown2',
  ]).trim();
  mcastctl(['apply', inventory]);
  const { check, peers, ansible } = competitors(inventory);
  const rows = peers.map((peer) => duel(check, peer, Number(values.rounds)));
  rows.push(duel(check, ansible, Number(values['ansible-rounds'])));
  const text = table(rows);
  process.stdout.write(`\n${text}\n`);
  if (values.write) {
    const readme = `${root}README.md`;
    const old = readFileSync(readme, 'utf8');
    writeFileSync(readme, old.replace(/(<!-- bench -->\n)[\s\S]*(<!-- \/bench -->)/, `$1${text}\n$2`));
  }
} finally {
  mcastctl(['lab', 'down', '--name', name]);
}
