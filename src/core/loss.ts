import type { CastCounts } from './probe.ts';

/** Loss in percent, 0 to 100, not rounded; 100 where nothing was sent. */
export function lossPercent({ sent, received }: CastCounts): number {
  return sent === 0 ? 100 : (100 * Math.max(0, sent - received)) / sent;
}

/** Loss for people, such as `12.5%`. Some loss never prints as 0 and some arrival never as 100. */
export function formatLoss(counts: CastCounts): string {
  const loss = lossPercent(counts);
  if (loss === 0 || loss === 100) return `${loss}%`;
  if (loss < 0.1) return '<0.1%';
  if (loss > 99.9) return '>99.9%';
  const text = loss.toFixed(1);
  return `${text.endsWith('.0') ? text.slice(0, -2) : text}%`;
}
