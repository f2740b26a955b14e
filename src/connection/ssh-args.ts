import { type ConfigLine, parseConfigLine } from './config-file.ts';
import { CONFIG_KEYWORDS, checkKeywordValue } from './config-keywords.ts';
import { splitShellWords } from './words.ts';

/** What `ansible_ssh_common_args` and its like say. */
export interface SshArguments {
  /** `-F`. */
  readonly configFile?: string | undefined;
  /** The other options, as lines of ssh_config. */
  readonly lines: readonly ConfigLine[];
  /** What can't be followed: sentences that name the argument. */
  readonly problems: readonly string[];
}

/** Flags that stand for a keyword of ssh_config. */
const VALUE_FLAGS: Readonly<Record<string, string>> = {
  i: 'identityfile',
  J: 'proxyjump',
  p: 'port',
  l: 'user',
  b: 'bindaddress',
};
const PLAIN_FLAGS: Readonly<Record<string, string>> = { '4': 'addressfamily inet', '6': 'addressfamily inet6' };
/** Flags about terminals, forwarding, compression and talk: nothing here depends on them. */
const IGNORED_FLAGS = 'qvCTtxXYaAkKngGy';

/**
 * Reads arguments of ssh as Ansible passes them on: `-F -i -J -p -l -o -4 -6`, joined or apart, quoted as for a shell.
 * @param text for example `-o ProxyCommand="ssh -W %h:%p bastion" -p 2222`
 */
export function parseSshArguments(text: string): SshArguments {
  const split = splitShellWords(text);
  if (!split.ok) return { lines: [], problems: [split.reason] };
  const reader = new ArgumentReader(split.words);
  return reader.read();
}

class ArgumentReader {
  readonly #words: string[];
  readonly #lines: ConfigLine[] = [];
  readonly #problems: string[] = [];
  #configFile: string | undefined;

  constructor(words: readonly string[]) {
    this.#words = [...words];
  }

  read(): SshArguments {
    for (let word = this.#words.shift(); word !== undefined; word = this.#words.shift()) {
      if (/^-[^-]/.test(word)) this.#readFlags(word.slice(1));
      else this.#problems.push(`the argument "${word}" is not supported`);
    }
    return { configFile: this.#configFile, lines: this.#lines, problems: this.#problems };
  }

  #readFlags(cluster: string): void {
    for (let at = 0; at < cluster.length; at++) {
      const flag = cluster.charAt(at);
      if (IGNORED_FLAGS.includes(flag)) continue;
      const plain = PLAIN_FLAGS[flag];
      if (plain !== undefined) {
        this.#addOption(plain);
        continue;
      }
      if (flag !== 'o' && flag !== 'F' && VALUE_FLAGS[flag] === undefined) {
        this.#problems.push(`the argument "-${flag}" is not supported`);
        return;
      }
      const joined = cluster.slice(at + 1);
      const value = joined === '' ? this.#words.shift() : joined;
      if (value === undefined) this.#problems.push(`the argument "-${flag}" needs a value`);
      else this.#addValue(flag, value);
      return;
    }
  }

  #addValue(flag: string, value: string): void {
    const keyword = VALUE_FLAGS[flag];
    if (flag === 'F') this.#configFile = value;
    else if (flag === 'o') this.#addOption(value);
    else if (keyword !== undefined) this.#addLine({ keyword, words: [value], raw: value });
  }

  #addOption(text: string): void {
    const line = parseConfigLine(text);
    if (line === undefined || typeof line === 'string') {
      this.#problems.push(`the option "${text}" can't be read${line === undefined ? '' : `: ${line}`}`);
    } else if (!CONFIG_KEYWORDS.includes(line.keyword) || ['host', 'match', 'include'].includes(line.keyword)) {
      this.#problems.push(`the option "${text}" is not supported`);
    } else {
      this.#addLine(line);
    }
  }

  #addLine(line: ConfigLine): void {
    const problem = checkKeywordValue(line.keyword, line.words[0] ?? '');
    if (problem !== undefined) this.#problems.push(problem);
    this.#lines.push(line);
  }
}
