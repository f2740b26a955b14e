import { statSync } from 'node:fs';

/**
 * A reader that remembers what it made of a file until the file changes, so that a run over many hosts reads each file once.
 * @param read called with a path that may not exist
 * @param limit how many files are remembered
 */
export function cacheByFile<T>(read: (path: string) => T, limit = 200): (path: string) => T {
  const known = new Map<string, { readonly stamp: string; readonly value: T }>();
  return (path) => {
    const stamp = stampOf(path);
    const hit = known.get(path);
    if (hit !== undefined && hit.stamp === stamp) return hit.value;
    const value = read(path);
    if (known.size >= limit) known.clear();
    known.set(path, { stamp, value });
    return value;
  };
}

function stampOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? 'missing' : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`;
}
