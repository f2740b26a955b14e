import { createTwoFilesPatch } from 'diff';
import { argvText } from '../core/argv.ts';
import type { FileWrite, TaskPlan } from '../core/plan.ts';
import type { Step } from '../core/resource.ts';
import { HIDDEN, holdsSecret } from '../core/secrets.ts';
import type { Io } from './io.ts';

/** The exact commands and file diffs behind a host's plan; "" where nothing differs or nothing was asked for. */
export function planDetails(
  plans: readonly TaskPlan[],
  wanted: { readonly commands: boolean; readonly diff: boolean },
  io: Pick<Io, 'paint'>,
): string {
  const lines: string[] = [];
  for (const plan of plans) {
    const isNews = plan.try.length + plan.writes.length + plan.keepRuns.length > 0;
    if (plan.task.noLog) {
      if (isNews && (wanted.commands || wanted.diff)) lines.push(`      ${io.paint.dim(HIDDEN)}`);
      continue;
    }
    if (wanted.commands) for (const step of plan.try) lines.push(`      ${io.paint.dim('$')} ${stepText(step)}`);
    for (const write of plan.writes) {
      if (wanted.commands)
        lines.push(`      ${io.paint.dim('$')} ${write.text === null ? 'remove' : 'write'} ${write.path}`);
      if (wanted.diff && isSecret(write)) lines.push(`      ${io.paint.dim(`${write.path}: secret, not shown`)}`);
      else if (wanted.diff) lines.push(...diffLines(write.path, write.before?.text ?? null, write.text, io));
    }
    if (wanted.commands) for (const step of plan.keepRuns) lines.push(`      ${io.paint.dim('$')} ${stepText(step)}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** The text that is there now may hold the secret of before, which nobody knows as one. */
function isSecret({ isSecret: isDeclared, text }: FileWrite): boolean {
  return isDeclared || (text !== null && holdsSecret(text));
}

function diffLines(path: string, before: string | null, after: string | null, { paint }: Pick<Io, 'paint'>): string[] {
  const patch = createTwoFilesPatch(
    before === null ? '/dev/null' : path,
    after === null ? '/dev/null' : path,
    before ?? '',
    after ?? '',
    '',
    '',
    { context: 2 },
  );
  const body = patch.split('\n').filter((line) => line !== '' && !/^(?:=====|Index: )/.test(line));
  return body.map(
    (line) =>
      `      ${line.startsWith('+') ? paint.good(line) : line.startsWith('-') ? paint.bad(line) : paint.dim(line)}`,
  );
}

/** A step as a person would type it. For the eye only: what runs is the argument list. */
function stepText(step: Step): string {
  if (step.do === 'run') return argvText(step.argv, quoteWord);
  return step.do === 'set' ? `echo ${quoteWord(step.value.trim())} > ${quoteWord(step.path)}` : `edit ${step.path}`;
}

function quoteWord(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
