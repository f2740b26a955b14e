import { expect, test } from 'vitest';
import { aliveAfter, diedAfter, silentFor } from '../../../src/probe/statistics.ts';
import { castOf, firstOf } from '../../support/probe-report.ts';

test.each([
  ['all arrived', firstOf(20, 20), null],
  ['it stopped', firstOf(20, 9), 9],
  ['it stopped after some loss', castOf(20, [0, 1, 3, 4, 6, 7]), 8],
  ['only the last two are gone: loss', firstOf(20, 18), null],
  ['lost all over', castOf(20, [0, 5, 10, 16]), null],
  ['never alive', firstOf(20, 0), null],
])('death: %s', (_, counts, expected) => {
  expect(diedAfter(counts)).toBe(expected);
});

test.each([
  ['from the start', firstOf(20, 9), null],
  ['late', castOf(10, [4, 5, 6, 7, 8, 9]), 4],
  ['a first packet lost', castOf(4, [1, 2, 3]), null],
  ['lost all over', castOf(20, [3, 9, 15]), null],
  ['never', firstOf(5, 0), null],
])('life: %s', (_, counts, expected) => {
  expect(aliveAfter(counts)).toBe(expected);
});

test.each([
  ['all arrived', firstOf(20, 20), null],
  ['one gap', castOf(20, [0, 1, 2, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]), 6],
  ['a gap of two', castOf(6, [0, 3, 4, 5]), null],
  ['lost all over', castOf(20, [0, 5, 10, 16]), null],
  ['never', firstOf(5, 0), null],
])('silence: %s', (_, counts, expected) => {
  expect(silentFor(counts)).toBe(expected);
});
