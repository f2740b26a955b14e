import { FormatError } from './format-error.ts';
import { type IptablesCommand, readCommand } from './iptables-save/command.ts';
import { splitWords } from './iptables-save/words.ts';

/** Packets and bytes that a rule or a policy has seen, as written: numbers, or whatever stands for them. */
export interface Counters {
  readonly packets: string;
  readonly bytes: string;
}

interface LineBase {
  /** The bytes as they are, line end included. The `raw` of all lines together are the file. */
  readonly raw: string;
  /** From 1. */
  readonly number: number;
  /** Which `*table` section the line is in, counted from 0; -1 outside of all. */
  readonly section: number;
  /** Table of the section, "" outside. */
  readonly table: string;
}

/** One line of a file, told apart by `kind`. */
export type IptablesLine = LineBase &
  (
    | { readonly kind: 'blank' | 'comment' | 'table' | 'commit' }
    | {
        readonly kind: 'chain';
        readonly chain: string;
        /** "-" for a chain that is not built in. */
        readonly policy: string;
      }
    | { readonly kind: 'command'; readonly command: IptablesCommand; readonly counters: Counters | undefined }
  );

/** What iptables-save or `iptables -S` printed, or a person wrote in its place, with every byte kept. */
export interface IptablesFile {
  /** `save`: `*table` … `COMMIT`, as in rules.v4, rules.v6 and RHEL's /etc/sysconfig/iptables; `list`: `iptables -S` of one table. */
  readonly form: 'save' | 'list';
  readonly lines: readonly IptablesLine[];
  /** Name of the table of each section. */
  readonly sections: readonly string[];
}

/** Something that the model can hold and iptables-restore refuses. */
export interface RestoreObjection {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** XT_EXTENSION_MAXNAMELEN of the kernel less the final NUL. */
const MAX_CHAIN_NAME = 28;

/**
 * Reads a file for iptables-restore(8).
 * @throws FormatError at the first line that iptables-restore 1.8.9 would refuse for its structure. Whether a chain, a match or
 *   a target exists is not looked at. Windows line ends and a missing last line end are read, see `restoreObjections`; a quote that
 *   does not end is refused, though iptables-restore takes the line end into the word.
 */
export function parseIptablesSave(text: string, file: string): IptablesFile {
  return parse(text, file, 'save', []);
}

/**
 * Reads what `iptables -S` prints, with or without `-v`.
 * @param table the table that was asked for
 * @throws FormatError at a line that is no command of iptables
 */
export function parseIptablesList(text: string, file: string, table = 'filter'): IptablesFile {
  return parse(text, file, 'list', [table]);
}

/** The text of the file: what was parsed, byte for byte, where nothing was changed. */
export function printIptablesSave(file: IptablesFile): string {
  return file.lines.map((line) => line.raw).join('');
}

/** The line end of the file: that of its first line, "\n" where none has any. */
export function lineEndOf(file: IptablesFile): string {
  return /\r?\n$/.exec(file.lines[0]?.raw ?? '')?.[0] ?? '\n';
}

/** What keeps iptables-restore from taking the file although it can be read here: the first line of each kind. */
export function restoreObjections(file: IptablesFile): readonly RestoreObjection[] {
  if (file.form === 'list') return [];
  const found: RestoreObjection[] = [];
  const windows = file.lines.find((line) => line.kind !== 'comment' && /\r\n?$/.test(line.raw));
  if (windows) {
    found.push({ line: windows.number, message: 'iptables-restore refuses lines that end in CR LF' });
  }
  const last = file.lines.at(-1);
  if (last?.kind === 'commit' && !last.raw.endsWith('\n')) {
    found.push({ line: last.number, message: 'iptables-legacy-restore refuses a COMMIT without a line end' });
  }
  return found;
}

/** State of the reader between two lines. */
interface Reader {
  readonly form: IptablesFile['form'];
  readonly sections: string[];
  isOpen: boolean;
  readonly fail: Fail;
}

/** Throws; line and column from 1. */
type Fail = (fault: string, line: number, column: number, hint: string) => never;

function failIn(text: string, file: string): Fail {
  return (fault, line, column, hint) => {
    throw new FormatError(fault, { file, line, column }, text, hint);
  };
}

function parse(text: string, file: string, form: IptablesFile['form'], sections: string[]): IptablesFile {
  const reader: Reader = { form, sections, isOpen: form === 'list', fail: failIn(text, file) };
  const lines: IptablesLine[] = [];
  for (const raw of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) lines.push(readLine(raw, lines.length + 1, reader));
  if (form === 'save' && reader.isOpen) {
    const at = lines.findLast((line) => line.kind === 'table')?.number ?? 1;
    const last = lines.length;
    return reader.fail(
      `the table "${sections.at(-1) ?? ''}" that begins in line ${at} has no COMMIT`,
      last,
      1,
      'add a line with COMMIT and nothing else to its end; without it iptables-restore loads nothing',
    );
  }
  return { form, lines, sections };
}

function readLine(raw: string, number: number, reader: Reader): IptablesLine {
  const text = raw.replace(/\r?\n$|\r$/, '');
  const nul = text.indexOf('\0');
  if (nul >= 0) reader.fail('there is a NUL byte', number, nul + 1, 'the file is not text or was cut off');
  const place = (): LineBase => {
    const section = reader.isOpen ? reader.sections.length - 1 : -1;
    return { raw, number, section, table: reader.sections[section] ?? '' };
  };
  if (text === '') return { ...place(), kind: 'blank' };
  if (text.startsWith('#')) return { ...place(), kind: 'comment' };
  const lone = text.indexOf('\r');
  if (lone >= 0) {
    const hint = 'end lines with LF; a file with CR alone, as old Macs wrote, is one long line to iptables-restore';
    reader.fail('there is a carriage return within the line', number, lone + 1, hint);
  }
  if (reader.form === 'save' && !reader.isOpen) {
    openTable(text, number, reader);
    return { ...place(), kind: 'table' };
  }
  if (reader.form === 'save' && text === 'COMMIT') {
    const line: IptablesLine = { ...place(), kind: 'commit' };
    reader.isOpen = false;
    return line;
  }
  if (reader.form === 'save' && text.startsWith(':'))
    return { ...place(), kind: 'chain', ...readChain(text, number, reader.fail) };
  return { ...place(), kind: 'command', ...readRule(text, number, reader) };
}

function openTable(text: string, number: number, reader: Reader): void {
  const isMarked = text.startsWith('\uFEFF') || text.startsWith('\u00EF\u00BB\u00BF');
  if (isMarked) {
    reader.fail('the file begins with a byte order mark', number, 1, 'save it as UTF-8 without the mark');
  }
  if (!text.startsWith('*')) {
    const what = text === 'COMMIT' ? 'COMMIT stands outside of a table' : 'the line stands outside of a table';
    const hint =
      'a table begins with a line such as *filter and ends with COMMIT; outside are comments and empty lines only';
    reader.fail(what, number, 1, hint);
  }
  const name = splitBlanks(text.slice(1))[0];
  if (name === undefined) reader.fail('the line names no table', number, 2, 'write *filter, for example');
  reader.sections.push(name);
  reader.isOpen = true;
}

function readChain(text: string, number: number, fail: Fail): { chain: string; policy: string } {
  const [chain, policy] = splitBlanks(text.slice(1));
  if (chain === undefined) fail('the line names no chain', number, 2, 'write :INPUT ACCEPT [0:0]');
  checkChainName(chain, number, text.indexOf(chain, 1) + 1, fail);
  if (policy === undefined) {
    const hint = 'write ACCEPT or DROP after a built-in chain, "-" after one of your own';
    fail(`the chain "${chain}" has no policy`, number, text.length + 1, hint);
  }
  return { chain, policy };
}

function checkChainName(chain: string, number: number, column: number, fail: Fail): void {
  const isLong = chain.length > MAX_CHAIN_NAME;
  if (!isLong && !/[\f\v]/.test(chain)) return;
  const hint = `a chain's name has at most ${MAX_CHAIN_NAME} characters and no white space`;
  const what = isLong ? 'is too long' : 'has white space in it';
  fail(`the chain name "${chain.slice(0, 60)}" ${what}`, number, column, hint);
}

function readRule(
  text: string,
  number: number,
  { form, fail }: { readonly form: IptablesFile['form']; readonly fail: Fail },
): { command: IptablesCommand; counters: Counters | undefined } {
  const counted = text.startsWith('[') ? /^\[(?<packets>[^:\]]+):+(?<bytes>[^\]]+)\]/.exec(text) : undefined;
  if (counted === null) {
    const hint = 'counters before a rule are written [packets:bytes], such as [0:0]';
    return fail('the counters are not complete', number, 1, hint);
  }
  const start = counted?.[0].length ?? 0;
  const { words, unclosed } = splitWords(text.slice(start));
  if (unclosed !== undefined) {
    return fail('a double quote is never closed', number, start + unclosed + 1, 'close it on the same line');
  }
  const command = readCommand(words, form);
  if ('fault' in command) {
    return fail(command.fault, number, Math.min(start + command.at, text.length) + 1, command.hint);
  }
  checkChainName(command.chain, number, text.indexOf(command.chain, start) + 1, fail);
  const { packets = '', bytes = '' } = counted?.groups ?? {};
  return { command, counters: counted ? { packets, bytes } : undefined };
}

function splitBlanks(text: string): string[] {
  return text.split(/[ \t]+/).filter((word) => word !== '');
}
