import { closest, distance } from 'fastest-levenshtein';

/** A hint such as `did you mean "multicast_querier"?`, or undefined where nothing known is near `word`. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const nearest = closest(word, known);
  const limit = Math.max(2, Math.floor(Math.max(word.length, nearest.length) / 3));
  const isNear = distance(word, nearest) <= limit;
  const contained = known.find((name) => word.length >= 4 && (name.includes(word) || word.includes(name)));
  const best = isNear ? nearest : contained;
  return best === undefined ? undefined : `did you mean "${best}"?`;
}
