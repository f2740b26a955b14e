import { renameSync, writeFileSync } from 'node:fs';
import { InputError, messageOf } from '../core/errors.ts';
import type { Io } from '../ui/io.ts';

/** Writes a report to standard output, or to a file, which is replaced in one go. Throws InputError where it can't be written. */
export function writeOutput(text: string, file: string | undefined, io: Pick<Io, 'out'>): void {
  if (file === undefined) {
    io.out(text);
    return;
  }
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, file);
  } catch (error) {
    throw new InputError([{ message: `can't write "${file}": ${messageOf(error)}` }]);
  }
}
