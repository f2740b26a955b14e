import { parseXml, XmlElement, XmlError } from '@rgrove/parse-xml';
import { formatErrorAt } from '../format-error.ts';

/** One attribute of a start tag. Places are offsets in the text of the file. */
export interface ConfAttribute {
  readonly name: string;
  /** With entities and line ends resolved. */
  readonly value: string;
  /** Where the white space before its name begins. */
  readonly gap: number;
  /** Where its name begins. */
  readonly start: number;
  /** Where its value begins, behind the quote. */
  readonly valueStart: number;
  /** Where its value ends, before the quote. */
  readonly valueEnd: number;
}

/** An element of cluster.conf. Places are offsets in the text of the file. */
export interface ConfElement {
  readonly name: string;
  readonly attributes: readonly ConfAttribute[];
  /** The elements directly in it, in order. */
  readonly children: readonly ConfElement[];
  /** Where its start tag begins. */
  readonly start: number;
  /** Behind its start tag. */
  readonly tagEnd: number;
  /** Behind its end tag, or its start tag where that is all there is. */
  readonly end: number;
  /** Whether it is one tag, `<name/>`. */
  readonly isEmpty: boolean;
}

/** A cluster.conf with every byte kept. */
export interface ClusterConf {
  /** The name that errors carry. */
  readonly file: string;
  readonly text: string;
  readonly root: ConfElement;
}

/**
 * Reads the cluster.conf of cman (cluster.conf(5) of RHEL 6 and Proxmox VE up to 3). A document type is passed over: nothing that it
 * names is fetched, no entity that it declares is known.
 * @param file the name that errors carry
 * @throws FormatError where the text is no well-formed XML
 */
export function parseClusterConf(text: string, file = 'cluster.conf'): ClusterConf {
  return { file, text, root: rootOf(text, file) };
}

/** The text of the file: what was parsed, byte for byte, where nothing was changed. */
export function printClusterConf(conf: ClusterConf): string {
  return conf.text;
}

function rootOf(text: string, file: string): ConfElement {
  try {
    const { root } = parseXml(text, { includeOffsets: true });
    if (root !== null) return measured(root, text);
  } catch (error) {
    if (error instanceof XmlError) {
      const fault = `no well-formed XML: ${error.message.replace(/ \(line \d+, column \d+\)[\s\S]*$/, '')}`;
      // It counts characters there, where its nodes have offsets.
      const offset = Array.from(text).slice(0, error.pos).join('').length;
      throw formatErrorAt(fault, file, text, offset, 'mend the file by hand');
    }
    if (!(error instanceof RangeError)) throw error;
    throw formatErrorAt('the elements are too deep in one another', file, text, 0, 'this is no cluster.conf');
  }
  throw formatErrorAt('there is no element', file, text, 0);
}

function measured(element: XmlElement, text: string): ConfElement {
  const attributes = attributesOf(element, text);
  const last = attributes.at(-1);
  const tagEnd = text.indexOf('>', last === undefined ? element.start : last.valueEnd) + 1;
  const children = element.children.filter((child) => child instanceof XmlElement);
  return {
    name: element.name,
    attributes,
    children: children.map((child) => measured(child, text)),
    start: element.start,
    tagEnd,
    end: element.end,
    isEmpty: text[tagEnd - 2] === '/',
  };
}

/** The library knows the values; where they stand is plain to see in a tag that it has found well formed. */
function attributesOf(element: XmlElement, text: string): readonly ConfAttribute[] {
  const found: ConfAttribute[] = [];
  const next =
    /(?<gap>[ \t\r\n]+)(?<name>[^ \t\r\n=/>]+)(?<equals>[ \t\r\n]*=[ \t\r\n]*)(?:"(?<double>[^"]*)"|'(?<single>[^']*)')/y;
  next.lastIndex = element.start + 1 + element.name.length;
  for (let match = next.exec(text); match !== null; match = next.exec(text)) {
    const { gap = '', name = '', equals = '', double, single } = match.groups ?? {};
    const start = match.index + gap.length;
    const valueStart = start + name.length + equals.length + 1;
    const valueEnd = valueStart + (double ?? single ?? '').length;
    found.push({ name, value: element.attributes[name] ?? '', gap: match.index, start, valueStart, valueEnd });
  }
  return found;
}
