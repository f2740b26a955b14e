// Writes the generated pages of docs/: see scripts/docs/reference.ts.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const bundle = `${root}.cache/docs-${process.pid}.mjs`;
mkdirSync(dirname(bundle), { recursive: true });
try {
  await build({
    absWorkingDir: root,
    entryPoints: ['scripts/docs/reference.ts'],
    outfile: bundle,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'warning',
  });
  const { referencePages } = await import(pathToFileURL(bundle).href);
  const read = (path) => (existsSync(root + path) ? readFileSync(root + path, 'utf8') : null);
  for (const [path, text] of referencePages(read)) {
    if (text === read(path)) continue;
    mkdirSync(dirname(root + path), { recursive: true });
    writeFileSync(root + path, text);
    console.error(`docs: ${path}`);
  }
} finally {
  rmSync(bundle, { force: true });
}
