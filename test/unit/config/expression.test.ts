import { describe, expect, it } from 'vitest';
import { asHostError, compileExpression, ExpressionFault } from '../../../src/config/expression.ts';
import { HostError } from '../../../src/core/errors.ts';
import type { Facts } from '../../../src/core/task.ts';

const facts: Facts = {
  nics: {
    eth0: { driver: 'virtio_net', mac: '02:00:00:00:00:01', mtu: 1500 },
    br0: { driver: '', mac: '', mtu: 9000 },
  },
  hostname: 'pve1',
  kernel: '6.1.0-18-amd64',
  arch: 'x86_64',
  os: { id: 'debian', version: '12' },
};
const vars = {
  n: 5,
  half: 0.5,
  big: 2 ** 53 - 1,
  on: true,
  name: 'eth0',
  names: ['a', 'b'],
  ports: [1, 2],
  m: { k: 1, s: 'x' },
  none: null,
};

function evaluate(text: string): boolean {
  return compileExpression(text).evaluate(vars, facts);
}

function faultOf(run: () => unknown): readonly unknown[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ExpressionFault) return [error.index, error.message];
    throw error;
  }
  throw new Error('no ExpressionFault was thrown');
}

describe('an expression', () => {
  it.each([
    'n == 5',
    'n != 6',
    'n < 6 && n >= 5',
    'n + 1 == 6',
    'n == 5.0',
    'half < n',
    'half == 0.5',
    'big == 9007199254740991',
    '1 in ports',
    'ports.all(p, p < 3)',
    '"a" in names',
    'names.exists(x, x == "b")',
    'size(names) == 2',
    'm.k == 1',
    'm == {"k": 1, "s": "x"}',
    'has(m.s) && !has(m.zz)',
    '"k" in m',
    'none == null',
    'on',
    'on ? true : false',
    'name.startsWith("eth")',
    'name.matches("^eth[0-9]$")',
    'facts.nics[name].driver == "virtio_net"',
    'facts.nics.eth0.mtu == 1500',
    'facts.nics[name].mtu < 9000',
    'name in facts.nics',
    'has(facts.nics.eth0)',
    'facts.nics.exists(d, facts.nics[d].mtu > 1500)',
    'facts.os.id == "debian" && int(facts.os.version) >= 12',
    'facts.kernel.startsWith("6.")',
    'facts.arch != "armv7l"',
    'facts.hostname == "pve1"',
    'n == "5" || true',
    'cel.bind(x, m.k, x == 1)',
  ])('%s', (text) => {
    expect(evaluate(text)).toBe(true);
  });

  it('names its variables, not those of macros', () => {
    const { names, usesFacts } = compileExpression(
      'names.exists(x, x == name) && cel.bind(y, n, y > 0) && type(on) == bool',
    );
    expect(names).toEqual([
      { name: 'names', index: 0 },
      { name: 'name', index: 21 },
      { name: 'n', index: 42 },
      { name: 'on', index: 60 },
    ]);
    expect(usesFacts).toBe(false);
    expect(compileExpression('[facts.kernel].size() > {"a": -n}["a"]')).toMatchObject({
      usesFacts: true,
      names: [{ name: 'n' }],
    });
  });

  it.each([
    ['', [0, 'not a CEL expression: it is empty']],
    ['n ==', [4, 'not a CEL expression: it ends too early']],
    ['n = 5', [2, 'not a CEL expression: Unexpected character: =']],
    ['"open', [0, 'not a CEL expression: Unterminated string']],
    ['{{n}} == 5', [0, '"when" is a CEL expression, not a template']],
    ['facts.nics["a"].speed > 1', [16, 'facts have no "speed"']],
    ['on && facts.oss.id == ""', [12, 'facts have no "oss"']],
    ['facts.nics["a"].mtu == "1500"', [0, '"when" can\'t be evaluated: no such overload: int == string']],
    ['facts.os', [0, '"when" must be true or false, but this is of type Os']],
    ['n.shout()', [0, "\"when\" can't be evaluated: found no matching overload for 'dyn.shout()'"]],
    ['1 + 1', [0, '"when" must be true or false, but this is of type int']],
  ])('%j is faulty', (text, fault) => {
    expect(faultOf(() => compileExpression(text))).toEqual(fault);
  });

  it.each([
    ['n', [0, '"when" must be true or false, not the number 5']],
    ['name', [0, '"when" must be true or false, not "eth0"']],
    ['none', [0, '"when" must be true or false, not null']],
    ['names', [0, '"when" must be true or false, not a list']],
    ['m', [0, '"when" must be true or false, not a map']],
    ['m.zz == 1', [2, '"when" can\'t be evaluated: No such key: zz']],
    ['n > name', [0, '"when" can\'t be evaluated: no such overload: dyn<int> > dyn<string>']],
    ['facts.nics["x"].mtu == 1', [0, '"when" can\'t be evaluated: No such key: x']],
    ['m.constructor == 1', [2, '"when" can\'t be evaluated: No such key: constructor']],
    ['name.matches("(")', [0, '"when" can\'t be evaluated: Invalid regular expression: (']],
  ])('%j fails on its values', (text, fault) => {
    expect(faultOf(() => evaluate(text))).toEqual(fault);
  });

  it('that failed on a host is named in the error', () => {
    const error = asHostError(new ExpressionFault('no such key', 0, 'ask first'), 'a.b == 1');
    expect(error).toBeInstanceOf(HostError);
    expect(error).toMatchObject({ message: 'no such key (in "a.b == 1")', hint: 'ask first' });
  });
});
