/** A text is not what its format allows. The reader of a file adds the name of the file. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  /** What is wrong, without the place: a sentence without a full stop. */
  readonly reason: string;
  /** Both from 1, as editors count; the column in characters of the text as it was given. */
  readonly line: number;
  readonly column: number;
  /** What to do about it. */
  readonly hint: string | undefined;
  constructor(reason: string, line: number, column = 1, hint?: string) {
    super(`line ${line}, column ${column}: ${reason}`);
    this.reason = reason;
    this.line = line;
    this.column = column;
    this.hint = hint;
  }
}
