import { formatErrorAt } from './format-error.ts';
import { addArgument, hasArgument, removeArgument } from './kernel-cmdline.ts';

/** The variables of grub-mkconfig(8) that hold kernel arguments: of every entry, and of those that are no recovery. */
export const GRUB_NAMES = ['GRUB_CMDLINE_LINUX', 'GRUB_CMDLINE_LINUX_DEFAULT'] as const;
export type GrubName = (typeof GRUB_NAMES)[number];
export type GrubValues = Readonly<Record<GrubName, string>>;

/** A piece of the word that an assignment gives. */
type Piece = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'variable'; readonly name: GrubName };

/** An assignment of one of the variables in /etc/default/grub or a file of grub.d. */
export interface GrubAssignment {
  readonly name: GrubName;
  /** `+=` */
  readonly isAppend: boolean;
  readonly pieces: readonly Piece[];
  /** Where its word stands in the text. */
  readonly start: number;
  readonly end: number;
  /** From 1. */
  readonly line: number;
}

const ASSIGNMENT = /^[ \t]*(?:export[ \t]+)?(?<name>GRUB_CMDLINE_LINUX(?:_DEFAULT)?)(?<append>\+?)=/gm;

/**
 * The assignments of the two variables, in order. These files are shell scripts; what else they do is not looked at.
 * @throws FormatError where a word is computed by the shell from anything but these variables, or goes on beyond its line
 */
export function parseGrubDefault(text: string, file: string): readonly GrubAssignment[] {
  return [...text.matchAll(ASSIGNMENT)].map((found) => {
    const start = found.index + found[0].length;
    const { pieces, end } = readWord(text, start, file);
    return {
      name: found.groups?.['name'] as GrubName,
      isAppend: found.groups?.['append'] === '+',
      pieces,
      start,
      end,
      line: text.slice(0, start).split('\n').length,
    };
  });
}

/** A word of the shell, POSIX XCU 2.2. */
function readWord(text: string, start: number, file: string): { pieces: readonly Piece[]; end: number } {
  const pieces: Piece[] = [];
  let quote: '"' | "'" | null = null;
  let at = start;
  const fail = (what: string): never => {
    throw formatErrorAt(what, file, text, at, 'write the value out, in double quotes on one line');
  };
  const push = (part: string): void => void pieces.push({ kind: 'text', text: part });
  for (; at < text.length; at++) {
    const char = text[at] ?? '';
    if (char === '\n') break;
    if (quote === "'" ? char === "'" : char === '"' || (quote === null && char === "'"))
      quote = quote === null ? (char as '"' | "'") : null;
    else if (quote === "'") push(char);
    else if (char === '\\') {
      const next = text[++at] ?? '';
      if (next === '\n' || next === '') fail('a value that goes on in the next line is not understood');
      push(quote === null || '$`"\\'.includes(next) ? next : `\\${next}`);
    } else if (char === '$' || char === '`') {
      const name = /^\$(?:\{(GRUB_CMDLINE_LINUX(?:_DEFAULT)?)\}|(GRUB_CMDLINE_LINUX(?:_DEFAULT)?)(?!\w))/.exec(
        text.slice(at, at + 40),
      );
      if (name === null) return fail('a value that the shell computes is not understood');
      pieces.push({ kind: 'variable', name: (name[1] ?? name[2]) as GrubName });
      at += name[0].length - 1;
    } else if (quote === null && /[\s;&|<>()]/.test(char)) break;
    else push(char);
  }
  if (quote !== null) fail('a value that goes on in the next line is not understood');
  if (!/^[ \t\r]*(?:$|;|#|\n)/.test(text.slice(at, at + 200).split('\n')[0] ?? ''))
    fail('what follows the value is not understood');
  return { pieces, end: at };
}

/**
 * The values after the assignments of a text.
 * @param before those that the files before it gave
 */
export function evaluateGrubDefault(text: string, file: string, before: GrubValues): GrubValues {
  const values: Record<GrubName, string> = { ...before };
  for (const { name, isAppend, pieces } of parseGrubDefault(text, file)) {
    const value = pieces.map((piece) => (piece.kind === 'text' ? piece.text : values[piece.name])).join('');
    values[name] = isAppend ? values[name] + value : value;
  }
  return values;
}

/** What no file has said yet. */
export const NO_GRUB_VALUES: GrubValues = { GRUB_CMDLINE_LINUX: '', GRUB_CMDLINE_LINUX_DEFAULT: '' };

/** The text with a kernel argument at the end of the last assignment of a variable, or of a new one at its end. All other bytes stay. */
export function addGrubArgument(text: string, file: string, name: GrubName, argument: string): string {
  const last = parseGrubDefault(text, file).findLast((assignment) => assignment.name === name);
  if (last === undefined) {
    const end = text.includes('\r\n') ? '\r\n' : '\n';
    return `${text}${text === '' || text.endsWith('\n') ? '' : end}${name}="${argument}"${end}`;
  }
  const word = text.slice(last.start, last.end);
  return text.slice(0, last.start) + wordWith(word, argument) + text.slice(last.end);
}

/** A word of the shell with one more argument. */
function wordWith(word: string, argument: string): string {
  const quoted = /^(["'])((?:(?!\1)[^\\])*)\1$/s.exec(word);
  if (quoted !== null) return `${quoted[1]}${addArgument(quoted[2] ?? '', argument)}${quoted[1]}`;
  if (word === '') return `"${argument}"`;
  return /^[\w./:=,-]+$/.test(word) ? `"${word} ${argument}"` : `${word}" ${argument}"`;
}

/** The text without a kernel argument in the assignments of both variables. All other bytes stay. */
export function removeGrubArgument(text: string, file: string, argument: string): string {
  let result = text;
  for (const { start, end } of parseGrubDefault(text, file).toReversed()) {
    const word = text.slice(start, end);
    result = result.slice(0, start) + wordWithout(word, argument) + result.slice(end);
  }
  return result;
}

function wordWithout(word: string, argument: string): string {
  const quoted = /^(["'])((?:(?!\1)[^\\])*)\1$/s.exec(word);
  if (quoted !== null) return `${quoted[1]}${removeArgument(quoted[2] ?? '', argument)}${quoted[1]}`;
  // Pieces of several kinds: each piece for itself.
  return word.replace(/"(?:[^"\\]|\\.)*"|'[^']*'|[^"']+/gs, (piece) =>
    hasArgument(piece.replace(/^["']|["']$/g, ''), argument)
      ? /^["']/.test(piece)
        ? `${piece[0]}${removeArgument(piece.slice(1, -1), argument)}${piece.at(-1)}`
        : removeArgument(piece, argument)
      : piece,
  );
}

/** The kernel arguments of each entry in a grub.cfg: words after the kernel of its `linux` lines that have a root. */
export function grubEntries(
  text: string,
): readonly { readonly args: string; readonly line: number; readonly isRecovery: boolean }[] {
  return text.split('\n').flatMap((row, index) => {
    const args = /^\s*linux(?:16|efi)?\s+\S+\s+(.*)$/.exec(row.replace(/\r$/, ''))?.[1];
    if (args === undefined || !/(?:^|\s)root=/.test(args)) return [];
    return [
      {
        args,
        line: index + 1,
        isRecovery: /(?:^|\s)(?:single|recovery|rescue|systemd\.unit=rescue\.target)(?:\s|$)/.test(args),
      },
    ];
  });
}
