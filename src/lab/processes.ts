import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNetnsOf, type LabNode, labPaths, NETNS_DIR } from './layout.ts';

/** The network namespaces of a lab that exist, by their names. */
export function labNamespaces(lab: string): string[] {
  try {
    return readdirSync(NETNS_DIR).filter((name) => isNetnsOf(lab, name));
  } catch {
    return [];
  }
}

/** "net:[INODE]", as /proc/PID/ns/net shows it; null where the name is no namespace (a left-over file) or the machine's own. */
function namespaceId(netns: string): string | null {
  try {
    const id = `net:[${statSync(`${NETNS_DIR}/${netns}`).ino}]`;
    return id === linkOf('1', 'ns/net') ? null : id;
  } catch {
    return null;
  }
}

function linkOf(pid: string, name: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return null;
  }
}

/** The fields of /proc/PID/stat after the program's name (proc(5)): state, parent, and so on; null: no such process. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** Whether a process exists and is no zombie. */
export function isAlive(pid: number): boolean {
  const state = statFields(pid)?.[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** This process and all those above it. */
function ownLine(): Set<number> {
  const line = new Set<number>();
  let pid = process.pid;
  while (pid > 0 && !line.has(pid)) {
    line.add(pid);
    pid = Number(statFields(pid)?.[1] ?? 0);
  }
  return line;
}

function isStarterOf(lab: string, pid: string): boolean {
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return (argv[0] === 'unshare' || argv[0] === 'nsenter') && argv.includes(labPaths(lab).nodeScript);
  } catch {
    return false;
  }
}

/**
 * The processes of a lab: those in its network namespaces, and those that hold its nodes (their command line names the
 * lab's own script). Never this process or one above it: "down" may be typed in a shell inside the lab.
 */
export function labProcesses(lab: string): number[] {
  const spaces = new Set(
    labNamespaces(lab)
      .map(namespaceId)
      .filter((id) => id !== null),
  );
  const own = ownLine();
  return readdirSync('/proc')
    .filter((entry) => /^[0-9]+$/.test(entry))
    .filter((pid) => spaces.has(linkOf(pid, 'ns/net') ?? '') || isStarterOf(lab, pid))
    .map(Number)
    .filter((pid) => !own.has(pid) && isAlive(pid));
}

/** Process 1 of a node as this machine sees it; null: the node does not run. */
export function nodeProcess(node: LabNode): number | null {
  try {
    const pid = Number(readFileSync(`${node.dir}/pid`, 'utf8'));
    const isOfNode = linkOf(String(pid), 'ns/net') === namespaceId(node.netns);
    return pid > 0 && isOfNode && isAlive(pid) ? pid : null;
  } catch {
    return null;
  }
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself in the meantime.
    }
  }
}

/**
 * Ends all processes of a lab: asked first, forced after half a second.
 * @returns those that are still there after 5 s more (stuck in the kernel)
 */
export async function endProcesses(lab: string): Promise<number[]> {
  const end = Date.now() + 5500;
  const force = Date.now() + 500;
  let left = labProcesses(lab);
  const holders = left.filter((pid) => isStarterOf(lab, String(pid)));
  // A node ends with its holder: nothing in it needs a goodbye.
  signalAll(holders, 'SIGKILL');
  await sleep(holders.length > 0 ? 20 : 0);
  signalAll(labProcesses(lab), 'SIGTERM');
  while (left.length > 0 && Date.now() < end) {
    left = labProcesses(lab);
    if (left.length === 0) break;
    if (Date.now() >= force) signalAll(left, 'SIGKILL');
    await sleep(20);
  }
  return left;
}
