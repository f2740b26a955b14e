import { HostError } from '../../core/errors.ts';
import { type ClusterConf, type ConfAttribute, type ConfElement, parseClusterConf } from './parse.ts';

/** All elements with a path such as `cluster/clusternodes/clusternode`, in the order of the file. */
export function elementsAt(conf: ClusterConf, path: string): readonly ConfElement[] {
  const [root, ...names] = path.split('/');
  let found = conf.root.name === root ? [conf.root] : [];
  for (const name of names) {
    found = found.flatMap((element) => element.children.filter((child) => child.name === name));
  }
  return found;
}

/** An attribute of one element. */
export function attributeOf(element: ConfElement, name: string): ConfAttribute | undefined {
  return element.attributes.find((attribute) => attribute.name === name);
}

/** The value of an attribute of the first element with a path; undefined: no such element, or it has no such attribute. */
export function attributeAt(conf: ClusterConf, path: string, name: string): string | undefined {
  const [element] = elementsAt(conf, path);
  return element === undefined ? undefined : attributeOf(element, name)?.value;
}

/**
 * The file with an attribute set in the first element with a path, which is made, as are those around it, where it is missing. All
 * other bytes stay.
 * @param path such as `cluster/cman/multicast`
 * @throws HostError where the outermost element has another name, or a name or value can't stand in XML
 */
export function withAttribute(conf: ClusterConf, path: string, name: string, value: string): ClusterConf {
  const [element] = elementsAt(conf, path);
  return element === undefined ? withElement(conf, path, [[name, value]]) : withAttributeOf(conf, element, name, value);
}

/** The file without an attribute of the first element with a path. */
export function withoutAttribute(conf: ClusterConf, path: string, name: string): ClusterConf {
  const [element] = elementsAt(conf, path);
  const attribute = element === undefined ? undefined : attributeOf(element, name);
  return attribute === undefined ? conf : replaced(conf, attribute.gap, attribute.valueEnd + 1, '');
}

/**
 * The file without the first element with a path and what is in it; with its line, where nothing else stands there.
 * @param path of an element within the outermost
 */
export function withoutElement(conf: ClusterConf, path: string): ClusterConf {
  const [element] = elementsAt(conf, path);
  if (element === undefined || element === conf.root) return conf;
  const before = /\r?\n[ \t]*$/.exec(conf.text.slice(0, element.start))?.[0] ?? '';
  const isAlone = /^[ \t]*\r?\n/.test(conf.text.slice(element.end));
  return replaced(conf, element.start - (isAlone ? before.length : 0), element.end, '');
}

/**
 * As `withAttribute`, in one element of `conf`.
 * @throws HostError where the name or value can't stand in XML
 * @throws RangeError where the element is of another state of the file
 */
export function withAttributeOf(conf: ClusterConf, element: ConfElement, name: string, value: string): ClusterConf {
  if (!holds(conf.root, element)) throw new RangeError('the element is not of this state of the file');
  const old = attributeOf(element, name);
  if (old?.value === value) return conf;
  const last = old ?? element.attributes.at(-1);
  const quote = last === undefined ? '"' : (conf.text[last.valueEnd] ?? '"');
  if (old !== undefined) return replaced(conf, old.valueStart, old.valueEnd, escaped(value, quote));
  const gap = last === undefined ? ' ' : conf.text.slice(last.gap, last.start);
  const at = last === undefined ? element.start + 1 + element.name.length : last.valueEnd + 1;
  return replaced(conf, at, at, gap + attributeText(name, value, quote));
}

/**
 * The file with one more element, behind the last one in the first element with the path around it, which is made where it is missing.
 * Indentation and line ends are those of the file.
 * @param path of the new element, such as `cluster/totem`
 * @throws HostError where the outermost element has another name, or a name or value can't stand in XML
 */
export function withElement(
  conf: ClusterConf,
  path: string,
  attributes: readonly (readonly [name: string, value: string])[],
): ClusterConf {
  const names = path.split('/');
  const [root] = names;
  if (root !== conf.root.name || names.length < 2) {
    throw new HostError(`${conf.file} begins with "${conf.root.name}", "${path}" can't be put into it`);
  }
  let depth = names.length - 1;
  while (elementsAt(conf, names.slice(0, depth).join('/')).length === 0) depth--;
  const [parent = conf.root] = elementsAt(conf, names.slice(0, depth).join('/'));
  const layout = layoutOf(conf, parent);
  const missing = names.slice(depth);
  for (const name of missing) mustBeName(name);
  const [innermost = ''] = missing.slice(-1);
  const texts = missing.map((name) => `<${name}`);
  texts[texts.length - 1] =
    `<${innermost}${attributes.map(([name, value]) => ` ${attributeText(name, value, '"')}`).join('')}/>`;
  const opened = texts
    .map((text, level) => `${layout.gap(level)}${text}${level < missing.length - 1 ? '>' : ''}`)
    .join('');
  const closed = missing
    .slice(0, -1)
    .map((name, level) => `${layout.gap(level)}</${name}>`)
    .toReversed()
    .join('');
  return insertedInto(conf, parent, opened + closed, layout.end);
}

function insertedInto(conf: ClusterConf, parent: ConfElement, added: string, end: string): ClusterConf {
  if (parent.isEmpty) {
    const slash = parent.tagEnd - 2;
    return replaced(conf, slash, parent.tagEnd, `>${added}${end}</${parent.name}>`);
  }
  const last = parent.children.at(-1);
  if (last !== undefined) return replaced(conf, last.end, last.end, added);
  const content = conf.text.slice(parent.tagEnd, conf.text.lastIndexOf('<', parent.end - 1));
  return replaced(conf, parent.tagEnd, parent.tagEnd, content.includes('\n') ? added : added + end);
}

/** What stands before an element `level` deeper than the children of `parent`, and before the end tag of `parent`. */
function layoutOf(conf: ClusterConf, parent: ConfElement): { gap: (level: number) => string; end: string } {
  const child = parent.children.at(-1);
  const hasLines = child === undefined ? /[\r\n]/.test(conf.text) : /\n[ \t]*$/.test(conf.text.slice(0, child.start));
  if (!hasLines) return { gap: () => '', end: '' };
  const lineEnd = /\r?\n/.exec(conf.text)?.[0] ?? '\n';
  const unit = indentUnit(conf);
  const own = indentBefore(conf, parent.start);
  const indent = child === undefined ? own + unit : indentBefore(conf, child.start);
  return { gap: (level) => lineEnd + indent + unit.repeat(level), end: lineEnd + own };
}

/** What the first child of the outermost element has more before it; two blanks where nothing tells. */
function indentUnit(conf: ClusterConf): string {
  const [first] = conf.root.children;
  if (first === undefined || !/\n[ \t]*$/.test(conf.text.slice(0, first.start))) return '  ';
  const own = indentBefore(conf, conf.root.start);
  const indent = indentBefore(conf, first.start);
  return indent.startsWith(own) ? indent.slice(own.length) : '  ';
}

/** The blanks at the beginning of the line in which an offset is. */
function indentBefore(conf: ClusterConf, offset: number): string {
  const start = conf.text.lastIndexOf('\n', offset - 1) + 1;
  return /^[ \t]*/.exec(conf.text.slice(start, offset))?.[0] ?? '';
}

function holds(element: ConfElement, wanted: ConfElement): boolean {
  return element === wanted || element.children.some((child) => holds(child, wanted));
}

function replaced(conf: ClusterConf, from: number, to: number, by: string): ClusterConf {
  return parseClusterConf(conf.text.slice(0, from) + by + conf.text.slice(to), conf.file);
}

function attributeText(name: string, value: string, quote: string): string {
  mustBeName(name);
  return `${name}=${quote}${escaped(value, quote)}${quote}`;
}

function mustBeName(name: string): void {
  if (/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) return;
  throw new HostError(`"${name}" can't be a name in XML`, { hint: 'use letters, digits and "_ . -"' });
}

/** The value as it stands between quotes, in ASCII, so that the encoding of the file does not matter. */
function escaped(value: string, quote: string): string {
  // XML 1.0, section 2.2: no other control characters, no halves of characters, no U+FFFE and U+FFFF, not even escaped.
  if (/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(value)) {
    throw new HostError(`${JSON.stringify(value)} can't be a value in XML`, {
      hint: 'leave out the control characters',
    });
  }
  return value.replace(/[&<>\t\n\r]|["']|[^\u0020-\u007e]/gu, (char) => {
    if ((char === '"' || char === "'") && char !== quote) return char;
    return NAMED[char] ?? `&#${char.codePointAt(0)};`;
  });
}

const NAMED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};
