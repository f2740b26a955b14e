import type { Known } from './bench.ts';
import type { Fault } from './cases.ts';
import type { Boundary, Fate } from './gate.ts';
import type { FaultNode } from './node.ts';
import { CONFIRM_S } from './runs.ts';

/** Both sides of every step. */
export function everywhere({ steps }: Known): Boundary[] {
  return steps.flatMap(({ step }) => [
    { step, side: 'question' as const },
    { step, side: 'answer' as const },
  ]);
}

const CHANGES = ['set', 'run', 'write', 'remove'];

/** Steps of some kinds, on one side or both. */
const of =
  (verbs: readonly string[], ...sides: Boundary['side'][]) =>
  ({ steps }: Known): Boundary[] =>
    steps.filter(({ verb }) => verbs.includes(verb)).flatMap(({ step }) => sides.map((side) => ({ step, side })));

/** From the first thing that a run leaves on a node to the last. */
const fromLockOn = (known: Known): Boundary[] => {
  const before = known.steps
    .slice(
      0,
      known.steps.findIndex(({ verb }) => verb === 'lock'),
    )
    .map(({ step }) => step);
  return everywhere(known).filter(({ step }) => !before.includes(step));
};

/** One of each kind: running value and file, file alone, file and program, program and file of a firewall. */
const FEW = ['sysctl', 'file', 'kernel_cmdline', 'iptables'];

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
};

/** What cuts the controller off, and what ends it. */
export const CUTS: readonly Fault[] = [
  {
    name: 'the connection breaks',
    at: everywhere,
    strike({ gate }) {
      gate.cut();
      return 'drop';
    },
  },
  {
    name: 'the controller is killed',
    at: everywhere,
    isEnd: true,
    strike({ gate }) {
      gate.vanish();
      return 'drop';
    },
  },
  {
    name: "the node's agent is killed",
    at: everywhere,
    strike({ gate }) {
      kill(gate.pid);
      return 'pass';
    },
  },
  ...([1, CONFIRM_S, 1.5 * CONFIRM_S, 3 * CONFIRM_S] as const).map(
    (seconds): Fault => ({
      name: `the controller is stopped for ${seconds} s`,
      at: fromLockOn,
      subjects: FEW,
      strike({ gate }) {
        gate.pause();
        setTimeout(() => gate.resume(), seconds * 1000);
        return 'pass';
      },
    }),
  ),
  ...([1, CONFIRM_S, 2 * CONFIRM_S] as const).map(
    (seconds): Fault => ({
      name: `the link is down for ${seconds} s and the login with it`,
      at: fromLockOn,
      subjects: FEW,
      mayLogIn: (memo) => Number(memo.get('until') ?? 0) < performance.now(),
      strike({ gate, memo }) {
        memo.set('until', performance.now() + seconds * 1000);
        gate.forsake();
        return 'drop';
      },
    }),
  ),
];

export const DOWN_FOR_GOOD: Fault = {
  name: 'the link is down for good',
  subjects: ['sysctl', 'file'],
  at: of(['set', 'run', 'write', 'remove', 'disarm'], 'question', 'answer'),
  mayLogIn: () => false,
  strike({ gate }) {
    gate.forsake();
    return 'drop';
  },
};

const BINARY = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 167 + 13) % 256));

/** A node that does not say the truth. */
export const LIES: readonly Fault[] = [
  {
    name: 'the node says done, and did nothing',
    at: of([...CHANGES, 'arm', 'mark', 'disarm'], 'question'),
    isLie: true,
    strike({ gate, held }) {
      gate.answer(held.step, held.verb === 'run' ? ['ok', '0', '', '', '', ''] : ['ok']);
      return 'drop';
    },
  },
  {
    name: 'the node did it, and says that it failed',
    at: of([...CHANGES, 'arm', 'mark', 'disarm', 'read', 'lock', 'leftovers'], 'answer'),
    isLie: true,
    strike: () => ({ fields: ['error', 'Input/output error', '5'] }),
  },
  {
    name: 'the node answers with nothing',
    at: (known) => everywhere(known).filter(({ side }) => side === 'answer'),
    isLie: true,
    strike: () => ({ fields: ['ok'] }),
  },
  {
    name: 'the node answers with noise',
    at: (known) => everywhere(known).filter(({ side }) => side === 'answer'),
    strike: () => ({ bytes: BINARY }),
  },
  {
    name: 'the node answers every command wrongly from here on',
    at: fromLockOn,
    isLie: true,
    isLasting: true,
    strike: ({ held }) => (held.side === 'question' ? 'pass' : { fields: ['ok', 'x', '7:garbage,', ''] }),
  },
];

/** A step that is a program is done by a shell script which gets it as its arguments, and at most `seconds`. */
const instead = (name: string, script: string, seconds: string | null = null): Fault => ({
  name,
  at: of(['run'], 'question'),
  strike({ held }) {
    const [limit = '', input = '', ...argv] = held.fields;
    return { fields: ['run', seconds ?? limit, input, 'sh', '-c', script, 'sh', ...argv] };
  },
});

export const PROGRAMS: readonly Fault[] = [
  instead('a program hangs before its work', 'exec sleep 600', '0.5'),
  instead('a program hangs after its work', '"$@"; exec sleep 600', '2'),
  instead('a program prints 100 MB', '"$@"; exec head -c 100000000 /dev/zero'),
  instead('a program prints noise', 'head -c 100000 /dev/urandom; head -c 100000 /dev/urandom >&2; exec "$@"'),
  instead('a program ends by a signal before its work', 'kill -SEGV $$'),
  instead('a program ends by a signal after its work', '"$@"; kill -KILL $$'),
];

const FILLER = 'filler-of-a-test';
const STATE = '/var/lib/mcastctl';

// Files that are open for writing would hinder a remount of the file system itself.
const READ_ONLY = 'mount --bind "$d" "$d"; mount -o remount,bind,ro "$d"';

const state = () => [STATE];
const folders = ({ subject }: Known) => subject.folders;

/** A folder becomes a small file system of its own, with what was in it; afterwards it is as before. */
const smallDisk = (name: string, of: (known: Known) => readonly string[], spoil: string, at: Fault['at']): Fault => {
  const each = async (known: Known, node: FaultNode, script: string): Promise<void> => {
    for (const folder of of(known)) await node.must(`d=${folder}\n${script}`);
  };
  return {
    name,
    isMended: of === folders,
    isStuck: of === state && spoil === READ_ONLY,
    at: (known) => (of(known).length === 0 ? [] : at(known)),
    before: (node, known) =>
      each(
        known,
        node,
        'mkdir -p /run/own "$d"; mount -t tmpfs -o size=1m,mode=755 own /run/own; cp -a "$d/." /run/own/; mount --bind /run/own "$d"; umount /run/own',
      ),
    async strike({ node, known }): Promise<Fate> {
      await each(known, node, `filler="$d/${FILLER}"\n${spoil}`);
      return 'pass';
    },
    lift: (node, known) =>
      each(known, node, `touch "$d/${FILLER}" 2>/dev/null || umount -l "$d"; rm -f "$d/${FILLER}"`),
    after: (node, known) => each(known, node, 'umount -l "$d"; rmdir "$d" 2>/dev/null || true'),
  };
};

const FULL =
  'dd if=/dev/zero of="$filler" bs=64k 2>/dev/null || true; dd if=/dev/zero bs=512 2>/dev/null >>"$filler" || true';
const ALMOST_FULL = `${FULL}; truncate -s -4096 "$filler"`;

/** Steps at which the node writes files of its own. */
const KEPT_BY_NODE = ['lock', 'leftovers', 'arm', 'mark', ...CHANGES, 'disarm', 'unlock'];

export const DISKS: readonly Fault[] = [
  smallDisk('/var is full', state, FULL, of(KEPT_BY_NODE, 'question')),
  smallDisk('/var is almost full', state, ALMOST_FULL, of(KEPT_BY_NODE, 'question')),
  smallDisk('/var is read-only', state, READ_ONLY, of(KEPT_BY_NODE, 'question')),
  smallDisk('/etc is full', folders, FULL, of([...CHANGES, 'disarm'], 'question')),
  smallDisk('/etc is almost full', folders, ALMOST_FULL, of([...CHANGES, 'disarm'], 'question')),
  smallDisk('/etc is read-only', folders, READ_ONLY, of([...CHANGES, 'disarm'], 'question')),
];

/** After the temporary file is complete, before it takes the old one's place: there the agent starts cp. */
const CP = '/usr/local/sbin/cp';
const atCopy = (name: string, script: string, more: Partial<Fault> = {}): Fault => ({
  name,
  at: of(['write'], 'question'),
  async strike({ node }): Promise<Fate> {
    await node.must(
      `printf '%s\\n' '#!/bin/sh' 'for last; do :; done' 'case $last in *.mcastctl-tmp) rm -f ${CP}; ${script};; esac' 'exec /bin/cp "$@"' >${CP}; chmod 755 ${CP}`,
    );
    return 'pass';
  },
  lift: async (node) => void (await node.must(`rm -f ${CP}`)),
  ...more,
});

export const IN_WRITE: readonly Fault[] = [
  atCopy('the agent is killed between the temporary file and the renaming', 'kill -KILL $PPID'),
  atCopy('the agent hangs between the temporary file and the renaming', 'kill -STOP $PPID'),
  atCopy('the copying of owner and mode hangs', 'exec sleep 600'),
];
