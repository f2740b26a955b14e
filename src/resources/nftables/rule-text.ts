import type { NftWord } from '../../formats/nftables-conf.ts';
import type { Verdict } from '../firewall/judge.ts';
import { type AcceptRule, RULE_COMMENT, showPorts } from '../firewall/wish.ts';
import { conditionsOfMatches, type Match, mldNames, type NftRule } from './expression.ts';
import { type ChainKey, keyText } from './ruleset.ts';

/** What stands before a value, in words. */
const LEFT =
  /^(?:(?:ip6?|udp|tcp|sctp|dccp|udplite|th|icmp|icmpv6|igmp|ether|vlan|arp) \w+|meta \w+|ct (?:state|mark|status|direction)|fib daddr type|fib saddr type|(?:iif|iifname|oif|oifname|pkttype|mark|skuid|skgid|iifgroup|oifgroup|cgroup))$/;

/** What a rule may hold that limits nothing, and how many words follow it. */
const LOG_ARGUMENTS = /^(?:prefix|level|group|snaplen|queue-threshold|flags)$/;

const unquoted = (text: string): string => text.replace(/^"([^"]*)"$/, '$1');

/**
 * Reads the words of a rule of nft(8).
 * @param key the chain that it is in; a jump leads to a chain of the same table
 * @param variables the words of each `define`, by name
 */
export function readRuleWords(
  key: ChainKey,
  words: readonly NftWord[],
  variables: ReadonlyMap<string, readonly string[]> = new Map(),
): NftRule {
  const all = words.flatMap(({ text }) => (text.startsWith('$') ? (variables.get(text.slice(1)) ?? [text]) : [text]));
  const matches: Match[] = [];
  const others: string[] = [];
  let comment: string | null = null;
  let verdict: Verdict = { do: 'continue' };
  let at = 0;
  while (at < all.length) {
    const word = all[at] ?? '';
    const found = readLeft(all, at);
    if (found !== null) {
      const read = readRight(all, found.next);
      const text = all.slice(at, read.next).join(' ');
      if (all[read.next - 1] === 'vmap' || found.left === '') others.push(text);
      else matches.push({ left: found.left, op: read.op, values: read.values, text });
      at = read.next;
    } else if (word === 'comment') {
      comment = unquoted(all[at + 1] ?? '');
      at += 2;
    } else if (word === 'counter') {
      at += all[at + 1] === 'packets' ? 5 : all[at + 1] === 'name' ? 3 : 1;
    } else if (word === 'log') {
      at += 1;
      while (LOG_ARGUMENTS.test(all[at] ?? '')) at += 2;
    } else {
      const told = readVerdict(all, at, key);
      if (told === null) {
        others.push(word);
        at += 1;
      } else {
        verdict = told.verdict;
        at = told.next;
      }
    }
  }
  return { conditions: conditionsOfMatches(key.family, matches, others), verdict, comment };
}

function readVerdict(words: readonly string[], at: number, key: ChainKey): { verdict: Verdict; next: number } | null {
  const word = words[at] ?? '';
  if (word === 'accept' || word === 'drop' || word === 'return' || word === 'continue')
    return { verdict: { do: word }, next: at + 1 };
  if (word === 'jump' || word === 'goto')
    return { verdict: { do: word, chain: keyText({ ...key, chain: words[at + 1] ?? '' }) }, next: at + 2 };
  if (word === 'queue' || word === 'vmap') return { verdict: { do: 'unknown' }, next: words.length };
  if (word !== 'reject') return null;
  const end = words.indexOf('comment', at);
  return { verdict: { do: 'drop' }, next: end < 0 ? words.length : end };
}

/** The longest run of up to three words that names what is compared. */
function readLeft(words: readonly string[], at: number): { left: string; next: number } | null {
  for (const length of [3, 2, 1]) {
    const left = words.slice(at, at + length).join(' ');
    if (words.length < at + length || !LEFT.test(left)) continue;
    return { left: length === 1 ? `meta ${left}` : left, next: at + length };
  }
  return null;
}

/** The value, a set in braces or a list with commas. */
function readRight(
  words: readonly string[],
  start: number,
): { op: string; values: readonly string[] | null; next: number } {
  const hasOp = /^(?:==|!=|<=|>=|<|>|vmap)$/.test(words[start] ?? '');
  const op = hasOp ? (words[start] ?? '') : '==';
  let at = hasOp ? start + 1 : start;
  const values: string[] = [];
  const isSet = words[at] === '{';
  if (isSet) {
    const close = words.indexOf('}', at);
    const end = close < 0 ? words.length : close;
    values.push(...words.slice(at + 1, end).filter((word) => word !== ','));
    at = end + 1;
  } else {
    values.push(words[at] ?? '');
    at += 1;
    while (words[at] === ',') {
      values.push(words[at + 1] ?? '');
      at += 2;
    }
  }
  const isPlain = op !== 'vmap' && values.every((value) => !/^[$@:]/.test(value) && value !== '');
  return { op, values: isPlain ? values.map(unquoted) : null, next: at };
}

/**
 * The words of a rule that this program adds, comment included.
 * @param isFamilySaid whether a table of both families has to be told which one is meant
 */
export function acceptWords(rule: AcceptRule, isFamilySaid: boolean): readonly string[] {
  const header = rule.family === 'ipv4' ? 'ip' : 'ip6';
  const words: string[] = [];
  if (rule.interface !== null) words.push('iifname', `"${rule.interface}"`);
  if (rule.source !== null) words.push(header, 'saddr', rule.source);
  if (rule.destination !== null) words.push(header, 'daddr', rule.destination);
  const saysFamily = rule.source !== null || rule.destination !== null || rule.service === 'igmp';
  if (isFamilySaid && !saysFamily) words.push('meta', 'nfproto', rule.family);
  if (rule.protocol === 'igmp') words.push('meta', 'l4proto', 'igmp');
  if (rule.protocol === 'icmpv6') words.push('icmpv6', 'type', '{', mldNames().join(', '), '}');
  if (rule.protocol === 'udp') {
    const ports = rule.dports.map((range) => showPorts(range));
    words.push('udp', 'dport', ...(ports.length === 1 ? ports : ['{', ports.join(', '), '}']));
  }
  return [...words, 'accept', 'comment', `"${RULE_COMMENT}"`];
}
