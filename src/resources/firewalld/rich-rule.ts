/** One rule of firewalld's rich language, as `firewall-cmd --list-all` prints it (firewalld.richlanguage(5)). */
export interface RichRule {
  readonly text: string;
  /** -32768 to 32767; lower ones come first, those of 0 after those that refuse. */
  readonly priority: number;
  readonly family: 'ipv4' | 'ipv6' | null;
  readonly source: string | null;
  readonly destination: string | null;
  /** What it is about beside addresses: `port`, `protocol`, `service`, `icmp-type` and the like; null: all. */
  readonly element: { readonly kind: string; readonly attributes: Readonly<Record<string, string>> } | null;
  readonly action: 'accept' | 'reject' | 'drop' | null;
  /** Conditions that are not followed here: NOT, limits, MAC addresses, ipsets. */
  readonly others: readonly string[];
}

const ELEMENTS = [
  'service',
  'port',
  'protocol',
  'icmp-block',
  'icmp-type',
  'masquerade',
  'forward-port',
  'source-port',
];
const ACTIONS = ['accept', 'reject', 'drop'] as const;

/** Reads a rule. What is not known of its language becomes a condition that nobody can foretell. */
export function parseRichRule(text: string): RichRule {
  const rule: { -readonly [Key in keyof RichRule]: RichRule[Key] } = {
    text,
    priority: 0,
    family: null,
    source: null,
    destination: null,
    element: null,
    action: null,
    others: [],
  };
  const others: string[] = [];
  const attributes: Record<string, string> = {};
  let part = 'rule';
  for (const { groups = {} } of text.matchAll(/(?<word>[\w-]+)(?:="(?<quoted>[^"]*)"|=(?<bare>\S*))?/g)) {
    const { word = '' } = groups;
    const value = groups.quoted ?? groups.bare;
    if (value === undefined) {
      const action = ACTIONS.find((each) => each === word);
      if (word === 'NOT' || word === 'limit') others.push(`${part} ${word}`);
      else if (action !== undefined) rule.action = action;
      else if (ELEMENTS.includes(word)) rule.element = { kind: word, attributes };
      part = word === 'NOT' ? part : word;
    } else if (part === 'rule' && word === 'priority') rule.priority = Number(value);
    else if (part === 'rule' && word === 'family' && (value === 'ipv4' || value === 'ipv6')) rule.family = value;
    else if ((part === 'source' || part === 'destination') && word === 'address') rule[part] = value;
    else if (ELEMENTS.includes(part)) attributes[word] = value;
    else if (part === 'rule' || part === 'source' || part === 'destination') others.push(`${part} ${word}=${value}`);
  }
  return { ...rule, others };
}
