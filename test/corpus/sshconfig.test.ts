import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseKnownHosts } from '../../src/connection/known-hosts.ts';
import { resolveTarget } from '../../src/connection/resolve-target.ts';
import type { SshTarget } from '../../src/connection/target.ts';

const FOLDER = new URL('../../../shared/samples/sshconfig', import.meta.url).pathname;
const HOME = '/root';

interface ConfigAnswer {
  readonly accepted: boolean;
  readonly hosts: Record<
    string,
    { readonly rc: number; readonly stderr: string; readonly not_default?: readonly string[] }
  >;
}

interface KnownHostsAnswer {
  readonly list: readonly string[];
  readonly find: Record<string, { readonly found: readonly string[] }>;
}

const files = existsSync(FOLDER) ? readdirSync(FOLDER) : [];

describe('ssh_config files of other projects mean what ssh -G says', () => {
  for (const name of files.filter((file) => file.endsWith('.ssh_config'))) {
    const answer = readAnswer<ConfigAnswer>(name);
    for (const [host, expected] of Object.entries(answer.hosts)) {
      test(`${name}: ${host}`, () => {
        const resolve = (): SshTarget => resolveFor(name, host);
        if (expected.rc !== 0) {
          expect(resolve).toThrow(lineOfFirstError(expected.stderr));
          return;
        }
        expect(described(resolve())).toEqual(expectedOf(host, expected.not_default ?? []));
      });
    }
  }
});

describe('known_hosts files of other projects mean what ssh-keygen says', () => {
  for (const name of files.filter((file) => file.endsWith('.known_hosts'))) {
    const answer = readAnswer<KnownHostsAnswer>(name);
    const entries = parseKnownHosts(name, readFileSync(join(FOLDER, name), 'utf8'));
    for (const [host, { found }] of Object.entries(answer.find)) {
      test(`${name}: ${host}`, () => {
        const marks = { revoked: 'REVOKED', 'cert-authority': 'CA', plain: '' };
        const ours = entries
          .filter((entry) => entry.matches(host))
          .map((entry) => `line ${entry.line} ${marks[entry.marker]}`);
        expect(ours).toEqual(found);
      });
    }
    test(`${name}: fingerprints`, () => {
      const plain = entries.filter((entry) => entry.marker === 'plain' && entry.key !== undefined);
      expect(plain.map((entry) => entry.fingerprint)).toEqual(answer.list.map((line) => line.split(' ')[1]));
    });
  }
});

function readAnswer<T>(name: string): T {
  return JSON.parse(readFileSync(join(FOLDER, `${name}.expected.json`), 'utf8'));
}

function resolveFor(name: string, host: string): SshTarget {
  const target = resolveTarget(host, {}, { sshConfigFile: join(FOLDER, name), homeDir: HOME, env: {} });
  if (target.kind !== 'ssh') throw new Error(`${host} is not reached by ssh`);
  return target;
}

function lineOfFirstError(stderr: string): RegExp {
  const line = /line (\d+)/.exec(stderr)?.[1];
  return new RegExp(`ssh_config:${line}:`);
}

/** What a target says, in the words of ssh -G. */
function described(target: SshTarget): Record<string, unknown> {
  const jumps: string[] = [];
  for (let proxy = target.proxy; proxy?.kind === 'jump'; proxy = proxy.via.proxy) jumps.unshift(proxy.via.originalHost);
  return {
    hostname: target.address,
    user: target.user,
    port: String(target.port),
    identityfile: target.keyFiles
      .map((file) => file.path)
      .filter((path) => !/\/root\/.ssh\/id_(ed25519|ecdsa|rsa|dsa)$/.test(path)),
    proxycommand: target.proxy?.kind === 'command' ? target.proxy.command : undefined,
    proxyjump: jumps.length > 0 ? jumps.join(',') : undefined,
    userknownhostsfile: target.hostKeys.userFiles.join(' '),
    identitiesonly: target.identitiesOnly ? 'yes' : 'no',
  };
}

function expectedOf(host: string, lines: readonly string[]): Record<string, unknown> {
  const values = (keyword: string): string[] =>
    lines.filter((line) => line.startsWith(`${keyword} `)).map((line) => line.slice(keyword.length + 1));
  const hostname = values('hostname')[0] ?? host.toLowerCase();
  const user = values('user')[0] ?? 'root';
  const port = values('port')[0] ?? '22';
  const fill = (text: string): string => {
    const table: Record<string, string> = { h: hostname, n: host, p: port, r: user, u: 'root', d: HOME, '%': '%' };
    return text
      .replace(/%(.)/g, (whole, letter: string) => table[letter] ?? whole)
      .replaceAll(/(^| )~\//g, `$1${HOME}/`);
  };
  const known = values('userknownhostsfile')[0];
  return {
    hostname,
    user,
    port,
    identityfile: values('identityfile')
      .map(fill)
      .filter((path) => !/\/root\/.ssh\/id_(ed25519|ecdsa|rsa|dsa)$/.test(path)),
    proxycommand: values('proxycommand').map(fill)[0],
    proxyjump: values('proxyjump')
      .map(fill)[0]
      ?.replaceAll(/[^,@]*@|:\d+/g, ''),
    userknownhostsfile: fill(known ?? '~/.ssh/known_hosts ~/.ssh/known_hosts2'),
    identitiesonly: values('identitiesonly')[0] ?? 'no',
  };
}
