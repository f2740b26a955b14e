import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { userInfo } from 'node:os';
import type { Link, RemoteProcess } from '../core/connection.ts';
import { startAs } from './become.ts';
import { childProcess, endChild, spawnProgram } from './program.ts';
import type { LocalTarget } from './target.ts';

/**
 * A link to this machine: programs are started directly, without a shell.
 * @param env the environment of the programs
 */
export function localLink(target: LocalTarget, env: NodeJS.ProcessEnv): Link {
  const children = new Set<ChildProcessWithoutNullStreams>();
  const { host, become } = target;
  let settleClosed: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    settleClosed = resolve;
  });
  const startPlain = async (argv: readonly [string, ...string[]]): Promise<RemoteProcess> => {
    const child = await spawnProgram(argv, env);
    children.add(child);
    child.once('exit', () => children.delete(child));
    return childProcess(child);
  };
  return {
    host,
    start: (argv) => (become === undefined || isMe(become.user) ? startPlain(argv) : startAs(become, argv, startPlain)),
    closed,
    async close() {
      await Promise.all([...children].map(endChild));
      settleClosed();
    },
  };
}

function isMe(user: string): boolean {
  try {
    return userInfo().username === user;
  } catch {
    return false;
  }
}
