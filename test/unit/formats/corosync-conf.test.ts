import { describe, expect, test } from 'vitest';
import {
  blocksAt,
  type CorosyncConf,
  itemAt,
  itemIn,
  parseCorosyncConf,
  printCorosyncConf,
  proxmoxFault,
  valueFaults,
  withBlock,
  withoutBlock,
  withoutValue,
  withoutValueIn,
  withValue,
  withValueIn,
} from '../../../src/formats/corosync-conf.ts';
import { FormatError } from '../../../src/formats/format-error.ts';

const PROXMOX = `logging {
  debug: off
  to_syslog: yes
}

nodelist {
  node {
    name: pve1
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 10.0.0.1
  }
  node {
    name: pve2
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 10.0.0.2
  }
}

quorum {
  provider: corosync_votequorum
}

totem {
  cluster_name: pve
  config_version: 2
  interface {
    linknumber: 0
  }
  ip_version: ipv4-6
  link_mode: passive
  secauth: on
  version: 2
}
`;

const edited = (text: string, edit: (conf: CorosyncConf) => CorosyncConf): string =>
  printCorosyncConf(edit(parseCorosyncConf(text)));

/** Lines that only one of the two has, in order: "-old" and "+new". */
function difference(before: string, after: string): string[] {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  let start = 0;
  while (start < old.length && old[start] === fresh[start]) start++;
  let end = 0;
  while (end < Math.min(old.length, fresh.length) - start && old.at(-1 - end) === fresh.at(-1 - end)) end++;
  return [
    ...old.slice(start, old.length - end).map((line) => `-${line}`),
    ...fresh.slice(start, fresh.length - end).map((line) => `+${line}`),
  ];
}

function refusal(text: string, encoding?: 'latin1'): string {
  try {
    parseCorosyncConf(text, 'f', encoding);
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
  return 'no error';
}

describe('reads what corosync reads', () => {
  test.each([
    ['no blank after the colon', 'totem {\ntransport:udpu\n}\n', 'transport', 'udpu'],
    ['tabs and trailing blanks', '\ttotem\t{ \t\n\t\ttransport :\tudp \t\n\t}\t\n', 'transport', 'udp'],
    ['a colon before the brace', 'totem: {\ntransport: udp\n}', 'transport', 'udp'],
    ['CR LF', 'totem {\r\n\ttransport: udp\r\n}\r\n', 'transport', 'udp'],
    ['mixed ends', 'totem {\r\ntransport: udp\n}\r\n', 'transport', 'udp'],
    ['a comment behind a value, which is part of it', 'totem {\ntransport: udp # x\n}', 'transport', 'udp # x'],
    ['colons in the value', 'totem {\na: fe80::1\n}', 'a', 'fe80::1'],
    ['the last of several', 'totem {\nx1: 1\nx1: 2\n}\ntotem {\nx1: 3\n}\nquorum {\nx1: 4\n}', 'x1', '3'],
    ['an empty value', 'totem {\ntransport:\n}', 'transport', ''],
    ['bytes that are no UTF-8', 'totem {\n# \u00e4\u00ff\ntransport: \u00e4\n}', 'transport', '\u00e4'],
  ])('%s', (_, text, key, value) => {
    const conf = parseCorosyncConf(text);
    expect(itemAt(conf, 'totem', key)?.value).toBe(value);
    expect(printCorosyncConf(conf)).toBe(text);
  });

  test('nothing at all', () => {
    for (const text of ['', '\n', '# only\n#comments', ' \t\r\n']) {
      expect(printCorosyncConf(parseCorosyncConf(text))).toBe(text);
    }
  });
});

describe('refuses what corosync refuses, with the place', () => {
  test.each([
    ['totem {\n  # x\n', 'f:1:1: the block "totem" that begins here has no "}"'],
    ['a1 {\n\tb1 {\n\t}\n', 'f:1:1: the block "a1" that begins here has no "}"'],
    ['totem { # comment\n}\n', 'f:1:9: "# comment" follows "{"'],
    ['totem { version: 2 }\n', 'f:1:9: "version: 2 }" follows "{"'],
    ['totem {\n} # end\n', 'f:2:2: there is more than "}" in the line'],
    ['totem {\n  version 2\n}\n', 'f:2:3: "version 2" is neither "key: value" nor "name {" nor "}"'],
    [' }\n', 'f:1:2: a "}" too many: no block is open here'],
    ['{\n}\n', 'f:1:1: the block has no name before "{"'],
    ['\ufefftotem {\n}\n', 'f:1:1: the file begins with a byte order mark, which corosync takes for text'],
    ['totem {\n\f\n}\n', 'f:2:1: "\f" is neither "key: value" nor "name {" nor "}"'],
    [
      'totem {\n name#2: x\n}\n',
      `f:2:2: corosync can't store the key "totem.name#2": it has a character that is not allowed`,
    ],
    ['to: x\n', `f:1:1: corosync can't store the key "to": it has less than 3 characters`],
    [
      `totem {\n${'k'.repeat(249)}: x\n}\n`,
      'f:2:1: the names of the blocks and the key have more than 253 bytes together',
    ],
    [`# ${'x'.repeat(509)}\n`, 'f:1:511: the line has 511 bytes, corosync reads at most 510'],
    ['totem {\n\0\n}\n', 'f:2:1: a NUL byte: this is no text file, or it was damaged'],
    ['uidgid {\nuser: x\n}\n', 'f:2:1: corosync takes no "user" in "uidgid", only "uid" and "gid"'],
    [
      'logging {\nlogger_subsys {\ndebug: on\n}\n}\n',
      'f:4:1: the block "logger_subsys" that ends here has no "subsys"',
    ],
    ['totem {\r\rversion: 2\r}', 'f:1:8: "\r\rversion: 2\r}" follows "{"'],
  ])('%j', (text, message) => {
    expect(refusal(text)).toBe(message);
  });

  test('a line is measured in bytes of the file', () => {
    const line = `# ${'\u00e4'.repeat(300)}\n`;
    expect(refusal(line)).toContain('the line has 602 bytes');
    expect(refusal(line, 'latin1')).toBe('no error');
  });

  test('values that corosync refuses while it reads, all of them', () => {
    const conf = parseCorosyncConf(
      'totem {\n token: abc\n config_version: 1x\n ip_version: 4\n netmtu: 1500\n}\n',
      'f',
    );
    expect(valueFaults(conf).map((fault) => [fault.source?.line, fault.source?.column, fault.message])).toEqual([
      [2, 9, '"token" is "abc", corosync takes a whole number from 0 to 4294967295'],
      [3, 18, '"config_version" is "1x", corosync takes a whole number from 0 to 18446744073709551615'],
      [4, 14, '"ip_version" is "4", corosync takes "ipv4", "ipv6", "ipv4-6", "ipv6-4"'],
    ]);
  });
});

describe('sets a value', () => {
  test.each([
    ['where it stands', PROXMOX, 'totem', 'secauth', 'off', ['-  secauth: on', '+  secauth: off']],
    ['that is so already', PROXMOX, 'totem', 'secauth', 'on', []],
    ['after the last item', PROXMOX, 'totem', 'netmtu', '1400', ['+  netmtu: 1400']],
    ['in a new block', PROXMOX, 'system', 'sched_rr', 'no', ['+system {', '+  sched_rr: no', '+}', '+']],
    [
      'in a new block in a new block',
      'x1 {\n}',
      'quorum.device',
      'votes',
      '1',
      ['+quorum {', '+  device {', '+    votes: 1', '+  }', '+}'],
    ],
    ['with tabs and CR LF', 'totem {\r\n\tversion: 2\r\n}\r\n', 'totem', 'netmtu', '1400', ['+\tnetmtu: 1400\r']],
    ['in a block of its own style', 'totem {\n}\nx {\n    y: 1\n}\n', 'totem', 'netmtu', '1', ['+    netmtu: 1']],
    [
      'and keeps blanks, but puts one where Proxmox needs it',
      'totem {\nnetmtu:1500  \n}',
      'totem',
      'netmtu',
      '9',
      ['-netmtu:1500  ', '+netmtu: 9  '],
    ],
    [
      'where there was none',
      'totem {\n netmtu:\n}',
      'totem',
      'netmtu',
      '9',
      ['-  netmtu:', '+  netmtu: 9'].map((line) => line.replace('  ', ' ')),
    ],
    ['in an empty file', '', 'totem', 'netmtu', '9', ['+totem {', '+  netmtu: 9', '+}']],
    ['at the end of a file that ends early', '# x', 'totem', 'netmtu', '9', ['+totem {', '+  netmtu: 9', '+}']],
    ['the last of several', 'totem {\nk1: 1\n}\ntotem {\nk1: 2\n}\n', 'totem', 'k1', '3', ['-k1: 2', '+k1: 3']],
  ])('%s', (_, text, path, key, value, expected) => {
    const after = edited(text, (conf) => withValue(conf, path, key, value));
    expect(difference(text, after)).toEqual(expected);
    expect(itemAt(parseCorosyncConf(after), path, key)?.value).toBe(value);
  });

  test.each(['', 'a b', 'a#b', 'a{', '}', 'a\nb', 'a\tb', '\u00a0', 'a\0', 'a\u0085', '\ufeff', 'ä'])(
    'refuses %j',
    (value) => {
      expect(() => edited(PROXMOX, (conf) => withValue(conf, 'totem', 'token', value))).toThrow(
        `can't be the value of "token"`,
      );
    },
  );

  test.each(['', 'a b', 'a:', 'a{', 'ä', 'x#1'])('refuses the key %j', (key) => {
    expect(() => edited(PROXMOX, (conf) => withValue(conf, 'totem', key, '1'))).toThrow(`can't be a key`);
  });

  test('keeps a line end that was cut in half', () => {
    const after = edited('totem {\r\n  x: 1\r\n}\r', (conf) => withValue(conf, 'quorum', 'votes', '1'));
    expect(after).toBe('totem {\r\n  x: 1\r\n}\r\nquorum {\r\n  votes: 1\r\n}');
  });

  test('takes it away everywhere', () => {
    const text = 'totem {\n a1: 1\n\ta1: 2\r\n}\ntotem {\na1: 3\nb1: 1\n}';
    expect(edited(text, (conf) => withoutValue(conf, 'totem', 'a1'))).toBe('totem {\n}\ntotem {\nb1: 1\n}');
    expect(edited(PROXMOX, (conf) => withoutValue(conf, 'totem', 'token'))).toBe(PROXMOX);
  });
});

describe('blocks', () => {
  test('are found and edited one by one', () => {
    const conf = parseCorosyncConf(PROXMOX);
    const nodes = blocksAt(conf, 'nodelist.node');
    expect(nodes.map((node) => itemIn(node, 'name')?.value)).toEqual(['pve1', 'pve2']);
    const [, second] = nodes;
    if (second === undefined) throw new Error('two nodes');
    const after = printCorosyncConf(withValueIn(conf, second, 'ring1_addr', '10.1.0.2'));
    expect(difference(PROXMOX, after)).toEqual(['+    ring1_addr: 10.1.0.2']);
    expect(difference(PROXMOX, printCorosyncConf(withValueIn(conf, second, 'nodeid', '7')))).toEqual([
      '-    nodeid: 2',
      '+    nodeid: 7',
    ]);
    expect(difference(PROXMOX, printCorosyncConf(withoutValueIn(conf, second, 'nodeid')))).toEqual(['-    nodeid: 2']);
    expect(() => withValueIn(withoutBlock(conf, second), second, 'nodeid', '1')).toThrow(RangeError);
  });

  test('are added behind their like', () => {
    const after = edited(PROXMOX, (conf) =>
      withBlock(conf, 'nodelist.node', [
        ['name', 'pve3'],
        ['nodeid', '3'],
      ]),
    );
    expect(difference(PROXMOX, after)).toEqual(['+  node {', '+    name: pve3', '+    nodeid: 3', '+  }']);
    const link = edited(PROXMOX, (conf) => withBlock(conf, 'totem.interface', [['linknumber', '1']]));
    expect(difference(PROXMOX, link)).toEqual(['+  interface {', '+    linknumber: 1', '+  }']);
    expect(proxmoxFault(after)).toBeNull();
    const subsys = edited(PROXMOX, (conf) => withBlock(conf, 'logging.logger_subsys', [['subsys', 'TOTEM']]));
    expect(difference(PROXMOX, subsys)).toEqual(['+  logger_subsys {', '+    subsys: TOTEM', '+  }']);
  });

  test('go whole, with a blank line', () => {
    const conf = parseCorosyncConf(PROXMOX);
    const [quorum] = blocksAt(conf, 'quorum');
    const [link] = blocksAt(conf, 'totem.interface');
    if (quorum === undefined || link === undefined) throw new Error('both are there');
    expect(printCorosyncConf(withoutBlock(conf, quorum))).toBe(PROXMOX.replace(/quorum \{[^}]*\}\n\n/, ''));
    expect(printCorosyncConf(withoutBlock(conf, link))).toBe(PROXMOX.replace(/ {2}interface \{[^}]*\}\n/, ''));
    expect(() => withoutBlock(conf, conf.root)).toThrow(RangeError);
  });
});

test('what Proxmox makes of a file', () => {
  expect(proxmoxFault(PROXMOX)).toBeNull();
  expect(proxmoxFault('totem {\n}\ntotem {\n}\n')).toBe('the block "totem" comes twice');
  expect(proxmoxFault('totem {\ntransport:udpu\n}\n')).toBe(
    '"transport:udpu" is neither a key with a colon nor the name of a block',
  );
  expect(proxmoxFault('totem {\nx: a b\n}\n')).toBe('"b" is neither a key with a colon nor the name of a block');
  expect(proxmoxFault('totem {\nx:\n}\n')).toBe('the key "x" has no value');
  expect(proxmoxFault('}\n')).toBe('a "}" too many');
});
