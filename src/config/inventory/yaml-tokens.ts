import { type CST, Lexer, Parser } from 'yaml';

/** The parts of the lexer that decide how far continued lines must be indented. */
interface LexerInside {
  indentNext: number;
  parseFlowCollection(): Generator<string, unknown>;
  parseQuotedScalar(): Generator<string, unknown>;
}

/**
 * The syntax tokens of a YAML text. libyaml, and so Ansible, lets the continued lines of a quoted scalar or of `[…]` and `{…}` begin in
 * any column; YAML 1.2 and the lexer want them indented. That demand is lifted here.
 */
export function* parseTokens(text: string): Generator<CST.Token> {
  const lexer = new Lexer();
  liftIndent(lexer as unknown as LexerInside);
  const parser = new Parser();
  for (const lexeme of lexer.lex(text)) yield* parser.next(lexeme);
  yield* parser.end();
}

function liftIndent(lexer: LexerInside): void {
  const { parseFlowCollection, parseQuotedScalar } = lexer;
  lexer.parseFlowCollection = () => unindented(lexer, parseFlowCollection);
  lexer.parseQuotedScalar = () => unindented(lexer, parseQuotedScalar);
}

function* unindented(lexer: LexerInside, parse: () => Generator<string, unknown>): Generator<string, unknown> {
  const { indentNext } = lexer;
  lexer.indentNext = 0;
  try {
    return yield* parse.call(lexer);
  } finally {
    lexer.indentNext = indentNext;
  }
}
