import { spawn } from 'node:child_process';
import type { Link } from '../../src/core/connection.ts';

/** A link to this machine that starts real programs: what an agent test needs of a connection. */
export function localLink(host = 'here'): Link {
  return {
    host,
    closed: new Promise(() => {}),
    close: async () => {},
    async start([program, ...args]) {
      const child = spawn(program, args, { stdio: 'pipe' });
      return {
        stdin: child.stdin,
        stdout: child.stdout,
        stderr: child.stderr,
        exit: new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal }))),
        kill: () => void child.kill('SIGKILL'),
      };
    },
  };
}
