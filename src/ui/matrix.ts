import { formatLoss } from '../core/loss.ts';
import type { ProbePath, ProbeReport, Verdict } from '../core/probe.ts';

import type { Io, Paint } from './io.ts';

type Style = Pick<Io, 'paint' | 'width'>;

/** Text of a cell and its colour; the text alone says everything. */
interface Cell {
  readonly text: string;
  readonly verdict: Verdict | null;
}

interface Layout {
  /** Column headers, by node. */
  readonly heads: readonly string[];
  /** Row labels, by node. */
  readonly labels: readonly string[];
  readonly cell: (path: ProbePath) => string;
  readonly cellWidth: number;
  readonly legend: string;
}

const WIDEST_LABEL = 20;

function wideCell(path: ProbePath): string {
  if (path.verdict === 'ok')
    return path.multicast.received < path.multicast.sent ? `ok ${formatLoss(path.multicast)}` : 'ok';
  if (path.verdict === 'lossy') return formatLoss(path.multicast);
  return path.verdict === 'unicast-only' ? 'uni only' : 'dead';
}

function shortCell({ verdict, multicast }: ProbePath): string {
  if (verdict === 'ok') return '.';
  if (verdict === 'lossy') {
    const loss = (100 * (multicast.sent - multicast.received)) / multicast.sent;
    return loss < 1 ? '<1%' : loss > 99 ? '>99%' : `${Math.round(loss)}%`;
  }
  return verdict === 'unicast-only' ? 'uni' : 'dead';
}

/** Names of one cluster often differ at the end only, so the middle goes. */
function clip(text: string, width: number): string {
  const head = Math.floor((width - 1) / 2);
  return text.length > width ? `${text.slice(0, head)}~${text.slice(text.length - (width - 1 - head))}` : text;
}

function wideLayout(nodes: readonly string[], paths: readonly ProbePath[]): Layout {
  const heads = nodes.map((node) => clip(node, WIDEST_LABEL));
  const widths = [...heads, ...paths.map(wideCell)].map((text) => text.length);
  const legend = '%: multicast loss; uni only: unicast arrives but no multicast; dead: neither';
  return { heads, labels: heads, cell: wideCell, cellWidth: Math.max(4, ...widths), legend };
}

function shortLayout(nodes: readonly string[]): Layout {
  const digits = String(nodes.length).length;
  const heads = nodes.map((_, index) => String(index + 1));
  const labels = nodes.map((node, index) => `${String(index + 1).padStart(digits)} ${clip(node, WIDEST_LABEL)}`);
  const legend = '.: ok; %: multicast loss; uni: unicast arrives but no multicast; dead: neither';
  return { heads, labels, cell: shortCell, cellWidth: 4, legend };
}

function colour(paint: Paint, verdict: Verdict | null, text: string): string {
  if (verdict === null) return paint.dim(text);
  if (verdict === 'ok') return paint.good(text);
  return verdict === 'lossy' ? paint.warn(text) : paint.bad(text);
}

/** Text wrapped at blanks to a width. */
function wrap(text: string, width: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join('\n');
}

/**
 * The matrix of a probe for a terminal: a row for each sender, a column for each receiver. Understood without colour and without
 * Unicode. Where it is wider than the terminal, columns are numbered and cells abbreviated, and beyond that cut into blocks.
 * Ends with a newline.
 */
export function renderMatrix(report: ProbeReport, { paint, width }: Style): string {
  const { nodes, paths } = report;
  const wide = wideLayout(nodes, paths);
  const head = 'from \\ to';
  const labelWidth = (layout: Layout): number => Math.max(head.length, ...layout.labels.map((label) => label.length));
  const needed = labelWidth(wide) + nodes.length * (wide.cellWidth + 2);
  const layout = needed <= width ? wide : shortLayout(nodes);
  const gap = layout === wide ? 2 : 1;
  const perBlock = Math.max(1, Math.floor((width - labelWidth(layout)) / (layout.cellWidth + gap)));
  const byRoute = new Map(paths.map((path) => [JSON.stringify([path.from, path.to]), path]));

  const cellOf = (from: string, to: string): Cell => {
    const path = byRoute.get(JSON.stringify([from, to]));
    return path ? { text: layout.cell(path), verdict: path.verdict } : { text: from === to ? '-' : '?', verdict: null };
  };
  const place = (text: string): string => `${' '.repeat(gap)}${text.padStart(layout.cellWidth)}`;
  const blocks: string[] = [];
  for (let first = 0; first < nodes.length; first += perBlock) {
    const columns = nodes.slice(first, first + perBlock);
    const title = columns.map((_, index) => place(layout.heads[first + index] ?? '')).join('');
    const rows = nodes.map((from, row) => {
      const cells = columns.map((to) => {
        const { text, verdict } = cellOf(from, to);
        return colour(paint, verdict, place(text));
      });
      return `${(layout.labels[row] ?? '').padEnd(labelWidth(layout))}${cells.join('')}`;
    });
    blocks.push([`${head.padEnd(labelWidth(layout))}${title}`, ...rows].join('\n'));
  }
  return `${blocks.join('\n\n')}\n${paint.dim(wrap(layout.legend, width))}\n`;
}

/** One line for the whole probe: how many paths are how, the worst loss. No newline. */
export function probeSummary(report: ProbeReport): string {
  const { paths } = report;
  const count = (verdict: Verdict): number => paths.filter((path) => path.verdict === verdict).length;
  const parts = (['ok', 'lossy', 'unicast-only', 'unreachable'] as const)
    .map((verdict) => [count(verdict), verdict] as const)
    .filter(([number]) => number > 0)
    .map(([number, verdict]) => `${number} ${verdict}`);
  const worst = paths
    .map((path) => path.multicast)
    .reduce((most, next) => (next.received * most.sent < most.received * next.sent ? next : most), {
      sent: 1,
      received: 1,
      duplicates: 0,
      outOfOrder: 0,
      firstSeq: 0,
      lastSeq: 0,
    });
  const loss = paths.length > 0 && worst.received < worst.sent ? `; worst multicast loss ${formatLoss(worst)}` : '';
  const what = `${paths.length} path${paths.length === 1 ? '' : 's'} between ${report.nodes.length} nodes`;
  return `${report.group} port ${report.port}: ${what}: ${parts.join(', ') || 'none'}${loss}`;
}
