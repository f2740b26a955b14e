import { EXIT, type ExitCode } from '../core/errors.ts';
import { hiddenId } from '../core/secrets.ts';
import { resourcesOf } from '../core/task.ts';
import { hostsOf } from '../engine/fleet.ts';
import type { Io } from '../ui/io.ts';
import type { PlaybookOptions } from './options.ts';
import { prepare } from './prepare.ts';

/**
 * Checks inventory and playbook and says in one line what they hold; with `verbose` also each host's tasks.
 * @throws InputError with every fault of both
 */
export async function validateCommand(
  inventoryFile: string,
  options: PlaybookOptions & { readonly verbose: boolean },
  io: Pick<Io, 'out' | 'err'>,
): Promise<ExitCode> {
  const { plays, playbookFile } = await prepare(inventoryFile, options, io);
  const tasks = plays.flatMap((play) => [...play.tasks.values()].flat());
  const counts = [count(plays.length, 'play'), count(hostsOf(plays).length, 'host'), count(tasks.length, 'task')];
  if (options.verbose) {
    for (const task of tasks) {
      io.out(
        `${task.host}: ${task.name}: ${resourcesOf(task)
          .map(({ id }) => (task.noLog ? hiddenId(id) : id))
          .join(', ')}\n`,
      );
    }
  }
  io.out(`${inventoryFile} and ${playbookFile} are valid: ${counts.join(', ')}\n`);
  return EXIT.ok;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
