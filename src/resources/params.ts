import * as z from 'zod';
import type { Argv } from '../core/resource.ts';

/** An absolute path without tricks, as a parameter. */
export function pathParam(name: string) {
  return z.string().superRefine((path, context) => {
    const message = pathFault(name, path);
    if (message !== null) context.addIssue({ code: 'custom', message });
  });
}

/** Why a text is no absolute path that names one thing, or null. */
export function pathFault(name: string, path: string): string | null {
  const said = JSON.stringify(path);
  if (/\p{Cc}/u.test(path)) return `"${name}" ${said} holds a control character`;
  if (!path.startsWith('/')) return `"${name}" ${said} is no absolute path: it must begin with "/"`;
  if (
    path === '/' ||
    path
      .split('/')
      .slice(1)
      .some((part) => part === '' || part === '.' || part === '..')
  )
    return `"${name}" ${said} must name one file: without "//", "/./", "/../" and "/" at its end`;
  return null;
}

/**
 * A program and its arguments, as a parameter.
 * @param name of the parameter
 * @param example what a right one looks like
 */
export function argvParam(name: string, example: string) {
  const wanted = `"${name}" is a list of arguments, such as ${example}`;
  return z
    .array(
      z
        .union([z.string(), z.number()], { error: `each argument of "${name}" is text or a number` })
        .transform(String)
        .refine((word) => !word.includes('\0'), { error: `an argument of "${name}" holds a NUL character` }),
      {
        error: ({ input }) =>
          typeof input === 'string'
            ? `${wanted}: there is no shell that could take ${JSON.stringify(input)} apart`
            : wanted,
      },
    )
    .min(1, { error: wanted })
    .refine((words) => words[0] !== '', { error: `"${name}" names no program: ${wanted}` })
    .transform((words): Argv => [words[0] ?? '', ...words.slice(1)]);
}
