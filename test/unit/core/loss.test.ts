import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatLoss, lossPercent } from '../../../src/core/loss.ts';
import { scattered } from '../../support/probe-report.ts';

test.each([
  [20, 20, '0%'],
  [20, 0, '100%'],
  [8, 7, '12.5%'],
  [10, 9, '10%'],
  [3, 2, '33.3%'],
  [2_500, 2_499, '<0.1%'],
  [100_000, 1, '>99.9%'],
  [10_000, 9_990, '0.1%'],
  [1_000, 999, '0.1%'],
  [0, 0, '100%'],
])('of %i packets %i arrived: %s lost', (sent, received, text) => {
  expect(formatLoss(scattered(sent, received))).toBe(text);
});

test('some loss is never 0, some arrival never 100', () => {
  const counts = fc
    .integer({ min: 2, max: 1_000_000 })
    .chain((sent) => fc.tuple(fc.constant(sent), fc.integer({ min: 1, max: sent - 1 })));
  fc.assert(
    fc.property(counts, ([sent, received]) => {
      const text = formatLoss(scattered(sent, received));
      expect(text).not.toMatch(/^(0|0\.0|100|100\.0)%$/);
      expect(lossPercent(scattered(sent, received))).toBeGreaterThan(0);
    }),
  );
});
