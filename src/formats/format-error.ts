import { HostError } from '../core/errors.ts';
import { codeFrame, formatSource, type SourceRef, sourceAt } from '../core/source.ts';

/** A file of a node is not what its format allows: the place and what is wrong there. */
export class FormatError extends HostError {
  readonly source: SourceRef;
  /** What is wrong, without the place. */
  readonly fault: string;
  /** The lines around the place, from `codeFrame`. */
  readonly frame: string;
  constructor(fault: string, source: SourceRef, text: string, hint?: string) {
    super(`${formatSource(source)}: ${fault}`, { hint });
    this.source = source;
    this.fault = fault;
    this.frame = codeFrame(text, source);
  }
}

/**
 * The error for one place of a file.
 * @param offset in `text`, from 0, in UTF-16 units
 */
export function formatErrorAt(fault: string, file: string, text: string, offset: number, hint?: string): FormatError {
  return new FormatError(fault, sourceAt(file, text, offset), text, hint);
}
