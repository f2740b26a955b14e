import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { InputError } from '../core/errors.ts';
import { LABS_DIR, labPaths } from './layout.ts';
import { toolEnvironment } from './run.ts';

/**
 * Keeps everybody else from making or removing the lab while `work` runs. The lock is the kernel's: it is gone with
 * this process, however that ends.
 * @throws InputError where somebody else has it
 */
export async function withLabLock<T>(lab: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(LABS_DIR, { recursive: true, mode: 0o755 });
  const release = await takeLock(lab);
  try {
    return await work();
  } finally {
    await release();
  }
}

function takeLock(lab: string): Promise<() => Promise<void>> {
  return new Promise((resolve, reject) => {
    // flock(1) holds the lock while cat waits for the end of its input, which this process holds open.
    const holder = spawn('flock', ['--nonblock', labPaths(lab).lock, 'sh', '-c', 'echo locked; exec cat'], {
      env: toolEnvironment(),
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    });
    const ended = new Promise<void>((done) => {
      holder.once('close', () => {
        done();
        reject(
          new InputError([
            { message: `another "mcastctl lab" is at work on the lab "${lab}"`, hint: 'wait until it is done' },
          ]),
        );
      });
    });
    holder.once('error', reject);
    holder.stdin.on('error', () => undefined);
    holder.stdout.once('data', () =>
      resolve(async () => {
        holder.stdin.end();
        await ended;
      }),
    );
  });
}
