import type { Observations, Read, Step } from '../../core/resource.ts';
import {
  addGrubArgument,
  evaluateGrubDefault,
  type GrubName,
  type GrubValues,
  grubEntries,
  NO_GRUB_VALUES,
  parseGrubDefault,
  removeGrubArgument,
} from '../../formats/grub-default.ts';
import { hasArgument, parseCmdline } from '../../formats/kernel-cmdline.ts';
import {
  change,
  has,
  type LoaderPlan,
  NO_CHANGE,
  program,
  refresh,
  requireOnly,
  runRead,
  type Wanted,
} from './loader.ts';

const DEFAULT = '/etc/default/grub';
const FOLDER = '/etc/default/grub.d';
const CONFIG = '/boot/grub/grub.cfg';
const UPDATE = '/usr/sbin/update-grub';
const MKCONFIG = '/usr/sbin/grub-mkconfig';

export const GRUB_READS: readonly Read[] = [
  { read: 'file', path: DEFAULT },
  { read: 'dir', path: FOLDER, suffix: '.cfg' },
  { read: 'file', path: CONFIG },
  runRead(program(UPDATE)),
  runRead(program(MKCONFIG)),
];

interface Source {
  readonly path: string;
  readonly text: string;
}

/** Files in the order in which grub-mkconfig reads them: later ones override. */
function sourcesOf(seen: Observations): readonly Source[] {
  const main = seen.file(DEFAULT);
  return [...(main === null ? [] : [main]), ...(seen.dir(FOLDER, '.cfg') ?? [])].map(({ path, text }) => ({
    path,
    text,
  }));
}

function valuesOf(sources: readonly Source[]): GrubValues {
  return sources.reduce((values, { path, text }) => evaluateGrubDefault(text, path, values), NO_GRUB_VALUES);
}

/** The arguments that a normal entry gets; grub.d/10_linux. */
const normal = (values: GrubValues): string =>
  `${values.GRUB_CMDLINE_LINUX} ${values.GRUB_CMDLINE_LINUX_DEFAULT}`.trim();

/** Whether the node has GRUB with the files of Debian. */
export function hasGrub(seen: Observations): boolean {
  return seen.file(DEFAULT) !== null && (has(seen, UPDATE) || has(seen, MKCONFIG));
}

/** GRUB as Debian has it: /etc/default/grub and what update-grub makes of it. */
export function planGrub(seen: Observations, wanted: Wanted): LoaderPlan {
  const sources = sourcesOf(seen);
  const values = valuesOf(sources);
  const isGiven = hasArgument(normal(values), wanted.argument);
  const update = has(seen, UPDATE) ? refresh('update-grub') : refresh('grub-mkconfig', '-o', CONFIG);
  if (isGiven === wanted.isPresent) return planConfig(seen, wanted, update);
  const edited = wanted.isPresent ? adding(sources, wanted) : removing(sources, wanted);
  const after = valuesOf(edited.map(({ path, text }) => ({ path, text })));
  requireOnly(parseCmdline(normal(values)), parseCmdline(normal(after)), DEFAULT, wanted);
  const touched = edited.filter(({ path, text }) => text !== sources.find((source) => source.path === path)?.text);
  const [first] = touched;
  const place = { file: first?.path ?? DEFAULT, ...(first !== undefined && { line: first.line }) };
  const changes = [change(wanted, isGiven ? wanted.argument : null, place)];
  if (hasArgument(normal(after), wanted.argument) !== wanted.isPresent)
    return {
      ...NO_CHANGE,
      changes,
      blocked: `"${wanted.argument}" can't be changed in ${place.file}: change it by hand`,
    };
  const edits = touched.map(({ path, edit }): Step => ({ do: 'edit', path, edit: (text) => edit(text ?? '') }));
  return { changes, keep: [...edits, update], unkeep: [update] };
}

interface Edited extends Source {
  readonly line: number;
  edit(text: string): string;
}

/** Where the last word on the arguments is. */
function adding(sources: readonly Source[], { argument }: Wanted): readonly Edited[] {
  const names: readonly GrubName[] = ['GRUB_CMDLINE_LINUX_DEFAULT', 'GRUB_CMDLINE_LINUX'];
  const found = names.flatMap((name) => {
    const file = sources.findLast(({ path, text }) => parseGrubDefault(text, path).some((each) => each.name === name));
    return file === undefined ? [] : [{ name, path: file.path }];
  })[0] ?? { name: 'GRUB_CMDLINE_LINUX_DEFAULT' as const, path: DEFAULT };
  return sources.map((source) => {
    const isHere = source.path === found.path;
    const edit = (text: string) => (isHere ? addGrubArgument(text, source.path, found.name, argument) : text);
    const last = parseGrubDefault(source.text, source.path).findLast(({ name }) => name === found.name);
    return { path: source.path, text: edit(source.text), edit, line: last?.line ?? source.text.split('\n').length };
  });
}

function removing(sources: readonly Source[], { argument }: Wanted): readonly Edited[] {
  return sources.map(({ path, text }) => {
    const edit = (now: string) => removeGrubArgument(now, path, argument);
    const edited = edit(text);
    const line = text.split('\n').findIndex((row, index) => row !== edited.split('\n')[index]) + 1;
    return { path, text: edited, edit, line };
  });
}

/** The files are right: whether what was made of them is, too. */
function planConfig(seen: Observations, wanted: Wanted, update: Step): LoaderPlan {
  const config = seen.file(CONFIG);
  if (config === null) return NO_CHANGE;
  const wrong = grubEntries(config.text).find(({ args, isRecovery }) => {
    const isThere = hasArgument(args, wanted.argument);
    return wanted.isPresent ? !isThere && !isRecovery : isThere;
  });
  if (wrong === undefined) return NO_CHANGE;
  const note = `${DEFAULT} is right, but update-grub was not run since`;
  const from = wanted.isPresent ? null : wanted.argument;
  return { changes: [change(wanted, from, { file: CONFIG, line: wrong.line }, note)], keep: [update], unkeep: [] };
}
