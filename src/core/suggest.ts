import { closest, distance } from 'fastest-levenshtein';

/** A hint such as `did you mean "multicast_querier"?`, or undefined where nothing known is near `word`. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const nearest = closest(word, known);
  const longer = Math.max(word.length, nearest.length);
  const limit = longer <= 3 ? 1 : Math.max(2, Math.floor(longer / 3));
  const isNear = distance(word, nearest) <= limit;
  const contained = known.find(
    (name) => Math.min(word.length, name.length) >= 4 && (name.includes(word) || word.includes(name)),
  );
  const best = isNear ? nearest : contained;
  return best === undefined ? undefined : `did you mean "${best}"?`;
}
