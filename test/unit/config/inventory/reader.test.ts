import { describe, expect, it } from 'vitest';
import { compareCodePoints, floatText, toJsonText } from '../../../../src/config/inventory/json-text.ts';
import { SourceText } from '../../../../src/config/inventory/source-text.ts';
import { Dict, dictToPlain, toPlain } from '../../../../src/config/inventory/value.ts';
import { readValue } from '../../../../src/config/inventory/yaml-reader.ts';
import type { Fault } from '../../../../src/core/errors.ts';
import { short } from './support.ts';

function read(text: string) {
  const faults: Fault[] = [];
  const warnings: Fault[] = [];
  const { value } = readValue(new SourceText('x.yml', text), { faults, warnings });
  return { value, plain: toPlain(value), json: toJsonText(value).replace(/\s+/g, ' '), faults, warnings };
}

describe('YAML 1.1 as PyYAML reads it', () => {
  it.each([
    ['yes', true],
    ['Off', false],
    ['y', 'y'],
    ['~', null],
    ['nUll', 'nUll'],
    ['0755', 493],
    ['0o755', '0o755'],
    ['08', '08'],
    ['1_000', 1000],
    ['0x1F', 31],
    ['0b101', 5],
    ['-12:30:45', -45045],
    ['00:11:22', '00:11:22'],
    ['190:20:30', 685230],
    ['1:30.5', 90.5],
    ['3.10', 3.1],
    ['1e3', '1e3'],
    ['1.5e+3', 1500],
    ['-.5', '-.5'],
    ['.inf', Number.POSITIVE_INFINITY],
    ['12345678901234567890', 12345678901234567890n],
    ['2024-01-31', '2024-01-31'],
    ['2024-1-31', '2024-1-31'],
    ['2024-01-31 1:02:03.5 -5', '2024-01-31T01:02:03.500000-05:00'],
    ['2024-01-31T01:02:03Z', '2024-01-31T01:02:03+00:00'],
    ['"yes"', 'yes'],
    ['!!str 12', '12'],
    ['!!int "0x10"', 16],
    ['! 12', 12],
    ['!unsafe 12', '12'],
    ['[a:b, c#d, e: f]', ['a:b', 'c#d', { e: 'f' }]],
    ['"a\nb"', 'a b'],
    ['[1,\n2\n]', [1, 2]],
  ])('a: %s', (text, value) => {
    const { plain, faults } = read(`a: ${text}`);
    expect(short(faults)).toEqual([]);
    expect(plain).toEqual({ a: value });
  });

  it('keeps the order of keys, and their kind', () => {
    expect(read('b: 1\n2: x\na: 3\ntrue: y').json).toBe('{ "b": 1, "2": "x", "a": 3, "true": "y" }');
    expect(read('1: a\ntrue: b').json).toBe('{ "1": "b" }');
  });

  it('merges: own keys win, the first of a list wins, merged ones come first', () => {
    const { json, warnings } = read('a: &a {x: 1, y: 1}\nb: {z: 1, <<: [*a, {y: 2, w: 2}], x: 3}\n2: q');
    expect(json).toContain('"b": { "y": 1, "w": 2, "x": 3, "z": 1 }');
    expect(short(warnings)).toEqual(['2:35 "x" overrides the key merged with "<<"']);
  });

  it('warns of a repeated key and takes the last', () => {
    const { plain, warnings } = read('a: 1\nb: 2\na: 3\n');
    expect(plain).toEqual({ a: 3, b: 2 });
    expect(short(warnings)).toEqual(['3:1 "a" is a key of this mapping already']);
    expect(warnings[0]?.hint).toContain('line 1');
  });

  it.each([
    ['a: b: c', '1:4 no valid YAML'],
    ['a: *x', '1:4 there is no anchor "x"'],
    ['a: &x 1\nb: &x 2', '2:7 the anchor "x" is defined a second time'],
    ['a: =', '1:4 a lone "=" can\'t be a value'],
    ['a: [<<]', '1:5 a lone "<<" can\'t be a value'],
    ['a: !foo x', '1:4 the tag "!foo" is not known'],
    ['a: !!python/object/apply:os.getcwd []', '1:4 the tag "!!python/object/apply:os.getcwd" is not known'],
    ['a: !!int abc', '1:10 "abc" is no whole number'],
    ['a: 2024-02-30', '1:4 there is no day "2024-02-30"'],
    ['a: 2024-01-01 24:00:00', '1:4 there is no time'],
    ['{{ x }}: 1', "1:2 a mapping can't be a key"],
    ['<<: 5', '1:5 "<<" merges a mapping'],
    ['a: &x [*x]', '1:7 this value contains itself'],
    ['a: 1\n---\nb: 2', '2:1 a second document begins here'],
    ['a:\n\tb: 1', '2:1 no valid YAML'],
    ['a: "x', '1:6 no valid YAML'],
    ['a: x\u0007', "1:5 the control character U+0007 can't stand in YAML"],
    ['a: [b]: c', '1:7 no valid YAML: a ":" is not allowed here'],
    ['a: {b:{c: 1}}', '1:6 no valid YAML: a ":" is not allowed here'],
    ['%YAML 1.3\n---\na: 1', '1:1 YAML 1.1 and 1.2 are the known versions'],
  ])('refuses %j', (text, expected) => {
    const [fault] = read(text).faults;
    expect(short(fault === undefined ? [] : [fault])[0]).toContain(expected);
    expect(fault?.frame).toContain('^');
  });

  it('finds several faults at once', () => {
    expect(read('a: !x 1\nb: 2024-13-01\nc: *d\n').faults).toHaveLength(3);
  });
});

describe('JSON as Python reads it', () => {
  it('is tried first', () => {
    expect(
      read('{"a": 1e3, "b": -0, "c": NaN, "d": "\\u00e9\\ud83d\\ude00", "e": 1.0, "f": 18446744073709551616}').json,
    ).toBe('{ "a": 1000.0, "b": 0, "c": NaN, "d": "é😀", "e": 1.0, "f": 18446744073709551616 }');
  });

  it('takes what is no JSON for YAML', () => {
    expect(read('{"a": 1e3, }').plain).toEqual({ a: '1e3' });
    expect(read('{a: yes}').plain).toEqual({ a: true });
  });

  it("knows Ansible's own objects", () => {
    const { value } = read('{"v": {"__ansible_vault": "x"}, "u": {"__ansible_unsafe": "y"}}');
    expect(value instanceof Dict && String(dictToPlain(value).v)).toBe('(encrypted with ansible-vault)');
    expect(value instanceof Dict && dictToPlain(value).u).toBe('y');
  });
});

describe('toJsonText', () => {
  it.each([
    [1, '1.0'],
    [3.1, '3.1'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1.5e300, '1.5e+300'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [-2.5e-7, '-2.5e-07'],
    [123456789.125, '123456789.125'],
    [-0, '-0.0'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
  ])('writes %d as %s', (value, text) => expect(floatText(value)).toBe(text));

  it('sorts by code point and leaves everything unsorted where one mapping mixes kinds of keys', () => {
    expect(compareCodePoints('\uFFFD', '😀')).toBeLessThan(0);
    expect(read('b: 1\na: {10: x, 9: y}').json).toBe('{ "a": { "9": "y", "10": "x" }, "b": 1 }');
    expect(read('b: 1\na: {10: x, c: y}').json).toBe('{ "b": 1, "a": { "10": "x", "c": "y" } }');
  });

  it('indents by four blanks and writes empty collections in one line', () => {
    expect(toJsonText(read('a: [1, []]\nb: {}').value)).toBe(
      '{\n    "a": [\n        1,\n        []\n    ],\n    "b": {}\n}',
    );
  });
});
