import type { Argv } from './resource.ts';

/** A program and its arguments as people are shown them. For the eye only: what runs is the list. A program text of several lines is left out. */
export function argvText(argv: Argv, quote: (word: string) => string = (word) => word): string {
  return argv.map((word) => (word.includes('\n') ? '…' : quote(word))).join(' ');
}
