/** One simple command of a line, and how it is joined to the one before. */
export interface SimpleCommand {
  readonly text: string;
  readonly joiner: '' | ';' | '&&' | '||';
  readonly words: readonly string[];
}

/** Whether a name means nothing but itself in a shell. */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name);
}

/** Words that keep a shell from failing or waiting, or only look: a line made of them alone does nothing. */
function isIdle(words: readonly string[]): boolean {
  return /^(?:|true|:|\[|test|sleep)$/.test(words[0] ?? '') || words.join(' ') === 'exit 0';
}

/** What `edit` leaves of the parts; an `|| true` goes with the part that it excuses. */
export function withoutAlternatives<Part extends SimpleCommand>(
  parts: readonly Part[],
  edit: (part: Part) => Part | undefined,
): Part[] {
  const kept: Part[] = [];
  let isGone = false;
  for (const part of parts) {
    if (isGone && part.joiner === '||') continue;
    const left = edit(part);
    isGone = left === undefined;
    if (left !== undefined) kept.push(left);
  }
  return kept;
}

/** The line that the commands make; "" where nothing worth keeping is left. */
export function joinCommands(kept: readonly SimpleCommand[]): string {
  if (kept.every((part) => isIdle(part.words))) return '';
  return kept
    .map((part, index) => (index === 0 ? part.text : `${part.joiner === ';' ? '; ' : ` ${part.joiner} `}${part.text}`))
    .join('');
}

/**
 * The simple commands of a line that ifup gives to a shell, joined by `;`, `&&` and `||`, in brackets or braces, with `$IFACE` replaced
 * by the device. Nothing is ever run.
 * @returns undefined where the line is more than that
 */
export function splitCommand(command: string, device: string): SimpleCommand[] | undefined {
  if (!isPlainName(device)) return undefined;
  const inner = /^\((.*)\)$|^\{[ \t](.*);[ \t]*\}$/s.exec(command.trim());
  const text = (inner ? (inner[1] ?? inner[2] ?? '') : command).replace(/;[ \t]*$/, '');
  const parts = tokenize(text.replace(/\$IFACE(?![A-Za-z0-9_])|\$\{IFACE\}/g, () => device));
  // What stands beside `||` runs only where the other side failed: taking one side away changes the meaning of the other.
  const isConditional = parts?.some((part) => part.joiner === '||' && !isIdle(part.words));
  return isConditional ? undefined : parts;
}

const LEXER =
  /(?<blank>[ \t\r\n]+)|(?<joiner>&&|\|\||;)|(?<redirect>2>|>)|(?<word>(?:[^\s;&|<>()$`\\"'*?#~{}]|'[^']*'|"[^"$`\\]*")+)|(?<other>[\s\S])/g;

/** Splits a line into simple commands; undefined where it holds anything that only a shell can tell. */
function tokenize(line: string): SimpleCommand[] | undefined {
  const tokens: { joiner: SimpleCommand['joiner']; from: number; to: number; words: string[] }[] = [];
  let current = { joiner: '' as SimpleCommand['joiner'], from: 0, to: 0, words: [] as string[] };
  for (const match of line.matchAll(LEXER)) {
    const { joiner, redirect, word, other } = match.groups ?? {};
    if (other !== undefined) return undefined;
    if (joiner !== undefined) {
      if (current.words.length === 0) return undefined;
      tokens.push(current);
      const next = match.index + match[0].length;
      current = { joiner: joiner as SimpleCommand['joiner'], from: next, to: next, words: [] };
    } else if (redirect !== undefined || word !== undefined) {
      current.words.push(redirect ?? (word ?? '').replace(/'([^']*)'|"([^"]*)"/g, '$1$2'));
      current.to = match.index + match[0].length;
    }
  }
  tokens.push(current);
  const isCompound = tokens.some(({ words }) =>
    /^(?:if|then|else|fi|for|while|until|do|done|case|!|\{)$/.test(words[0] ?? ''),
  );
  // `1>` redirects descriptor 1: the digit is no argument.
  if (/(?:^|[ \t])[013-9]>/.test(line)) return undefined;
  if (isCompound || current.words.length === 0) return undefined;
  return tokens.map(({ joiner, from, to, words }) => ({ joiner, words, text: line.slice(from, to).trim() }));
}
