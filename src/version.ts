import { readFileSync } from 'node:fs';
import { packageFile } from './paths.ts';

/** The version of the package, from its package.json. */
export const VERSION: string = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')).version;
