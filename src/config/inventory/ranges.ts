/** More hosts than any inventory has: a slip such as [1:99999999] must not fill the memory. */
const MOST_HOSTS = 1_000_000;
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/**
 * Expands the ranges of a host pattern: `web[01:03]` to web01, web02, web03; `[a:c]`; with a step `[1:9:2]`; several of them.
 * As Ansible: the end is included, an empty begin is 0, letters run from a to z and on from A to Z, a begin with a leading zero pads.
 * @throws RangeError with the reason
 */
export function expandRanges(pattern: string): string[] {
  if (!pattern.includes('[')) return [pattern];
  const pieces = pattern.replace('[', '|').replace(']', '|').split('|');
  const [head, range, tail] = pieces;
  if (pieces.length !== 3 || head === undefined || range === undefined || tail === undefined) {
    throw new RangeError('a range is written as "[begin:end]" or "[begin:end:step]"');
  }
  const hosts: string[] = [];
  for (const item of itemsOf(range)) {
    for (const host of expandRanges(head + item + tail)) hosts.push(host);
    if (hosts.length > MOST_HOSTS) throw new RangeError(`the range gives more than ${MOST_HOSTS} hosts`);
  }
  return hosts;
}

function itemsOf(range: string): Iterable<string> {
  const bounds = range.split(':');
  const [begin = '', end = '', step = '1'] = bounds;
  if (bounds.length < 2 || bounds.length > 3) {
    throw new RangeError('a range is written as "[begin:end]" or "[begin:end:step]"');
  }
  if (end === '') throw new RangeError('the range has no end');
  const isPadded = begin.length > 1 && begin.startsWith('0');
  if (isPadded && begin.length !== end.length) {
    throw new RangeError(`"${begin}" has leading zeros: "${end}" must have as many digits`);
  }
  return letters(begin, end, step) ?? numbers(begin || '0', end, step, isPadded ? begin.length : 0);
}

// A text is looked up as a part of the alphabet, as there: [ab:cd] runs from a to c.
function letters(begin: string, end: string, step: string): string[] | undefined {
  const first = begin === '' ? -1 : LETTERS.indexOf(begin);
  const last = LETTERS.indexOf(end);
  if (first < 0 || last < 0) return undefined;
  if (first > last) throw new RangeError(`"${begin}" comes after "${end}"`);
  const by = toInt(step);
  if (by === 0) throw new RangeError('the step is 0');
  const items: string[] = [];
  if (by > 0) for (let index = first; index <= last; index += by) items.push(LETTERS.charAt(index));
  return items;
}

function* numbers(begin: string, end: string, step: string, width: number): Generator<string> {
  const [first, last, by] = [toInt(begin), toInt(end), toInt(step)];
  if (by === 0) throw new RangeError('the step is 0');
  const stop = last + 1;
  for (let value = first; by > 0 ? value < stop : value > stop; value += by) yield pad(value, width);
}

function pad(value: number, width: number): string {
  return value < 0 ? `-${String(-value).padStart(width - 1, '0')}` : String(value).padStart(width, '0');
}

function toInt(text: string): number {
  const digits = text.trim();
  if (!/^[-+]?[0-9]+(?:_[0-9]+)*$/.test(digits)) throw new RangeError(`"${text}" is no whole number and no letter`);
  return Number(digits.replaceAll('_', ''));
}
