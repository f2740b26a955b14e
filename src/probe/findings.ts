import type { ProbePath, ProbeReport } from '../core/probe.ts';
import { aliveAfter, diedAfter, formatLoss } from './statistics.ts';

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

/** Paths that died within the run while unicast went on, where they are at least two or all there are. */
function ageing(paths: readonly ProbePath[], intervalMs: number): Group | null {
  const died = paths.flatMap((path) => {
    const after = path.verdict === 'lossy' && path.unicast.received > 0 ? diedAfter(path.multicast) : null;
    return after === null ? [] : [{ path, after }];
  });
  const [first, ...more] = died;
  if (!first || (more.length === 0 && paths.length > 2)) return null;
  const times = died.map(({ after }) => after);
  const [low, high] = [seconds(Math.min(...times), intervalMs), seconds(Math.max(...times), intervalMs)];
  const who = died.length === paths.length ? 'on all paths' : `on ${died.length} of ${paths.length} paths`;
  const when = low === high ? low : `${low} to ${high}`;
  const text = `multicast died ${who} after ${when} while unicast went on: ${NO_QUERIER}`;
  return { text, paths: died.map(({ path }) => path) };
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

function single(path: ProbePath, intervalMs: number): string | null {
  const { multicast, unicast, verdict } = path;
  if (verdict === 'unreachable') return `nothing arrives ${route(path)}, neither multicast nor unicast`;
  if (verdict === 'unicast-only') return `no multicast arrives ${route(path)}, unicast does`;
  if (verdict === 'lossy') {
    const [died, alive] = [diedAfter(multicast), aliveAfter(multicast)];
    if (died !== null)
      return `multicast ${route(path)} died after ${seconds(died, intervalMs)}${unicast.received > 0 ? `: ${NO_QUERIER}` : ''}`;
    if (alive !== null)
      return `multicast ${route(path)} began only after ${seconds(alive, intervalMs)}: something on the way learns the group late`;
    return `multicast ${route(path)} loses ${formatLoss(multicast)}${unicast.received < unicast.sent ? `, unicast ${formatLoss(unicast)}` : ', unicast nothing'}`;
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
  const aged = ageing(report.paths, intervalMs);
  const groups = [
    ...(aged ? [aged] : []),
    ...sweeping(report, isDead, false),
    ...sweeping(report, isUnicastOnly, true),
  ];
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
