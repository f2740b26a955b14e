import { expect, test } from 'vitest';
import type { TaskReport } from '../../../src/core/report.ts';
import { hostBlocks } from '../../../src/ui/text-report.ts';

const plain = (text: string): string => text;
const style = {
  unicode: false,
  paint: { bold: plain, dim: plain, good: plain, bad: plain, warn: plain },
};

test('why a resource was left alone is said to those who ask, and no news for others', () => {
  const left: TaskReport = {
    name: 'Rings',
    resource: 'ring[veth0]',
    status: 'skipped',
    changes: [],
    error: null,
    note: '"veth0" has no rings: left alone',
  };
  const hosts = { a: { status: 'ok' as const, error: null, tasks: [left] } };
  expect(hostBlocks(hosts, style, { isVerbose: false })).toBe('');
  expect(hostBlocks(hosts, style, { isVerbose: true })).toBe(
    'a: ok\n  skipped ring[veth0]  Rings\n      "veth0" has no rings: left alone\n',
  );
});
