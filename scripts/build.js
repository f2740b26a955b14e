// Bundles src/cli.ts and what it imports into dist/, in one file that starts quickly.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const dist = `${root}dist`;
const fresh = `${dist}.${process.pid}.new`;

mkdirSync(`${fresh}/agent`, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: ['src/cli.ts'],
  outfile: `${fresh}/main.cjs`,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  // src/paths.ts finds the package's files relative to its own.
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  // Optional native helpers of ssh2: without them it uses Node's own crypto.
  external: ['*.node', 'cpu-features'],
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
}).catch(() => process.exit(1)); // esbuild has said why

cpSync(`${root}src/launch.cjs`, `${fresh}/cli.js`);
chmodSync(`${fresh}/cli.js`, 0o755);
writeFileSync(`${fresh}/package.json`, '{ "type": "commonjs" }\n');
for (const name of readdirSync(`${root}src/agent`)) {
  if (name.endsWith('.pl')) cpSync(`${root}src/agent/${name}`, `${fresh}/agent/${name}`);
}
const isWarm = warmUp();

// A program that runs meanwhile has read its own files, except for those of the agent, whose path stays.
if (existsSync(dist)) renameSync(dist, `${fresh}.old`);
renameSync(fresh, dist);
rmSync(`${fresh}.old`, { recursive: true, force: true });
const size = Math.round(statSync(`${dist}/main.cjs`).size / 1024);
console.error(`build: dist/, ${size} KiB${isWarm ? '' : ', without a code cache: it will start more slowly'}`);

/**
 * Runs what a check runs, up to a login that nobody answers, so that V8 knows what to compile ahead. The names in the cache
 * are those of the place where the bundle was run, which nothing depends on.
 */
function warmUp() {
  const inventory = `${fresh}/warm-up.yml`;
  writeFileSync(
    inventory,
    'cluster: { hosts: { here: { ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: root } } }\n',
  );
  const cache = `${fresh}/main.cache`;
  const args = [
    `${fresh}/cli.js`,
    'check',
    inventory,
    '-p',
    `${root}playbooks/cluster.yml`,
    '-e',
    'ansible_ssh_common_args="-F none"',
  ];
  const { status, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, MCASTCTL_BUILD_CACHE: cache },
  });
  rmSync(inventory);
  // Exit 4: nobody listens on port 1.
  if (status !== 4) throw new Error(`the bundle does not start: exit code ${status}\n${stderr}`);
  return existsSync(cache);
}
