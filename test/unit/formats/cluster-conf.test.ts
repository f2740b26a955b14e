import { describe, expect, test } from 'vitest';
import {
  attributeAt,
  type ClusterConf,
  elementsAt,
  parseClusterConf,
  printClusterConf,
  withAttribute,
  withAttributeOf,
  withElement,
  withoutAttribute,
} from '../../../src/formats/cluster-conf.ts';
import { FormatError } from '../../../src/formats/format-error.ts';

const PVE = `<?xml version="1.0"?>
<!-- the cluster's own -->
<?keep me?>
<cluster name='lab' config_version="7">
  <cman keyfile="/var/lib/pve-cluster/corosync.authkey">
  </cman>

  <clusternodes>
  <clusternode name="a" votes="1" nodeid="1"/>
  <clusternode name="b&amp;c" votes="1" nodeid="2"/></clusternodes>

</cluster>
`;

const edited = (text: string, edit: (conf: ClusterConf) => ClusterConf): string =>
  printClusterConf(edit(parseClusterConf(text)));

function refusal(text: string): string {
  try {
    parseClusterConf(text, 'f');
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
  return 'no error';
}

describe('reads', () => {
  test('attributes, entities resolved', () => {
    const conf = parseClusterConf(PVE);
    expect(attributeAt(conf, 'cluster', 'config_version')).toBe('7');
    expect(attributeAt(conf, 'cluster/cman', 'keyfile')).toBe('/var/lib/pve-cluster/corosync.authkey');
    expect(attributeAt(conf, 'cluster/cman', 'transport')).toBeUndefined();
    expect(attributeAt(conf, 'cluster/totem', 'netmtu')).toBeUndefined();
    const nodes = elementsAt(conf, 'cluster/clusternodes/clusternode');
    expect(nodes.map((node) => node.attributes[0]?.value)).toEqual(['a', 'b&c']);
    expect(printClusterConf(conf)).toBe(PVE);
  });

  test('a document type without fetching or expanding anything', () => {
    const text = '<!DOCTYPE cluster SYSTEM "file:///etc/passwd" [<!ENTITY x "y">]>\n<cluster a="1"/>';
    expect(attributeAt(parseClusterConf(text), 'cluster', 'a')).toBe('1');
    expect(refusal('<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<c>&x;</c>')).toBe(
      "f:2:4: no well-formed XML: Named entity isn't defined: &x;",
    );
  });
});

describe('refuses what is no well-formed XML, with the place', () => {
  test.each([
    // What the seed shows: an element not closed, one never opened.
    [
      '<cluster>\n <cman transport="udpu">\n <clusternode/>\n </clusternodes>\n</cluster>',
      'f:4:2: no well-formed XML: Missing end tag for element cman',
    ],
    ['<cluster>\n', 'f:1:10: no well-formed XML: Missing end tag for element cluster'],
    ['<cluster a=1/>', 'f:1:12: no well-formed XML: Attribute value expected'],
    ['<cluster a="1" a="2"/>', 'f:1:21: no well-formed XML: Duplicate attribute: a'],
    ['<a>😀</b></a>', 'f:1:6: no well-formed XML: Missing end tag for element a'],
    ['', 'f:1:1: no well-formed XML: Root element is missing or invalid'],
    ['<!-- x -->\n', 'f:2:1: no well-formed XML: Root element is missing or invalid'],
    ['<a/>\n<b/>', 'f:2:1: no well-formed XML: Extra content at the end of the document'],
    ['<a>\0</a>', 'f:1:4: no well-formed XML: Invalid character'],
    ['<a>'.repeat(50_000), 'f:1:1: the elements are too deep in one another'],
  ])('%#', (text, message) => {
    expect(refusal(text)).toBe(message);
  });
});

describe('sets an attribute', () => {
  test.each([
    ['in place', PVE, 'cluster', 'config_version', '8', 'config_version="7"', 'config_version="8"'],
    ['in its own quotes', PVE, 'cluster', 'name', `d"'<`, "name='lab'", `name='d"&apos;&lt;'`],
    ['that is so already', PVE, 'cluster', 'name', 'lab', '', ''],
    ['behind the others', PVE, 'cluster/cman', 'transport', 'udpu', 'authkey">', 'authkey" transport="udpu">'],
    [
      'in a new element',
      PVE,
      'cluster/totem',
      'netmtu',
      '2043',
      '</clusternodes>',
      '</clusternodes>\n  <totem netmtu="2043"/>',
    ],
    [
      'in a new element in an empty one',
      PVE,
      'cluster/cman/multicast',
      'addr',
      '239.1.1.1',
      'authkey">',
      'authkey">\n    <multicast addr="239.1.1.1"/>',
    ],
    [
      'in elements within',
      PVE,
      'cluster/totem/interface',
      'ttl',
      '2',
      '</clusternodes>',
      '</clusternodes>\n  <totem>\n    <interface ttl="2"/>\n  </totem>',
    ],
    [
      'in an element of one tag',
      '<cluster>\r\n\t<cman a="1" />\r\n</cluster>',
      'cluster/cman/multicast',
      'addr',
      'x',
      '/>\r\n',
      '>\r\n\t\t<multicast addr="x"/>\r\n\t</cman>\r\n',
    ],
    [
      'where there are no lines',
      '<cluster><a/></cluster>',
      'cluster/cman',
      'transport',
      'udp',
      '<a/>',
      '<a/><cman transport="udp"/>',
    ],
    [
      'in a file of one tag',
      '<cluster/>\n',
      'cluster/cman',
      'transport',
      'udp',
      '/>',
      '>\n  <cman transport="udp"/>\n</cluster>',
    ],
    ['one a line', "<cluster\n   a='1'\n   b='2'/>", 'cluster', 'c', '3', "b='2'", "b='2'\n   c='3'"],
    ['without any before', '<cluster/>', 'cluster', 'c', '3', '<cluster', '<cluster c="3"'],
    ['beyond ASCII', '<cluster/>', 'cluster', 'c', 'ä\n😀\t', '<cluster', '<cluster c="&#228;&#10;&#128512;&#9;"'],
  ])('%s', (_, text, path, name, value, old, fresh) => {
    const after = edited(text, (conf) => withAttribute(conf, path, name, value));
    expect(after).toBe(text.replace(old, () => fresh));
    expect(attributeAt(parseClusterConf(after), path, name)).toBe(value);
  });

  test('in one of several elements', () => {
    const conf = parseClusterConf(PVE);
    const [, second] = elementsAt(conf, 'cluster/clusternodes/clusternode');
    if (second === undefined) throw new Error('two nodes');
    expect(printClusterConf(withAttributeOf(conf, second, 'votes', '2'))).toBe(
      PVE.replace('c" votes="1"', 'c" votes="2"'),
    );
    expect(() => withAttributeOf(parseClusterConf(PVE), second, 'votes', '2')).toThrow(RangeError);
  });

  test('takes one away with the blanks before it', () => {
    expect(edited(PVE, (conf) => withoutAttribute(conf, 'cluster', 'name'))).toBe(PVE.replace(" name='lab'", ''));
    expect(edited(PVE, (conf) => withoutAttribute(conf, 'cluster', 'alias'))).toBe(PVE);
    expect(edited(PVE, (conf) => withoutAttribute(conf, 'cluster/rm', 'x'))).toBe(PVE);
  });

  test('refuses what XML can not hold', () => {
    expect(() => edited(PVE, (conf) => withAttribute(conf, 'cluster', 'a', 'x\0'))).toThrow(
      `"x\\u0000" can't be a value`,
    );
    expect(() => edited(PVE, (conf) => withAttribute(conf, 'cluster', 'a b', 'x'))).toThrow(`"a b" can't be a name`);
    expect(() => edited(PVE, (conf) => withElement(conf, 'cluster/a<b', []))).toThrow(`"a<b" can't be a name`);
    expect(() => edited(PVE, (conf) => withAttribute(conf, 'other/cman', 'a', 'x'))).toThrow('begins with "cluster"');
  });
});
