/** A fenced block of a Markdown page. */
export interface Block {
  /** What stands behind the fence: language first. */
  readonly info: readonly string[];
  readonly text: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  /** The reason in a `<!-- not run: reason -->` right above. */
  readonly notRun: string | undefined;
}

/** A command of a `console` block and what is shown below it. */
export interface ConsoleStep {
  readonly command: string;
  readonly output: readonly string[];
}

/** The fenced blocks of a page. Throws where a fence is not closed. */
export function blocksOf(markdown: string): Block[] {
  const lines = markdown.split('\n');
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const info = /^```(.*)$/.exec(lines[at] ?? '')?.[1];
    if (info === undefined) continue;
    const end = lines.indexOf('```', at + 1);
    if (end < 0) throw new Error(`line ${at + 1}: the block is not closed`);
    blocks.push({
      info: info.trim().split(/\s+/),
      text: `${lines.slice(at + 1, end).join('\n')}\n`,
      line: at + 1,
      notRun: /^<!-- not run: (.+) -->$/.exec(lines[at - 1] ?? '')?.[1],
    });
    at = end;
  }
  return blocks;
}

/** The commands of a `console` block: lines behind `$ `, continued by a backslash; what follows is output. */
export function consoleSteps(text: string): ConsoleStep[] {
  const steps: { command: string; output: string[] }[] = [];
  let isOpen = false;
  for (const line of text.trimEnd().split('\n')) {
    const last = steps.at(-1);
    if (isOpen && last) last.command += `\n${line}`;
    else if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: [] });
    else if (last) last.output.push(line);
    else throw new Error(`"${line}" comes before any command`);
    isOpen = line.endsWith('\\') && (isOpen || line.startsWith('$ '));
  }
  return steps;
}

/** Targets of the links of a page, code left out. */
export function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\((?<target>[^)\s]+)\)/g)].map((match) => match.groups?.['target'] ?? '');
}

/** The anchors that GitHub makes of a page's headings. */
export function anchorsOf(markdown: string): Set<string> {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, '');
  const headings = [...prose.matchAll(/^#{1,6} (?<text>.+)$/gm)].map((match) => match.groups?.['text'] ?? '');
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
