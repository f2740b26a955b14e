import { describe, expect, test } from 'vitest';
import type { Paint } from '../../../src/ui/io.ts';
import { probeSummary, renderMatrix } from '../../../src/ui/matrix.ts';
import { firstOf, reportOf, scattered } from '../../support/probe-report.ts';

const same = (text: string) => text;
const PLAIN: Paint = { good: same, warn: same, bad: same, dim: same, bold: same };
const NODES = ['pve1', 'pve2', 'pve3'];

const mixed = reportOf(
  NODES,
  (from, to) => {
    if (to === 'pve3') return firstOf(20, 0);
    return from === 'pve2' ? scattered(8, 7) : undefined;
  },
  (from, to) => (from === 'pve1' && to === 'pve3' ? firstOf(20, 0) : undefined),
);

test('a small matrix', () => {
  expect(renderMatrix(mixed, { paint: PLAIN, width: 80 })).toBe(
    [
      'from \\ to      pve1      pve2      pve3',
      'pve1              -        ok      dead',
      'pve2          12.5%         -  uni only',
      'pve3             ok        ok         -',
      '%: multicast loss; uni only: unicast arrives but no multicast; dead: neither',
      '',
    ].join('\n'),
  );
});

test('where columns do not fit they get numbers and short cells', () => {
  expect(renderMatrix(mixed, { paint: PLAIN, width: 30 })).toBe(
    [
      'from \\ to    1    2    3',
      '1 pve1       -    . dead',
      '2 pve2     13%    -  uni',
      '3 pve3       .    .    -',
      '.: ok; %: multicast loss; uni:',
      'unicast arrives but no',
      'multicast; dead: neither',
      '',
    ].join('\n'),
  );
});

describe.each([2, 8, 20, 50])('%i nodes', (count) => {
  const nodes = [...Array(count).keys()].map((index) => `pve-node-with-a-long-name-${index + 1}`);
  const report = reportOf(nodes, (from, to) =>
    from === nodes[0] ? firstOf(20, 0) : to === nodes[0] ? scattered(2_500, 2_499) : undefined,
  );

  test.each([80, 120])('fits %i columns and has a cell for every path', (width) => {
    const text = renderMatrix(report, { paint: PLAIN, width });
    const lines = text.split('\n');
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
    expect(text).toMatch(/^[ -~\n]*$/);
    const cells = lines
      .filter((line) => /pve-node/.test(line) && !line.startsWith('from'))
      .flatMap((line) => line.match(/ (?:ok|\.|uni only|uni|<1%|<0\.1%)(?= |$)/g) ?? []);
    expect(cells).toHaveLength(count * (count - 1));
    expect(cells.filter((cell) => cell.includes('<'))).toHaveLength(count - 1);
  });
});

test('long names that differ at the end stay apart', () => {
  const report = reportOf(['pve-in-a-very-long-domain-1', 'pve-in-a-very-long-domain-2']);
  expect(renderMatrix(report, { paint: PLAIN, width: 80 })).toContain('pve-in-a-~g-domain-2');
});

test('colour goes by the verdict and adds nothing but itself', () => {
  const mark = (letter: string) => (text: string) => `${letter}(${text})`;
  const paint: Paint = { good: mark('g'), warn: mark('w'), bad: mark('b'), dim: same, bold: same };
  const text = renderMatrix(mixed, { paint, width: 80 });
  expect(text).toContain('w(     12.5%)');
  expect(text).toContain('b(  uni only)');
  expect(text.replace(/[gwb]\(([^)]*)\)/g, '$1')).toBe(renderMatrix(mixed, { paint: PLAIN, width: 80 }));
});

test('one line sums up', () => {
  expect(probeSummary(mixed)).toBe(
    '239.192.77.1 port 4321: 6 paths between 3 nodes: 3 ok, 1 lossy, 1 unicast-only, 1 unreachable; worst multicast loss 100%',
  );
  expect(probeSummary(reportOf(['a', 'b']))).toBe('239.192.77.1 port 4321: 2 paths between 2 nodes: 2 ok');
});
