import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { composeSimple } from '../../../../src/config/inventory/simple-yaml.ts';
import { SourceText } from '../../../../src/config/inventory/source-text.ts';
import { composeFully, type YamlNode } from '../../../../src/config/inventory/yaml-nodes.ts';

/** A node as text: kind, place and content. Where an empty value stands nobody asks. */
function outline(node: YamlNode): string {
  if (node.kind === 'list') return `${node.offset}[${node.items.map(outline).join(' ')}]`;
  if (node.kind === 'map') return `${node.offset}{${node.pairs.map((pair) => pair.map(outline).join(':')).join(' ')}}`;
  if (node.text === '' && node.isPlain) return '~';
  return `${node.offset}${node.isPlain ? 'p' : 'q'}${JSON.stringify(node.text)}`;
}

function fully(text: string): string {
  const faults: { message: string }[] = [];
  const node = composeFully(new SourceText('x', text), { faults, warnings: [] });
  return node === undefined || faults.length > 0 ? `refused ${faults[0]?.message}` : outline(node);
}

const indent = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('', '', '  ', '  ', '    ') },
  { weight: 1, arbitrary: fc.constantFrom(' ', '      ') },
);
const tame = fc.constantFrom(
  'a',
  'b1',
  'x-y',
  '10.0.0.1',
  '-5',
  'a b',
  '"q"',
  "'s'",
  '1:2',
  '"a: b"',
  '(x)',
  'http://h:80/p',
);
const odd = fc.constantFrom(
  'a',
  'b1',
  '10.0.0.1',
  'x-y',
  '-5',
  '-',
  '1:2',
  '~',
  'a b',
  'a  b',
  'a#b',
  'a #b',
  '"q"',
  "'s'",
  '"a: b"',
  '"\\n"',
  '*',
  '&a',
  '!t',
  '|',
  '>',
  '{{x}}',
  '?',
  '@',
  'a:',
  'a: b',
  ',',
  'x,y',
  '%',
  '=',
  '<<',
  '---',
  '...',
  '/p',
  '(x)',
  'ü',
  '^',
  '[::1]',
  '"',
  "'",
);
const word = fc.oneof({ weight: 12, arbitrary: tame }, { weight: 1, arbitrary: odd });
const flow = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small' },
    word,
    fc.array(tie('node'), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
    fc
      .array(fc.tuple(word, tie('node')), { maxLength: 3 })
      .map((pairs) => `{ ${pairs.map((pair) => pair.join(': ')).join(', ')} }`),
    fc.array(tie('node'), { maxLength: 2 }).map((items) => `{${items.join(',')}}`),
  ),
})).node;
const tail = fc.constantFrom('', '', '', ' ', ' # c', '# c', '  ');
const line = fc.oneof(
  fc.tuple(indent, word, fc.constantFrom(':', ': ', ':  ', ' : '), flow, tail).map((parts) => parts.join('')),
  fc.tuple(indent, word, fc.constant(':'), tail).map((parts) => parts.join('')),
  fc.tuple(indent, fc.constantFrom('- ', '-', '-  ', '- - '), flow, tail).map((parts) => parts.join('')),
  fc.tuple(indent, fc.constantFrom('', '# c', '---', '...', 'text')).map((parts) => parts.join('')),
);
const document = fc.array(line, { minLength: 1, maxLength: 6 }).map((lines) => lines.join('\n'));

describe('composeSimple', () => {
  it('gives what the full parser gives, or nothing', () => {
    let read = 0;
    const check = (text: string) => {
      const simple = composeSimple(text);
      if (simple === undefined) return;
      read++;
      expect(outline(simple)).toBe(fully(text));
    };
    fc.assert(fc.property(document, check), { numRuns: Number(process.env.MCASTCTL_FUZZ_RUNS ?? 3000) });
    expect(read).toBeGreaterThan(100);
  });

  it('reads what inventories are made of', () => {
    const text = [
      '---',
      '# hosts',
      'all:',
      '  vars: { ansible_user: root, list: [1, a b, "c, d"], empty: , none: {} }',
      '  children:',
      '    cluster: # of two',
      '      hosts:',
      "        pve1: {ansible_host: 198.18.0.1, note: 'it is'}",
      '        "n[01:16]":',
      '          url: http://10.0.0.1:80/x',
      '          roles:',
      '          - one',
      '          - "two"',
      '    empty:',
      '',
    ].join('\n');
    const simple = composeSimple(text);
    expect(simple && outline(simple)).toBe(fully(text));
  });

  it.each([
    '',
    'a: b: c',
    'a:\tb',
    'a: &x 1',
    'a: |\n  x',
    'a: x\n  y',
    'a: 1\r\nb: 2',
    'a\n',
    '- a\nb: 1',
    'a: [1\n]',
  ])('leaves %j to the full parser', (text) => expect(composeSimple(text)).toBeUndefined());
});
