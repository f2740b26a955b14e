/** What a table says of a word; undefined for the names that every object has, such as "constructor", where it does not. */
export function own<Value>(table: Readonly<Record<string, Value>>, word: string): Value | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
