import { HostError } from '../../core/errors.ts';
import type { Argv, Observations, Read, Step } from '../../core/resource.ts';
import { hasArgument } from '../../formats/kernel-cmdline.ts';
import { change, has, type LoaderPlan, NO_CHANGE, program, refresh, runRead, type Wanted } from './loader.ts';

const GRUBBY = '/usr/sbin/grubby';
const INFO: Argv = ['grubby', '--info=ALL'];

export const GRUBBY_READS: readonly Read[] = [runRead(program(GRUBBY)), runRead(INFO)];

export function hasGrubby(seen: Observations): boolean {
  return has(seen, GRUBBY);
}

interface Kernel {
  readonly path: string;
  readonly args: string;
}

/** The entries that `grubby --info=ALL` prints: `kernel="…"` and `args="…"` of each after its `index=`. */
export function parseGrubby(text: string): readonly Kernel[] {
  return text.split(/^(?=index=)/m).flatMap((entry) => {
    const path = /^kernel="?(.*?)"?\s*$/m.exec(entry)?.[1];
    const args = /^args="(.*)"\s*$/m.exec(entry)?.[1];
    return path === undefined || args === undefined ? [] : [{ path, args }];
  });
}

/** The entries of RHEL and its like. */
export function planGrubby(seen: Observations, wanted: Wanted): LoaderPlan {
  const { code, stdout, stderr } = seen.run(INFO);
  const kernels = parseGrubby(stdout);
  if (code !== 0 || kernels.length === 0)
    throw new HostError(
      `"grubby --info=ALL" tells of no kernel: exit code ${code}${stderr.trim() && `: ${stderr.trim()}`}`,
    );
  const wrong = kernels.filter(({ args }) => hasArgument(args, wanted.argument) !== wanted.isPresent);
  if (wrong.length === 0) return NO_CHANGE;
  const grubby = (kernel: string, isPresent: boolean): Step =>
    refresh('grubby', `--update-kernel=${kernel}`, `--${isPresent ? '' : 'remove-'}args=${wanted.argument}`);
  const note = `of ${wrong.length} of ${kernels.length} kernels, the first ${wrong[0]?.path}`;
  // ALL also counts for kernels that are installed later. What some kernels had before is given back to each.
  const others = kernels.filter((kernel) => !wrong.includes(kernel));
  return {
    changes: [change(wanted, wanted.isPresent ? null : wanted.argument, { file: wrong[0]?.path ?? '' }, note)],
    keep: [grubby('ALL', wanted.isPresent)],
    unkeep: [grubby('ALL', !wanted.isPresent), ...others.map(({ path }) => grubby(path, wanted.isPresent))],
  };
}
