import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Link } from '../../../src/core/connection.ts';
import type { RunResult } from '../../../src/core/resource.ts';
import { enterArgv } from '../../../src/lab/exec.ts';
import { run } from '../../../src/lab/run.ts';
import { labStatusOf } from '../../../src/lab/state.ts';

/** A node of a lab that cases use one after the other. */
export interface FaultNode {
  readonly name: string;
  /** Runs a shell script on the node, whatever it returns. */
  sh(script: string): Promise<RunResult>;
  /** Runs a shell script that has to succeed, and gives its standard output. */
  must(script: string): Promise<string>;
  /** A login that starts programs on the node directly, and the process number of the last of them. */
  link(): { link: Link; pid: () => number };
}

/** @param name of a node of the lab `lab` */
export function faultNode(lab: string, name: string): FaultNode {
  const enter = enterArgv(labStatusOf(lab), name, ['true']).slice(0, -1);
  const [program = '', ...prefix] = enter;
  const sh = (script: string) => run([program, ...prefix, 'sh', '-euc', script]);
  return {
    name,
    sh,
    async must(script) {
      const { code, stdout, stderr } = await sh(script);
      if (code !== 0) throw new Error(`${name}: exit ${code}: ${stderr}${stdout} of: ${script}`);
      return stdout;
    },
    link() {
      let last = 0;
      const link: Link = {
        host: name,
        closed: new Promise(() => {}),
        close: async () => {},
        async start(argv) {
          const child = spawn(program, [...prefix, ...argv], { stdio: 'pipe' });
          last = child.pid ?? 0;
          for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {});
          return {
            stdin: child.stdin,
            stdout: child.stdout,
            stderr: child.stderr,
            exit: new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal }))),
            kill: () => void child.kill('SIGKILL'),
          };
        },
      };
      return { link, pid: () => agentBelow(last) };
    },
  };
}

/** nsenter stays as the parent of what it started in another PID namespace. */
function agentBelow(pid: number): number {
  try {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8') !== 'nsenter\n') return pid;
    const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    return child === '' ? pid : agentBelow(Number(child));
  } catch {
    return pid;
  }
}
