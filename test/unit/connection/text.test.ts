import { execFileSync } from 'node:child_process';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJumps } from '../../../src/connection/jump.ts';
import { matchesPattern, matchesPatternList } from '../../../src/connection/patterns.ts';
import { quoteArgv } from '../../../src/connection/quote.ts';
import { Secret, withoutPassword } from '../../../src/connection/secret.ts';
import { parseSshArguments } from '../../../src/connection/ssh-args.ts';
import { expandPath, expandTokens, isShellSafe } from '../../../src/connection/tokens.ts';
import { splitConfigWords, splitShellWords } from '../../../src/connection/words.ts';

const nasty = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text.replaceAll('\0', '')).toString()),
  fc.stringMatching(/^[ '"`$\\;&|<>(){}*?!#~\n\t=%-]{0,12}$/),
);

describe('quoteArgv', () => {
  test('gives each shell back exactly what went in', () => {
    fc.assert(
      fc.property(fc.array(nasty, { minLength: 1, maxLength: 40 }), (words) => {
        const command = quoteArgv(['printf', '%s\\0', ...words]);
        for (const shell of ['dash', 'bash']) {
          const out = execFileSync(shell, ['-c', command], { encoding: 'utf8' });
          expect(out.split('\0').slice(0, -1)).toEqual(words);
        }
      }),
      { numRuns: 25 },
    );
  });

  test('makes no assignment, no keyword and no option of its own of the first word', () => {
    for (const word of ['A=b', 'if', '{', '!', '[[', 'time', '~root', 'a b']) {
      expect(() => execFileSync('bash', ['-c', quoteArgv([word, 'x'])], { stdio: 'pipe' })).toThrow(
        /not found|No such file|is a directory/i,
      );
    }
    expect(quoteArgv(['/bin/ls', '-l', '/etc', 'a=b'])).toBe('/bin/ls -l /etc a=b');
  });

  test('is undone by splitting', () => {
    fc.assert(
      fc.property(fc.array(nasty, { minLength: 1 }), (words) => {
        expect(splitShellWords(quoteArgv(words as [string, ...string[]]))).toEqual({ ok: true, words });
      }),
    );
  });
});

describe('splitting', () => {
  test.each([
    ['-o ProxyCommand="ssh -W %h:%p -q bastion" -p 2222', ['-o', 'ProxyCommand=ssh -W %h:%p -q bastion', '-p', '2222']],
    ['-i \'/a b/key\' "" x\\ y', ['-i', '/a b/key', '', 'x y']],
    ['"a\\"b\\n" \'c\\d\'', ['a"b\\n', 'c\\d']],
    ['  ', []],
  ])('of shell text %s', (text, words) => {
    expect(splitShellWords(text)).toEqual({ ok: true, words });
  });

  test.each([
    ['a "b c" \'d e\' # rest', ['a', 'b c', 'd e']],
    ['a#b \\"q c\\ d C:\\x', ['a#b', '"q', 'c d', 'C:\\x']],
  ])('of configuration text %s', (text, words) => {
    expect(splitConfigWords(text)).toEqual({ ok: true, words });
  });

  test('an open quote is an error', () => {
    expect(splitShellWords('a "b')).toEqual({ ok: false, reason: 'a quote (") is not closed' });
  });
});

describe('patterns', () => {
  test.each([
    ['*', '', true],
    ['pve?', 'pve1', true],
    ['pve?', 'pve', false],
    ['*.example.org', 'a.b.example.org', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-b-b', false],
    ['[x]', 'x', false],
    ['a.c', 'abc', false],
  ])('"%s" on "%s": %s', (pattern, text, isMatch) => {
    expect(matchesPattern(pattern, text)).toBe(isMatch);
  });

  test('a negated one outranks the others and never matches by itself', () => {
    expect(matchesPatternList(['*', '!bad'], 'bad')).toBe(false);
    expect(matchesPatternList(['*', '!bad'], 'good')).toBe(true);
    expect(matchesPatternList(['!bad'], 'good')).toBe(false);
  });

  test('many stars cost little', () => {
    const started = performance.now();
    expect(matchesPattern(`${'*a'.repeat(40)}b`, 'a'.repeat(4000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('tokens', () => {
  const table = { '%': '%', h: 'node1', p: '22' };

  test('are replaced where they may stand', () => {
    expect(expandTokens('nc %h %p 100%%', table, '%hp')).toBe('nc node1 22 100%');
    expect(() => expandTokens('x %p', table, '%h')).toThrow('"%p" in "x %p" is not a token');
    expect(() => expandTokens('x %', table, '%h')).toThrow('is not a token');
  });

  test('paths know the home folder and the environment', () => {
    const variable = (name: string): string => `$\{${name}}`;
    expect(expandPath(`~/.ssh/${variable('NAME')}`, '/home/a', { NAME: 'key' })).toBe('/home/a/.ssh/key');
    expect(() => expandPath(variable('NONE'), '/', {})).toThrow('"NONE", which is not set');
    expect(() => expandPath('~other/key', '/', {})).toThrow("another user's home");
  });

  test('what a shell would interpret is not safe', () => {
    for (const name of ['node1', 'a.b-c_d', '2001:db8::1', 'fe80::1%eth0', 'user@realm', 'grün'])
      expect(isShellSafe(name)).toBe(true);
    for (const character of '\'"`$\\;&<>|(){}*?!#~ \t\n\r\0') expect(isShellSafe(`a${character}b`)).toBe(false);
    for (const name of ['', '-x', '~root']) expect(isShellSafe(name)).toBe(false);
  });
});

test('jump hosts in all their forms', () => {
  expect(parseJumps('a,b@c:2222, ssh://d@[2001:db8::1]:22 ,2001:db8::2')).toEqual([
    { host: 'a', user: undefined, port: undefined },
    { host: 'c', user: 'b', port: 2222 },
    { host: '2001:db8::1', user: 'd', port: 22 },
    { host: '2001:db8::2', user: undefined, port: undefined },
  ]);
  for (const bad of ['', 'a,', '@a', 'a:b', 'a:0', 'a:70000', '-oX=y'])
    expect(() => parseJumps(bad), bad).toThrow('ProxyJump');
});

describe('arguments of ssh', () => {
  test('are read joined or apart', () => {
    const { configFile, lines, problems } = parseSshArguments(
      '-Fmy.conf -i "a b" -J j1,j2 -p2222 -qvl admin -4 -oUser=x -o "Port 7"',
    );
    expect(problems).toEqual([]);
    expect(configFile).toBe('my.conf');
    expect(lines.map(({ keyword, words }) => [keyword, ...words])).toEqual([
      ['identityfile', 'a b'],
      ['proxyjump', 'j1,j2'],
      ['port', '2222'],
      ['user', 'admin'],
      ['addressfamily', 'inet'],
      ['user', 'x'],
      ['port', '7'],
    ]);
  });

  test("what can't be followed is named", () => {
    const { problems } = parseSshArguments('-L 1:b:2 -o Prot=3 host -p -o Port=abc --long -o Include=x');
    expect(problems).toEqual([
      'the argument "-L" is not supported',
      'the argument "1:b:2" is not supported',
      'the option "Prot=3" is not supported',
      'the argument "host" is not supported',
      'port must be a port number, 1 to 65535, not "-o"',
      'the argument "Port=abc" is not supported',
      'the argument "--long" is not supported',
      'the option "Include=x" is not supported',
    ]);
    expect(parseSshArguments('-p').problems).toEqual(['the argument "-p" needs a value']);
    expect(parseSshArguments('-o "x').problems).toEqual(['a quote (") is not closed']);
  });
});

test('a secret shows nowhere', () => {
  const holder = { password: new Secret('hunter2') };
  expect(`${inspect(holder, { showHidden: true, depth: 9 })}${JSON.stringify(holder)}${holder.password}`).not.toContain(
    'hunter2',
  );
  expect(holder.password.reveal()).toBe('hunter2');
});

test.each([
  ['sshpass -p hunter2 ssh -W %h:%p -p 2222 bastion', 'sshpass -p *** ssh -W %h:%p -p 2222 bastion'],
  ['/usr/bin/sshpass -v -phunter2 ssh b -p 22', '/usr/bin/sshpass -v -p*** ssh b -p 22'],
  [`sshpass -p 'hunter2 "x' ssh b`, 'sshpass -p *** ssh b'],
  [`sshpass -p "hun\\"ter2" ssh b`, 'sshpass -p *** ssh b'],
  ['sshpass -p hun\\ ter2 ssh b', 'sshpass -p *** ssh b'],
  ['ssh -p 2222 -W %h:%p bastion', 'ssh -p 2222 -W %h:%p bastion'],
])('a command in a message tells no password: %s', (command, shown) => {
  expect(withoutPassword(command)).toBe(shown);
});
