import { writeFileSync } from 'node:fs';
import type { Report } from '../../../src/core/report.ts';
import { type CliResult, mcastctl } from '../../support/cli.ts';
import { runFile } from './layout.ts';
import { type Machine, machine } from './machine.ts';

/** A change as a report names it: "runtime multicast_querier: false -> true". */
export type Difference = string;

/** A playbook on some of the machines, run through the built command line. */
export interface Playbook {
  /** Text output and exit code. */
  run(command: 'check' | 'plan' | 'apply' | 'probe', ...options: readonly string[]): Promise<CliResult>;
  /** The report of `command`, which must end with `code`. */
  report(command: 'check' | 'apply', code: number, ...options: readonly string[]): Promise<Report>;
  /** What `check` finds to differ: host, resource, layer, property and both values a line. Exit 2 where there is any. */
  drift(): Promise<Difference[]>;
  /** Fails where `apply` finds anything to do, or `check` says anything at all. */
  expectNoChange(): Promise<void>;
}

/** Disk and memory of these machines as after their first boot. */
export async function fresh(...indexes: readonly number[]): Promise<Machine[]> {
  const machines = indexes.map(machine);
  await Promise.all(machines.map((each) => each.reset()));
  return machines;
}

/** Like `fresh`, for a test of one machine. */
export async function freshOne(index: number): Promise<Machine> {
  await fresh(index);
  return machine(index);
}

/** A playbook of this text for `machines`. The file is named after `name`, so that messages tell which test it was. */
export function playbook(name: string, machines: readonly Machine[], text: string): Playbook {
  const path = runFile(`${name}.yml`);
  writeFileSync(path, text);
  const limit = machines.map((each) => each.name).join(',');
  const run: Playbook['run'] = (command, ...options) =>
    mcastctl([command, runFile('inventory.yml'), '-p', path, '-l', limit, ...options]);
  const report: Playbook['report'] = async (command, code, ...options) => {
    const result = await run(command, '--format', 'json', ...options);
    if (result.code !== code)
      throw new Error(`${command} of ${name}: exit ${result.code}: ${result.stderr}${result.stdout}`);
    return JSON.parse(result.stdout);
  };
  return {
    run,
    report,
    async drift() {
      return differences(await report('check', 2));
    },
    async expectNoChange() {
      const again = await report('apply', 0);
      if (again.status !== 'ok') throw new Error(`apply of ${name} changes again: ${differences(again).join('; ')}`);
      const { code, stdout, stderr } = await run('check');
      if (code !== 0 || stdout !== '' || stderr !== '') throw new Error(`check of ${name}: ${code} ${stdout}${stderr}`);
    },
  };
}

/** All changes of a report, a line each, in the order of the report. */
export function differences(report: Report): Difference[] {
  return Object.entries(report.hosts).flatMap(([host, { tasks }]) =>
    tasks.flatMap(({ resource, changes }) =>
      changes.map(({ layer, property, from, to }) =>
        [host, resource, layer, `${property}:`, JSON.stringify(from), '->', JSON.stringify(to)].join(' '),
      ),
    ),
  );
}
