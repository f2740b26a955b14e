/** A word of a line and where it starts. */
export interface Word {
  readonly text: string;
  /** 0-based, in the line. */
  readonly at: number;
}

/** The words of a line; `unclosed` is where a quote begins that the line does not end. */
export interface WordList {
  readonly words: readonly Word[];
  readonly unclosed: number | undefined;
}

/**
 * Splits a line as iptables-restore does (`add_param_to_argv` in xshared.c of iptables 1.8.9): blanks and tabs separate; a double
 * quote may open anywhere in a word, and the closing one ends the word; a backslash takes the next character as it is,
 * but only within quotes. Single quotes mean nothing.
 */
export function splitWords(line: string): WordList {
  const words: Word[] = [];
  const piece = /[^ \t"]+|[ \t]+|"(?:[^"\\]|\\[\s\S])*("?)/g;
  let open: { text: string; at: number } | undefined;
  for (const { 0: text, 1: closing, index } of line.matchAll(piece)) {
    if (text.startsWith('"')) {
      if (closing !== '"') return { words, unclosed: index };
      const inner = text.slice(1, -1).replace(/\\([\s\S])/g, '$1');
      words.push({ text: (open?.text ?? '') + inner, at: open?.at ?? index });
      open = undefined;
    } else if (/^[ \t]/.test(text)) {
      if (open !== undefined) words.push(open);
      open = undefined;
    } else {
      open = { text, at: index };
    }
  }
  if (open !== undefined) words.push(open);
  return { words, unclosed: undefined };
}

/**
 * A word as iptables-restore reads it back: quoted where it needs to be, as `xtables_save_string` does.
 * @throws RangeError for a line break or NUL, which no quoting can carry
 */
export function quoteWord(word: string): string {
  if (/[\n\r\0]/.test(word)) throw new RangeError('a word of an iptables rule can not hold a line break or NUL');
  if (/^[A-Za-z0-9_.,:/+=%@!-]+$/.test(word)) return word;
  return `"${word.replace(/[\\"']/g, '\\$&')}"`;
}
