import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { HostError, InputError, messageOf } from '../core/errors.ts';
import type { Argv } from '../core/resource.ts';
import { didYouMean } from '../core/suggest.ts';
import { netnsName } from './layout.ts';
import { toolEnvironment } from './run.ts';
import { DROPPED_CAPABILITIES } from './scripts.ts';
import type { LabStatus } from './state.ts';

const LOGIN_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The command that runs `argv` in one part of a lab: a node (all of its namespaces, an environment as at a login), "ctl"
 * or "switch" (the network only).
 * @throws InputError where the lab is not up or has no such part
 */
export function enterArgv(lab: LabStatus, part: string, argv: readonly string[]): Argv {
  const command = argv.length > 0 ? argv : ['bash'];
  if (lab.state !== 'up') {
    const message = `the lab "${lab.name}" is not up`;
    throw new InputError([{ message, hint: `start it with "mcastctl lab up --name ${lab.name}"` }]);
  }
  if (part === 'ctl' || part === 'switch') return ['ip', 'netns', 'exec', netnsName(lab.name, part), ...command];
  const node = lab.nodes.find(({ name }) => name === part);
  if (node === undefined || node.pid === null) {
    const parts = [...lab.nodes.map(({ name }) => name), 'ctl', 'switch'];
    throw new InputError([
      {
        message: `the lab "${lab.name}" has no "${part}"`,
        hint: didYouMean(part, parts) ?? `it has ${parts.map((name) => `"${name}"`).join(', ')}`,
      },
    ]);
  }
  const enter = ['--mount', '--uts', '--ipc', '--net', '--pid', '--root'];
  const confined = ['setpriv', `--bounding-set=${DROPPED_CAPABILITIES}`];
  const environment = ['HOME=/root', 'USER=root', 'LOGNAME=root', 'SHELL=/bin/bash', `PATH=${LOGIN_PATH}`];
  const terminal = process.env['TERM'] === undefined ? [] : [`TERM=${process.env['TERM']}`];
  return [
    'nsenter',
    '--target',
    String(node.pid),
    ...enter,
    ...confined,
    'env',
    '-C',
    '/root',
    '-i',
    ...environment,
    ...terminal,
    ...command,
  ];
}

/**
 * Runs a command with this process's own standard input and output.
 * @returns its exit code; 128 and the signal's number where a signal ended it
 */
export function runAttached(argv: Argv): Promise<number> {
  const [file, ...args] = argv;
  // The terminal sends an interrupt to the command as well, and the command decides.
  const ignore = () => undefined;
  process.on('SIGINT', ignore);
  const passedOn = ['SIGTERM', 'SIGHUP'] as const;
  let passOn: (signal: NodeJS.Signals) => void = ignore;
  return new Promise<number>((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit', env: toolEnvironment() });
    passOn = (signal) => void child.kill(signal);
    for (const name of passedOn) process.on(name, passOn);
    child.once('error', (cause) => reject(new HostError(`"${file}" can't be started: ${messageOf(cause)}`, { cause })));
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  }).finally(() => {
    process.off('SIGINT', ignore);
    for (const name of passedOn) process.off(name, passOn);
  });
}
