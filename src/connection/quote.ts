import { HostError } from '../core/errors.ts';

/** Words of these characters alone mean themselves in every POSIX shell. A leading `~` or `=` (zsh) does not. */
const PLAIN_WORD = /^[\w@%+:,./-][\w@%+=:,./-]*$/;

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
  // An unquoted NAME=value or reserved word in first place is syntax, not a program.
  const isPlain = PLAIN_WORD.test(word) && (position > 0 || /[/.]/.test(word) || /^[a-z][a-z0-9_-]{4,}$/.test(word));
  return isPlain && !isReserved(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function isReserved(word: string): boolean {
  return /^(?:while|until)$/.test(word);
}
