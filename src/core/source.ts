/** A place in a file that a person wrote. Lines and columns count from 1, as editors do. */
export interface SourceRef {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `file:line:column`, the form that editors and terminals turn into a link. */
export function formatSource(source: SourceRef): string {
  return `${source.file}:${source.line}:${source.column}`;
}

/** The place in `text` of a character offset (0-based, UTF-16 units; clamped to the text). */
export function sourceAt(file: string, text: string, offset: number): SourceRef {
  const before = text.slice(0, Math.max(0, offset));
  const lastBreak = before.lastIndexOf('\n');
  const line = before.split('\n').length;
  return { file, line, column: before.length - lastBreak };
}

/** A key whose value is nobody's business, in YAML, INI or a sysctl file. */
const SECRET = /^(.*(?:pass(?:word|wd|phrase)?|secret)["']?[ \t]*[:=][ \t]*)(.*)$/i;

/** The lines without the values of passwords, also where a value stands on the lines below its key. */
function withoutSecrets(lines: readonly string[]): string[] {
  let keyIndent: number | null = null;
  return lines.map((line) => {
    const indent = line.search(/\S|$/);
    if (keyIndent !== null && (indent > keyIndent || line.trim() === '')) return line.replace(/\S.*$/, '***');
    const [, key = '', value = ''] = SECRET.exec(line) ?? [];
    keyIndent = key !== '' && /^(?:[|>].*|#.*|)$/.test(value) ? indent : null;
    return key === '' || keyIndent !== null ? line : `${key}***`;
  });
}

/**
 * The line that `source` names with one line of context on each side and a caret below the column. Values of passwords are not
 * shown.
 * @param text the whole text of `source.file`
 */
export function codeFrame(text: string, source: SourceRef): string {
  const lines = withoutSecrets(text.split(/\r?\n/));
  const first = Math.max(1, source.line - 1);
  const last = Math.min(lines.length, source.line + 1);
  const width = String(last).length;
  const out: string[] = [];
  for (let number = first; number <= last; number++) {
    const line = (lines[number - 1] ?? '').replaceAll('\t', ' ');
    const isFaulty = number === source.line;
    out.push(`${isFaulty ? '>' : ' '} ${String(number).padStart(width)} | ${line}`.trimEnd());
    if (isFaulty) out.push(`  ${' '.repeat(width)} | ${' '.repeat(Math.max(0, source.column - 1))}^`);
  }
  return out.join('\n');
}
