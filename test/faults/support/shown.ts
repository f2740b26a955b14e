import type { FaultNode } from './node.ts';
import type { RunEnd } from './runs.ts';
import type { Subject } from './subjects.ts';

/** What a layer shows, by its name. */
export type Shown = Readonly<Record<string, string>>;

const MARK = '=====layer';
const STATE = '/var/lib/mcastctl';

/** The layers of a subject, by the node's own tools. */
export async function show(node: FaultNode, subject: Subject): Promise<Shown> {
  const parts = Object.entries(subject.layers).map(([name, script]) => `echo '${MARK} ${name}'; ${script}`);
  const text = await node.must(parts.join('\n'));
  return Object.fromEntries(
    text
      .split(`${MARK} `)
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]),
  );
}

/** Waits until the node has taken back what it has to: its time is over, and a little more. */
export async function settled(node: FaultNode): Promise<void> {
  await node.must(
    `n=0; while [ -n "$(ls ${STATE}/armed ${STATE}/undoing 2>/dev/null | grep -v ':$')" ]; do
      sleep 0.1; n=$((n + 1)); [ $n -lt 300 ] || { find ${STATE}; exit 9; }
    done`,
  );
}

/** What is left of runs on a node: files and processes. Nothing may be. */
export async function remnants(node: FaultNode): Promise<string> {
  const { stdout } = await node.sh(
    `n=0; while [ $n -lt 30 ]; do
      found=$(find ${STATE} -mindepth 1 2>/dev/null; mountpoint -q ${STATE} || ls -d ${STATE} 2>/dev/null
        find /etc /boot /srv /run -name '.*.mcastctl-*' 2>/dev/null
        pgrep -af 'undo[.]pl|^perl -e ') || true
      [ -n "$found" ] || exit 0
      sleep 0.1; n=$((n + 1))
    done
    printf '%s\n' "$found"`,
  );
  return stdout;
}

/** old, new, or a sentence of what is neither. */
export function sideOf(shown: Shown, old: Shown, wanted: Shown): 'old' | 'new' | string {
  const names = Object.keys(shown);
  if (names.every((name) => shown[name] === old[name])) return 'old';
  if (names.every((name) => shown[name] === wanted[name])) return 'new';
  const sides = names.map((name) => {
    const side = shown[name] === old[name] ? 'old' : shown[name] === wanted[name] ? 'new' : `"${shown[name]}"`;
    return `${name} is ${side}`;
  });
  return sides.join(', ');
}

/** Whether a check finds nothing to do but to wait for the next boot. */
export function isSettled(subject: Subject, { exitCode, report }: RunEnd): boolean {
  if (subject.isPending !== true) return exitCode === 0;
  return report.tasks.every(({ error, changes }) => error === null && changes.every(({ after }) => after === 'reboot'));
}
