import { execFileSync, spawn } from 'node:child_process';
import { AgentSession } from '../../src/agent/session.ts';
import type { Link } from '../../src/core/connection.ts';

/** A few network namespaces joined by a switch, for tests that send packets. Nothing leaves them. */
export interface ProbeNet {
  readonly nodes: readonly string[];
  /** IPv4 address of the n-th node, from 0. */
  address(node: number): string;
  /** Runs a command inside a node, or inside the switch (`sw`). */
  exec(where: number | 'sw', ...argv: readonly [string, ...string[]]): string;
  /** Starts the agent in a node, with the modules of perl-base alone. `sshConnection` is what sshd would have told it. */
  agent(node: number, sshConnection?: string): Promise<AgentSession>;
  down(): void;
}

const ip = (...args: readonly string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

let nets = 0;

/**
 * @param count nodes, named a, b, c…; node n has 198.18.0.(n+1)/24 and fd77::(n+1)/64 on eth0
 * @param bridge attributes of the switch, as `ip link add … type bridge` takes them
 */
export function probeNet(count: number, bridge: readonly string[] = ['mcast_snooping', '0']): ProbeNet {
  const prefix = `mctest${process.pid}x${nets++}`;
  const spaces = [...'abcdefghijklmnopqrstuvwxyz'].slice(0, count);
  const space = (where: number | 'sw'): string => `${prefix}${where === 'sw' ? where : spaces[where]}`;
  const net: ProbeNet = {
    nodes: spaces,
    address: (node) => `198.18.0.${node + 1}`,
    exec: (where, ...argv) => ip('netns', 'exec', space(where), ...argv),
    agent: (node, sshConnection = '') => AgentSession.open(link(spaces[node] ?? '', space(node), sshConnection)),
    down() {
      for (const where of ['sw' as const, ...spaces.keys()]) {
        try {
          ip('netns', 'del', space(where));
        } catch {
          // It was not made yet.
        }
      }
    },
  };
  try {
    ip('netns', 'add', space('sw'));
    net.exec('sw', 'ip', 'link', 'add', 'br0', 'type', 'bridge', ...bridge);
    net.exec('sw', 'ip', 'link', 'set', 'br0', 'up');
    for (const node of spaces.keys()) {
      ip('netns', 'add', space(node));
      ip('link', 'add', 'eth0', 'netns', space(node), 'type', 'veth', 'peer', 'name', `p${node}`, 'netns', space('sw'));
      net.exec('sw', 'ip', 'link', 'set', `p${node}`, 'master', 'br0', 'up');
      net.exec(node, 'ip', 'link', 'set', 'lo', 'up');
      net.exec(node, 'ip', 'addr', 'add', `${net.address(node)}/24`, 'dev', 'eth0');
      net.exec(node, 'ip', 'addr', 'add', `fd77::${node + 1}/64`, 'dev', 'eth0', 'nodad');
      net.exec(node, 'ip', 'link', 'set', 'eth0', 'up');
    }
  } catch (error) {
    net.down();
    throw error;
  }
  return net;
}

/** perl looks for modules where perl-base puts them and nowhere else. */
const PERL_BASE_ONLY = 'BEGIN { @INC = grep { m{/perl-base$} } @INC; @INC or die "no perl-base" }';

function link(host: string, space: string, sshConnection: string): Link {
  return {
    host,
    closed: new Promise(() => {}),
    close: async () => {},
    async start([program, ...args]) {
      const restricted = program === 'perl' ? ['-e', PERL_BASE_ONLY, ...args] : args;
      const env = { ...process.env, SSH_CONNECTION: sshConnection };
      const child = spawn('ip', ['netns', 'exec', space, program, ...restricted], { stdio: 'pipe', env });
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
