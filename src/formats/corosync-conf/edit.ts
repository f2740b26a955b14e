import { HostError } from '../../core/errors.ts';
import type { ConfBlock, ConfItem, CorosyncConf } from './model.ts';
import { logicalText, parseCorosyncConf, printCorosyncConf } from './parse.ts';

/** All blocks with a path such as `totem.interface`, in the order of the file; "" is the file itself. */
export function blocksAt(conf: CorosyncConf, path: string): readonly ConfBlock[] {
  const found: ConfBlock[] = [];
  const visit = (block: ConfBlock): void => {
    if (block.path === path) found.push(block);
    for (const inner of block.blocks) visit(inner);
  };
  visit(conf.root);
  return found;
}

/** The item that gives a key its value in one block: the last one. */
export function itemIn(block: ConfBlock, key: string): ConfItem | undefined {
  return block.items.findLast((item) => item.key === key);
}

/**
 * The item that gives a key its value in all blocks of a path: corosync merges them, and the last one in the file wins. Not for the
 * entries of a list, which are `totem.interface`, `nodelist.node` and `logging.logger_subsys`: those are looked at one by one.
 */
export function itemAt(conf: CorosyncConf, path: string, key: string): ConfItem | undefined {
  return blocksAt(conf, path)
    .flatMap((block) => block.items.filter((item) => item.key === key))
    .reduce<ConfItem | undefined>(
      (last, item) => (last === undefined || item.line > last.line ? item : last),
      undefined,
    );
}

/**
 * The file with a key set in the blocks of a path, such as `totem`: in the line that gives it now, else in a new line after the last
 * item of the last such block, else in a new block. All other bytes stay.
 * @throws HostError where corosync or Proxmox could not read the key or the value back
 */
export function withValue(conf: CorosyncConf, path: string, key: string, value: string): CorosyncConf {
  const item = itemAt(conf, path, key);
  if (item !== undefined) return withItemValue(conf, item, value);
  const block = blocksAt(conf, path).at(-1);
  return block === undefined ? withBlock(conf, path, [[key, value]]) : withNewItem(conf, block, key, value);
}

/** The file without a key in all blocks of a path. */
export function withoutValue(conf: CorosyncConf, path: string, key: string): CorosyncConf {
  return withoutItems(conf, blocksAt(conf, path), key);
}

/**
 * As `withValue`, in one block of `conf`.
 * @throws HostError where corosync or Proxmox could not read the key or the value back
 * @throws RangeError where the block is of another state of the file
 */
export function withValueIn(conf: CorosyncConf, block: ConfBlock, key: string, value: string): CorosyncConf {
  mustBeOf(conf, block);
  const item = itemIn(block, key);
  return item === undefined ? withNewItem(conf, block, key, value) : withItemValue(conf, item, value);
}

/**
 * The file without a key in one block of `conf`.
 * @throws RangeError where the block is of another state of the file
 */
export function withoutValueIn(conf: CorosyncConf, block: ConfBlock, key: string): CorosyncConf {
  mustBeOf(conf, block);
  return withoutItems(conf, [block], key);
}

/**
 * The file with one more block: after the last one of that path, else at the end of the block around it, which is made where it is
 * missing. Indentation, blank lines and line ends are those of the file.
 * @param path of the new block, such as `nodelist.node`
 * @throws HostError where corosync or Proxmox could not read a name or value back
 */
export function withBlock(
  conf: CorosyncConf,
  path: string,
  items: readonly (readonly [key: string, value: string])[],
): CorosyncConf {
  const names = path.split('.');
  for (const name of names) mustBeKey(name);
  for (const [key, value] of items) mustBeItem(key, value);
  const unit = indentUnit(conf);
  const depth = deepestExisting(conf, names);
  const parent = blocksAt(conf, names.slice(0, depth).join('.')).at(-1) ?? conf.root;
  const missing = names.slice(depth);
  const [name = ''] = missing;
  const siblings = parent.blocks.filter((block) => block.name === name);
  const indent = indentOfNew(conf, parent, unit);
  const texts = missing.map((inner, level) => `${indent}${unit.repeat(level)}${inner} {`);
  texts.push(...items.map(([key, value]) => `${indent}${unit.repeat(missing.length)}${key}: ${value}`));
  texts.push(...missing.map((_, level) => `${indent}${unit.repeat(level)}}`).toReversed());
  const neighbour = siblings.at(-1) ?? parent.blocks.at(-1);
  const after =
    neighbour?.close ?? parent.items.at(-1)?.line ?? (parent.open < 0 ? conf.lines.length - 1 : parent.open);
  const isApart = neighbour !== undefined && neighbour.open > 0 && conf.lines[neighbour.open - 1]?.kind === 'blank';
  return insertAfter(conf, after, isApart ? ['', ...texts] : texts);
}

/**
 * The file without a block of `conf`, and without the blank line before it where one follows too.
 * @throws RangeError where the block is of another state of the file, or is the file itself
 */
export function withoutBlock(conf: CorosyncConf, block: ConfBlock): CorosyncConf {
  mustBeOf(conf, block);
  if (block.open < 0) throw new RangeError('the file itself is no block that can go');
  const next = conf.lines[block.close + 1]?.kind;
  const isBlankBefore = conf.lines[block.open - 1]?.kind === 'blank';
  const from =
    isBlankBefore && (next === undefined || next === 'blank' || next === 'close') ? block.open - 1 : block.open;
  return rewritten(conf, (_, index) => (index >= from && index <= block.close ? '' : undefined));
}

function withItemValue(conf: CorosyncConf, item: ConfItem, value: string): CorosyncConf {
  if (item.value === value) return conf;
  mustBeItem(item.key, value);
  return rewritten(conf, (raw, index) => {
    if (index !== item.line) return undefined;
    const body = logicalText(raw);
    // Proxmox wants a blank behind the colon.
    const head = body.slice(0, body.length - item.value.length);
    return `${head}${head.endsWith(':') ? ' ' : ''}${value}${raw.slice(body.length)}`;
  });
}

function withNewItem(conf: CorosyncConf, block: ConfBlock, key: string, value: string): CorosyncConf {
  mustBeItem(key, value);
  const indent = indentOfNew(conf, block, indentUnit(conf));
  const beforeBlocks = block.open < 0 ? conf.lines.length - 1 : block.open;
  return insertAfter(conf, block.items.at(-1)?.line ?? beforeBlocks, [`${indent}${key}: ${value}`]);
}

function withoutItems(conf: CorosyncConf, blocks: readonly ConfBlock[], key: string): CorosyncConf {
  const gone = new Set(
    blocks.flatMap((block) => block.items.filter((item) => item.key === key).map((item) => item.line)),
  );
  return gone.size === 0 ? conf : rewritten(conf, (_, index) => (gone.has(index) ? '' : undefined));
}

/** How many of the names, from the first, are a path that the file has, leaving out the last: that one is made. */
function deepestExisting(conf: CorosyncConf, names: readonly string[]): number {
  let depth = names.length - 1;
  while (depth > 0 && blocksAt(conf, names.slice(0, depth).join('.')).length === 0) depth--;
  return depth;
}

/** Lines put in behind one line: with its line end, or where it has none, the file's usual one between and none at the end. */
function insertAfter(conf: CorosyncConf, index: number, texts: readonly string[]): CorosyncConf {
  const end = lineEnd(conf.lines[index]?.raw ?? '');
  const usual = end !== '' ? end : (conf.lines.map((line) => lineEnd(line.raw)).find((other) => other !== '') ?? '\n');
  if (index < 0) return reparsed(conf, texts.map((text) => text + usual).join('') + printCorosyncConf(conf));
  if (end !== '') {
    return rewritten(conf, (raw, at) => (at === index ? raw + texts.map((text) => text + end).join('') : undefined));
  }
  // The file may have been cut between the two characters of a line end.
  return rewritten(conf, (raw, at) => {
    return at === index ? raw + (raw.endsWith('\r') ? '\n' : usual) + texts.join(usual) : undefined;
  });
}

function rewritten(conf: CorosyncConf, change: (raw: string, index: number) => string | undefined): CorosyncConf {
  return reparsed(conf, conf.lines.map(({ raw }, index) => change(raw, index) ?? raw).join(''));
}

function reparsed(conf: CorosyncConf, text: string): CorosyncConf {
  return parseCorosyncConf(text, conf.file, conf.encoding);
}

/** The indentation of a line directly in a block: that of its last item, else of its last block, else one step more than its own. */
function indentOfNew(conf: CorosyncConf, block: ConfBlock, unit: string): string {
  const like = block.items.at(-1)?.line ?? block.blocks.at(-1)?.open;
  if (like !== undefined) return indentAt(conf, like);
  return block.open < 0 ? '' : indentAt(conf, block.open) + unit;
}

/** What the file puts before a line for each block around it; two blanks, as Proxmox does, where nothing tells. */
function indentUnit(conf: CorosyncConf): string {
  const units: string[] = [];
  const visit = (block: ConfBlock): void => {
    const own = block.open < 0 ? '' : indentAt(conf, block.open);
    for (const line of [...block.items.map((item) => item.line), ...block.blocks.map((inner) => inner.open)]) {
      const indent = indentAt(conf, line);
      if (block.open >= 0 && indent.startsWith(own)) units.push(indent.slice(own.length));
    }
    for (const inner of block.blocks) visit(inner);
  };
  visit(conf.root);
  return units[0] ?? '  ';
}

function indentAt(conf: CorosyncConf, index: number): string {
  return /^[ \t]*/.exec(conf.lines[index]?.raw ?? '')?.[0] ?? '';
}

function lineEnd(raw: string): string {
  return /\r?\n$/.exec(raw)?.[0] ?? '';
}

function mustBeOf(conf: CorosyncConf, block: ConfBlock): void {
  if (!blocksAt(conf, block.path).includes(block)) throw new RangeError('the block is not of this state of the file');
}

function mustBeKey(key: string): void {
  if (/^[A-Za-z0-9._/-]+$/.test(key)) return;
  throw new HostError(`"${key}" can't be a key in corosync.conf`, {
    hint: 'use letters of ASCII, digits and ". _ - /"',
  });
}

/**
 * Proxmox cuts at "#" and at any white space, corosync takes any line with "{" for the beginning of a block; beyond ASCII the bytes
 * would depend on how the file is encoded.
 */
function mustBeItem(key: string, value: string): void {
  mustBeKey(key);
  if (/^[!-~]+$/.test(value) && !/[#{}]/.test(value)) return;
  throw new HostError(`"${value}" can't be the value of "${key}" in corosync.conf`, {
    hint: 'use one word of ASCII without "#", "{" and "}"',
  });
}
