import {
  bootSetting,
  bootTable,
  isGlob,
  parseSysctlConf,
  parseSysctlRows,
  printSysctlRows,
  type SysctlRow,
  setInDropIn,
  sysctlKey,
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

/** A glob is no key, and a name that begins with "-", say, has no spelling that is read back. */
function canBeSet(path: string): boolean {
  return path !== '' && !isGlob(path) && parseSysctlConf(`${sysctlKey(path)} = 1`)[0]?.path === path;
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
