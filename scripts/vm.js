// Runs the tests that need whole machines: Debian under QEMU's software emulation, in network and process namespaces that
// end with this program, however it ends; nothing of them can outlive it.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const cache = join(root, '.cache/vm');
const run = join(cache, `run-${process.pid}`);
const isKept = process.env.MCASTCTL_VM_KEEP === '1';
const LIMIT_MS = 120 * 60_000;
// Three machines of 512 MiB, each with QEMU's own 150 MiB, and the tests.
const NEEDED_MIB = 2560;

/** Why this machine can't run the tests; null: it can. */
function obstacle() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'they need Linux on x86-64';
  if (process.getuid?.() !== 0) return 'they need root, for network namespaces and their devices';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (error) {
    return `they need /dev/net/tun: ${error.message}`;
  }
  const free = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) / 1024;
  if (free < NEEDED_MIB) return `they need ${NEEDED_MIB} MiB of free memory, there are ${Math.floor(free)}`;
  const { error, status, stderr } = spawnSync(
    'unshare',
    ['--net', '--pid', '--mount', '--fork', '--mount-proc', 'true'],
    {
      encoding: 'utf8',
    },
  );
  return error || status !== 0 ? `namespaces can't be made: ${error?.message ?? stderr.trim()}` : null;
}

/** Folder of the image that belongs to these sources; built where it is missing. */
function image() {
  const sources = join(root, 'test/vm/image');
  const hash = createHash('sha256');
  for (const name of readdirSync(sources).sort()) hash.update(`${name}\0`).update(readFileSync(join(sources, name)));
  const folder = join(cache, `image-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  const { status } = spawnSync('sh', [join(sources, 'build.sh'), unfinished, join(cache, 'debs')], {
    stdio: 'inherit',
  });
  if (status !== 0) {
    rmSync(unfinished, { recursive: true, force: true });
    throw new Error('the image of the virtual machines could not be built');
  }
  for (const old of readdirSync(cache).filter((name) => /^image-[0-9a-f]+$/.test(name))) {
    rmSync(join(cache, old), { recursive: true });
  }
  renameSync(unfinished, folder);
  return folder;
}

/** Removes what runs that were killed have left. */
function sweep() {
  for (const name of readdirSync(cache)) {
    const pid = /^(?:run-|image-[0-9a-f]+\.)(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(cache, name), { recursive: true });
  }
}

/** Exit code of the tests; 130 where a signal stopped them. */
function runTests(folder) {
  const vitest = [process.execPath, 'node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.vm.config.ts'];
  const environment = { MCASTCTL_VM_IMAGE: folder, MCASTCTL_VM_RUN: run };
  // The first process of a process namespace takes all others with it. It is a shell: Node there would hear no signal.
  const first = isKept ? '"$@"; code=$?; echo "kept until Ctrl-C" >&2; sleep infinity; exit $code' : '"$@"; exit $?';
  const unshare = ['unshare', '--net', '--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', ...unshare, 'sh', '-c', first, 'sh', ...vitest, ...process.argv.slice(2)],
    { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } },
  );
  const firstPid = () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
  let stopped = null;
  const stop = (code) => {
    stopped = code;
    // When this one has ended all others have; unshare itself would go before them.
    process.kill(Number(firstPid()) || child.pid, 'SIGKILL');
  };
  const onLimit = () => {
    process.stderr.write(`stopped after ${LIMIT_MS / 60_000} minutes\n`);
    stop(1);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(130));
  const timer = isKept
    ? setTimeout(() => tellWayIn(firstPid(), environment, vitest), 1000)
    : setTimeout(onLimit, LIMIT_MS);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve(stopped ?? code ?? 1);
    });
  });
}

/** How one gets at machines that are kept, and runs tests on them again. */
function tellWayIn(pid, environment, vitest) {
  const enter = `nsenter -t ${pid} -n -m -p -w`;
  const variables = Object.entries(environment).map((pair) => pair.join('='));
  process.stderr.write(
    `to log in:    ${enter} ssh -F ${run}/ssh_config vm1\nto run tests: ${[enter, 'env', ...variables, ...vitest].join(' ')}\n`,
  );
}

mkdirSync(cache, { recursive: true });
const reason = obstacle();
if (reason !== null) {
  process.stderr.write(`The tests with virtual machines can't run here: ${reason}\n`);
  process.exitCode = 3;
} else {
  sweep();
  const folder = image();
  mkdirSync(run);
  try {
    process.exitCode = await runTests(folder);
  } finally {
    rmSync(run, { recursive: true, force: true });
  }
}
