/** A value as messages show it. */
export function show(value: unknown): string {
  return value === null || value === undefined
    ? 'absent'
    : typeof value === 'string'
      ? `"${value}"`
      : JSON.stringify(value);
}
