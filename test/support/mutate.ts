/** Pseudo-random whole numbers from 0 to below a limit: the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** What breaks parsers: the signs of all formats, line ends, other blanks, a byte order mark, halves of characters, control characters. */
const TOKENS = [
  ...'{}[]()<>:;=#"\'\\/|&%$!?*-+,.@~`^_0aZ',
  ...[
    '\n',
    '\r',
    '\r\n',
    '\t',
    ' ',
    '\f',
    '\v',
    '\0',
    '\u001a',
    '\u0085',
    '\u00a0',
    '\u2028',
    '\ufeff',
    '\u00e9',
    '😀',
    '\ufffd',
  ],
  ...[
    '\\\n',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    '&x;',
    '&#0;',
    '<!DOCTYPE a [',
    '?>',
    '/>',
    '</',
    '{ ',
    ': ',
    '# ',
    '%',
    '-A ',
    '\n\n',
    '4294967296',
    '-1',
  ],
] as const;

/** The text after one to six changes: pieces cut, doubled, moved, repeated many times, overwritten, lines shuffled. */
export function mutate(text: string, random: (limit: number) => number): string {
  let result = text;
  for (let count = 1 + random(6); count > 0; count--) result = mutateOnce(result, random);
  return result;
}

function mutateOnce(text: string, random: (limit: number) => number): string {
  const at = random(text.length + 1);
  const to = Math.min(text.length, at + random(random(4) === 0 ? 400 : 12));
  const token = TOKENS[random(TOKENS.length)] ?? '';
  const piece = text.slice(at, to);
  switch (random(11)) {
    case 0:
      return text.slice(0, at) + text.slice(to);
    case 1:
      return text.slice(0, at) + piece + text.slice(at);
    case 2:
      return text.slice(0, at) + token + text.slice(to);
    case 3:
      return text.slice(0, at);
    case 4:
      return text.slice(at);
    case 5:
      return text.slice(0, at) + token.repeat(random(20) === 0 ? 3000 : random(40)) + text.slice(at);
    case 6:
      return text.slice(0, at) + piece.repeat(random(20)) + text.slice(to);
    case 7:
      return text.replaceAll('\n', random(2) === 0 ? '\r\n' : '\r');
    case 8: {
      const lines = text.split('\n');
      const [line = ''] = lines.splice(random(lines.length), 1);
      lines.splice(random(lines.length + 1), 0, line);
      return lines.join('\n');
    }
    case 9:
      return text.slice(0, at) + text.slice(to) + piece;
    default:
      return text.slice(0, at) + token + text.slice(at);
  }
}
