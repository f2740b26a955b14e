import { type Command, Option } from 'commander';
import type { LabOptions, LabUpOptions } from '../commands/lab.ts';
import { action, count, examples, invocation, io, repeated } from './shared.ts';

/** `mcastctl lab …`: a throw-away cluster on this machine. */
export function addLabCommands(program: Command): void {
  const lab = program
    .command('lab')
    .summary('a throw-away cluster of network namespaces on this machine')
    .description(
      'A throw-away cluster on this machine, to try a playbook before production sees it: nodes with sshd, a bridge vmbr0 and a root of their own, joined by a switch that snoops IGMP. Needs root; all addresses live inside its namespaces.',
    )
    .helpCommand(false)
    .hook('preAction', () => {
      invocation.listensItself = true;
    })
    .addHelpText(
      'after',
      examples(
        'mcastctl lab up --nodes 5',
        'mcastctl apply "$(mcastctl lab inventory)"',
        'mcastctl lab exec pve1 -- ip -d link show vmbr0',
      ),
    );

  named(lab.command('up'))
    .description('Starts the lab and prints the path of its inventory. One of the same making that runs is left alone.')
    .option('-n, --nodes <number>', 'nodes, pve1 and up', count, 3)
    .addOption(
      new Option('--switch <kind>', 'strict: forgets a group after 8 s without a querier; flood: sends all to all')
        .choices(['strict', 'flood'])
        .default('strict'),
    )
    .addOption(
      new Option(
        '--corosync <transport>',
        "Debian's corosync on every node, one cluster of all (needs its package on this machine)",
      ).choices(['udp', 'knet']),
    )
    .option('--max-startups <limit>', "the nodes' MaxStartups, as in sshd_config(5)")
    .option('--layer <folder>', 'a folder laid over the root of every node; may be repeated', repeated)
    .addHelpText(
      'after',
      examples(
        'mcastctl lab up',
        'mcastctl lab up --nodes 20 --switch flood --name big',
        'mcastctl lab up --corosync udp',
      ),
    )
    .action(
      action(async ({ layer, ...options }: LabUpOptions & { layer?: string[] }) => {
        const { labUp } = await import('../commands/lab.ts');
        return labUp({ ...options, layers: layer, signal: invocation.interrupt.signal }, io());
      }),
    );

  named(lab.command('down'))
    .description('Removes the lab and all that is left of it.')
    .addHelpText('after', examples('mcastctl lab down'))
    .action(action(async (options: LabOptions) => (await import('../commands/lab.ts')).labDown(options, io())));

  named(lab.command('status'))
    .description('Shows the lab and its nodes. Exits with 0 where it is up, with 1 where not.')
    .addHelpText('after', examples('mcastctl lab status'))
    .action(action(async (options: LabOptions) => (await import('../commands/lab.ts')).labStatus(options, io())));

  named(lab.command('inventory'))
    .description("Prints the path of the lab's inventory.")
    .addHelpText('after', examples('mcastctl check "$(mcastctl lab inventory)"'))
    .action(action(async (options: LabOptions) => (await import('../commands/lab.ts')).labInventory(options, io())));

  named(lab.command('exec'))
    .description('Runs a command in a node, in "ctl" (the network that the nodes are managed from) or in "switch".')
    .argument('<node>', 'pve1 and up, ctl or switch')
    .argument('[command...]', 'command and arguments, behind "--"; a shell without')
    .addHelpText('after', examples('mcastctl lab exec pve2 -- ip link set vmbr0 type bridge mcast_querier 0'))
    .action(
      action(async (node: string, argv: string[], options: LabOptions) =>
        (await import('../commands/lab.ts')).labExec(options, node, argv),
      ),
    );
}

function named(command: Command): Command {
  return command.option('--name <name>', 'which lab (default: MCASTCTL_LAB in the environment, or "lab")');
}
