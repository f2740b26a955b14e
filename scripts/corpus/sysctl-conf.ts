import {
  bootSetting,
  bootTable,
  isGlob,
  parseSysctlRows,
  printSysctlRows,
  type SysctlRow,
  setInDropIn,
  sysctlKey,
  sysctlPath,
} from '../../src/formats/sysctl-conf.ts';
import { format, type Opened, type Trial } from './format.ts';

const FILE = '/etc/sysctl.d/sample.conf';

/** A key that no file has, and that sorts in the middle of most. */
const NEW = 'net/mcastctl/sample';

export const sysctlConf: Opened = format<readonly SysctlRow[]>({
  name: 'sysctl.d',
  folder: 'sysctl',
  parse: parseSysctlRows,
  print: printSysctlRows,
  lines: (text) => parseSysctlRows(text).map(({ raw }) => raw),
  edits: [
    {
      kind: 'set a key that is there',
      *trials(rows) {
        const paths = new Set(
          rows.flatMap(({ entry }) => (entry === null || !canBeSet(entry.path) ? [] : [entry.path])),
        );
        for (const path of paths) yield trial(rows, path);
      },
    },
    {
      kind: 'add a key',
      *trials(rows) {
        yield trial(rows, NEW);
      },
    },
  ],
});

/** A glob is no key; a dot in a name directly below /proc/sys, where there is none, has no dotted spelling. */
function canBeSet(path: string): boolean {
  return path !== '' && !isGlob(path) && sysctlPath(sysctlKey(path)) === path;
}

function trial(rows: readonly SysctlRow[], path: string): Trial {
  const before = printSysctlRows(rows);
  const lines = rows.flatMap(({ entry }, index) => (entry?.path === path ? [index] : []));
  const others = (text: string) =>
    JSON.stringify(
      parseSysctlRows(text).flatMap(({ entry }) =>
        entry === null || entry.path === path ? [] : [[entry.path, entry.value]],
      ),
    );
  return {
    what: path,
    edited: () => setInDropIn(before, path, '123456'),
    touches: lines,
    adds: 1,
    objection(text) {
      const value = bootSetting(bootTable([{ path: FILE, text }]), path)?.value;
      if (value !== '123456') return `the next boot would give ${JSON.stringify(value)}`;
      return others(text) === others(before) ? undefined : 'another key is no longer the same';
    },
  };
}
