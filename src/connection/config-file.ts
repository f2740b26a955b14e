import { readdirSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import picomatch from 'picomatch';
import { LineType, parse } from 'ssh-config';
import type { Fault } from '../core/errors.ts';
import { messageOf } from '../core/errors.ts';
import { codeFrame, type SourceRef } from '../core/source.ts';
import { COMMAND_KEYWORDS } from './config-keywords.ts';
import { splitConfigWords } from './words.ts';

/** One keyword with its arguments, from a file or from `-o`. */
export interface ConfigLine {
  /** In lower case: keywords have no case. */
  readonly keyword: string;
  readonly words: readonly string[];
  /** The arguments as written, for the keywords that take a command. */
  readonly raw: string;
  readonly source?: SourceRef | undefined;
  /** The lines around, for messages. */
  readonly frame?: (() => string) | undefined;
}

/** A read configuration file: its lines, and what is wrong with those that could not be read. */
export interface ConfigFile {
  readonly path: string;
  readonly lines: readonly ConfigLine[];
  readonly faults: readonly Fault[];
}

/**
 * Reads an ssh_config file, line by line, so that each keyword keeps its place. The arguments are split here and not by the
 * parser, which drops the quotes that a ProxyCommand needs.
 * @returns undefined where there is no such file
 * @throws the file system's error where it exists and can't be read
 */
export function readConfigFile(path: string): ConfigFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  return parseConfigText(path, text);
}

/** The same for text that is at hand; `path` is for messages. */
export function parseConfigText(path: string, text: string): ConfigFile {
  const lines: ConfigLine[] = [];
  const faults: Fault[] = [];
  text.split('\n').forEach((line, index) => {
    const source: SourceRef = { file: path, line: index + 1, column: line.length - line.trimStart().length + 1 };
    const frame = (): string => codeFrame(text, source);
    const result = parseConfigLine(line);
    if (result === undefined) return;
    if (typeof result === 'string') faults.push({ message: result, source, frame: frame() });
    else lines.push({ ...result, source, frame });
  });
  return { path, lines, faults };
}

/**
 * One line of an ssh_config file, or of an `-o` option.
 * @returns undefined for an empty line or a comment, a message where it can't be read
 */
export function parseConfigLine(line: string): ConfigLine | string | undefined {
  const trimmed = line.replace(/[\s\f]+$/, '');
  if (trimmed.trimStart() === '' || trimmed.trimStart().startsWith('#')) return undefined;
  const head = readKeyword(trimmed);
  if (head === undefined) return `"${trimmed.trim()}" has no argument after the keyword`;
  const keyword = head.keyword.toLowerCase();
  if (COMMAND_KEYWORDS.has(keyword)) return { keyword, raw: head.rest, words: [head.rest] };
  const split = splitConfigWords(head.rest);
  if (!split.ok) return split.reason;
  if (split.words.length === 0) return `"${head.keyword}" has no argument`;
  return { keyword, words: split.words, raw: head.rest };
}

function readKeyword(line: string): { keyword: string; rest: string } | undefined {
  // The parser gets a word in place of the arguments that any keyword takes: it refuses quotes that OpenSSH takes in commands.
  const head = /^\s*[^\s=]+(?:\s*=\s*|\s+)/.exec(line)?.[0];
  if (head === undefined || head.length === line.length) return undefined;
  const [node] = parse(`${head}all`);
  if (node?.type !== LineType.DIRECTIVE) return undefined;
  return { keyword: node.param, rest: line.slice(head.length) };
}

/**
 * The files that an Include names, in the order of OpenSSH: each pattern's matches sorted.
 * @param pattern a path, relative to `baseDir`, with `*`, `?` and `[…]` in any part
 */
export function expandInclude(pattern: string, baseDir: string): readonly string[] {
  const path = isAbsolute(pattern) ? pattern : join(baseDir, pattern);
  if (!/[*?[]/.test(path)) return [path];
  const parent = dirname(path);
  const name = path.slice(parent.length).replace(/^\//, '');
  const found: string[] = [];
  for (const folder of expandInclude(parent, baseDir)) {
    if (!/[*?[]/.test(name)) {
      found.push(join(folder, name));
      continue;
    }
    const isMatch = picomatch(name, { dot: false, nobrace: true, noext: true, nonegate: true, noglobstar: true });
    found.push(
      ...listFolder(folder)
        .filter((entry) => isMatch(entry))
        .map((entry) => join(folder, entry)),
    );
  }
  return found.sort();
}

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Whether a file system error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** What is wrong, as a fault about a file that exists and can't be read. */
export function unreadable(path: string, error: unknown): Fault {
  return { message: `"${path}" can't be read: ${messageOf(error)}`, hint: 'check the permissions of the file' };
}
