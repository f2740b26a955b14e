/** Dashes that word processors and web pages put in place of the minus sign: hyphens, en dash, em dash, minus. */
const DASHES = /[\u2010-\u2015\u2212\uFE58\uFE63\uFF0D]+/g;
const QUOTES = /[\u2018-\u201F]/;

/** Why a rule that was copied from a web page can't work, and how it should read; null where nothing is wrong with its signs. */
export function dashFault(rule: string): string | null {
  const word = rule.split(/\s+/).find((each) => each.search(DASHES) >= 0);
  if (word !== undefined) {
    const [dash = ''] = word.match(DASHES) ?? [];
    const code = `U+${dash.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`;
    // Of the two signs that begin a long option such a program makes one.
    const fixed = word.replace(DASHES, (found, at) => (at === 0 && word.length > found.length + 1 ? '--' : '-'));
    return `holds the dash "${dash}" (${code}) in "${word}", which a web page or word processor made: write "${fixed}"`;
  }
  const quote = QUOTES.exec(rule);
  return quote === null ? null : `holds the quote "${quote[0]}", which a web page made: write a plain " in its place`;
}
