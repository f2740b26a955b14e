/** Blocks that may come more than once in one block, for Proxmox. */
const REPEATED = new Set(['node', 'interface']);

/**
 * Why Proxmox VE would not read a corosync.conf that corosync reads, or null where it does. Its parser (parse_conf in PVE::Corosync)
 * drops everything from "#" on, splits at white space and wants `name {`, `key: value` and `}`, the value one word; blocks other
 * than `node` and `interface` may come only once.
 */
export function proxmoxFault(text: string): string | null {
  const words = text
    .replace(/#[^\n]*/g, '')
    .split(/\s+/)
    .filter(Boolean);
  const open: Set<string>[] = [new Set()];
  for (let at = 0; at < words.length; at += 2) {
    const word = words[at] ?? '';
    const next = words[at + 1];
    if (next === '{') {
      const inner = open.at(-1);
      if (inner?.has(word) && !REPEATED.has(word)) return `the block "${word}" comes twice`;
      inner?.add(word);
      open.push(new Set());
    } else if (word === '}') {
      if (open.length === 1) return 'a "}" too many';
      open.pop();
      at--;
    } else if (!word.endsWith(':')) {
      return `"${word}" is neither a key with a colon nor the name of a block`;
    } else if (next === undefined || next === '}') {
      return `the key "${word.slice(0, -1)}" has no value`;
    }
  }
  return null;
}
