import { readFileSync } from 'node:fs';
import { type Fault, messageOf } from '../../core/errors.ts';
import { codeFrame, type SourceRef } from '../../core/source.ts';

/** A text that a person wrote, with the name under which messages mention it. */
export class SourceText {
  /** Path as the user wrote it, or a word such as "--extra-vars". */
  readonly file: string;
  readonly text: string;
  private lineStarts: readonly number[] | undefined;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  /** The place of a character offset (0-based, UTF-16 units). */
  at(offset: number): SourceRef {
    this.lineStarts ??= lineStartsOf(this.text);
    const starts = this.lineStarts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { file: this.file, line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  }

  /** A fault at `offset` with its code frame. */
  fault(offset: number, message: string, hint?: string): Fault {
    const source = this.at(offset);
    return { message, source, frame: codeFrame(this.text, source), hint };
  }
}

/** Where a value begins. Line and column are worked out only when somebody asks. */
export interface Mark {
  readonly text: SourceText;
  readonly offset: number;
}

/** The mark of a value that nobody wrote. */
export const NOWHERE: Mark = { text: new SourceText('', ''), offset: 0 };

/** A fault at a mark with its code frame. */
export function faultAt(mark: Mark, message: string, hint?: string): Fault {
  return mark.text.fault(mark.offset, message, hint);
}

/** What was found wrong and what is merely odd, in the order in which it was met. */
export interface Findings {
  readonly faults: Fault[];
  readonly warnings: Fault[];
}

const VAULT_HEADER = '$ANSIBLE_VAULT';

/**
 * Reads a text file. Ansible takes UTF-8 only; so do we.
 * @param path file to open
 * @param shown the path as messages mention it
 * @returns undefined where the file can't be read, is no UTF-8 or is wholly encrypted: `findings` then says so
 */
export function readSource(path: string, shown: string, findings: Findings): SourceText | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    findings.faults.push({ message: `"${shown}" can't be read: ${messageOf(error)}` });
    return undefined;
  }
  const text = bytes.toString('utf8');
  const source = new SourceText(shown, text);
  const broken = brokenByte(bytes, text);
  if (broken !== undefined) {
    findings.faults.push(source.fault(broken, 'not UTF-8 text', 'save the file with the encoding UTF-8'));
    return undefined;
  }
  if (text.startsWith(VAULT_HEADER)) {
    const hint =
      'decrypt it with "ansible-vault decrypt", or encrypt only its values with "ansible-vault encrypt_string"';
    findings.faults.push(source.fault(0, 'the file is encrypted with ansible-vault', hint));
    return undefined;
  }
  return source;
}

/** Offset of the first character that decoding had to replace; undefined where the bytes are sound. */
function brokenByte(bytes: Buffer, text: string): number | undefined {
  if (!text.includes('\uFFFD') || Buffer.from(text, 'utf8').equals(bytes)) return undefined;
  for (let at = text.indexOf('\uFFFD'); at >= 0; at = text.indexOf('\uFFFD', at + 1)) {
    const before = Buffer.byteLength(text.slice(0, at));
    if (!bytes.subarray(before, before + 3).equals(Buffer.from('\uFFFD'))) return at;
  }
  return 0;
}

function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
