import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCommand } from '../../../src/resources/bridge/commands.ts';
import { PROPERTIES } from '../../../src/resources/bridge/properties.ts';

const SYSFS = '/sys/class/net/vmbr0/bridge';

function settings(command: string) {
  return readCommand(command, 'vmbr0').settings.map(({ property, value }) => [property.name, value]);
}

describe('commands that set the querier', () => {
  test.each([
    'echo 1 > /sys/class/net/vmbr0/bridge/multicast_querier',
    'echo 1 >/sys/class/net/vmbr0/bridge/multicast_querier',
    '( echo 1 > /sys/devices/virtual/net/$IFACE/bridge/multicast_querier )',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's variable
    '(echo 1 >/sys/devices/virtual/net/${IFACE}/bridge/multicast_querier)',
    '{ echo 1 > /sys/class/net/$IFACE/bridge/multicast_querier; }',
    'echo "1" > "/sys/class/net/$IFACE/bridge/multicast_querier"',
    "echo -n '1' > /sys/class/net/vmbr0/bridge/multicast_querier || true",
    '/bin/echo 1 > /sys/class/net/vmbr0/bridge/multicast_querier 2>/dev/null || :',
    'echo 5 > /sys/class/net/vmbr0/bridge/multicast_querier;',
    'ip link set vmbr0 type bridge mcast_querier 1',
    '/sbin/ip link set dev $IFACE type bridge mcast_querier 1',
    '[ -e /sys/class/net/vmbr0/bridge ] && ip link set dev vmbr0 type bridge mcast_querier 1',
  ])('%s', (command) => {
    const read = readCommand(command, 'vmbr0');
    expect(settings(command)).toEqual([['multicast_querier', 1]]);
    expect(read.suspects).toEqual([]);
    expect(read.without(new Set(['multicast_querier']))).toBe('');
    expect(settings(read.without(new Set(['multicast_snooping'])))).toEqual([['multicast_querier', 1]]);
  });
});

describe('commands that may set the querier, but only a shell can tell', () => {
  test.each([
    'for b in vmbr0 vmbr1; do echo 1 > /sys/class/net/$b/bridge/multicast_querier; done',
    'echo $(cat /etc/q) > /sys/class/net/vmbr0/bridge/multicast_querier',
    'echo 1 | tee /sys/class/net/vmbr0/bridge/multicast_querier',
    'sh -c "echo 1 > /sys/class/net/vmbr0/bridge/multicast_querier"',
    'test -e /x || echo 1 > /sys/class/net/vmbr0/bridge/multicast_querier || logger failed',
    'echo 1> /sys/class/net/vmbr0/bridge/multicast_querier',
    'echo 1 > /sys/class/net/vmbr0/bridge/multicast_querier &',
    'brctl setmcquerier vmbr0 1',
    'echo yes > /sys/class/net/vmbr0/bridge/multicast_querier',
    "ip link set dev vmbr0 type bridge mcast_querier 1 group_address '$(reboot)'",
  ])('%s', (command) => {
    const read = readCommand(command, 'vmbr0');
    expect(read.settings).toEqual([]);
    expect(read.suspects).toEqual(['multicast_querier']);
    expect(read.without(new Set(['multicast_querier']))).toBe(command);
  });
});

test('a command for another bridge is none of ours', () => {
  const read = readCommand('echo 1 > /sys/class/net/vmbr1/bridge/multicast_querier', 'vmbr0');
  expect([read.settings, read.suspects]).toEqual([[], []]);
});

test('what else a line does is kept', () => {
  const only = new Set(['multicast_querier']);
  const cut = (command: string) => readCommand(command, 'vmbr0').without(only);
  expect(cut(`echo 1 > ${SYSFS}/multicast_querier; echo 0 > ${SYSFS}/multicast_snooping`)).toBe(
    `echo 0 > ${SYSFS}/multicast_snooping`,
  );
  expect(cut(`ip route add 224.0.0.0/4 dev $IFACE && echo 1 > ${SYSFS}/multicast_querier || true; sysctl -p`)).toBe(
    'ip route add 224.0.0.0/4 dev vmbr0; sysctl -p',
  );
  expect(cut('ip link set vmbr0 type bridge mcast_snooping 0 mcast_querier 1 ageing_time 300')).toBe(
    'ip link set vmbr0 type bridge mcast_snooping 0 ageing_time 300',
  );
});

test('a value is changed where it stands', () => {
  const querier = PROPERTIES.find(({ name }) => name === 'multicast_querier');
  if (querier === undefined) throw new Error('the querier is a property');
  const change = (command: string) => readCommand(command, 'vmbr0').withValue(querier, 0);
  expect(change('ip link set vmbr0 type bridge mcast_snooping 1 mcast_querier 1')).toBe(
    'ip link set vmbr0 type bridge mcast_snooping 1 mcast_querier 0',
  );
  expect(change(`( echo 1 > /sys/devices/virtual/net/$IFACE/bridge/multicast_querier )`)).toBe(
    `echo 0 > ${SYSFS}/multicast_querier`,
  );
  const unchanged = `( echo 0 > ${SYSFS}/multicast_querier )`;
  expect(settings(change(unchanged))).toEqual([['multicast_querier', 0]]);
});

test('any text is read without failing, and a rewritten line says the same as before', () => {
  const words = fc.constantFrom(
    ...[
      'echo',
      '1',
      '0',
      '>',
      `${SYSFS}/multicast_querier`,
      `${SYSFS}/multicast_snooping`,
      '&&',
      '||',
      ';',
      'true',
      '(',
    ],
    ...[
      ')',
      'ip link set vmbr0 type bridge',
      'mcast_querier',
      '"',
      "'",
      '$IFACE',
      '`',
      '\\',
      'ip',
      'reboot',
      '2>',
      '\n',
    ],
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 14 }), (list) => {
      const read = readCommand(list.join(' '), 'vmbr0');
      const left = read.without(new Set(['multicast_querier']));
      const again = readCommand(left, 'vmbr0').settings.map(({ property }) => property.name);
      expect(again).toEqual(
        read.settings.map(({ property }) => property.name).filter((name) => name !== 'multicast_querier'),
      );
    }),
    { numRuns: 5000 },
  );
});
