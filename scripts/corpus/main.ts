import { join } from 'node:path';
import { FORMATS } from './formats.ts';
import { isFolder, type Outcome, runCorpus } from './run.ts';

/** The corpus of all formats, or why `dir` is no folder of samples. */
export function corpus(dir: string): Outcome | { readonly misuse: string } {
  if (!isFolder(dir)) return { misuse: `there is no folder "${dir}"` };
  if (FORMATS.some(({ folder }) => isFolder(join(dir, folder)))) return runCorpus(dir, FORMATS);
  return { misuse: `"${dir}" has none of the folders ${[...new Set(FORMATS.map(({ folder }) => folder))].join(', ')}` };
}
