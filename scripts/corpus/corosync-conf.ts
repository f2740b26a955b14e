import {
  blocksAt,
  type ConfBlock,
  type CorosyncConf,
  itemAt,
  parseCorosyncConf,
  printCorosyncConf,
  proxmoxFault,
  withBlock,
  withoutBlock,
  withoutValue,
  withoutValueIn,
  withValue,
  withValueIn,
} from '../../src/formats/corosync-conf.ts';
import { format, type Opened, type Trial } from './format.ts';

const VALUE = '239.1.2.3';
/** What playbooks set: keys of blocks that most files have, and that some lack. */
const WISHES = [
  ['totem', 'netmtu'],
  ['totem', 'config_version'],
  ['quorum', 'provider'],
  ['logging', 'debug'],
  ['system', 'sched_rr'],
] as const;
const BLOCKS = ['totem.interface', 'nodelist.node', 'logging.logger_subsys'] as const;

export const corosyncConf: Opened = format<CorosyncConf>({
  name: 'corosync.conf',
  folder: 'corosync',
  parse: parseCorosyncConf,
  print: printCorosyncConf,
  edits: [
    {
      kind: 'change a value',
      *trials(conf) {
        for (const block of allBlocks(conf.root)) {
          const last = new Map(block.items.map((item) => [item.key, item]));
          for (const { key, line } of last.values()) {
            if (!/^[A-Za-z0-9._/-]+$/.test(key)) continue;
            const edited = () => printCorosyncConf(withValueIn(conf, block, key, VALUE));
            yield trial(conf, `${block.path}.${key}`, edited, [line], 1, { [line]: `${key}=${VALUE}` });
          }
        }
      },
    },
    {
      kind: 'set what playbooks set',
      *trials(conf) {
        for (const [path, key] of WISHES) {
          const item = itemAt(conf, path, key);
          yield {
            ...trial(conf, `${path}.${key}`, () => printCorosyncConf(withValue(conf, path, key, VALUE)), [], 5),
            touches: item === undefined ? [] : [item.line],
            objection: (text) => {
              if (itemAt(parseCorosyncConf(text), path, key)?.value !== VALUE) return 'the key has another value';
              return proxmoxToo(conf, text);
            },
          };
        }
      },
    },
    {
      kind: 'remove a key',
      *trials(conf) {
        for (const block of allBlocks(conf.root).filter(({ path }) => !path.startsWith('logging.logg'))) {
          for (const key of new Set(block.items.map((item) => item.key))) {
            const lines = block.items.filter((item) => item.key === key).map((item) => item.line);
            const edited = () => printCorosyncConf(withoutValueIn(conf, block, key));
            yield trial(
              conf,
              `${block.path}.${key}`,
              edited,
              lines,
              0,
              Object.fromEntries(lines.map((line) => [line, ''])),
            );
          }
        }
        for (const [path, key] of WISHES) {
          const lines = blocksAt(conf, path).flatMap((block) =>
            block.items.filter((item) => item.key === key).map((item) => item.line),
          );
          const edited = () => printCorosyncConf(withoutValue(conf, path, key));
          const gone = Object.fromEntries(lines.map((line) => [line, '']));
          yield trial(conf, `every ${path}.${key}`, edited, lines, 0, gone);
        }
      },
    },
    {
      kind: 'add a block',
      *trials(conf) {
        for (const path of BLOCKS) {
          const edited = () => printCorosyncConf(withBlock(conf, path, [['subsys', VALUE]]));
          yield {
            ...trial(conf, path, edited, [], 6),
            objection(text) {
              const found = blocksAt(parseCorosyncConf(text), path);
              const isThere = found.at(-1)?.items.some((item) => item.value === VALUE) === true;
              if (!isThere || found.length !== blocksAt(conf, path).length + 1) return 'the block is not there';
              // Proxmox reads only these more than once.
              return path === 'logging.logger_subsys' && found.length > 1 ? undefined : proxmoxToo(conf, text);
            },
          };
        }
      },
    },
    {
      kind: 'remove a block',
      *trials(conf) {
        for (const block of allBlocks(conf.root).filter(({ open }) => open >= 0)) {
          const edited = () => printCorosyncConf(withoutBlock(conf, block));
          const lines = Array.from({ length: block.close - block.open + 2 }, (_, index) => block.open - 1 + index);
          const isOneLess = (text: string) =>
            blocksAt(parseCorosyncConf(text), block.path).length === blocksAt(conf, block.path).length - 1;
          yield {
            ...trial(conf, block.path, edited, lines, 0),
            objection: (text) => (isOneLess(text) ? proxmoxToo(conf, text) : 'the block is still there'),
          };
        }
      },
    },
  ],
});

/**
 * An edit after which all items mean the same, but for those of the lines in `changed`: those have another text, "" where they are
 * gone.
 */
function trial(
  conf: CorosyncConf,
  what: string,
  edited: () => string,
  touches: readonly number[],
  adds: number,
  changed: Readonly<Record<number, string>> = {},
): Trial {
  const wanted = meaning(conf.root, changed);
  return {
    what,
    edited,
    touches,
    adds,
    objection(text) {
      if (meaning(parseCorosyncConf(text).root) !== wanted) return 'another key is no longer the same';
      return proxmoxToo(conf, text);
    },
  };
}

function meaning(block: ConfBlock, changed: Readonly<Record<number, string>> = {}): string {
  const items = block.items.map(({ key, value, line }) => changed[line] ?? `${key}=${value}`).filter(Boolean);
  return `${block.name}{${[...items, ...block.blocks.map((inner) => meaning(inner, changed))].join('\n')}}`;
}

/** What Proxmox could read, and as corosync does, it can still read. */
function proxmoxToo(conf: CorosyncConf, text: string): string | undefined {
  const items = allBlocks(conf.root).flatMap((block) => block.items);
  if (proxmoxFault(printCorosyncConf(conf)) !== null || !items.every(({ value }) => /^\S+$/.test(value)))
    return undefined;
  const fault = proxmoxFault(text);
  return fault === null ? undefined : `Proxmox does not read it any more: ${fault}`;
}

function allBlocks(block: ConfBlock): readonly ConfBlock[] {
  return [block, ...block.blocks.flatMap(allBlocks)];
}
