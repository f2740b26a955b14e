/** How the bytes of a file became text: one character a byte where they are no UTF-8. */
export type Encoding = 'utf8' | 'latin1';

/** One edit of one file, and what it may change. */
export interface Trial {
  /** What is done, as a failure names it. */
  readonly what: string;
  /** The text of the edited file. */
  readonly edited: () => string;
  /** Indices, from 0, of the lines that may go or change; how a format ends lines is its own to say. */
  readonly touches: readonly number[];
  /** How many lines there may be that the file did not have, changed ones included. */
  readonly adds: number;
  /** Why the edited text does not mean what it should; undefined where it does. */
  readonly objection: (text: string) => string | undefined;
}

/** One kind of edit. */
export interface Edit<Model> {
  readonly kind: string;
  /** The edits of this kind that a file allows: none where it has no fitting line. */
  trials(model: Model): Iterable<Trial>;
}

/** A format of the corpus: the files below one folder. */
export interface Format<Model> {
  /** First column of the table. */
  readonly name: string;
  /** Name of the folder. */
  readonly folder: string;
  /** Throws FormatError, which has a line, where the file is not what its format allows. */
  parse(text: string, file: string, encoding: Encoding): Model;
  print(model: Model): string;
  /** The lines of a text with their ends, where more than a newline ends one. */
  readonly lines?: (text: string) => readonly string[];
  /** Empty for what a tool prints: nobody edits that. */
  readonly edits: readonly Edit<Model>[];
}

/** What the run does with a format, whatever its model is. */
export interface Opened {
  readonly name: string;
  readonly folder: string;
  readonly lines: (text: string) => readonly string[];
  /** Parses a text: how it is printed again, and its trials by kind. */
  open(text: string, file: string, encoding: Encoding): { printed: () => string; trials: () => Iterable<Trial> };
}

/** Ties parse, print and edits of a format together. */
export function format<Model>({ name, folder, parse, print, lines = splitAtNewlines, edits }: Format<Model>): Opened {
  return {
    name,
    folder,
    lines,
    open(text, file, encoding) {
      const model = parse(text, file, encoding);
      return {
        printed: () => print(model),
        *trials() {
          for (const { kind, trials } of edits) {
            for (const trial of trials(model)) yield { ...trial, what: `${kind}: ${trial.what}` };
          }
        },
      };
    },
  };
}

function splitAtNewlines(text: string): readonly string[] {
  return text === '' ? [] : text.split(/(?<=\n)/);
}
