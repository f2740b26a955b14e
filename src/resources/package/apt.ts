import { HostError } from '../../core/errors.ts';
import type { Argv, Observations, Read, Step } from '../../core/resource.ts';
import { type PackageManager, runRead, type WantedPackages } from './manager.ts';

const DEBIAN = '/etc/debian_version';
/** All packages in one question, since undoing must know those that come along. */
const QUERY: Argv = ['dpkg-query', '-W', `-f=\${binary:Package}\\t\${db:Status-Status}\\t\${Version}\\n`];
const policyOf = (names: readonly string[]): Argv => ['apt-cache', 'policy', ...names];

/**
 * apt-get(8) without questions: recommended packages are left out, changed configuration files are kept, another apt is waited for, and
 * a name that is unknown is no pattern.
 */
const APT: Argv = [
  'env',
  'DEBIAN_FRONTEND=noninteractive',
  'apt-get',
  '-q',
  '-y',
  '--no-install-recommends',
  '-o',
  'DPkg::Lock::Timeout=60',
  '-o',
  'Dpkg::Options::=--force-confdef',
  '-o',
  'Dpkg::Options::=--force-confold',
  '-o',
  'APT::Cmd::Pattern-Only=true',
];

/**
 * Makes the packages what they were: those that came are purged (removed where their configuration had been there), others get their
 * old version. Standard input: what QUERY said before. Arguments: how many words the question has, the question, then apt-get.
 */
const RESTORE = `my @query = splice @ARGV, 0, shift;
my (%before, %now);
while (<STDIN>) { chomp; my ($name, @state) = split /\\t/; $before{$name} = \\@state }
open my $list, '-|', @query or die "$query[0]: $!\\n";
while (<$list>) { chomp; my ($name, @state) = split /\\t/; $now{$name} = \\@state }
sub is_gone { my $state = shift; !$state || $state->[0] eq 'not-installed' || $state->[0] eq 'config-files' }
my (@purge, @remove, @install);
for my $name (sort keys %now) {
  next if is_gone($now{$name}) || !is_gone($before{$name});
  if ($before{$name} && $before{$name}[0] eq 'config-files') { push @remove, $name } else { push @purge, $name }
}
for my $name (sort keys %before) {
  next if is_gone($before{$name});
  push @install, "$name=$before{$name}[1]" if is_gone($now{$name}) || $now{$name}[1] ne $before{$name}[1];
}
my $failed = 0;
for (['purge', @purge], ['remove', @remove], ['--allow-downgrades', 'install', @install]) {
  my @names = grep { !/^(?:purge|remove|install|--allow-downgrades)$/ } @$_;
  next if !@names;
  $failed = 1 if system({ $ARGV[0] } @ARGV, @$_) != 0;
}
exit $failed;
`;

export function aptReads({ names, state }: WantedPackages): readonly Read[] {
  return [{ read: 'file', path: DEBIAN }, runRead(QUERY), ...(state === 'latest' ? [runRead(policyOf(names))] : [])];
}

/** dpkg and apt; null where the node is not of Debian's family. @throws HostError where dpkg does not answer */
export function openApt(seen: Observations, wanted: WantedPackages): PackageManager | null {
  if (seen.file(DEBIAN) === null) return null;
  const { code, stdout, stderr } = seen.run(QUERY);
  if (code !== 0) throw new HostError(`dpkg-query ended with exit code ${code}: ${stderr.trim()}`);
  const rows = stdout.split('\n').map((line) => line.split('\t'));
  const installed = new Map(
    rows.flatMap(([name = '', status, version = '']) => (status === 'installed' ? [[withoutArch(name), version]] : [])),
  );
  const { seconds, updateCache } = wanted;
  const run = (...argv: Argv): Step => ({ do: 'run', argv, seconds });
  return {
    installed: (name) => installed.get(name) ?? null,
    candidate: (name) => candidateOf(seen, wanted.names, name),
    install: (packages) => [
      ...(updateCache ? [run(...APT, 'update')] : []),
      run(
        ...APT,
        ...(packages.some(({ version }) => version !== null) ? ['--allow-downgrades'] : []),
        'install',
        ...packages.map(({ name, version }) => (version === null ? name : `${name}=${version}`)),
      ),
    ],
    // dpkg(1) refuses to remove what others need; apt-get would remove those too.
    remove: (names) => [run('env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', '--remove', ...names)],
    restore: () => [
      { do: 'run', argv: ['perl', '-e', RESTORE, String(QUERY.length), ...QUERY, ...APT], stdin: stdout, seconds },
    ],
  };
}

const withoutArch = (name: string): string => name.replace(/:.*$/, '');

function candidateOf(seen: Observations, names: readonly string[], name: string): string | null {
  const { code, stdout, stderr } = seen.run(policyOf(names));
  if (code !== 0) throw new HostError(`apt-cache ended with exit code ${code}: ${stderr.trim()}`);
  // "name:", then indented lines, apt-cache(8).
  const part = stdout.split(/^(?=\S)/m).find((text) => text.startsWith(`${name}:\n`));
  const found = /^ {2}Candidate: (\S+)$/m.exec(part ?? '')?.[1];
  return found === undefined || found === '(none)' ? null : found;
}
