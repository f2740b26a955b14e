import type { Command } from 'commander';
import type { CommonOptions } from '../commands/options.ts';
import type { ApplyOptions, PlanOptions } from '../commands/run.ts';
import { action, confirmTime, examples, invocation, io, notNegative, withHosts, withPlaybook } from './shared.ts';

/** The commands that bring hosts to a playbook's state, or compare them with it. */
export function addRunCommands(program: Command): void {
  const { signal } = invocation.interrupt;

  const apply = program
    .command('apply')
    .option(
      '--confirm-timeout <seconds>',
      'time after which a node that hears nothing takes the task in hand back by itself',
      confirmTime,
      60,
    )
    .option('--lock-timeout <seconds>', 'time to wait for another run that changes a node', notNegative, 0);
  withPlaybook(withHosts(apply))
    .summary('bring hosts to the desired state: try, prove, keep')
    .description(
      'Brings hosts to the desired state. Each change is tried in the running system, proved by reading it back and by real packets between the nodes, and only then written to where the next boot finds it. What fails is taken back.',
    )
    .addHelpText('after', examples('mcastctl apply inventory.yml', 'mcastctl apply inventory.yml -p site.yml -l pve2'))
    .action(
      action(async (file: string, options: ApplyOptions) => {
        const { applyCommand } = await import('../commands/run.ts');
        return applyCommand(file, options, io(), signal);
      }),
    );

  const plan = program
    .command('plan')
    .option('--diff', 'show how files would change')
    .option('--commands', 'show the exact commands');
  withPlaybook(withHosts(plan))
    .summary('show what apply would change')
    .description('Shows what apply would change, and changes nothing. Exits with 2 where there is something to change.')
    .addHelpText('after', examples('mcastctl plan inventory.yml --diff --commands'))
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
}
