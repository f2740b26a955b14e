import { readFileSync } from 'node:fs';
import { type Fault, messageOf } from '../../core/errors.ts';
import { codeFrame, type SourceRef } from '../../core/source.ts';
import { isVaultText, VaultFault } from '../vault/decrypt.ts';
import { NO_VAULT, type Vault } from '../vault/vault.ts';
import { withoutQuotes } from '../vault/vault-text.ts';

/** A text that a person wrote, with the name under which messages mention it. */
export class SourceText {
  /** Path as the user wrote it, or a word such as "--extra-vars". */
  readonly file: string;
  readonly text: string;
  /** Whether it was encrypted: faults then tell the place, but show nothing of it. */
  readonly isSecret: boolean;
  private lineStarts: readonly number[] | undefined;

  constructor(file: string, text: string, isSecret = false) {
    this.file = file;
    this.text = text;
    this.isSecret = isSecret;
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
    if (this.isSecret)
      return {
        message: `${withoutQuotes(message)} (place in the decrypted text)`,
        source,
        hint: hint && withoutQuotes(hint),
      };
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
  /** What opens encrypted texts; left out: nothing does. */
  readonly vault?: Vault;
}

/**
 * Reads a text file; one that is encrypted with ansible-vault is decrypted. Ansible takes UTF-8 only; so do we.
 * @param path file to open
 * @param shown the path as messages mention it
 * @returns undefined where the file can't be read, is no UTF-8 or can't be decrypted: `findings` then says so
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
  return isVaultText(text) ? decrypted(source, findings) : source;
}

function decrypted(source: SourceText, { faults, vault = NO_VAULT }: Findings): SourceText | undefined {
  try {
    return new SourceText(source.file, vault.open(source.text), true);
  } catch (error) {
    if (!(error instanceof VaultFault)) throw error;
    faults.push(source.fault(0, error.message, error.hint));
    return undefined;
  }
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
