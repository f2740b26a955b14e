import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { quoteArgv } from '../../../src/connection/quote.ts';
import type { Argv, RunResult } from '../../../src/core/resource.ts';
import { run } from '../../../src/lab/run.ts';
import { runFile } from './layout.ts';
import { DEFAULT_POWER, isOn, loadSnapshot, type PowerOn, powerOf, powerOff, powerOn } from './qemu.ts';

/** A whole machine that a test may do with as it likes; `reset` gives it back as it was after its first boot. */
export interface Machine {
  /** vm1, vm2 or vm3: its host name, and its name in the inventory. */
  readonly name: string;
  /** Runs a program in it as root; any exit code is a result, 255 also where it can't be reached. */
  exec(...argv: Argv): Promise<RunResult>;
  /** Standard output of a program that must succeed, without the newline at its end. */
  out(...argv: Argv): Promise<string>;
  /** Writes a file in it. */
  write(path: string, text: string): Promise<void>;
  /** Disk and memory as they were after the first boot: takes seconds. */
  reset(): Promise<void>;
  /** `systemctl reboot`; returns when systemd says that it is up again. */
  reboot(): Promise<void>;
  /** The plug is pulled: nothing that was not on the disk yet gets there. */
  pullPlug(): Promise<void>;
  /** Switched on again, with the disk as it is. */
  switchOn(power?: Partial<PowerOn>): Promise<void>;
  /** `systemctl poweroff`, then switched on in another way, with the disk as it is. */
  powerCycle(power: Partial<PowerOn>): Promise<void>;
}

/** How long a boot may take, on a machine that others load as well. */
const PATIENCE_MS = 600_000;

/** Machine 1, 2 or 3, which the run has started. */
export function machine(index: number): Machine {
  const name = `vm${index}`;
  const ssh = (options: readonly string[], words: readonly string[], input?: string): Promise<RunResult> =>
    run(['ssh', '-F', runFile('ssh_config'), ...options, name, ...words], input === undefined ? {} : { input });
  const shared = ['-o', 'ControlMaster=auto', '-o', `ControlPath=${runFile('ssh-%n')}`, '-o', 'ControlPersist=600'];
  const exec = (...argv: Argv): Promise<RunResult> => ssh(shared, ['--', quoteArgv(argv)]);
  const out = async (...argv: Argv): Promise<string> => {
    const { code, stdout, stderr } = await exec(...argv);
    if (code !== 0) throw new Error(`"${argv.join(' ')}" on ${name}: exit ${code}: ${stderr.trim()}${stdout.trim()}`);
    return stdout.replace(/\n$/, '');
  };
  const disconnect = () => ssh([...shared, '-O', 'exit'], []);
  const ready = (bootedBefore: string) =>
    waitUntilUp(index, (words) => ssh(['-o', 'ConnectTimeout=5'], words), bootedBefore);
  const switchOn = async (power: Partial<PowerOn> = {}): Promise<void> => {
    await powerOn(index, { ...DEFAULT_POWER, ...power });
    await ready('');
  };
  return {
    name,
    exec,
    out,
    async write(path, text) {
      const { code, stderr } = await ssh(shared, ['--', quoteArgv(['tee', path])], text);
      if (code !== 0) throw new Error(`"${path}" on ${name} can't be written: ${stderr}`);
    },
    async reset() {
      await disconnect();
      const { boot, append } = powerOf(index);
      if (isOn(index) && boot === DEFAULT_POWER.boot && append === DEFAULT_POWER.append) {
        await loadSnapshot(index);
      } else {
        await powerOff(index);
        await powerOn(index, { ...DEFAULT_POWER, snapshot: true });
      }
      await ready('');
    },
    async reboot() {
      const before = await out('cat', BOOT_ID);
      await exec('systemctl', 'reboot');
      await disconnect();
      await ready(before);
    },
    async pullPlug() {
      await powerOff(index);
      await disconnect();
    },
    switchOn,
    async powerCycle(power) {
      await exec('systemctl', 'poweroff');
      await disconnect();
      const end = Date.now() + PATIENCE_MS;
      while (isOn(index)) {
        if (Date.now() > end) throw new Error(`${name} does not switch itself off: ${lastWords(index)}`);
        await sleep(200);
      }
      await switchOn(power);
    },
  };
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** Waits for the first answer of another boot than `before`, sets the clock, which a snapshot left behind, and waits for systemd. */
async function waitUntilUp(
  index: number,
  ssh: (words: readonly string[]) => Promise<RunResult>,
  before: string,
): Promise<void> {
  const start = Date.now();
  const end = start + PATIENCE_MS;
  let last = '';
  while (Date.now() < end) {
    if (!isOn(index)) throw new Error(`vm${index} has switched itself off: ${lastWords(index)}`);
    const now = (Date.now() / 1000).toFixed(3);
    // "degraded" is up as well; what failed is for the test to judge.
    const { stdout, stderr } = await ssh([
      `cat ${BOOT_ID}; date -s @${now} >/dev/null; systemctl is-system-running --wait`,
    ]);
    const [id = '', state = ''] = stdout.trim().split('\n');
    if (id !== '' && id !== before && /^(?:running|degraded)$/.test(state)) {
      appendFileSync(runFile('times.log'), `vm${index} ${state} after ${(Date.now() - start) / 1000} s\n`);
      return;
    }
    last = `${stdout}${stderr}`.trim();
    await sleep(500);
  }
  throw new Error(`vm${index} is not up after ${PATIENCE_MS / 1000} s: ${last}\n${lastWords(index)}`);
}

/** The end of what a machine wrote to its serial console. */
function lastWords(index: number): string {
  return readFileSync(runFile(`vm${index}.log`), 'utf8').slice(-1500);
}

/** Used where all machines are started together. */
export const waitForFirstBoot = async (index: number): Promise<void> => {
  const ssh = (words: readonly string[]): Promise<RunResult> =>
    run(['ssh', '-F', runFile('ssh_config'), '-o', 'ConnectTimeout=5', `vm${index}`, ...words]);
  await waitUntilUp(index, ssh, '');
};
