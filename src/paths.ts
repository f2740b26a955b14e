import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// This module lies at the top of src/ and its bundle at the top of dist/, so the same relative paths serve both.

/** Absolute path of a file that ships with the package, such as `playbooks/cluster.yml`. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

/** Text of one of the Perl programs that are sent to nodes. */
export function agentSource(name: 'agent.pl' | 'change.pl' | 'probe.pl' | 'switch.pl' | 'undo.pl'): string {
  const known = sources.get(name);
  if (known !== undefined) return known;
  const text = readFileSync(new URL(`./agent/${name}`, import.meta.url), 'utf8');
  sources.set(name, text);
  return text;
}

/** Every host is sent the same. */
const sources = new Map<string, string>();
