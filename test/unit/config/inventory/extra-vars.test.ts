import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseExtraVars } from '../../../../src/config/inventory/index.ts';
import { faultsOf, folderOf, short } from './support.ts';

describe('parseExtraVars', () => {
  it.each<[string[], Record<string, unknown>]>([
    [[], {}],
    [['a=1'], { a: '1' }],
    [['a=1 b=yes'], { a: '1', b: 'yes' }],
    [['a="x y" b=\'z "q"\''], { a: 'x y', b: 'z "q"' }],
    [['a=b=c'], { a: 'b=c' }],
    [['a='], { a: '' }],
    [['a={{ x y }} b=1'], { a: '{{ x y }}', b: '1' }],
    [['a=one\nb=two'], { a: 'one', b: 'two' }],
    [['a=x\\ty\\x41'], { a: 'x\ty\x41' }],
    [['a=1', 'a=2', 'b=3'], { a: '2', b: '3' }],
    [['{"a": {"b": 1}}', '{a: yes}'], { a: true }],
    [['{a: 0755, b: 1.0}'], { a: 493, b: 1 }],
    [[''], {}],
  ])('%j', (specs, vars) => expect(parseExtraVars(specs)).toEqual(vars));

  it('reads files', () => {
    const folder = folderOf({ 'v.yml': 'a: 1\nb: [x]\n', 'v.json': '{"a": 2}' });
    expect(parseExtraVars([`@${join(folder, 'v.yml')}`, `@${join(folder, 'v.json')}`])).toEqual({ a: 2, b: ['x'] });
  });

  it('tells all faults, each with its place', () => {
    const list = join(folderOf({ 'list.yml': '\n- a\n' }), 'list.yml');
    const faults = faultsOf(() =>
      parseExtraVars(['a=1 word', './v.yml', 'a="x', '[1]', '{a: [}', `@${list}`, '@none.yml']),
    );
    expect(short(faults)).toEqual([
      '1:5 "word" is no extra variable',
      '1:1 "./v.yml" looks like a file',
      '1:1 a quote or a block is not closed',
      '1:1 extra variables must be a mapping, this is a list',
      expect.stringMatching(/^1:\d+ no valid YAML/),
      '2:1 extra variables must be a mapping, this is a list',
      expect.stringContaining('"none.yml" can\'t be read'),
    ]);
  });
});
