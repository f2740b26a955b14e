/** The words of one line, or why it can't be split. */
export type SplitResult =
  | { readonly ok: true; readonly words: readonly string[] }
  | { readonly ok: false; readonly reason: string };

interface Dialect {
  /** Whether a backslash keeps the next character, given that character and the quote it stands in (`''` for none). */
  readonly escapes: (next: string, quote: string) => boolean;
  /** Whether an unquoted `#` at the start of a word ends the line. */
  readonly comments: boolean;
}

/**
 * Splits text as a POSIX shell does, without expanding anything: how Ansible reads `ansible_ssh_common_args`.
 * @see POSIX.1-2017, Shell Command Language, 2.2 Quoting
 */
export function splitShellWords(text: string): SplitResult {
  return split(text, {
    escapes: (_next, quote) => quote === '' || (quote === '"' && '"\\$`\n'.includes(_next)),
    comments: false,
  });
}

/**
 * Splits the arguments of an ssh_config keyword as OpenSSH does: single and double quotes, `\"`, `\'`, `\\`, and `\ `
 * outside quotes; a word that starts with `#` begins a comment.
 * @see ssh_config(5): "Arguments may optionally be enclosed in double quotes"
 */
export function splitConfigWords(text: string): SplitResult {
  return split(text, {
    escapes: (next, quote) => next === '"' || next === "'" || next === '\\' || (next === ' ' && quote === ''),
    comments: true,
  });
}

function split(text: string, dialect: Dialect): SplitResult {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    const next = text.charAt(at + 1);
    if (char === '\\' && next !== '' && dialect.escapes(next, quote)) {
      word = (word ?? '') + next;
      at++;
    } else if (quote !== '') {
      if (char === quote) quote = '';
      else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (dialect.comments && char === '#' && word === undefined) {
      break;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== '') return { ok: false, reason: `a quote (${quote}) is not closed` };
  if (word !== undefined) words.push(word);
  return { ok: true, words };
}
