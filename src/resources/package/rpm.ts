import { HostError } from '../../core/errors.ts';
import type { Argv, Observations, Read, Step } from '../../core/resource.ts';
import { type PackageManager, runRead, type WantedPackages } from './manager.ts';

const FORMAT = '%{NAME}\\t%{VERSION}-%{RELEASE}\\n';
const queryOf = (names: readonly string[]): Argv => ['rpm', '-q', '--queryformat', FORMAT, '--', ...names];
const DNF: Argv = ['test', '-x', '/usr/bin/dnf'];

export function rpmReads({ names }: WantedPackages): readonly Read[] {
  return [runRead(queryOf(names)), runRead(DNF)];
}

/** rpm with dnf, or with yum where there is no dnf; null where the node has no rpm. @throws HostError where rpm does not answer */
export function openRpm(seen: Observations, wanted: WantedPackages): PackageManager | null {
  const { code, stdout, stderr } = seen.run(queryOf(wanted.names));
  if (code === 127) return null;
  // Its exit code is the number of packages that are not installed; the database can't be read: it says so on standard error.
  if (code === null || /^error: /m.test(stderr)) throw new HostError(`rpm failed: ${stderr.trim()}`);
  const installed = new Map(
    stdout.split('\n').flatMap((line) => {
      const [name = '', version] = line.split('\t');
      return version === undefined ? [] : [[name, version] as const];
    }),
  );
  const { seconds } = wanted;
  const run = (...argv: Argv): Step => ({ do: 'run', argv, seconds });
  const isDnf = seen.run(DNF).code === 0;
  const yum: Argv = isDnf ? ['dnf', '-q', '-y', '--setopt=install_weak_deps=False'] : ['yum', '-q', '-y'];
  const named = (name: string, version: string | null) => (version === null ? name : `${name}-${version}`);
  return {
    installed: (name) => installed.get(name) ?? null,
    candidate() {
      throw new HostError('the newest version can be told only on Debian and its like', { hint: 'give a "version"' });
    },
    install: (packages) => {
      const older = packages.filter(({ name, version }) => isOlder(version, installed.get(name)));
      const others = packages.filter((each) => !older.includes(each));
      const names = (some: typeof packages) => some.map(({ name, version }) => named(name, version));
      return [
        ...(wanted.updateCache ? [run(...yum, 'makecache')] : []),
        ...(others.length > 0 ? [run(...yum, 'install', ...names(others))] : []),
        ...(older.length > 0 ? [run(...yum, 'downgrade', ...names(older))] : []),
      ];
    },
    remove: (names) => [run('rpm', '-e', '--', ...names)],
    restore: (changed) => {
      const came = changed.filter((name) => !installed.has(name));
      const others = changed.flatMap((name) => {
        const version = installed.get(name);
        return version === undefined ? [] : [{ name, version }];
      });
      const back = others.map(({ name, version }) => {
        const isBack = isOlder(version, wanted.version ?? undefined);
        return run(...yum, isBack ? 'downgrade' : 'install', named(name, version));
      });
      return [...(came.length > 0 ? [run(...yum, 'remove', ...came)] : []), ...back];
    },
  };
}

/** Whether a version is older than the one that is installed: dnf(8) has a verb of its own for that. */
function isOlder(version: string | null, installed: string | undefined): boolean {
  return version !== null && installed !== undefined && compareVersions(version, installed) < 0;
}

/**
 * Which of two versions is newer, as rpm compares them (rpmvercmp): part by part, numbers by value, numbers over letters, "~" before
 * everything, "^" after the end but before more.
 * @returns less than, equal to or more than 0
 */
export function compareVersions(left: string, right: string): number {
  const partsOf = (text: string) => text.match(/\d+|[A-Za-z]+|[~^]/g) ?? [];
  const [a, b] = [partsOf(left), partsOf(right)];
  const rank = (part: string | undefined): number =>
    part === '~' ? 0 : part === undefined ? 1 : part === '^' ? 2 : /^\d/.test(part) ? 4 : 3;
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const [x, y] = [a[index], b[index]];
    const order =
      rank(x) - rank(y) || (rank(x) === 4 ? Number(x) - Number(y) : x === y ? 0 : (x ?? '') < (y ?? '') ? -1 : 1);
    if (order !== 0) return order;
  }
  return 0;
}
