/**
 * Whether `text` matches a pattern of ssh_config and known_hosts: `*` stands for any characters, `?` for exactly one.
 * Everything else, brackets too, means itself.
 * @see ssh_config(5), PATTERNS
 */
export function matchesPattern(pattern: string, text: string): boolean {
  // Greedy with one point of return: linear in practice, where a regular expression made of many `*` is not.
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/**
 * Whether `text` matches a list of patterns: at least one of them, and none that is negated with `!`.
 * @see ssh_config(5), PATTERNS: a negated match never makes a positive one
 */
export function matchesPatternList(patterns: readonly string[], text: string): boolean {
  let isMatched = false;
  for (const pattern of patterns) {
    if (pattern.startsWith('!')) {
      if (matchesPattern(pattern.slice(1), text)) return false;
    } else if (matchesPattern(pattern, text)) {
      isMatched = true;
    }
  }
  return isMatched;
}
