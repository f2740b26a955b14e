import fc from 'fast-check';
import Handlebars from 'handlebars';
import { describe, expect, it } from 'vitest';
import { compileTemplate, renderTemplate } from '../../../src/config/template.ts';
import { TemplateFaults } from '../../../src/config/template-fault.ts';
import { renderValue } from '../../../src/config/vars.ts';
import { InputError } from '../../../src/core/errors.ts';

const vars: Readonly<Record<string, unknown>> = {
  a: 1,
  yes: true,
  nothing: null,
  list: ['x', 'y'],
  map: { k: 'v', deep: { o: 2 } },
  text: '<&">\'`=',
};

function evaluate(text: string, values = vars): unknown {
  return compileTemplate(text).evaluate({
    has: (name) => Object.hasOwn(values, name),
    get: (name) => values[name],
    names: () => Object.keys(values),
  });
}

function faultsOf(text: string): readonly (string | number | undefined)[][] {
  try {
    evaluate(text);
  } catch (error) {
    if (error instanceof TemplateFaults) return error.faults.map(({ index, message, hint }) => [index, message, hint]);
    throw error;
  }
  throw new Error('no TemplateFaults were thrown');
}

describe('a template', () => {
  it.each([
    ['{{a}}', 1],
    ['{{ yes }}', true],
    ['{{~list~}}', ['x', 'y']],
    ['{{{map}}}', { k: 'v', deep: { o: 2 } }],
    ['{{nothing}}', null],
    ['{{map.deep.o}}', 2],
    ['{{list.[1]}}', 'y'],
    ['{{list.length}}', 2],
    ['{{default missing 3}}', 3],
    ['{{default map.missing list}}', ['x', 'y']],
    ['{{default nothing "x"}}', 'x'],
    ['{{default a 3}}', 1],
    ['{{eq a 1}}', true],
    ['{{join list}}', 'x,y'],
    ['{{join list " - "}}', 'x - y'],
    ['{{lookup map "k"}}', 'v'],
    ['{{lookup list 0}}', 'x'],
    ['{{lookup (default missing map) (default missing "k")}}', 'v'],
    ['{{"text"}}', 'text'],
  ])('%s keeps the type of its value', (text, value) => {
    expect(evaluate(text)).toEqual(value);
  });

  it.each([
    ['{{a}}0', '10'],
    [' {{yes}}', ' true'],
    ['{{text}}!', '<&">\'`=!'],
    ['\\{{a}}', '{{a}}'],
    ['no braces } {', 'no braces } {'],
    ['{{! remark }}z', 'z'],
    ['{{#if yes}}a{{else if a}}b{{else}}c{{/if}}', 'a'],
    ['{{#if (eq a 2)}}a{{else if list}}b{{/if}}', 'b'],
    ['{{#unless yes}}a{{else}}b{{/unless}}', 'b'],
    ['{{#each list}}{{@index}}={{this}}{{#unless @last}}, {{/unless}}{{/each}}', '0=x, 1=y'],
    ['{{#each map.deep as |value key|}}{{key}}:{{value}}:{{../a}}{{/each}}', 'o:2:1'],
    ['{{#each list}}{{@root.a}}{{@first}}{{@key}}{{/each}}', '1true01false1'],
    ['{{#with map}}{{k}}{{deep.o}}{{/with}}', 'v2'],
  ])('%s gives text', (text, value) => {
    expect(evaluate(text)).toBe(value);
  });

  it.each([
    ['x {{lst}}', [[2, 'unknown variable "lst"', 'did you mean "list"?']]],
    [
      '{{b}}-{{c}}',
      [
        [0, 'unknown variable "b"', 'did you mean "a"?'],
        [6, 'unknown variable "c"', 'did you mean "a"?'],
      ],
    ],
    ['{{map.deeper}}', [[0, 'a map has no "deeper" (in "map.deeper")', 'did you mean "deep"?']]],
    ['{{a.b}}', [[0, 'the number 1 has no "b" (in "a.b")', undefined]]],
    ['{{lookup map "none"}}', [[0, '"lookup" found no "none" in a map', 'write {{lookup map key}}']]],
    ['{{join map}}', [[0, '"join" takes a list, not a map', 'write {{join list ","}}']]],
    ['{{join}}', [[0, 'wrong arguments for the helper "join"', 'write {{join list ","}}']]],
    ['{{default}}', [[0, 'wrong arguments for the helper "default"', 'write {{default name "value"}}']]],
    ['{{defualt a 1}}', [[0, 'unknown helper "defualt"', 'did you mean "default"?']]],
    ['{{if a}}', [[0, 'unknown helper "if"', 'write {{#if …}}…{{/if}}']]],
    ['{{log a}}', [[0, 'unknown helper "log"', 'helpers are default, join, lookup, eq']]],
    ['{{#list}}{{/list}}', [[0, 'unknown block "list"', 'blocks are if, unless, each, with']]],
    ['{{#if missing}}{{/if}}', [[0, 'unknown variable "missing"', undefined]]],
    ['{{#each a}}{{/each}}', [[0, '"each" takes a list or a map, not the number 1', undefined]]],
    ['{{#each list}}{{a}}{{/each}}', [[14, 'text has no "a"', 'inside a block write @root.a']]],
    ['{{@index}}', [[0, 'unknown name "@index"', '@index, @key, @first and @last exist inside {{#each}}']]],
    ['{{../a}}', [[0, '"../a" leads out of the template', undefined]]],
    ['{{this}}', [[0, '"this" has a meaning only inside {{#each}} and {{#with}}', undefined]]],
    ['a{{list}}', [[1, "a list can't be part of a text", 'use {{join list ","}}']]],
    ['a{{map}}', [[1, "a map can't be part of a text", 'name one of its values']]],
    ['a{{nothing}}', [[1, 'the value is null', 'give another one with {{default name "value"}}']]],
    ['{{> part}}', [[0, 'partials and decorators are not supported in templates', undefined]]],
    [
      '{{facts.kernel}}',
      [[0, '"facts" is known only in "when"', 'parameters must be known before the one read of a host']],
    ],
    ['ab{{ a', [[2, '"{{" without "}}"', 'write "\\{{" for the two braces themselves']]],
    ['a{{}}', [[1, 'not a Handlebars expression: "{{}}"', undefined]]],
    ['a {{#if a}}b', [[2, 'a block is not closed', 'each {{#if}} needs its {{/if}}']]],
    ['a {{#if a}}b{{/each}}', [[2, "block not closed: if doesn't match each", undefined]]],
    [
      '{{a}} {{ list | join(",") }}',
      [
        [
          6,
          'not a Handlebars expression: "{{ list | join(",") }}"',
          'Jinja filters don\'t exist here: write {{join list ","}}',
        ],
      ],
    ],
  ])('%s is faulty', (text, faults) => {
    const shown = faultsOf(text).map(([index, message, hint]) => [index, String(message).replaceAll('\\"', '"'), hint]);
    expect(shown).toEqual(faults);
  });

  it('gives what Handlebars itself gives, where that has no fault', () => {
    const own = Handlebars.create();
    own.registerHelper('eq', (left: unknown, right: unknown) => left === right);
    const names = fc.constantFrom('a', 'yes', 'text', 'map.k', 'map.deep.o', 'list.length', 'list.[0]');
    const conditions = fc.oneof(names, fc.constantFrom('list', 'empty', 'zero', '(eq a 1)', '(eq a 2)', 'map'));
    const { part } = fc.letrec<{ part: string }>((tie) => ({
      part: fc.oneof(
        { maxDepth: 3 },
        fc.stringMatching(/^[^{}\\]{0,5}$/),
        names.map((name) => `{{${name}}}`),
        names.map((name) => `{{~${name}~}}`),
        fc.tuple(tie('part'), tie('part')).map((parts) => parts.join('\n')),
        fc
          .tuple(conditions, tie('part'), tie('part'))
          .map(([name, yes, no]) => `{{#if ${name}}}\n${yes}{{else}}${no}\n{{/if}}`),
        fc.tuple(conditions, tie('part')).map(([name, no]) => `{{#unless ${name}}}${no}{{/unless}}`),
        fc.constantFrom(
          '{{#each list}}\n{{@index}} {{this}}{{@root.a}}\n{{/each}}\n',
          '{{#each map.deep as |v k|}}{{k}}{{v}}{{@last}}{{/each}}',
          '{{#each empty}}x{{else}}none{{/each}}',
        ),
      ),
    }));
    // Its escaping is left on, and nothing here needs it: without, it adds numbers up that stand side by side.
    const values = { ...vars, text: 'plain', empty: [], zero: 0 };
    fc.assert(
      fc.property(part, (text) => {
        expect(renderTemplate(text, values, 'x.hbs')).toBe(own.compile(text, { strict: true })(values));
      }),
      { numRuns: 500 },
    );
  });
});

describe('what a template must not reach', () => {
  const paths = [
    'constructor',
    '__proto__',
    'map.constructor',
    'map.__proto__',
    'list.constructor',
    'list.map',
    'text.constructor',
    'text.at',
    'a.toFixed',
    'map.__defineGetter__',
    'map.hasOwnProperty',
    'constructor.constructor',
  ];

  it.each(paths)('%s', (path) => {
    const { length, [length - 1]: last = '' } = path.split('.');
    const parent = path.split('.').slice(0, -1).join('.') || 'map';
    for (const text of [
      `{{${path}}}`,
      `x{{${path}}}`,
      `{{#with ${path}}}x{{/with}}`,
      `{{lookup ${parent} "${last}"}}`,
    ]) {
      expect(() => evaluate(text)).toThrow(TemplateFaults);
    }
    expect(evaluate(`{{default ${path} "safe"}}`)).toBe('safe');
  });

  it('functions that came in with the values', () => {
    const values = { call: () => 'called', map: { call: () => 'called' } };
    expect(() => evaluate('x{{call}}', values)).toThrow();
    expect(() => evaluate('{{map.call}}', values)).toThrow(TemplateFaults);
  });

  it.each(['helperMissing', 'blockHelperMissing', 'lookup', 'log'])('the internal helper %s', (name) => {
    expect(() => evaluate(`{{${name}}}`)).toThrow(TemplateFaults);
    expect(() => evaluate(`{{#${name} a}}{{/${name}}}`)).toThrow(TemplateFaults);
  });
});

describe('renderTemplate', () => {
  it('fills in a file', () => {
    expect(renderTemplate('a = {{a}}\n{{#each list}}\n- {{this}}\n{{/each}}\n', vars, 'x.hbs')).toBe(
      'a = 1\n- x\n- y\n',
    );
    expect(renderTemplate('{{a}}', vars, 'x.hbs')).toBe('1');
  });

  it('does not evaluate what its values hold', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(renderTemplate('<{{text}}>', { text }, 'x.hbs')).toBe(`<${text}>`);
      }),
    );
    expect(renderTemplate('{{text}}', { text: '{{a}}' }, 'x.hbs')).toBe('{{a}}');
  });

  it('places all faults in the file', () => {
    expect(() => renderTemplate('a = {{b}}\nc = {{map}}\n', vars, 'x.hbs')).toThrow(InputError);
    expect(() => renderTemplate('a = {{b}}\nc = {{map}}\n', vars, 'x.hbs')).toThrowErrorMatchingInlineSnapshot(`
      [InputError: x.hbs:1:5: unknown variable "b"
      > 1 | a = {{b}}
          |     ^
        2 | c = {{map}}
      hint: did you mean "a"?

      x.hbs:2:5: a map can't be part of a text
        1 | a = {{b}}
      > 2 | c = {{map}}
          |     ^
        3 |
      hint: name one of its values]
    `);
  });
});

describe('renderValue', () => {
  it('evaluates a text among the variables of a host', () => {
    expect(renderValue('{{a}}', { a: '{{b}}', b: 22 })).toBe(22);
    expect(renderValue('/keys/{{a}}', { a: 'x' })).toBe('/keys/x');
    expect(() => renderValue('{{ a | b }}', {})).toThrow('not a Handlebars expression');
  });
});
