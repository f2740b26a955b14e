import { createHash } from 'node:crypto';
import * as z from 'zod';
import { NFT_FAMILIES, type NftStatement, parseNftables } from '../../formats/nftables-conf.ts';
import { dashFault } from '../firewall/raw.ts';
import { checkWish, RULE_COMMENT, WISH_SHAPE } from '../firewall/wish.ts';
import { statementText } from './boot.ts';
import { readRuleWords } from './rule-text.ts';
import type { ChainKey } from './ruleset.ts';

const NAME = /^[A-Za-z_][\w./-]{0,127}$/;
const TABLE = new RegExp(`^(?:${NFT_FAMILIES.join('|')}) +${NAME.source.slice(1, -1)}$`);

export const NftablesParams = z
  .strictObject({
    ...WISH_SHAPE,
    accept: WISH_SHAPE.accept.optional(),
    rule: z
      .string({ error: 'must be a rule of nft(8) as text, such as "udp dport 5405 accept"' })
      .optional()
      .describe(
        'A rule as in nft(8), without "add rule" and without a comment, in place of `accept`; goes with `table` and `chain`',
      ),
    table: z
      .string()
      .regex(TABLE, 'must be family and name, such as "inet filter"')
      .optional()
      .describe('Table of `rule`, with its family: `inet filter`'),
    chain: z
      .string()
      .regex(NAME, 'must be the name of a chain, such as input')
      .optional()
      .describe('Chain of `rule`: `input`'),
  })
  .superRefine((params, context) => {
    const fault = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    const { accept, rule, table, chain } = params;
    if (accept !== undefined) {
      if (rule !== undefined) fault('rule', 'does not go with "accept": write two tasks');
      if (table !== undefined || chain !== undefined)
        fault(
          table === undefined ? 'chain' : 'table',
          'goes with "rule"; "accept" finds the chains itself: every one that would drop the packets',
        );
      checkWish({ ...params, accept }, context);
      return;
    }
    if (rule === undefined) return fault('accept', 'is missing: write accept: [multicast, corosync, igmp], or a rule');
    if (table === undefined) fault('table', 'is missing: it goes with "rule", such as table: inet filter');
    if (chain === undefined) fault('chain', 'is missing: it goes with "rule", such as chain: input');
    for (const name of ['ports', 'interface', 'source', 'family'] as const)
      if (params[name] !== undefined) fault(name, 'goes with "accept": write it into the rule');
    const problem = ruleFault(rule);
    if (problem !== null) fault('rule', problem);
  })
  .describe('What gets in, in every chain of nftables that would drop it, or one rule of one chain');
export type NftablesParams = z.output<typeof NftablesParams>;

/** The one statement that a text is, or null where it is anything else. */
function statementOf(rule: string): NftStatement | null {
  try {
    const items = parseNftables(`table inet t {\nchain c {\n${rule}\n}\n}\n`, 'rule');
    const [chain, ...more] = items;
    if (more.length > 0 || chain?.kind !== 'chain' || chain.statements.length !== 1) return null;
    return chain.statements[0] ?? null;
  } catch {
    return null;
  }
}

function ruleFault(rule: string): string | null {
  const dash = dashFault(rule);
  if (dash !== null) return dash;
  if (/[\n\r\0#]/.test(rule)) return 'must be one line without comment';
  const statement = statementOf(rule);
  if (statement === null)
    return 'is not one rule of nft(8): check its braces and quotes; write each rule as a task of its own';
  const words = statement.words.map(({ text }) => text);
  if (/^(?:add|insert|nft|table|chain|type|policy|define|include|flush|delete)$/.test(words[0] ?? ''))
    return `begins with "${words[0]}": write what follows "add rule FAMILY TABLE CHAIN" alone`;
  if (words.includes('comment')) return 'must not hold a comment: by its own the rule is found again';
  const { conditions, verdict } = readRuleWords({ family: 'inet', table: 't', chain: 'c' }, statement.words);
  const isBare = Object.values(conditions).every(
    (value) => value === null || (Array.isArray(value) && value.length === 0),
  );
  if (verdict.do === 'drop' && isBare)
    return 'drops everything, the connection that it is set over as well: name what it is about';
  return null;
}

/** A raw rule: its chain, its words as one text and the comment by which it is found again. */
export interface RawRule {
  readonly key: ChainKey;
  readonly statement: NftStatement;
  readonly text: string;
  readonly comment: string;
}

/** @returns null where the task has a wish */
export function rawRuleOf({ rule, table = '', chain = '' }: NftablesParams): RawRule | null {
  const statement = rule === undefined ? null : statementOf(rule);
  if (statement === null) return null;
  const [family = '', name = ''] = table.split(/ +/);
  const text = statementText(statement);
  const comment = `${RULE_COMMENT} ${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
  return { key: { family, table: name, chain }, statement, text, comment };
}
