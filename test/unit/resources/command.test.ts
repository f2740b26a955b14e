import { describe, expect, test } from 'vitest';
import { command } from '../../../src/resources/command.ts';
import { planOn } from '../../support/observed.ts';

const resource = (params: Record<string, unknown>) => {
  const [only] = command.resources(command.schema.parse(params));
  if (only === undefined) throw new Error('one task is one command');
  return only;
};
const answering = (question: string, code: number, stderr = '') => ({
  files: {},
  runs: { [question]: { code, stderr } },
});

test('arguments, directory, environment and input arrive as they are', () => {
  const wanted = resource({
    argv: ['a', 1, '$(b)'],
    creates: '/x',
    chdir: '/d',
    env: { K: 'v w', N: 2 },
    stdin: 'in',
    seconds: 9,
  });
  expect(wanted.id).toBe('command[a 1 $(b)]');
  expect(planOn(answering('test -e /x', 1), wanted).try).toEqual([
    { do: 'run', argv: ['env', '-C', '/d', '--', 'K=v w', 'N=2', 'a', '1', '$(b)'], stdin: 'in', seconds: 9 },
  ]);
});

test.each([
  [{ creates: '/x' }, 'test -e /x', [0]],
  [{ removes: '/x' }, 'test -e /x', [1]],
  [{ unless: ['q'] }, 'q', [0]],
  [{ onlyif: ['q'] }, 'q', [1, 2, 125]],
])('%j is done at the right exit codes', (condition, question, done) => {
  const wanted = resource({ argv: ['a'], ...condition });
  const codes = [0, 1, ...('q' === question ? [2, 125] : [])];
  for (const code of codes) {
    expect(planOn(answering(question, code), wanted).changes.length).toBe(done.includes(code) ? 0 : 1);
  }
  expect(() => planOn(answering(question, 127, 'q: No such file\n'), wanted)).toThrow(
    `"${question}" can't tell whether the command was done: exit code 127: q: No such file`,
  );
});

test('a directory that is not there answers nothing', () => {
  const wanted = resource({ argv: ['a'], unless: ['q'], chdir: '/none' });
  const missing = answering('env -C /none -- q', 125, "env: cannot change directory to '/none'\n");
  expect(() => planOn(missing, wanted)).toThrow("exit code 125: env: cannot change directory to '/none'");
});

test('without undo the plan says so', () => {
  const [change] = planOn(answering('q', 1), resource({ argv: ['a'], unless: ['q'] })).changes;
  expect(change?.note).toBe('it can\'t be taken back: there is no "undo"');
  const plan = planOn(answering('q', 1), resource({ argv: ['a'], unless: ['q'], undo: ['b', '-x'] }));
  expect([plan.changes[0]?.note, plan.undo]).toEqual([undefined, [{ do: 'run', argv: ['b', '-x'], seconds: 60 }]]);
});

test('a long command has a short name', () => {
  expect(resource({ argv: ['a', 'b'.repeat(100)], creates: '/x' }).id).toHaveLength(60 + 'command[]'.length);
});

describe('schema', () => {
  const faults = (params: unknown) =>
    command.schema
      .safeParse(params)
      .error?.issues.map(({ message }) => message)
      .join('\n');
  test.each([
    ['ip link set x', 'there is no shell that could take a text apart'],
    [['ip', 'link'], '"command" is a mapping with "argv"'],
    [{ argv: 'ip link', creates: '/x' }, '"argv" is a list of arguments'],
    [{ argv: 'ip link', creates: '/x' }, 'there is no shell that could take "ip link" apart'],
    [{ argv: ['ip'] }, '"command" lacks what tells whether it was done'],
    [{ argv: [], creates: '/x' }, '"argv" is a list of arguments'],
    [{ argv: [''], creates: '/x' }, '"argv" names no program'],
    [{ argv: ['A=b', 'c'], creates: '/x' }, '"A=b" is no program: variables go into "env"'],
    [{ argv: ['a', ['b']], creates: '/x' }, 'each argument of "argv" is text or a number'],
    [{ argv: ['a\0b'], creates: '/x' }, 'holds a NUL character'],
    [{ argv: ['a'], creates: 'x' }, '"creates" "x" is no absolute path'],
    [{ argv: ['a'], creates: '/x', unless: ['b'] }, 'give either "creates" or "unless"'],
    [{ argv: ['a'], unless: 'b c' }, '"unless" is a list of arguments'],
    [{ argv: ['a'], creates: '/x', env: { 'a=b': '1' } }, 'Invalid key'],
    [{ argv: ['a'], creates: '/x', shell: true }, 'Unrecognized key'],
  ])('%j is refused: %s', (params, text) => expect(faults(params)).toContain(text));
});
