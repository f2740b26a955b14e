import type { Argv, ResourceId } from './resource.ts';

/** What stands in place of everything that a task with `no_log` could tell. */
export const HIDDEN = '(hidden by no_log)';

/** What stands in place of a secret. */
const MASK = '***';
/** Characters of the shortest text that is taken for a secret: shorter ones stand in every second word. */
const SHORTEST = 4;
/** Characters of the shortest line of a longer secret, such as a key, that is hidden by itself; and of a text that is found within a word. */
const SHORTEST_LINE = 8;
/** Words that are in every report. */
const TRIVIAL: readonly string[] = ['true', 'false', 'null', 'none'];

/** Secrets and their longer lines. Kept for the life of the process: what was a secret once is never shown. */
const texts = new Set<string>();
/** Those that must stand on no command line. */
const unspeakable = new Set<string>();
/** `texts` in all spellings in which they may be shown. */
const spellings = new Set<string>();

/**
 * Makes a text known as a secret, so that no output shows it. Texts under 4 characters and the words true, false, null and none can't
 * be hidden: they are in everything.
 * @param isName the text may be a name or an address that merely stands in an encrypted file: it is hidden, but may be an argument
 */
export function addSecret(text: string, isName = false): void {
  const whole = text.trim();
  if (whole.length < SHORTEST || TRIVIAL.includes(whole.toLowerCase())) return;
  const lines = whole.split(/\r?\n/).map((line) => line.trim());
  for (const part of [whole, ...(lines.length > 1 ? lines.filter((line) => line.length >= SHORTEST_LINE) : [])]) {
    texts.add(part);
    if (!isName) unspeakable.add(part);
    for (const spelling of spellingsOf(part)) spellings.add(spelling);
  }
}

/** As it is, in JSON, in single quotes of a shell, on one line. */
function spellingsOf(text: string): readonly string[] {
  return [
    text,
    JSON.stringify(text).slice(1, -1),
    JSON.stringify(JSON.stringify(text)).slice(3, -3),
    text.replaceAll("'", `'\\''`),
    text.replace(/\s+/g, ' '),
  ];
}

/** Whether a text has a known secret in it; names and addresses of encrypted files apart. */
export function holdsSecret(text: string): boolean {
  return [...unspeakable].some((secret) => text.includes(secret));
}

/** A text in which `***` stands for every known secret. */
export function redact(text: string): string {
  const found: [start: number, end: number][] = [];
  for (const secret of spellings) {
    for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1))
      found.push([at, at + secret.length]);
  }
  if (found.length === 0) return text;
  found.sort(([a], [b]) => a - b);
  // Secrets may overlap: what is hidden is all that belongs to any of them.
  let shown = '';
  let done = 0;
  for (const [start, end] of found) {
    if (start > done || done === 0) shown += text.slice(done, start) + MASK;
    done = Math.max(done, end);
  }
  return shown + text.slice(done);
}

/**
 * `redact` for what is printed: where the text is a JSON document its values are redacted one by one, so that it stays one and keeps
 * its keys.
 */
export function redactOutput(text: string): string {
  if (spellings.size === 0) return text;
  return isJson(text) ? text.replace(TOKEN, redactToken) : redact(text);
}

/** A text of a JSON document, with the colon that makes it a key, or a number. */
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*/g;

function redactToken(token: string, quoted: string | undefined, colon: string | undefined): string {
  if (quoted === undefined) return texts.has(token) ? `"${MASK}"` : token;
  if (colon !== undefined) return token;
  const value: unknown = JSON.parse(quoted);
  const shown = redact(String(value));
  return shown === value ? token : JSON.stringify(shown);
}

function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** `redact` for a value of any depth: all texts in it, and numbers that are a secret. Keys stay. For what is stored as data. */
export function redactValue(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (typeof value === 'number') return texts.has(String(value)) ? MASK : value;
  if (Array.isArray(value)) return value.map(redactValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, redactValue(inner)]));
}

/**
 * Why a program must not be started with these arguments: everybody on its machine can read them (proc(5), /proc/PID/cmdline).
 * Secrets of 8 characters and more are found anywhere, shorter ones as a whole argument or as what an option or variable is set to.
 * @returns a sentence without the secret; null where they hold none
 */
export function argvProblem(argv: Argv): string | null {
  const index = argv.findIndex((word) => [...unspeakable].some((secret) => isSaidIn(word, secret)));
  if (index < 0) return null;
  return `argument ${index} of "${redact(argv[0])}" holds a secret, which others on the node could read in its list of processes`;
}

/** What to do about `argvProblem`. */
export const ARGV_HINT =
  'give it by "stdin" of a command, or in a file that is "secret", and let the program read it there';

function isSaidIn(word: string, secret: string): boolean {
  if (secret.length >= SHORTEST_LINE) return word.includes(secret);
  for (let at = word.indexOf(secret); at >= 0; at = word.indexOf(secret, at + 1)) {
    const [before = '=', after = ','] = [word[at - 1], word[at + secret.length]];
    if (/[=:,;\s'"]/.test(before) && /[=:,;@\s'"]/.test(after)) return true;
  }
  return false;
}

/** The name of a thing that a task with `no_log` manages: what it is called may tell what is done to it. */
export function hiddenId(id: ResourceId): ResourceId {
  return `${id.slice(0, id.indexOf('['))}[${HIDDEN}]`;
}
