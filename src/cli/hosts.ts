import { type Command, Option } from 'commander';
import type { ApplyOptions } from '../commands/change.ts';
import type { HistoryOptions } from '../commands/history.ts';
import type { CommonOptions } from '../commands/options.ts';
import type { RollbackOptions } from '../commands/rollback.ts';
import type { PlanOptions } from '../commands/run.ts';
import { action, count, examples, invocation, io, withChange, withHosts, withPlaybook } from './shared.ts';

/** The commands that bring hosts to a playbook's state, or compare them with it. */
export function addRunCommands(program: Command): void {
  const { signal } = invocation.interrupt;

  const apply = withChange(program.command('apply'))
    .option('--keep-going', 'go on with a host after a task that failed and was taken back')
    .addOption(
      new Option('--undo <what>', 'what is taken back where something failed: that task, or all that the run did')
        .choices(['task', 'run'])
        .default('task'),
    );
  withPlaybook(withHosts(apply, '<inventory|plan>'))
    .summary('bring hosts to the desired state: try, prove, keep')
    .description(
      'Brings hosts to the desired state. Each change is tried in the running system, proved by reading it back and by real packets between the nodes, and only then written to where the next boot finds it. What fails is taken back. Of a saved plan exactly what it says is done, and nothing on a host that has moved since.',
    )
    .addHelpText(
      'after',
      examples(
        'mcastctl apply inventory.yml',
        'mcastctl apply inventory.yml -p site.yml -l pve2',
        'mcastctl apply plan.json',
      ),
    )
    .action(
      action(async (file: string, options: ApplyOptions) => {
        const { applyCommand } = await import('../commands/change.ts');
        return applyCommand(file, options, io(), signal);
      }),
    );

  const plan = program
    .command('plan')
    .option('--diff', 'show how files would change')
    .option('--commands', 'show the exact commands')
    .option('--out <file>', 'save the plan, so that "mcastctl apply FILE" does exactly that');
  withPlaybook(withHosts(plan))
    .summary('show what apply would change')
    .description('Shows what apply would change, and changes nothing. Exits with 2 where there is something to change.')
    .addHelpText(
      'after',
      examples('mcastctl plan inventory.yml --diff --commands', 'mcastctl plan inventory.yml --out plan.json'),
    )
    .action(
      action(async (file: string, options: PlanOptions) => {
        const { planCommand } = await import('../commands/run.ts');
        return planCommand(file, options, io(), signal);
      }),
    );

  withPlaybook(withHosts(program.command('check')))
    .summary('find drift; silent when there is none')
    .description(
      'Compares hosts with the desired state: the running values and what the next boot will give. Prints nothing and exits with 0 where all is as desired; exits with 2 where something drifted.',
    )
    .addHelpText(
      'after',
      examples('mcastctl check inventory.yml', 'mcastctl check inventory.yml --format json -o report.json'),
    )
    .action(
      action(async (file: string, options: CommonOptions) => {
        const { checkCommand } = await import('../commands/run.ts');
        return checkCommand(file, options, io(), signal);
      }),
    );

  const rollback = withChange(program.command('rollback'))
    .option('--run <run>', 'the run to take back (default: the newest that changed something)')
    .option('--force', 'also put back what somebody changed since');
  withHosts(rollback)
    .summary('take back what a run changed')
    .description(
      'Takes back what a run changed, task by task, the last first: tried, proved and kept like any change. What somebody changed since is left alone, with the three values, unless --force is given. "mcastctl history" lists the runs.',
    )
    .addHelpText(
      'after',
      examples('mcastctl rollback inventory.yml', 'mcastctl rollback inventory.yml --run 20260101-120000 --limit pve2'),
    )
    .action(
      action(async (file: string, options: RollbackOptions) => {
        const { rollbackCommand } = await import('../commands/rollback.ts');
        return rollbackCommand(file, options, io(), signal);
      }),
    );

  program
    .command('history')
    .argument('[run]', 'a run, or its beginning: shows what it changed')
    .addOption(new Option('--format <format>', 'how to print the result').choices(['text', 'json']).default('text'))
    .option('-o, --output <file>', 'write the result to a file instead of standard output')
    .option('--last <number>', 'how many runs are listed', count, 20)
    .option('--no-color', 'no colours (also: NO_COLOR in the environment)')
    .summary('list the runs that changed something')
    .description(
      'Lists the runs of this user on this machine that changed hosts: who, when, what, result. With a run, what it changed.',
    )
    .addHelpText('after', examples('mcastctl history', 'mcastctl history 20260101-120000'))
    .action(
      action(async (run: string | undefined, options: HistoryOptions) => {
        const { historyCommand } = await import('../commands/history.ts');
        return historyCommand(run, options, io());
      }),
    );
}
