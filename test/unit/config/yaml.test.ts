import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { childOf, offsetInScalar, readYaml, toValue, type YamlNode } from '../../../src/config/yaml.ts';
import { sourceAt } from '../../../src/core/source.ts';

function read(text: string): YamlNode {
  const { root, faults } = readYaml('f.yml', text);
  expect(faults).toEqual([]);
  if (root === null) throw new Error('nothing was read');
  return root;
}

function faultsOf(text: string): readonly string[] {
  return readYaml('f.yml', text).faults.map(({ source, message }) => `${source?.line}:${source?.column} ${message}`);
}

describe('readYaml', () => {
  it('reads YAML 1.2', () => {
    const text = 'a: yes\nb: 0o17\nc: 017\nd: ~\ne: 1_000\nf: 2001-01-01\ng: 0x1F\nh: 1.5\ni: true\nj:\nk: "x"\n1: n\n';
    expect(toValue(read(text))).toEqual({
      a: 'yes',
      b: 15,
      c: 17,
      d: null,
      e: '1_000',
      f: '2001-01-01',
      g: 31,
      h: 1.5,
      i: true,
      j: null,
      k: 'x',
      '1': 'n',
    });
  });

  it('knows where keys and values stand', () => {
    const text = '- a: 1\n  "b c": [x, {y: 2}]\n';
    const root = read(text);
    const map = childOf(root, 0);
    const place = (offset: number | undefined) => sourceAt('f.yml', text, offset ?? -1);
    expect(place(map?.start)).toMatchObject({ line: 1, column: 3 });
    expect(map?.kind === 'map' && place(map.entries.get('b c')?.start)).toMatchObject({ line: 2, column: 3 });
    expect(place(childOf(childOf(childOf(map, 'b c'), 1), 'y')?.start)).toMatchObject({ line: 2, column: 18 });
  });

  it('understands anchors and merges, the own key winning', () => {
    const text = 'base: &b { x: 1, y: 1 }\none: { <<: *b, y: 2 }\ntwo: { y: 3, <<: [*b, { z: 4, x: 9 }] }\nthree: *b\n';
    expect(toValue(read(text))).toEqual({
      base: { x: 1, y: 1 },
      one: { x: 1, y: 2 },
      two: { y: 3, x: 1, z: 4 },
      three: { x: 1, y: 1 },
    });
  });

  it('reads any value that can be written', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const { root, faults } = readYaml('f.yml', stringify(value, { version: '1.2' }));
        if (JSON.stringify(value)?.includes('__proto__') || JSON.stringify(value)?.includes('"<<"')) return;
        expect(faults).toEqual([]);
        expect(JSON.stringify(root && toValue(root))).toEqual(JSON.stringify(value));
      }),
    );
  });

  it.each([
    ['a: 1\na: 2\n', ['2:1 duplicate key "a"']],
    ['a: { b: 1, b: 2 }\n', ['1:12 duplicate key "b"']],
    ['a: *b\n', ['1:4 no anchor "&b" stands before this alias']],
    ['a: &b [*b]\n', ['1:8 the alias "*b" stands inside what it means']],
    ['a: { <<: 1 }\n', ['1:10 the merge key "<<" takes a mapping or a list of mappings']],
    ['? [a]\n: b\n', ['1:3 a key must be plain text']],
    ['__proto__: 1\n', ['1:1 the key "__proto__" is not allowed']],
    ['a: b: c\n', ['1:4 a second ": " on one line']],
    ['a: @b\n', ['1:4 a plain value can\'t start with "@"']],
    ['a: !!set b\n', ['1:4 the YAML tag "!!set" is not supported']],
    ['a: "b\n', ['2:1 not valid YAML: Missing closing "quote']],
    ['a:\n\tb: 1\n', ['2:1 a tab is used for indentation']],
    ['a: 1\n---\nb: 1\n', ['2:1 a second YAML document begins']],
    ['a: {{x}}-y\n', ['1:9 not valid YAML: Unexpected scalar at node end']],
    ['- a\nb: c\n', ['2:1 not valid YAML: Unexpected scalar at node end']],
  ])('%j is faulty', (text, faults) => {
    expect(faultsOf(text)).toEqual(faults);
  });

  it('finds nothing in a file of remarks', () => {
    expect(readYaml('f.yml', '# only\n---\n')).toMatchObject({ faults: [] });
  });
});

describe('offsetInScalar', () => {
  it.each([
    ['plain', 'a: x @\n'],
    ['plain on two lines', 'a: x\n   y @\n'],
    ['double quotes', 'a: "x @"\n'],
    ['escapes', 'a: "\\t\\u00e9\\x41\\U0001F600\\\\ @"\n'],
    ['a joined line', 'a: "x \\\n     y @"\n'],
    ['a folded line in quotes', 'a: "x\n     y @"\n'],
    ['single quotes', "a: 'it''s @'\n"],
    ['a literal block', 'a: |\n    x\n      y\n\n    z @\n'],
    ['a folded block', 'a: >-\n    x\n    y @\n'],
    ['a block with a given indentation', 'a: |2\n    x @\n'],
    ['CRLF', 'a: |\r\n    x\r\n    y @\r\n'],
  ])('%s', (_name, text) => {
    const node = childOf(read(text), 'a');
    if (node?.kind !== 'scalar') throw new Error('no scalar');
    expect(text[offsetInScalar(node, String(node.value).indexOf('@'))]).toBe('@');
  });
});
