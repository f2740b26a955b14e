import {
  attributeOf,
  type ClusterConf,
  type ConfElement,
  elementsAt,
  parseClusterConf,
  printClusterConf,
  withAttribute,
  withAttributeOf,
  withoutAttribute,
} from '../../src/formats/cluster-conf.ts';
import { format, type Opened, type Trial } from './format.ts';

const VALUE = `a&b"c'd`;
/** What the seeds set, the outermost element left out. */
const WISHES = [
  ['', 'config_version'],
  ['/cman', 'transport'],
  ['/totem', 'netmtu'],
  ['/cman/multicast', 'addr'],
] as const;

export const clusterConf: Opened = format<ClusterConf>({
  name: 'cluster.conf',
  folder: 'clusterconf',
  parse: (text, file) => parseClusterConf(text, file),
  print: printClusterConf,
  edits: [
    {
      kind: 'change an attribute',
      *trials(conf) {
        for (const element of allElements(conf.root)) {
          for (const { name, start, valueEnd } of element.attributes) {
            const lines = linesOf(conf, start, valueEnd);
            const edited = () => printClusterConf(withAttributeOf(conf, element, name, VALUE));
            yield {
              what: `${element.name}/@${name}`,
              edited,
              touches: lines,
              adds: lines.length,
              objection: hasOnly(conf, 1),
            };
          }
        }
      },
    },
    {
      kind: 'add an attribute',
      *trials(conf) {
        for (const element of allElements(conf.root)) {
          const edited = () => printClusterConf(withAttributeOf(conf, element, 'mcastctl', VALUE));
          const lines = linesOf(conf, element.start, element.tagEnd);
          yield { what: element.name, edited, touches: lines, adds: lines.length + 1, objection: hasOnly(conf, 1) };
        }
      },
    },
    {
      kind: 'set what the seeds set',
      trials: (conf) => WISHES.map(([path, name]) => wish(conf, conf.root.name + path, name)),
    },
    {
      kind: 'remove an attribute',
      *trials(conf) {
        const path = conf.root.name;
        for (const { name, gap, valueEnd } of conf.root.attributes) {
          const edited = () => printClusterConf(withoutAttribute(conf, path, name));
          const lines = linesOf(conf, gap, valueEnd);
          yield { what: `${path}/@${name}`, edited, touches: lines, adds: 1, objection: lacks(path, name) };
        }
      },
    },
  ],
});

function wish(conf: ClusterConf, path: string, name: string): Trial {
  const [element] = elementsAt(conf, path);
  const parent = path
    .split('/')
    .map((_, depth, names) => names.slice(0, names.length - depth).join('/'))
    .flatMap((around) => elementsAt(conf, around).slice(0, 1))
    .at(0);
  const near = element ?? parent ?? conf.root;
  // A new element may open one that was a single tag, so its line may change too.
  const touched = linesOf(conf, near.start, near.tagEnd);
  return {
    what: `${path}/@${name}`,
    edited: () => printClusterConf(withAttribute(conf, path, name, VALUE)),
    touches: [...touched, ...linesOf(conf, near.children.at(-1)?.end ?? near.start, near.end)],
    adds: touched.length + 6,
    objection: (text) => (valueAt(text, path, name) === VALUE ? undefined : 'the attribute has another value'),
  };
}

function valueAt(text: string, path: string, name: string): string | undefined {
  const [element] = elementsAt(parseClusterConf(text), path);
  return element === undefined ? undefined : attributeOf(element, name)?.value;
}

function lacks(path: string, name: string): Trial['objection'] {
  return (text) => (valueAt(text, path, name) === undefined ? undefined : 'the attribute is still there');
}

/** The elements are the same, and `count` attributes more than before have the value that was set. */
function hasOnly(conf: ClusterConf, count: number): Trial['objection'] {
  const names = (element: ConfElement) => allElements(element).map(({ name }) => name);
  const set = (element: ConfElement) =>
    allElements(element).flatMap(({ attributes }) => attributes.filter(({ value }) => value === VALUE));
  return (text) => {
    const { root } = parseClusterConf(text);
    if (names(root).join() !== names(conf.root).join()) return 'the elements are no longer the same';
    return set(root).length === set(conf.root).length + count ? undefined : 'the attribute has another value';
  };
}

function allElements(element: ConfElement): readonly ConfElement[] {
  return [element, ...element.children.flatMap(allElements)];
}

/** Indices of the lines between two offsets. */
function linesOf(conf: ClusterConf, from: number, to: number): readonly number[] {
  const first = conf.text.slice(0, from).split('\n').length - 1;
  const last = conf.text.slice(0, to).split('\n').length - 1;
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
