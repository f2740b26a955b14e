/** Dashes that word processors and web pages put in place of the minus sign: hyphens, en dash, em dash, minus. */
const DASHES = /[\u2010-\u2015\u2212\uFE58\uFE63\uFF0D]+/;
const QUOTES = /[\u2018-\u201F]/;

/** Why a rule that was copied from a web page can't work, and how it should read; null where nothing is wrong with its signs. */
export function dashFault(rule: string): string | null {
  const found = DASHES.exec(rule);
  if (found !== null) {
    const code = `U+${found[0].codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`;
    const word = rule.slice(found.index).split(/\s/)[0] ?? '';
    // A page makes one such dash of the two that begin a long option.
    const fixed = word.replace(DASHES, word.length - found[0].length > 1 ? '--' : '-');
    return `holds the dash "${found[0]}" (${code}) in "${word}", which a web page or word processor made: write "${fixed}"`;
  }
  const quote = QUOTES.exec(rule);
  return quote === null ? null : `holds the quote "${quote[0]}", which a web page made: write a plain " in its place`;
}
