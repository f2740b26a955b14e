import { formatLoss, lossPercent } from '../core/loss.ts';
import type { CastCounts, ProbePath, ProbeReport } from '../core/probe.ts';
import { aliveAfter, diedAfter, silentFor } from './statistics.ts';

/** Findings that are told one by one before the rest is only counted. */
const MOST_SINGLE = 12;

const seconds = (packets: number, intervalMs: number): string => {
  const time = (packets * intervalMs) / 1000;
  return `${time < 1 ? time.toFixed(2) : time.toFixed(1)} s`;
};

const route = ({ from, to }: ProbePath): string => `from "${from}" to "${to}"`;
const isUnicastOnly = ({ verdict }: ProbePath): boolean => verdict === 'unicast-only';
const isDead = ({ verdict }: ProbePath): boolean => verdict === 'unreachable';

const NO_QUERIER =
  'a switch or bridge between them snoops IGMP and hears no querier: turn one on (multicast_querier with an address of its own)';

/** A sentence that covers several paths, and those that it covers. */
interface Group {
  readonly text: string;
  readonly paths: readonly ProbePath[];
}

/** What befell several paths alike while their unicast went on. */
function together(
  paths: readonly ProbePath[],
  intervalMs: number,
  lengthOf: (counts: CastCounts) => number | null,
  sentence: (who: string, when: string) => string,
): Group | null {
  const hit = paths.flatMap((path) => {
    const length = path.verdict === 'lossy' && path.unicast.received > 0 ? lengthOf(path.multicast) : null;
    return length === null ? [] : [{ path, length }];
  });
  const [first, ...more] = hit;
  if (!first || (more.length === 0 && paths.length > 2)) return null;
  const lengths = hit.map(({ length }) => length);
  const [low, high] = [seconds(Math.min(...lengths), intervalMs), seconds(Math.max(...lengths), intervalMs)];
  const who = hit.length === paths.length ? 'on all paths' : `on ${hit.length} of ${paths.length} paths`;
  return { text: sentence(who, low === high ? low : `${low} to ${high}`), paths: hit.map(({ path }) => path) };
}

/** Memberships that age away: for good within the run, or until a node reports again by itself. */
function ageing(paths: readonly ProbePath[], intervalMs: number): readonly Group[] {
  const died = together(paths, intervalMs, diedAfter, (who, when) => {
    return `multicast died ${who} after ${when} while unicast went on: ${NO_QUERIER}`;
  });
  const silent = together(
    paths.filter((path) => !died?.paths.includes(path)),
    intervalMs,
    silentFor,
    (who, when) => `multicast fell silent ${who} for ${when} and came back while unicast went on: ${NO_QUERIER}`,
  );
  return [died, silent].filter((group) => group !== null);
}

/** Nothing of a kind gets to or from one node, or anywhere at all. */
function sweeping(report: ProbeReport, isBad: (path: ProbePath) => boolean, isUnicast: boolean): readonly Group[] {
  const bad = report.paths.filter(isBad);
  if (bad.length === 0) return [];
  const all = report.paths;
  if (bad.length === all.length) {
    const text = isUnicast
      ? `no multicast arrives anywhere, unicast does: a firewall on the nodes drops it, or a switch between them does not pass ${report.group} (no querier keeps the memberships alive)`
      : `nothing arrives anywhere, not even unicast: a firewall on the nodes drops UDP port ${report.port}, or no path joins these devices`;
    return [{ text, paths: bad }];
  }
  const groups: Group[] = [];
  for (const node of report.nodes) {
    const [to, from] = [all.filter((path) => path.to === node), all.filter((path) => path.from === node)];
    const [isDeaf, isMute] = [to, from].map((own) => own.length > 1 && own.every(isBad));
    const what = isUnicast ? 'multicast' : 'packet';
    if (isDeaf && isMute) {
      const cause = isUnicast
        ? 'a firewall on it, or its port at the switch'
        : 'is it down, or is it joined on another device or VLAN?';
      groups.push({ text: `no ${what} gets to or from "${node}": ${cause}`, paths: [...to, ...from] });
    } else if (isDeaf) {
      const cause = isUnicast
        ? 'a firewall on it drops multicast (INPUT), or the switch does not learn that it joined'
        : `a firewall on it drops UDP port ${report.port}`;
      groups.push({ text: `no ${what} gets to "${node}", though others hear it: ${cause}`, paths: to });
    } else if (isMute) {
      groups.push({
        text: `no ${what} from "${node}" arrives, though it hears others: a firewall on it (OUTPUT), or its port at the switch`,
        paths: from,
      });
    }
  }
  return groups;
}

/** Loss without a pattern in time. */
function isPlainlyLossy({ verdict, multicast }: ProbePath): boolean {
  return verdict === 'lossy' && [diedAfter, aliveAfter, silentFor].every((pattern) => pattern(multicast) === null);
}

/** Loss that all paths share, or all from or to one node. `paths`: those that nothing else explains. */
function lossGroups(paths: readonly ProbePath[], nodes: readonly string[]): readonly Group[] {
  const groupOf = (own: readonly ProbePath[], where: string): Group | null => {
    if (own.length < 2 || !own.every(isPlainlyLossy)) return null;
    const worst = own.reduce((most, path) => (lossPercent(path.multicast) > lossPercent(most.multicast) ? path : most));
    const isUnicastWhole = own.every(({ unicast }) => unicast.received === unicast.sent);
    const unicast = isUnicastWhole ? 'unicast loses none' : 'unicast loses too';
    return { text: `multicast ${where} loses up to ${formatLoss(worst.multicast)}, ${unicast}`, paths: own };
  };
  const everywhere = groupOf(paths, 'on all paths');
  if (everywhere && paths.length > 2) return [everywhere];
  return nodes.flatMap((node) => {
    const from = groupOf(
      paths.filter((path) => path.from === node),
      `from "${node}" to everybody`,
    );
    const to = groupOf(
      paths.filter((path) => path.to === node),
      `from everybody to "${node}"`,
    );
    return [from, to].filter((group) => group !== null);
  });
}

function single(path: ProbePath, intervalMs: number): string | null {
  const { multicast, unicast, verdict } = path;
  if (verdict === 'unreachable') return `nothing arrives ${route(path)}, neither multicast nor unicast`;
  if (verdict === 'unicast-only') return `no multicast arrives ${route(path)}, unicast does`;
  if (verdict === 'lossy') {
    const [died, alive, silent] = [diedAfter(multicast), aliveAfter(multicast), silentFor(multicast)];
    if (died !== null)
      return `multicast ${route(path)} died after ${seconds(died, intervalMs)}${unicast.received > 0 ? `: ${NO_QUERIER}` : ''}`;
    if (alive !== null)
      return `multicast ${route(path)} began only after ${seconds(alive, intervalMs)}: something on the way learns the group late`;
    if (silent !== null && unicast.received > 0)
      return `multicast ${route(path)} fell silent for ${seconds(silent, intervalMs)} and came back: ${NO_QUERIER}`;
    return `multicast ${route(path)} loses ${formatLoss(multicast)}${unicast.received < unicast.sent ? `, unicast ${formatLoss(unicast)}` : ', unicast loses none'}`;
  }
  if (unicast.received === 0) return `multicast arrives ${route(path)}, unicast does not`;
  return null;
}

function duplicates({ paths }: ProbeReport): string | null {
  const doubled = paths.filter(({ multicast }) => multicast.duplicates > 0);
  const [first] = doubled;
  if (!first) return null;
  const where = doubled.length === 1 ? route(first) : `on ${doubled.length} of ${paths.length} paths`;
  return `multicast packets arrive more than once ${where}: two ways lead there, such as a loop or a group relayed twice`;
}

/**
 * What a probe says to people, a sentence each, those that cover most paths first; empty: all is well.
 * @param intervalMs milliseconds between two packets of the run
 */
export function findingsOf(report: ProbeReport, intervalMs: number): readonly string[] {
  const groups = [
    ...ageing(report.paths, intervalMs),
    ...sweeping(report, isDead, false),
    ...sweeping(report, isUnicastOnly, true),
  ];
  const grouped = new Set(groups.flatMap((group) => group.paths));
  groups.push(
    ...lossGroups(
      report.paths.filter((path) => !grouped.has(path)),
      report.nodes,
    ),
  );
  const covered = new Set(groups.flatMap((group) => group.paths));
  const singles = report.paths.flatMap((path) => (covered.has(path) ? [] : (single(path, intervalMs) ?? [])));
  const rest = singles.length - MOST_SINGLE;
  const twice = duplicates(report);
  return [
    ...groups.map((group) => group.text),
    ...singles.slice(0, MOST_SINGLE),
    ...(rest > 0 ? [`and ${rest} more path${rest === 1 ? '' : 's'} like these, see the matrix`] : []),
    ...(twice === null ? [] : [twice]),
  ];
}
