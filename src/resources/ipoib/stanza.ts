import { commandValue, type StanzaSetting, withCommand } from '../interfaces/stanza.ts';
import type { IpoibMode } from './wanted.ts';

/** Between pre-up (1) and up (2) of commands: both programs set the MTU before the interface is up. */
const ATTRIBUTE_PHASE = 1.5;

/** `echo datagram > /sys/class/net/ib0/mode`, before the interface is up. */
export function modeSetting(device: string, mode: IpoibMode): StanzaSetting {
  const read = (words: readonly string[]): string | undefined => {
    const [program = '', value, redirect, path = '', ...more] = words.filter((word) => word !== '-n');
    const isOurs = /^\/sys\/(?:class|devices\/virtual)\/net\/([^/]+)\/mode$/.exec(path)?.[1] === device;
    return /^(?:\/usr)?(?:\/bin\/)?(?:echo|printf)$/.test(program) && redirect === '>' && isOurs && more.length === 0
      ? value
      : undefined;
  };
  const command = `echo ${mode} > /sys/class/net/${device}/mode`;
  return {
    name: 'mode',
    to: mode,
    read(line) {
      const value = commandValue(line, device, read);
      return value === undefined ? undefined : { value, phase: line.phase };
    },
    isRight: (value) => value === mode,
    rewrite: (line) =>
      withCommand(line, device, (words) => (read(words) === undefined ? undefined : command.split(' '))),
    extend: () => undefined,
    added: { key: 'pre-up', value: command },
    remark: (line) =>
      line.phase > 0 && /\/mode\b/.test(line.value) && commandValue(line, device, read) === undefined
        ? `"${line.key} ${line.value}" may set it too and is left alone`
        : undefined,
  };
}

/** `mtu 2044`, or a command that sets it. */
export function mtuSetting(device: string, mtu: number): StanzaSetting {
  const isMtu = (words: readonly string[]): boolean => {
    const [program = '', ...rest] = words.filter((word) => word !== 'dev');
    const name = program.replace(/^(?:\/usr)?\/s?bin\//, '');
    return name === 'ip'
      ? rest.slice(0, 3).join(' ') === `link set ${device}`
      : name === 'ifconfig' && rest[0] === device;
  };
  const read = (words: readonly string[]): string | undefined => {
    const at = words.indexOf('mtu');
    return isMtu(words) && at > 0 ? words[at + 1] : undefined;
  };
  return {
    name: 'mtu',
    to: mtu,
    read(line) {
      const value = line.key === 'mtu' ? line.value : commandValue(line, device, read);
      if (value === undefined) return undefined;
      const number = /^\d{1,6}$/.test(String(value)) ? Number(value) : value;
      return { value: number, phase: line.key === 'mtu' ? ATTRIBUTE_PHASE : line.phase };
    },
    isRight: (value) => value === mtu,
    rewrite: (line) =>
      line.key === 'mtu'
        ? String(mtu)
        : withCommand(line, device, (words) =>
            read(words) === undefined
              ? undefined
              : words.map((word, at) => (words[at - 1] === 'mtu' ? String(mtu) : word)),
          ),
    extend: () => undefined,
    added: { key: 'mtu', value: String(mtu) },
    remark: () => undefined,
  };
}
