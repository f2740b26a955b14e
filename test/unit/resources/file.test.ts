import { describe, expect, test } from 'vitest';
import { file } from '../../../src/resources/file.ts';
import { template } from '../../../src/resources/template.ts';
import { type Node, planOn } from '../../support/observed.ts';

const resource = (params: Record<string, unknown>, texts?: Record<string, string>) => {
  const [only] = file.resources(file.schema.parse(params), texts);
  if (only === undefined) throw new Error('one task is one file');
  return only;
};
const STAT = 'stat --printf=%F\\t%a\\t%u\\t%g -- ';
const ABSENT = { code: 1, stderr: "stat: cannot statx '/etc/x': No such file or directory\n" };

/** A node with /etc/x as stat(1) tells it. */
const node = (kind: string, text: string | null = null, runs: Node['runs'] = {}): Node => ({
  files: text === null ? {} : { '/etc/x': text },
  runs: { [`${STAT}/etc/x`]: kind === '' ? ABSENT : { stdout: `${kind}\t644\t0\t0` }, ...runs },
});

test('equal text, owner and mode need nothing', () => {
  const wanted = resource({ path: '/etc/x', content: '', owner: 0, group: 0, mode: '0644' });
  expect(planOn(node('regular empty file', ''), wanted)).toEqual({ changes: [], try: [], undo: [], keep: [] });
});

test('an empty text is a text, 0 is an owner', () => {
  const plan = planOn(node('regular file', 'x'), resource({ path: '/etc/x', content: '', owner: 0 }));
  expect(plan.changes).toMatchObject([
    { property: 'content', to: expect.stringMatching(/^0 bytes, sha256 e3b0c44298fc$/) },
  ]);
});

test('a new file has its mode and owner from the start', () => {
  const runs = { 'getent passwd hacluster': { stdout: 'hacluster:x:108:112::/:/bin/false\n' } };
  const plan = planOn(
    node('', null, runs),
    resource({ path: '/etc/x', content: 'a', owner: 'hacluster', mode: '0600' }),
  );
  expect(plan.changes.map(({ property, from, to }) => [property, from, to])).toEqual([
    ['content', null, '1 bytes, sha256 ca978112ca1b'],
    ['mode', null, '0600'],
    ['owner', null, 108],
  ]);
  expect(plan.keep).toMatchObject([{ do: 'edit', path: '/etc/x', mode: 0o600, attributes: { mode: 0o600, uid: 108 } }]);
});

test('an unknown user is no failure of the comparison: an earlier task may bring it', () => {
  const plan = planOn(node('', null), resource({ path: '/etc/x', content: 'a', owner: 'hacluster' }));
  expect(plan.blocked).toBe(
    'there is no user "hacluster" on the node: install the package that makes it before this task, or correct the name',
  );
  expect(plan.changes).toMatchObject([{ property: 'content' }, { property: 'owner', to: 'hacluster' }]);
});

test('what stat does not say is an error', () => {
  const denied = { [`${STAT}/etc/x`]: { code: 1, stderr: "stat: cannot statx '/etc/x': Permission denied\n" } };
  expect(() => planOn(node('', null, denied), resource({ path: '/etc/x', content: 'a' }))).toThrow('Permission denied');
});

test('a file and a template of one path are the same thing', () => {
  const [made] = template.resources(template.schema.parse({ src: 'x.hbs', path: '/etc/x', mode: '0600' }), {
    src: 'a',
  });
  const wanted = resource({ path: '/etc/x', src: 'x', mode: '0644' }, { src: 'b' });
  expect(made?.id).toBe(wanted.id);
  expect(made?.wants).toEqual({ state: 'file', content: '1 bytes, sha256 ca978112ca1b', mode: '0600' });
  expect(wanted.wants).toMatchObject({ content: '1 bytes, sha256 3e23e8160039', mode: '0644' });
  expect(resource({ path: '/etc/x', content: 'b', secret: true }).wants).toEqual({ state: 'file' });
});

describe('schema', () => {
  const faults = (params: unknown) =>
    file.schema
      .safeParse(params)
      .error?.issues.map(({ message }) => message)
      .join('\n');
  test.each([
    [{ path: 'etc/x', content: '' }, 'is no absolute path'],
    [{ path: '/etc/../x', content: '' }, 'must name one file'],
    [{ path: '/etc/', content: '' }, 'must name one file'],
    [{ path: '/', state: 'directory' }, 'must name one file'],
    [{ path: '/etc/a\nb', content: '' }, 'holds a control character'],
    [{ path: '/etc/x', content: '', mode: 644 }, 'the number 644, which has lost its 0'],
    [{ path: '/etc/x', content: '', mode: '644' }, 'write "0644"'],
    [{ path: '/etc/x', content: '', mode: 'u=rw' }, 'as octal text in quotes'],
    [{ path: '/etc/x', content: '', mode: '0888' }, 'as octal text in quotes'],
    [{ path: '/etc/x', content: 1 }, '"content" is text'],
    [{ path: '/etc/x' }, '"file" says nothing of the file'],
    [{ path: '/etc/x', content: '', src: 'y' }, 'give either "content" or "src"'],
    [{ path: '/etc/x', state: 'link' }, 'a link lacks "target"'],
    [{ path: '/etc/x', state: 'link', src: '/etc/y', target: 'z' }, 'what a link holds is its "target"'],
    [{ path: '/etc/x', state: 'absent', mode: '0644' }, '"mode" goes with state'],
    [{ path: '/etc/x', content: '', owner: 'a b' }, '"a b" is no name of a user'],
    [{ path: '/etc/x', content: '', owner: '-R' }, 'is no name of a user'],
    [{ path: '/etc/x', content: '', validate: 'sshd -t %s' }, 'there is no shell that could take "sshd -t %s" apart'],
    [{ path: '/etc/x', content: '', validate: [] }, '"validate" is a list of arguments'],
    [{ path: '/etc/x', content: '', validate: ['true'] }, '"validate" needs an argument "%s"'],
    [{ path: '/etc/x', mode: '0644', validate: ['true', '%s'] }, '"validate" goes with "content" or "src"'],
  ])('%j is refused: %s', (params, text) => expect(faults(params)).toContain(text));
});
