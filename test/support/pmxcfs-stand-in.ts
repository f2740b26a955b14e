import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from './lab.ts';

/**
 * Stands in for Proxmox's pmxcfs, which needs FUSE and does not exist here: it keeps /etc/pve/corosync.conf of all nodes equal and copies it to
 * /etc/corosync/corosync.conf as dcdb.c of pve-cluster does: never an older version, each node at its own time, and on the node that
 * made the change `corosync-cfgtool -R` a second later. What it does not do: quorum, owner and mode of files.
 */
export interface SharedFolder {
  /** Milliseconds that a node takes until it copies. */
  readonly lagMs: Record<string, number>;
  stop(): Promise<void>;
}

const VERSION = /config_version: (\d+)/;
const versionOf = (text: string): number => Number(VERSION.exec(text)?.[1] ?? 0);

export function shareFolder(lab: Lab, nodes: readonly string[], text: string): SharedFolder {
  const root = (node: string) => `/proc/${readFileSync(`${lab.dir}/nodes/${node}/pid`, 'utf8').trim()}/root`;
  const shared = (node: string) => `${root(node)}/etc/pve/corosync.conf`;
  const local = (node: string) => `${root(node)}/etc/corosync/corosync.conf`;
  const put = (path: string, content: string) => {
    writeFileSync(`${path}.stand-in`, content);
    renameSync(`${path}.stand-in`, path);
  };
  const lagMs: Record<string, number> = {};
  const under = new Set<Promise<unknown>>();
  let current = text;
  let isOver = false;
  for (const node of nodes) {
    mkdirSync(`${root(node)}/etc/pve`, { recursive: true });
    put(shared(node), text);
    put(local(node), text);
  }

  async function copy(node: string, content: string, isOrigin: boolean): Promise<void> {
    await sleep(lagMs[node] ?? 100);
    if (versionOf(content) >= versionOf(readFileSync(local(node), 'utf8'))) put(local(node), content);
    if (!isOrigin) return;
    await sleep(1000);
    await lab.exec(node, ['corosync-cfgtool', '-R']);
  }

  const loop = (async () => {
    for (; !isOver; await sleep(50)) {
      const origin = nodes.find((node) => existsSync(shared(node)) && readFileSync(shared(node), 'utf8') !== current);
      if (origin === undefined) continue;
      current = readFileSync(shared(origin), 'utf8');
      for (const node of nodes) {
        put(shared(node), current);
        const copying = copy(node, current, node === origin);
        under.add(copying);
        void copying.finally(() => under.delete(copying));
      }
    }
  })();
  return {
    lagMs,
    async stop() {
      isOver = true;
      await loop;
      await Promise.all(under);
    },
  };
}
