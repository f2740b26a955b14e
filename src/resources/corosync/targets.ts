import { HostError } from '../../core/errors.ts';
import {
  blocksAt,
  type ConfBlock,
  type ConfItem,
  type CorosyncConf,
  itemAt,
  itemIn,
  withBlock,
  withoutBlock,
  withoutValue,
  withoutValueIn,
  withValue,
  withValueIn,
} from '../../formats/corosync-conf.ts';
import { misplaced } from './cross-faults.ts';
import { type Effect, KEYS, type Key, type Section, type Transport } from './keys.ts';
import type { Block, CorosyncParams } from './params.ts';
import { sameValue, textOf } from './values.ts';

/** One property of the file as it is to be. */
export interface Target {
  /** As in cmap: `totem.netmtu`, `totem.interface.0.mcastport`; nodes by name: `nodelist.node.pve4.ring0_addr`. */
  readonly property: string;
  /** null: absent. */
  readonly value: string | null;
  /** Where it belongs; null: a whole block that is to be absent. */
  readonly key: Key | null;
  /** Link or node. */
  readonly of: string | number | null;
  /** What its change takes on a running cluster. */
  readonly effect: Effect;
  /** What people must know of it. */
  readonly note?: string;
  /** What the file says now. */
  read(conf: CorosyncConf): { readonly value: string; readonly line: number } | null;
  write(conf: CorosyncConf): CorosyncConf;
}

/** The transport that a file names. */
export function transportOf(conf: CorosyncConf): Transport {
  const value = itemAt(conf, 'totem', 'transport')?.value ?? 'knet';
  if (value === 'knet' || value === 'udp' || value === 'udpu') return value;
  throw new HostError(`${conf.file} names transport "${value}", which no corosync 3 has`, {
    hint: 'name the transport in the task: knet, udp or udpu',
  });
}

/**
 * What the parameters want of one file, and what follows from it: corosync does not start with encryption and udp.
 * @throws HostError where the file does not allow it: a multicast address while its transport is knet, a new node without address
 */
export function targetsOf(params: CorosyncParams, conf: CorosyncConf): readonly Target[] {
  const given = params.totem['transport'];
  const transport = given === undefined ? transportOf(conf) : given === null ? 'knet' : (given as Transport);
  const blocks: readonly (readonly [Section, Block])[] = [
    ['totem', params.totem],
    ['quorum', params.quorum],
    ['logging', params.logging],
    ['system', params.system],
  ];
  for (const [section, block] of blocks) refuseMisplaced(section, block, transport);
  for (const { values } of params.interfaces) refuseMisplaced('interface', values, transport);
  for (const { values } of params.nodes) refuseMisplaced('node', values, transport);
  return [
    ...blocks.flatMap(([section, block]) => settings(section, block)),
    ...(transport === 'knet' ? [] : withoutCrypto(params, conf)),
    ...params.interfaces.flatMap(({ linknumber, absent, values }) =>
      absent ? [linkGone(linknumber)] : KEYS.interface.flatMap((key) => linkTarget(linknumber, key, values[key.name])),
    ),
    ...params.nodes.flatMap(({ name, values }) => nodeTargets(name, values, conf)),
    ...params.absent.map(nodeGone),
  ];
}

function refuseMisplaced(section: Section, block: Block, transport: Transport): void {
  for (const [name, value] of Object.entries(block)) {
    const message = misplaced(section, name, value, transport);
    if (message !== null) throw new HostError(`"${name}": ${message}`);
  }
}

function settings(section: Section, block: Block): Target[] {
  return KEYS[section].flatMap((key) => {
    const value = block[key.name];
    return value === undefined ? [] : [setting(key, textOf(key.kind, value))];
  });
}

function setting(key: Key, value: string | null, note?: string): Target {
  const { section, name, effect } = key;
  return {
    property: `${section}.${name}`,
    value,
    key,
    of: null,
    effect,
    ...(note !== undefined && { note }),
    read: (conf) => found(itemAt(conf, section, name)),
    write: (conf) => (value === null ? withoutValue(conf, section, name) : withValue(conf, section, name, value)),
  };
}

/** Encryption that the file has is turned off in the same edit; what is off already stays. */
function withoutCrypto(params: CorosyncParams, conf: CorosyncConf): Target[] {
  const note = 'udp and udpu have no encryption: corosync would not start';
  const has = (name: string) => {
    const value = itemAt(conf, 'totem', name)?.value;
    return params.totem[name] === undefined && value !== undefined && value !== 'none' && value !== 'off';
  };
  return KEYS.totem.flatMap((key) => {
    if (!['secauth', 'crypto_cipher', 'crypto_hash'].includes(key.name) || !has(key.name)) return [];
    return [setting(key, key.name === 'secauth' ? 'off' : 'none', note)];
  });
}

/** The blocks of a link, which corosync merges. Before corosync 3 it was named by `ringnumber`; without either it is link 0. */
function linkBlocks(conf: CorosyncConf, linknumber: number): readonly ConfBlock[] {
  return blocksAt(conf, 'totem.interface').filter((block) => {
    const number = itemIn(block, 'linknumber') ?? itemIn(block, 'ringnumber');
    return Number(number?.value ?? 0) === linknumber;
  });
}

/** The block that gives a key its value; where none has it the last one. */
function blockWith(blocks: readonly ConfBlock[], name: string): ConfBlock | undefined {
  return blocks.findLast((block) => itemIn(block, name) !== undefined) ?? blocks.at(-1);
}

function linkTarget(linknumber: number, key: Key, given: Block[string] | undefined): Target[] {
  if (given === undefined) return [];
  const value = textOf(key.kind, given);
  return [
    {
      property: `totem.interface.${linknumber}.${key.name}`,
      value,
      key,
      of: linknumber,
      effect: key.effect,
      read: (conf) => foundIn(blockWith(linkBlocks(conf, linknumber), key.name), key.name),
      write(conf) {
        const block = blockWith(linkBlocks(conf, linknumber), key.name);
        if (value === null) return withoutIn(conf, (now) => linkBlocks(now, linknumber), key.name);
        if (block !== undefined) return withValueIn(conf, block, key.name, value);
        return withBlock(conf, 'totem.interface', [
          ['linknumber', String(linknumber)],
          [key.name, value],
        ]);
      },
    },
  ];
}

function linkGone(linknumber: number): Target {
  return {
    property: `totem.interface.${linknumber}`,
    value: null,
    key: null,
    of: linknumber,
    effect: 'reload',
    read: (conf) => blockFound(linkBlocks(conf, linknumber)[0]),
    write: (conf) => withoutAll(conf, (now) => linkBlocks(now, linknumber)[0]),
  };
}

/** The block of a node: by name, else, where the file names no nodes, by its address. */
export function nodeBlock(conf: CorosyncConf, name: string, address?: string): ConfBlock | undefined {
  const blocks = blocksAt(conf, 'nodelist.node');
  return (
    blocks.find((block) => itemIn(block, 'name')?.value === name) ??
    blocks.find((block) => {
      const own = itemIn(block, 'ring0_addr')?.value;
      return itemIn(block, 'name') === undefined && own !== undefined && (own === name || own === address);
    })
  );
}

function nodeTargets(name: string, values: Block, conf: CorosyncConf): Target[] {
  const wanted = new Map(
    KEYS.node.flatMap((key): [Key, string | null][] => {
      const value = values[key.name];
      return value === undefined ? [] : [[key, textOf(key.kind, value)]];
    }),
  );
  const address = values['ring0_addr'] == null ? undefined : String(values['ring0_addr']);
  const isNew = nodeBlock(conf, name, address) === undefined;
  if (isNew && (address === undefined || values['nodeid'] == null))
    throw new HostError(`node "${name}" is not in the nodelist of ${conf.file} yet`, {
      hint: 'give its ring0_addr and nodeid to add it, or correct its name',
    });
  const items = [['name', name], ...[...wanted].flatMap(([key, value]) => (value === null ? [] : [[key.name, value]]))];
  return [...wanted].map(([key, value]) => ({
    property: `nodelist.node.${name}.${key.name}`,
    value,
    key,
    of: name,
    // A node that joins is told of by a reload, and so is an address on a link that is new, or one less.
    effect:
      isNew || value === null || foundIn(nodeBlock(conf, name, address), key.name) === null ? 'reload' : key.effect,
    read: (now) => foundIn(nodeBlock(now, name, address), key.name),
    write(now) {
      const block = nodeBlock(now, name, address);
      if (block === undefined) return withBlock(now, 'nodelist.node', items as [string, string][]);
      return value === null ? withoutValueIn(now, block, key.name) : withValueIn(now, block, key.name, value);
    },
  }));
}

function nodeGone(name: string): Target {
  return {
    property: `nodelist.node.${name}`,
    value: null,
    key: null,
    of: name,
    effect: 'reload',
    read: (conf) => blockFound(nodeBlock(conf, name)),
    write: (conf) => withoutAll(conf, (now) => nodeBlock(now, name)),
  };
}

/** The file without a key in any of some blocks; each edit gives another file, with blocks of its own. */
function withoutIn(
  conf: CorosyncConf,
  blocks: (conf: CorosyncConf) => readonly ConfBlock[],
  name: string,
): CorosyncConf {
  const block = blocks(conf).find((each) => itemIn(each, name) !== undefined);
  return block === undefined ? conf : withoutIn(withoutValueIn(conf, block, name), blocks, name);
}

/** The file without any block that `next` finds. */
function withoutAll(conf: CorosyncConf, next: (conf: CorosyncConf) => ConfBlock | undefined): CorosyncConf {
  const block = next(conf);
  return block === undefined ? conf : withoutAll(withoutBlock(conf, block), next);
}

function found(item: ConfItem | undefined): { readonly value: string; readonly line: number } | null {
  return item === undefined ? null : { value: item.value, line: item.line + 1 };
}

function foundIn(block: ConfBlock | undefined, name: string) {
  return block === undefined ? null : found(itemIn(block, name));
}

function blockFound(block: ConfBlock | undefined) {
  return block === undefined ? null : { value: 'present', line: block.open + 1 };
}

/** Whether the file says what a target wants. */
export function isInFile(target: Target, conf: CorosyncConf): boolean {
  return isRight(target, target.read(conf)?.value ?? null);
}

/** Whether a value is the one that a target wants. */
export function isRight(target: Target, value: string | null): boolean {
  return target.key === null ? value === target.value : sameValue(target.key.kind, value, target.value);
}
