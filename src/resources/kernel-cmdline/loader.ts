import { HostError } from '../../core/errors.ts';
import type { Argv, Change, Observations, Read, Step } from '../../core/resource.ts';

/** How an argument is made part of the next boot, or taken from it, by one boot loader. */
export interface LoaderPlan {
  /** Empty: the next boot is as desired. */
  readonly changes: readonly Change[];
  readonly keep: readonly Step[];
  readonly unkeep: readonly Step[];
  readonly blocked?: string | undefined;
}

/** An argument and whether it is to be there. */
export interface Wanted {
  readonly argument: string;
  readonly isPresent: boolean;
}

export const NO_CHANGE: LoaderPlan = { changes: [], keep: [], unkeep: [] };

export const runRead = (argv: Argv): Read => ({ read: 'run', argv });
export const program = (path: string): Argv => ['test', '-x', path];
export const has = (seen: Observations, path: string): boolean => seen.run(program(path)).code === 0;

/** Programs that write the boot loader's files may take a while: initial RAM disks are copied. */
export const refresh = (...argv: Argv): Step => ({ do: 'run', argv, seconds: 300 });

export function change(
  { argument, isPresent }: Wanted,
  from: unknown,
  place: { file: string; line?: number },
  note?: string,
): Change {
  return {
    layer: 'persistent',
    property: argument,
    from,
    to: isPresent ? argument : null,
    ...place,
    ...(note !== undefined && { note }),
  };
}

/** The words in which arguments are compared after an edit: nothing but ours may have changed. */
export function requireOnly(
  before: readonly string[],
  after: readonly string[],
  file: string,
  { argument }: Wanted,
): void {
  const rest = (words: readonly string[]) =>
    words.filter((word) => !word.startsWith(`${argument.split('=')[0]}`)).join(' ');
  if (rest(before) === rest(after)) return;
  throw new HostError(`"${argument}" can't be changed in ${file} without changing other arguments`, {
    hint: 'change the file by hand',
  });
}
