import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import type { Fault } from '../core/errors.ts';
import { didYouMean } from '../core/suggest.ts';
import { type ConfigFile, type ConfigLine, expandInclude, unreadable } from './config-file.ts';
import { APPLE_KEYWORDS, CONFIG_KEYWORDS, checkKeywordValue } from './config-keywords.ts';
import { matchesPatternList } from './patterns.ts';
import { ConfigProblem, expandTokens, FILE_TOKENS, HOST_TOKENS, isShellSafe, tokenTable } from './tokens.ts';

/** What an evaluation of ssh_config starts from. */
export interface ConfigQuery {
  /** The host as ssh would be given it. */
  readonly host: string;
  /** Settings that outrank the files: variables of the inventory, flags, `-o` options, in this order. */
  readonly presets: readonly ConfigLine[];
  /** The user's file, then the system's; those that do not exist are left out. */
  readonly files: readonly { readonly file: ConfigFile; readonly includeDir: string }[];
  readonly localUser: string;
  readonly localUid: number;
  readonly localHost: string;
  readonly homeDir: string;
  readonly env: NodeJS.ProcessEnv;
  /** What `Match exec` commands have answered so far, by command. */
  readonly execResults: Map<string, boolean>;
  /** Reads an included file; undefined where there is none. */
  readonly readFile: (path: string) => ConfigFile | undefined;
}

/** The settings that hold for one host. The first value found for a keyword wins, as in OpenSSH. */
export interface ConfigSettings {
  /** The arguments of a keyword (lower case), unexpanded; undefined where it is not set. */
  words(keyword: string): readonly string[] | undefined;
  /** The first argument. */
  word(keyword: string): string | undefined;
  /** All IdentityFile values, in order, without repetition. */
  readonly identityFiles: readonly string[];
  readonly faults: readonly Fault[];
}

const MAX_INCLUDE_DEPTH = 16;
const EXEC_TIMEOUT_MS = 10_000;

/**
 * The settings of ssh_config for a host: presets, then the files, with Host, Match and Include.
 * `Match exec` runs the command in a shell, as ssh does: it is the user's own configuration.
 * @see ssh_config(5)
 */
export function evaluateConfig(query: ConfigQuery): ConfigSettings {
  return new Evaluation(query).run();
}

class Evaluation {
  readonly #query: ConfigQuery;
  readonly #values = new Map<string, readonly string[]>();
  readonly #identityFiles = new Set<string>();
  readonly #faults = new Map<string, Fault>();
  #host: string;
  #isFinalPass = false;
  #isFinalWanted = false;

  constructor(query: ConfigQuery) {
    this.#query = query;
    this.#host = query.host;
  }

  run(): ConfigSettings {
    for (const line of this.#query.presets) this.#set(line);
    this.#pass();
    if (this.#isFinalWanted || /^(?:yes|true|always)$/i.test(this.#word('canonicalizehostname') ?? '')) {
      this.#isFinalPass = true;
      this.#host = this.#hostName();
      this.#pass();
    }
    const values = this.#values;
    return {
      words: (keyword) => values.get(keyword),
      word: (keyword) => values.get(keyword)?.[0],
      identityFiles: [...this.#identityFiles],
      faults: [...this.#faults.values()],
    };
  }

  #pass(): void {
    for (const { file, includeDir } of this.#query.files) this.#readLines(file, includeDir, true, 0);
  }

  #readLines(file: ConfigFile, includeDir: string, isParentActive: boolean, depth: number): void {
    for (const fault of file.faults) this.#addFault(fault);
    let isActive = isParentActive;
    for (const line of file.lines) {
      if (line.keyword === 'host') isActive = this.#matchesHost(line) && isParentActive;
      else if (line.keyword === 'match') isActive = this.#matchesMatch(line, isParentActive);
      else if (line.keyword === 'include') this.#include(line, includeDir, isActive, depth);
      else if (this.#isValid(line) && isActive) this.#set(line);
    }
  }

  #include(line: ConfigLine, includeDir: string, isActive: boolean, depth: number): void {
    if (depth >= MAX_INCLUDE_DEPTH) {
      this.#fault(line, `Include is nested more than ${MAX_INCLUDE_DEPTH} deep`, 'a file probably includes itself');
      return;
    }
    for (const word of line.words) {
      const pattern = word.startsWith('~/') ? this.#query.homeDir + word.slice(1) : word;
      for (const path of expandInclude(pattern, includeDir)) {
        try {
          const file = this.#query.readFile(path);
          if (file !== undefined) this.#readLines(file, includeDir, isActive, depth + 1);
        } catch (error) {
          this.#addFault({ ...unreadable(path, error), source: line.source, frame: line.frame?.() });
        }
      }
    }
  }

  #isValid(line: ConfigLine): boolean {
    const known = process.platform === 'darwin' ? [...CONFIG_KEYWORDS, ...APPLE_KEYWORDS] : CONFIG_KEYWORDS;
    if (!known.includes(line.keyword)) {
      const ignored = (this.#word('ignoreunknown') ?? '').toLowerCase().split(',');
      const hint = didYouMean(line.keyword, known) ?? `to have ssh skip it, add "IgnoreUnknown ${line.keyword}" above`;
      if (!matchesPatternList(ignored, line.keyword))
        this.#fault(line, `"${line.keyword}" is no keyword of ssh_config`, hint);
      return false;
    }
    const problem = checkKeywordValue(line.keyword, line.words[0] ?? '');
    if (problem !== undefined) this.#fault(line, problem);
    return problem === undefined;
  }

  #set(line: ConfigLine): void {
    if (line.keyword === 'identityfile') {
      this.#identityFiles.add(line.words[0] ?? '');
    } else if (line.keyword === 'proxycommand' || line.keyword === 'proxyjump') {
      // One of the two, whichever comes first, decides about both.
      if (this.#values.has('proxycommand') || this.#values.has('proxyjump')) return;
      this.#values.set(line.keyword, line.words);
    } else if (!this.#values.has(line.keyword)) {
      this.#values.set(line.keyword, line.words);
    }
  }

  #matchesHost(line: ConfigLine): boolean {
    return matchesPatternList(line.words, this.#host);
  }

  #matchesMatch(line: ConfigLine, isParentActive: boolean): boolean {
    const criteria = readCriteria(line.words);
    if (typeof criteria === 'string') {
      this.#fault(line, criteria);
      return false;
    }
    let isMatch = isParentActive;
    for (const { name, argument, isNegated } of criteria) {
      // As in OpenSSH: once a criterion has failed no command is run any more.
      if (name === 'exec' && !isMatch) continue;
      if (this.#meets(line, name, argument) === isNegated) isMatch = false;
    }
    return isMatch;
  }

  #meets(line: ConfigLine, name: string, argument: string): boolean {
    const patterns = argument.split(',');
    switch (name) {
      case 'all':
        return true;
      case 'final':
        this.#isFinalWanted = true;
        return this.#isFinalPass;
      case 'canonical':
        return this.#isFinalPass;
      case 'host':
        return matchesPatternList(patterns, this.#hostName());
      case 'originalhost':
        return matchesPatternList(patterns, this.#query.host);
      case 'user':
        return matchesPatternList(patterns, this.#word('user') ?? this.#query.localUser);
      case 'localuser':
        return matchesPatternList(patterns, this.#query.localUser);
      case 'tagged':
        return matchesPatternList(patterns, this.#word('tag') ?? '');
      default:
        return this.#runs(line, argument);
    }
  }

  #runs(line: ConfigLine, template: string): boolean {
    const remoteUser = this.#word('user') ?? this.#query.localUser;
    const hostName = this.#hostName();
    if (![hostName, this.#query.host, remoteUser].every(isShellSafe)) {
      this.#fault(
        line,
        `host "${this.#query.host}" or user "${remoteUser}" can't be used with Match exec: it holds characters that a shell would interpret`,
      );
      return false;
    }
    const { localUser, localUid, localHost, homeDir, host: originalHost, env, execResults } = this.#query;
    const port = Number(this.#word('port') ?? 22);
    const table = tokenTable({ hostName, originalHost, port, remoteUser, localUser, localUid, localHost, homeDir });
    try {
      const command = expandTokens(template, table, FILE_TOKENS);
      let result = execResults.get(command);
      if (result === undefined) {
        result = spawnSync('/bin/sh', ['-c', command], { stdio: 'ignore', env, timeout: EXEC_TIMEOUT_MS }).status === 0;
        execResults.set(command, result);
      }
      return result;
    } catch (error) {
      if (!(error instanceof ConfigProblem)) throw error;
      this.#fault(line, error.message);
      return false;
    }
  }

  #hostName(): string {
    const set = this.#word('hostname');
    if (set === undefined) return this.#host;
    try {
      return expandTokens(set, { '%': '%', h: this.#host }, HOST_TOKENS);
    } catch {
      return set; // named as a fault when the target is made
    }
  }

  #word(keyword: string): string | undefined {
    return this.#values.get(keyword)?.[0];
  }

  #fault(line: ConfigLine, message: string, hint?: string): void {
    this.#addFault({ message, source: line.source, frame: line.frame?.(), hint });
  }

  #addFault(fault: Fault): void {
    const { source } = fault;
    this.#faults.set(`${source?.file}:${source?.line}:${fault.message}`, fault);
  }
}

interface Criterion {
  readonly name: string;
  readonly argument: string;
  readonly isNegated: boolean;
}

const PLAIN_CRITERIA: ReadonlySet<string> = new Set(['all', 'canonical', 'final']);
const ARGUMENT_CRITERIA: ReadonlySet<string> = new Set(['host', 'originalhost', 'user', 'localuser', 'exec', 'tagged']);

function readCriteria(words: readonly string[]): readonly Criterion[] | string {
  const criteria: Criterion[] = [];
  const rest = words.flatMap((word) => {
    // Between a criterion and its argument an equals sign may stand for the blank.
    const pair = /^(!?[a-z]+)=(.+)$/is.exec(word);
    return pair && ARGUMENT_CRITERIA.has((pair[1] ?? '').replace('!', '').toLowerCase()) ? pair.slice(1) : [word];
  });
  while (rest.length > 0) {
    const word = rest.shift() ?? '';
    const isNegated = word.startsWith('!');
    const name = word.slice(isNegated ? 1 : 0).toLowerCase();
    if (PLAIN_CRITERIA.has(name)) {
      criteria.push({ name, argument: '', isNegated });
      continue;
    }
    if (!ARGUMENT_CRITERIA.has(name)) return `"${word}" is no criterion of Match that is known here`;
    const argument = rest.shift();
    if (argument === undefined || argument === '') return `Match "${word}" needs an argument`;
    criteria.push({ name, argument, isNegated });
  }
  const others = criteria.filter(({ name }) => name !== 'canonical' && name !== 'final');
  const hasAll = criteria.some(({ name }) => name === 'all');
  if (hasAll && (others.length > 1 || criteria.at(-1)?.name !== 'all'))
    return 'Match "all" can\'t be combined with other criteria';
  return criteria;
}

/** The folder that relative Includes of a file start from: `~/.ssh` for a user's, else the file's own. */
export function includeFolder(path: string, homeDir: string, isUserFile: boolean): string {
  return isUserFile ? `${homeDir}/.ssh` : dirname(path);
}
