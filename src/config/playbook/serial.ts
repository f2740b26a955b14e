/** A number of hosts, or a percentage of all hosts of the play as text. */
export type Serial = number | string;

/**
 * Cuts hosts into batches as Ansible's `serial` does: each entry gives the size of one batch, the last one of all that
 * follow; a percentage is of all hosts, rounded down, at least 1; 0 means all that are left.
 * @param serial entries such as 2 or "30%"; empty: one batch
 */
export function cutBatches(hosts: readonly string[], serial: readonly Serial[]): readonly (readonly string[])[] {
  const batches: (readonly string[])[] = [];
  let at = 0;
  for (let index = 0; at < hosts.length; index++) {
    const entry = serial[Math.min(index, serial.length - 1)] ?? 0;
    const size = batchSize(entry, hosts.length) || hosts.length;
    batches.push(hosts.slice(at, at + size));
    at += size;
  }
  return batches;
}

function batchSize(entry: Serial, total: number): number {
  if (typeof entry === 'number') return entry;
  const number = Number.parseInt(entry, 10);
  return entry.endsWith('%') ? Math.floor((number * total) / 100) || 1 : number;
}
