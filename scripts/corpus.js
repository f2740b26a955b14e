// Reads real-world files of other people, writes them back, and tries edits on them: see scripts/corpus/run.ts.
// Usage: node scripts/corpus.js [DIR], by default MCASTCTL_SAMPLES or ../shared/samples. DIR has a folder for each format.
// Exit code: 0 nothing failed, 1 something failed, 3 usage.
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

function misused(message) {
  console.error(`${message}\nhint: npm run corpus -- DIR, where DIR has folders such as corosync/ and interfaces/`);
  process.exitCode = 3;
}

function folderOfSamples() {
  try {
    const { positionals } = parseArgs({ allowPositionals: true, options: {} });
    if (positionals.length <= 1) {
      return resolve(positionals[0] ?? process.env.MCASTCTL_SAMPLES ?? `${root}../shared/samples`);
    }
    misused(`one folder is read, not ${positionals.length}`);
  } catch (error) {
    misused(error.message);
  }
  return undefined;
}

async function run(dir) {
  const bundle = `${root}.cache/corpus-${process.pid}.mjs`;
  mkdirSync(dirname(bundle), { recursive: true });
  try {
    await build({
      absWorkingDir: root,
      entryPoints: ['scripts/corpus/main.ts'],
      outfile: bundle,
      bundle: true,
      format: 'esm',
      platform: 'node',
      packages: 'external',
      logLevel: 'warning',
    });
    const { corpus } = await import(pathToFileURL(bundle).href);
    const { text, misuse, isGood } = corpus(dir);
    if (misuse !== undefined) return misused(misuse);
    process.stdout.write(text);
    process.exitCode = isGood ? 0 : 1;
  } finally {
    rmSync(bundle, { force: true });
  }
}

const dir = folderOfSamples();
if (dir !== undefined) await run(dir);
