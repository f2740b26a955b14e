import { setTimeout as sleep } from 'node:timers/promises';
import type { RunResult } from '../../src/core/resource.ts';
import type { Lab } from './lab.ts';

export const CONF = '/etc/corosync/corosync.conf';

/** Address of node `pve${number}` in a lab. */
export const addressOf = (number: number): string => `198.18.0.${10 + number}`;

/** A cluster of real corosyncs in the nodes of a lab. */
export interface LabCluster {
  /** The file of a node. */
  file(node: string): Promise<string>;
  /** Lines of `ss` for corosync's UDP sockets, local addresses only, sorted. */
  sockets(node: string): Promise<string[]>;
  /** One key of cmap; null where it is not there. */
  cmap(node: string, key: string): Promise<string | null>;
  /** The nodeids that a node sees, and whether it is quorate, by corosync-quorumtool. */
  quorum(node: string): Promise<{ quorate: boolean; nodes: number[] }>;
  /** Runs a command that has to succeed. */
  must(node: string, ...argv: string[]): Promise<string>;
  put(node: string, text: string): Promise<void>;
  start(...nodes: string[]): Promise<void>;
  stop(...nodes: string[]): Promise<void>;
  /** Waits until all nodes named see all of them. */
  formed(...nodes: string[]): Promise<void>;
  pid(node: string): Promise<number | null>;
}

export interface ConfOptions {
  readonly version?: number;
  /** Lines of totem besides those that every cluster needs. */
  readonly totem?: readonly string[];
  readonly interface?: readonly string[];
  readonly quorum?: readonly string[];
}

/** A corosync.conf with a comment and an odd line here and there, which have to stay. */
export function confOf(nodes: number, options: ConfOptions = {}): string {
  const block = (name: string, lines: readonly string[]) =>
    `${name} {\n${lines.map((line) => `\t${line}\n`).join('')}}\n`;
  const list = Array.from({ length: nodes }, (_, index) =>
    [
      `\tnode {`,
      `\t\tname: pve${index + 1}`,
      `\t\tnodeid: ${index + 1}`,
      `\t\tring0_addr: ${addressOf(index + 1)}`,
      `\t}`,
      '',
    ].join('\n'),
  ).join('');
  const links =
    options.interface === undefined ? [] : ['interface {', ...options.interface.map((line) => `\t${line}`), '}'];
  const version = `config_version: ${options.version ?? 1}`;
  return [
    '# a cluster of the lab\n',
    block('totem', ['version: 2', 'cluster_name: lab', version, ...(options.totem ?? []), ...links]),
    block('quorum', ['provider: corosync_votequorum', ...(options.quorum ?? [])]),
    `nodelist {\n${list}}\n`,
    block('logging', ['to_logfile: yes', 'logfile: /var/log/corosync/corosync.log', 'to_syslog: no', 'to_stderr: no']),
    block('system', ['# the lab has no real time', 'sched_rr:   no']),
  ].join('');
}

/** The corosyncs of a lab: Debian's, started as plain processes, since a node of the lab has no systemd. */
export function corosyncIn(lab: Lab): LabCluster {
  async function must(node: string, ...argv: string[]): Promise<string> {
    const result: RunResult = await lab.exec(node, argv);
    if (result.code !== 0)
      throw new Error(`${node}: ${argv.join(' ')}: ${result.code}: ${result.stderr}${result.stdout}`);
    return result.stdout;
  }
  async function quorum(node: string) {
    const { stdout } = await lab.exec(node, ['corosync-quorumtool', '-s']);
    return {
      quorate: /^Quorate:\s+Yes/m.test(stdout),
      nodes: [...stdout.matchAll(/^\s+(\d+)\s+\d+ \S+/gm)].map(([, id]) => Number(id)),
    };
  }
  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(100)) if (await holds()) return;
    throw new Error(`not within 20 s: ${what}`);
  }
  const pid = async (node: string): Promise<number | null> => {
    const { stdout } = await lab.exec(node, ['pgrep', '-x', 'corosync']);
    return stdout === '' ? null : Number(stdout.split('\n')[0]);
  };
  return {
    must,
    quorum,
    pid,
    file: (node) => must(node, 'cat', CONF),
    async sockets(node) {
      const lines = (await must(node, 'ss', '-Huanp')).split('\n').filter((line) => line.includes('"corosync"'));
      return lines.map((line) => line.trim().split(/\s+/)[3] ?? '').toSorted();
    },
    async cmap(node, key) {
      const { code, stdout } = await lab.exec(node, ['corosync-cmapctl', '-g', key]);
      return code === 0 ? (/= ?(.*)$/m.exec(stdout)?.[1] ?? null) : null;
    },
    async put(node, text) {
      await must(node, 'mkdir', '-p', '/var/log/corosync');
      const result = await lab.exec(node, ['tee', CONF], { input: text });
      if (result.code !== 0) throw new Error(result.stderr);
    },
    start: async (...nodes) => void (await Promise.all(nodes.map((node) => must(node, 'corosync')))),
    async stop(...nodes) {
      await Promise.all(nodes.map((node) => lab.exec(node, ['corosync-cfgtool', '-H'])));
      await until(`corosync has ended on ${nodes.join(', ')}`, async () =>
        (await Promise.all(nodes.map(pid))).every((each) => each === null),
      );
    },
    formed: (...nodes) =>
      until(`${nodes.join(', ')} form a cluster`, async () => {
        const all = await Promise.all(nodes.map(quorum));
        return all.every((each) => each.quorate && each.nodes.length === nodes.length);
      }),
  };
}
