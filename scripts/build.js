// Bundles src/cli.ts and what it imports into dist/, in a few flat files that start quickly.
import { chmod, cp, readdir, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const dist = `${root}dist`;

// CommonJS dependencies use require() and __dirname; an ES module has neither.
const commonJs = `import { createRequire as mcastctlRequire } from 'node:module';
import { dirname as mcastctlDirname } from 'node:path';
import { fileURLToPath as mcastctlPath } from 'node:url';
const require = mcastctlRequire(import.meta.url);
const __filename = mcastctlPath(import.meta.url);
const __dirname = mcastctlDirname(__filename);`;

const result = await build({
  absWorkingDir: root,
  entryPoints: ['src/cli.ts'],
  outdir: dist,
  // Flat: src/paths.ts finds the package's files relative to the folder of the file that it ends up in.
  entryNames: '[name]',
  chunkNames: 'chunk-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  banner: { js: commonJs },
  // Optional native helpers of ssh2: without them it uses Node's own crypto.
  external: ['*.node', 'cpu-features'],
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
}).catch(() => process.exit(1)); // esbuild has said why
await chmod(`${dist}/cli.js`, 0o755);
// What an earlier build left goes only now: a program that runs meanwhile finds its files.
const written = new Set(Object.keys(result.metafile.outputs).map((path) => basename(path)));
for (const name of await readdir(dist)) {
  if (name !== 'agent' && !written.has(name)) await rm(`${dist}/${name}`, { recursive: true });
}
for (const name of await readdir(`${root}src/agent`)) {
  if (name.endsWith('.pl')) await cp(`${root}src/agent/${name}`, `${dist}/agent/${name}`);
}
const bytes = Object.values(result.metafile.outputs).map((output) => output.bytes);
const size = Math.round(bytes.reduce((sum, next) => sum + next, 0) / 1024);
console.error(`build: dist/, ${bytes.length} files, ${size} KiB`);
