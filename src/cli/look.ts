import type { Command } from 'commander';
import type { InventoryOptions } from '../commands/inventory.ts';
import type { CommonOptions, PlaybookOptions } from '../commands/options.ts';
import type { ProbeCommandOptions } from '../commands/probe-command.ts';
import { action, examples, invocation, io, withHosts, withInventory, withPlaybook } from './shared.ts';

/** The commands that look and change nothing. */
export function addLookCommands(program: Command): void {
  withHosts(program.command('probe'))
    .summary('send multicast and unicast between all nodes, shown as a matrix')
    .description(
      'Lets all hosts join a group and send to it and to each other, and shows what arrived. Exits with 2 where a path loses more than it may. A short probe passes on a network whose switches forget the group after minutes: --duration finds that.',
    )
    .optionsGroup('Probe:')
    .option('--group <address>', 'IPv4 or IPv6 multicast address (default: 239.192.77.1)')
    .option('--port <number>', 'UDP port (default: 4321)', Number)
    .option('--interface <device>', 'device to join on, may be a template (default: the one of the SSH connection)')
    .option('--count <number>', 'packets to each peer and to the group (default: 20)', Number)
    .option('--duration <time>', 'how long to send, instead of --count: "20s", "5m"')
    .option('--interval <time>', 'time between two packets (default: 10ms)')
    .option('--ttl <number>', 'TTL or hop limit of multicast packets (default: 1)', Number)
    .option('--max-loss <percent>', 'loss at which a path is still ok (default: 0)', Number)
    .addHelpText(
      'after',
      examples(
        'mcastctl probe inventory.yml',
        "mcastctl probe inventory.yml --interface '{{cluster_bridge}}' --duration 5m",
      ),
    )
    .action(
      action(async (file: string, options: ProbeCommandOptions) => {
        const { probeCommand } = await import('../commands/probe-command.ts');
        return probeCommand(file, options, io(), invocation.interrupt.signal);
      }),
    );

  withInventory(program.command('inventory'))
    .summary('show what an inventory means')
    .description('Shows what an inventory means: a summary, or what ansible-inventory prints for the same flag.')
    .option('--list', 'all groups and hosts with their variables, as JSON')
    .option('--host <name>', 'the variables of one host, as JSON')
    .option('--graph', 'the groups as a tree')
    .addHelpText(
      'after',
      examples('mcastctl inventory inventory.yml --graph', 'mcastctl inventory inventory.yml --host pve1'),
    )
    .action(
      action(async (file: string, options: InventoryOptions) => {
        const { inventoryCommand } = await import('../commands/inventory.ts');
        const { openVault } = await import('../commands/vault.ts');
        return inventoryCommand(file, options, io(), await openVault(options));
      }),
    );

  const validate = program.command('validate').option('-v, --verbose', 'also list the hosts and tasks', false);
  withPlaybook(withInventory(validate))
    .summary('check inventory and playbook; contacts no host')
    .description(
      'Checks inventory and playbook as apply does before it contacts a host: every fault with its place. Exits with 3 where there is one.',
    )
    .addHelpText('after', examples('mcastctl validate inventory.yml -p site.yml'))
    .action(
      action(async (file: string, options: PlaybookOptions & { verbose: boolean }) => {
        const { validateCommand } = await import('../commands/validate.ts');
        return validateCommand(file, options, io());
      }),
    );

  const explain = program.command('explain').argument('[resource]', 'a resource type, such as sysctl');
  withPlaybook(withHosts(explain, '[inventory]'))
    .summary('tell what a resource takes, and where its values come from')
    .description(
      'Without arguments lists the resource types. With one, tells its parameters, an example and what it reads. With an inventory too, logs in to the hosts and tells how the desired values come about on each: inputs, formula, source. Changes nothing.',
    )
    .addHelpText('after', examples('mcastctl explain sysctl', 'mcastctl explain sysctl inventory.yml -p site.yml'))
    .action(
      action(async (name: string | undefined, file: string | undefined, options: CommonOptions) => {
        const { explainCommand } = await import('../commands/explain.ts');
        return explainCommand(name, file, options, io(), invocation.interrupt.signal);
      }),
    );
}
