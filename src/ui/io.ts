import { redactOutput } from '../core/secrets.ts';

/** Where a command writes, and what the place can show. */
export interface Io {
  /** Writes to standard output; what a command is asked for. */
  out(text: string): void;
  /** Writes to standard error: progress, warnings, errors. */
  err(text: string): void;
  /** Whether standard error is a terminal on which lines may be rewritten. */
  readonly isLive: boolean;
  /** Whether standard error is a terminal: somebody waits before it. */
  readonly isTerminal: boolean;
  /** Columns of standard output. */
  readonly width: number;
  /** Whether characters beyond ASCII can be shown. */
  readonly unicode: boolean;
  readonly paint: Paint;
}

/** Colours by meaning. Each gives the text as it is where there is no colour. */
export interface Paint {
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

const PLAIN: Paint = { good: same, warn: same, bad: same, dim: same, bold: same };

function same(text: string): string {
  return text;
}

function sgr(code: number, end: number): (text: string) => string {
  return (text) => `\u001b[${code}m${text}\u001b[${end}m`;
}

const COLOUR: Paint = { good: sgr(32, 39), warn: sgr(33, 39), bad: sgr(31, 39), dim: sgr(2, 22), bold: sgr(1, 22) };

/** All control characters but tab, line feed and the colours of `COLOUR`; and what turns the direction of writing round. */
const COMMANDS =
  /(\u001b\[(?:1|2|22|31|32|33|39)m)|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text for a terminal in which nothing but our colours is a command: names and messages of nodes may hold anything. */
export function forTerminal(text: string): string {
  return text.replace(COMMANDS, (found, colour?: string) => {
    const code = found.charCodeAt(0).toString(16);
    return colour ?? (code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, '0')}`);
  });
}

function writer(stream: NodeJS.WriteStream): (text: string) => void {
  return (text) => {
    const shown = redactOutput(text);
    stream.write(stream.isTTY ? forTerminal(shown) : shown);
  };
}

/**
 * The process's own streams, on which no known secret is shown. Colour only on a terminal, and not with NO_COLOR (no-color.org), TERM=dumb or `--no-color`.
 * @param hasColour false: `--no-color` was given
 */
export function processIo(hasColour: boolean): Io {
  const { env, stdout, stderr } = process;
  const isPlain = !hasColour || (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb' || !stdout.isTTY;
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return {
    out: writer(stdout),
    err: writer(stderr),
    isLive: stderr.isTTY === true && env.TERM !== 'dumb' && env.CI === undefined,
    isTerminal: stderr.isTTY === true,
    width: stdout.columns ?? 80,
    unicode: /utf-?8/i.test(locale) && env.TERM !== 'linux',
    paint: isPlain ? PLAIN : COLOUR,
  };
}
