import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Report, TaskReport } from '../../src/core/report.ts';
import { type CliResult, mcastctl } from './cli.ts';
import { type Lab, startLab } from './lab.ts';

/** What one run of the built program said of the tasks of one node. */
export interface Run extends CliResult {
  readonly report: Report;
  /** Tasks of the first node. */
  readonly tasks: readonly TaskReport[];
  /** `LAYER PROPERTY FROM TO` of each change of the first node, values as JSON. */
  readonly changes: readonly string[];
}

/** A lab and a folder with a playbook that is written anew for each run. */
export interface Workshop {
  readonly lab: Lab;
  readonly dir: string;
  /** Runs the built program on all nodes. `play`: YAML of the play below `hosts`, or a list of tasks. */
  run(command: 'apply' | 'check', play: string, ...options: readonly string[]): Promise<Run>;
  /** Applies, and expects exit code 0. */
  apply(play: string): Promise<Run>;
  /** Checks. */
  check(play: string): Promise<Run>;
  /** Applies a second time: nothing may be changed, and check is silent. */
  expectSettled(play: string): Promise<void>;
  /** Standard output of a command on a node, which must end with 0. */
  on(node: string, ...argv: readonly [string, ...string[]]): Promise<string>;
  /** Writes a file of a node by hand. */
  put(node: string, path: string, text: string): Promise<void>;
  down(): Promise<void>;
}

/** @param nodes how many; with one, nothing is proved with packets */
export async function startWorkshop(options: { nodes?: number; layers?: readonly string[] } = {}): Promise<Workshop> {
  const lab = await startLab({ nodes: 1, switch: 'flood', ...options });
  const dir = mkdtempSync(join(tmpdir(), 'mcastctl-play-'));
  const playbook = join(dir, 'play.yml');

  async function run(command: 'apply' | 'check', play: string, ...more: readonly string[]): Promise<Run> {
    const isPlay = /^(?:tasks|handlers|vars):/m.test(play);
    const indent = (text: string, by: string) => text.trim().replace(/^(?=.)/gm, by);
    const body = isPlay ? indent(play, '  ') : `  tasks:\n${indent(play, '    ')}`;
    writeFileSync(playbook, `- hosts: cluster\n  probe: { count: 3 }\n${body}\n`);
    const result = await mcastctl([command, lab.inventory, '-p', playbook, '--format', 'json', ...more]);
    if (result.code === 3) throw new Error(result.stderr);
    const report: Report = JSON.parse(result.stdout);
    const tasks = Object.values(report.hosts)[0]?.tasks ?? [];
    const changes = tasks.flatMap((task) =>
      task.changes.map(({ layer, property, from, to }) =>
        [layer, property, JSON.stringify(from), JSON.stringify(to)].join(' '),
      ),
    );
    return { ...result, report, tasks, changes };
  }

  async function apply(play: string): Promise<Run> {
    const result = await run('apply', play);
    expect({ code: result.code, said: result.code === 0 ? '' : result.stdout + result.stderr }).toEqual({
      code: 0,
      said: '',
    });
    return result;
  }

  return {
    lab,
    dir,
    run,
    apply,
    check: (play) => run('check', play),
    async expectSettled(play) {
      const second = await apply(play);
      expect([second.report.status, second.changes]).toEqual(['ok', []]);
      const checked = await run('check', play);
      expect([checked.code, checked.changes]).toEqual([0, []]);
    },
    async on(node, ...argv) {
      const { code, stdout, stderr } = await lab.exec(node, argv);
      if (code !== 0) throw new Error(`"${argv.join(' ')}" ended with ${code}: ${stderr}${stdout}`);
      return stdout;
    },
    async put(node, path, text) {
      const { code, stderr } = await lab.exec(node, ['tee', path], { input: text });
      if (code !== 0) throw new Error(stderr);
    },
    async down() {
      await lab.down();
      rmSync(dir, { recursive: true });
    },
  };
}
