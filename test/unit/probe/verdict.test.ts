import { describe, expect, test } from 'vitest';
import type { CastCounts } from '../../../src/core/probe.ts';
import { compareProbes, verdictOf } from '../../../src/probe/verdict.ts';
import { firstOf, reportOf, scattered } from '../../support/probe-report.ts';

test.each([
  [firstOf(20, 20), firstOf(20, 20), 0, 'ok'],
  [firstOf(20, 0), firstOf(20, 20), 0, 'ok'],
  [firstOf(20, 20), scattered(20, 19), 0, 'lossy'],
  [firstOf(20, 20), scattered(20, 19), 5, 'ok'],
  [firstOf(20, 20), scattered(20, 19), 4.9, 'lossy'],
  [firstOf(20, 20), firstOf(20, 0), 0, 'unicast-only'],
  [firstOf(20, 1), firstOf(20, 0), 100, 'unicast-only'],
  [firstOf(20, 0), firstOf(20, 0), 100, 'unreachable'],
  [firstOf(20, 20), scattered(20, 1), 100, 'ok'],
] as const)('unicast %o, multicast %o, up to %d %% may be lost: %s', (unicast, multicast, maxLoss, verdict) => {
  expect(verdictOf(unicast, multicast, maxLoss)).toBe(verdict);
});

describe('against the baseline', () => {
  const one = (multicast?: CastCounts, unicast?: CastCounts) =>
    reportOf(
      ['a', 'b'],
      (from) => (from === 'a' ? multicast : undefined),
      (from) => (from === 'a' ? unicast : undefined),
    );

  test.each([
    ['the same', one(), one(), []],
    ['better', one(firstOf(20, 0)), one(), []],
    ['as bad as before', one(firstOf(20, 0)), one(firstOf(20, 0)), []],
    ['loss by chance', one(scattered(20, 10)), one(scattered(20, 8)), []],
    [
      'loss',
      one(),
      one(scattered(20, 18)),
      ['multicast from "a" to "b" loses 10% now: 18 of 20 multicast packets arrived, before 20 of 20'],
    ],
    [
      'death on the way',
      one(),
      one(firstOf(20, 9)),
      [
        'multicast from "a" to "b" loses 55% now: 9 of 20 multicast packets arrived, before 20 of 20; it stopped after 9 packets',
      ],
    ],
    [
      'much more loss',
      one(scattered(20, 18)),
      one(scattered(20, 2)),
      ['multicast from "a" to "b" loses more than before: 90% now, 10% before'],
    ],
    [
      'no multicast any more',
      one(scattered(20, 18)),
      one(firstOf(20, 0)),
      ['multicast no longer arrives from "a" to "b", unicast does: 0 of 20 multicast packets arrived, before 18 of 20'],
    ],
    [
      'nothing any more',
      one(firstOf(20, 0)),
      one(firstOf(20, 0), firstOf(20, 0)),
      ['nothing arrives any more from "a" to "b", neither multicast nor unicast'],
    ],
    [
      'a little more loss where there was none',
      one(),
      one(scattered(20, 17)),
      ['multicast from "a" to "b" loses 15% now: 17 of 20 multicast packets arrived, before 20 of 20'],
    ],
    ['unicast loss by chance', one(), one(undefined, scattered(20, 17)), []],
    [
      'unicast loss',
      one(),
      one(undefined, scattered(20, 8)),
      ['unicast from "a" to "b" loses 60% now: 8 of 20 unicast packets arrived, before 20 of 20'],
    ],
    ['unicast that loses as before', one(undefined, scattered(20, 8)), one(undefined, scattered(20, 7)), []],
    [
      'no unicast any more',
      one(),
      one(undefined, firstOf(20, 0)),
      ['unicast no longer arrives from "a" to "b", multicast does'],
    ],
  ])('%s', (_, before, now, sentences) => {
    expect(compareProbes(before, now, 0)).toEqual(sentences);
  });

  test('a path that the baseline does not have says nothing', () => {
    expect(
      compareProbes(
        reportOf(['a', 'b']),
        reportOf(['a', 'c'], () => firstOf(20, 0)),
        0,
      ),
    ).toEqual([]);
  });

  test('a loss that max_loss allows is not worse', () => {
    const now = reportOf(['a', 'b'], () => scattered(20, 19));
    const allowed = { ...now, paths: now.paths.map((path) => ({ ...path, verdict: 'ok' as const })) };
    expect(compareProbes(reportOf(['a', 'b']), allowed, 5)).toEqual([]);
  });
});
