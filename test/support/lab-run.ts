import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Report, TaskReport } from '../../src/core/report.ts';
import { mcastctl } from './cli.ts';
import { type Lab, startLab } from './lab.ts';

/** A lab and what a test of one resource does with it, through the built command line. */
export interface LabRun extends Lab {
  /** Standard output of a command that must succeed on a part of the lab. */
  on(part: string, ...argv: [string, ...string[]]): Promise<string>;
  /** Writes a file of a node. */
  write(node: string, path: string, text: string, mode?: string): Promise<void>;
  /** Runs a command with the tasks (YAML, list items without indentation) on pve1. */
  run(
    command: 'apply' | 'check' | 'plan',
    tasks: string,
  ): Promise<{ code: number | null; tasks: readonly TaskReport[] }>;
}

/** Starts a lab for the tests of a resource; `down` removes its files too. */
export async function startLabRun(options: Parameters<typeof startLab>[0] = {}): Promise<LabRun> {
  const dir = mkdtempSync(join(tmpdir(), 'mcastctl-lab-run-'));
  const lab = await startLab(options);
  const on: LabRun['on'] = async (part, ...argv) => {
    const { code, stdout, stderr } = await lab.exec(part, argv);
    expect({ argv, code, stderr }).toMatchObject({ argv, code: 0 });
    return stdout;
  };
  return {
    ...lab,
    on,
    async write(node, path, text, mode = '644') {
      const script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"';
      const { code, stderr } = await lab.exec(node, ['sh', '-c', script, 'sh', path, mode], { input: text });
      expect({ path, code, stderr }).toEqual({ path, code: 0, stderr: '' });
    },
    async run(command, tasks) {
      const playbook = join(dir, 'playbook.yml');
      writeFileSync(playbook, `- hosts: pve1\n  tasks:\n${tasks.replace(/^(?=.)/gm, '    ')}`);
      const { code, stdout, stderr } = await mcastctl([command, lab.inventory, '-p', playbook, '--format', 'json']);
      if (code === 3) throw new Error(`${stdout}${stderr}`);
      const report = JSON.parse(stdout) as Report;
      return { code, tasks: report.hosts['pve1']?.tasks ?? [] };
    },
    async down() {
      await lab.down();
      rmSync(dir, { recursive: true });
    },
  };
}
