import {
  accessSync,
  chmodSync,
  constants,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { HostError, InputError, messageOf } from '../core/errors.ts';
import { redactOutput } from '../core/secrets.ts';
import type { Io } from '../ui/io.ts';

/** Finds out before the work whether a report can be written in the end. Throws InputError where not. @param option that names the file */
export function checkOutput(file: string | undefined, option = '-o'): void {
  if (file === undefined) return;
  try {
    const { path, found } = destination(file);
    if (found?.isDirectory()) throw new Error('it is a folder');
    accessSync(found === undefined || found.isFile() ? dirname(path) : path, constants.W_OK);
  } catch (error) {
    throw new InputError([{ message: `can't write "${file}": ${messageOf(error)}`, hint: `choose another ${option}` }]);
  }
}

/**
 * Writes a report to standard output, or to a file, which is replaced in one go; a device or pipe is written to. No known secret
 * gets there.
 * @throws HostError where the file can't be written: the report is on standard output then
 */
export function writeOutput(text: string, file: string | undefined, io: Pick<Io, 'out'>): void {
  if (file === undefined) {
    io.out(text);
    return;
  }
  try {
    replaceFile(redactOutput(text), file);
  } catch (error) {
    io.out(text);
    throw new HostError(`can't write "${file}": ${messageOf(error)}`, { hint: 'the report is on standard output' });
  }
}

function replaceFile(text: string, file: string): void {
  const { path, found } = destination(file);
  if (found !== undefined && !found.isFile()) {
    writeFileSync(path, text);
    return;
  }
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text);
    if (found !== undefined) chmodSync(temporary, found.mode & 0o7777);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Where a path leads: a link is followed, so that what is replaced is the file. */
function destination(file: string): { readonly path: string; readonly found: Stats | undefined } {
  const found = statSync(file, { throwIfNoEntry: false });
  return { path: found === undefined ? file : realpathSync(file), found };
}
