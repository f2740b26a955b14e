/** An argument as it stands in a kernel command line: where it begins, where it ends. */
interface Token {
  readonly text: string;
  readonly start: number;
}

/** Options of the kernel whose value is a list of words, kernel-parameters.txt; one of them is an argument of its own here. */
const LISTS: readonly string[] = ['pci'];

/** The arguments of the kernel: separated by white space, double quotes protect it; what follows "--" belongs to init. */
function tokensOf(text: string): readonly Token[] {
  const tokens = [...text.matchAll(/(?:"[^"]*(?:"|$)|[^\s"])+/g)].map((found) => ({
    text: found[0],
    start: found.index,
  }));
  const end = tokens.findIndex((token) => token.text === '--');
  return end < 0 ? tokens : tokens.slice(0, end);
}

/** The arguments of a kernel command line, in order. */
export function parseCmdline(text: string): readonly string[] {
  return tokensOf(text).map((token) => token.text);
}

/** An argument without another one: null where it is that one; itself where it does not hold it. `pci=noaer` of `pci=nomsi,noaer`. */
export function withoutArgument(token: string, argument: string): string | null {
  if (token === argument) return null;
  const [, name = '', word = ''] = /^([^=]+)=(.+)$/.exec(argument) ?? [];
  if (!LISTS.includes(name) || !token.startsWith(`${name}=`)) return token;
  const words = token.slice(name.length + 1).split(',');
  if (!words.includes(word)) return token;
  const rest = words.filter((each) => each !== word);
  return rest.length === 0 ? null : `${name}=${rest.join(',')}`;
}

/** Whether a command line has an argument, alone or in a list. */
export function hasArgument(text: string, argument: string): boolean {
  return tokensOf(text).some((token) => withoutArgument(token.text, argument) !== token.text);
}

/** The command line with an argument at its end, before what belongs to init; all other bytes stay. */
export function addArgument(text: string, argument: string): string {
  if (hasArgument(text, argument)) return text;
  const last = tokensOf(text).at(-1);
  if (last === undefined) return text.trim() === '' ? `${argument}${text.trimStart()}` : `${argument} ${text}`;
  const end = last.start + last.text.length;
  return `${text.slice(0, end)} ${argument}${text.slice(end)}`;
}

/** The command line without an argument, however often it has it; all other bytes stay but for the blanks beside it. */
export function removeArgument(text: string, argument: string): string {
  let result = text;
  for (const token of tokensOf(text).toReversed()) {
    const rest = withoutArgument(token.text, argument);
    if (rest === token.text) continue;
    const [before, after] = [result.slice(0, token.start), result.slice(token.start + token.text.length)];
    if (rest !== null) result = before + rest + after;
    else result = /[ \t]$/.test(before) ? before.replace(/[ \t]+$/, '') + after : before + after.replace(/^[ \t]+/, '');
  }
  return result;
}
