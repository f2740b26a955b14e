import { expect, test } from 'vitest';
import { findingsOf } from '../../../src/probe/findings.ts';
import { castOf, firstOf, reportOf, scattered } from '../../support/probe-report.ts';

const NODES = ['pve1', 'pve2', 'pve3'];
const none = firstOf(20, 0);
const querier = 'a switch or bridge between them snoops IGMP and hears no querier';

test('all is well: nothing to say', () => {
  expect(findingsOf(reportOf(NODES), 100)).toEqual([]);
});

test('paths that die together are one finding with the time and the cause', () => {
  const report = reportOf(NODES, (from) => firstOf(200, from === 'pve1' ? 81 : 83));
  expect(findingsOf(report, 100)).toEqual([
    expect.stringMatching(
      new RegExp(`^multicast died on all paths after 8.1 s to 8.3 s while unicast went on: ${querier}`),
    ),
  ]);
});

test('paths that fall silent and come back are told from plain loss', () => {
  const gap = (length: number) =>
    castOf(
      200,
      [...Array(200).keys()].filter((seq) => seq < 80 || seq >= 80 + length),
    );
  const report = reportOf(NODES, (_, to) => (to !== 'pve1' ? undefined : gap(30)));
  expect(findingsOf(report, 100)).toEqual([
    expect.stringMatching(
      new RegExp(`^multicast fell silent on 2 of 6 paths for 3.0 s and came back while unicast went on: ${querier}`),
    ),
  ]);
  expect(
    findingsOf(
      reportOf(NODES, (from, to) => (from === 'pve1' && to === 'pve3' ? gap(5) : undefined)),
      100,
    ),
  ).toEqual([
    expect.stringMatching(
      new RegExp(`^multicast from "pve1" to "pve3" fell silent for 0.50 s and came back: ${querier}`),
    ),
  ]);
});

test('one path that dies is named', () => {
  const report = reportOf(NODES, (from, to) => (from === 'pve1' && to === 'pve2' ? firstOf(200, 81) : undefined));
  expect(findingsOf(report, 100)).toEqual([
    expect.stringMatching(new RegExp(`^multicast from "pve1" to "pve2" died after 8.1 s: ${querier}`)),
  ]);
});

test('no multicast at all', () => {
  expect(
    findingsOf(
      reportOf(NODES, () => none),
      100,
    ),
  ).toEqual([expect.stringMatching(/^no multicast arrives anywhere, unicast does: a firewall/)]);
});

test('nothing at all', () => {
  const report = reportOf(
    NODES,
    () => none,
    () => none,
  );
  expect(findingsOf(report, 100)).toEqual([
    expect.stringMatching(/^nothing arrives anywhere, not even unicast: a firewall on the nodes drops UDP port 4321/),
  ]);
});

test('a node that hears nobody, a node that nobody hears, a node that is gone', () => {
  expect(
    findingsOf(
      reportOf(NODES, (_, to) => (to === 'pve2' ? none : undefined)),
      100,
    ),
  ).toEqual([
    expect.stringMatching(
      /^no multicast gets to "pve2", though others hear it: a firewall on it drops multicast \(INPUT\)/,
    ),
  ]);
  expect(
    findingsOf(
      reportOf(NODES, (from) => (from === 'pve2' ? none : undefined)),
      100,
    ),
  ).toEqual([expect.stringMatching(/^no multicast from "pve2" arrives, though it hears others/)]);
  const gone = (from: string, to: string) => (from === 'pve3' || to === 'pve3' ? none : undefined);
  expect(findingsOf(reportOf(NODES, gone, gone), 100)).toEqual([
    expect.stringMatching(/^no packet gets to or from "pve3": is it down/),
  ]);
});

test('plain loss names both kinds; a late start says so', () => {
  const report = reportOf(NODES, (from, to) => {
    if (from !== 'pve1') return undefined;
    return to === 'pve2'
      ? scattered(20, 18)
      : castOf(
          20,
          [...Array(15).keys()].map((seq) => seq + 5),
        );
  });
  expect(findingsOf(report, 100)).toEqual([
    'multicast from "pve1" to "pve2" loses 10%, unicast loses none',
    'multicast from "pve1" to "pve3" began only after 0.50 s: something on the way learns the group late',
  ]);
});

test('duplicates are told although the paths are ok', () => {
  const clean = reportOf(NODES);
  const paths = clean.paths.map((path) => ({ ...path, multicast: { ...path.multicast, duplicates: 20 } }));
  expect(findingsOf({ ...clean, paths }, 100)).toEqual([
    'multicast packets arrive more than once on 6 of 6 paths: two ways lead there, such as a loop or a group relayed twice',
  ]);
});

test('of very many, the first dozen is told', () => {
  const nodes = [...'abcdefgh'];
  const report = reportOf(nodes, (from, to) => (from < to && to !== 'h' ? scattered(20, 18) : undefined));
  const findings = findingsOf(report, 100);
  expect(findings).toHaveLength(13);
  expect(findings.at(-1)).toBe('and 9 more paths like these, see the matrix');
});

test('loss that paths share is told once', () => {
  const lossOf = (isHit: (from: string, to: string) => boolean) =>
    findingsOf(
      reportOf(NODES, (from, to) => (isHit(from, to) ? scattered(20, to === 'pve1' ? 16 : 18) : undefined)),
      100,
    );
  expect(lossOf(() => true)).toEqual(['multicast on all paths loses up to 20%, unicast loses none']);
  expect(lossOf((from) => from === 'pve2')).toEqual([
    'multicast from "pve2" to everybody loses up to 20%, unicast loses none',
  ]);
  expect(lossOf((_, to) => to === 'pve3')).toEqual([
    'multicast from everybody to "pve3" loses up to 10%, unicast loses none',
  ]);
});
