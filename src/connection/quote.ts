import { HostError } from '../core/errors.ts';

/** Words of these characters alone mean themselves in every POSIX shell, wherever they stand but in first place. */
const PLAIN_WORD = /^[\w@%+:,./-][\w@%+=:,./-]*$/;
/** In first place a word may also be an assignment or part of the shell's grammar; a path is neither. */
const PLAIN_PROGRAM = /^[\w.-]*\/[\w./-]*$/;

/**
 * One command line for a POSIX shell that runs `argv` exactly as it is: nothing in it is expanded, split or substituted.
 * The only place where anything is quoted for a shell.
 * @throws HostError where an argument holds a NUL, which no program can be given
 * @see POSIX.1-2017, Shell Command Language, 2.2.2 Single-Quotes
 */
export function quoteArgv(argv: readonly [string, ...string[]]): string {
  return argv.map(quoteWord).join(' ');
}

function quoteWord(word: string, position: number): string {
  if (word.includes('\0')) {
    const name = position === 0 ? 'the program name' : `argument ${position}`;
    throw new HostError(`${name} of a command holds a NUL character`, { hint: 'remove it from the value' });
  }
  const isPlain = (position === 0 ? PLAIN_PROGRAM : PLAIN_WORD).test(word);
  return isPlain ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
