/**
 * The text without the given characters at both ends. A regular expression for the end, such as `/[ \t]+$/`, starts again at each
 * character of a long run and so never comes to an end in a file that is made of blanks.
 */
export function trimmed(text: string, characters: string): string {
  let start = 0;
  while (start < text.length && characters.includes(text.charAt(start))) start++;
  return trimmedEnd(text.slice(start), characters);
}

/** The text without the given characters at its end. */
export function trimmedEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}
