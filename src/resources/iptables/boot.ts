import type { FileState, Observations, Read } from '../../core/resource.ts';
import type { Family } from '../../formats/iptables-save/address.ts';
import { type IptablesFile, parseIptablesSave, restoreObjections } from '../../formats/iptables-save.ts';
import { PROGRAMS } from './worlds.ts';

/** A program that loads rules of iptables at boot. */
interface Loader {
  readonly name: string;
  /** It is there where one of these files is. */
  readonly marks: Readonly<Record<Family, readonly string[]>>;
  readonly file: Readonly<Record<Family, string>>;
  readonly unit: Readonly<Record<Family, string>>;
}

const RHEL: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' };
const rhelMarks = (name: string): readonly string[] => [
  `/usr/lib/systemd/system/${name}.service`,
  `/etc/rc.d/init.d/${name}`,
];

/** In the order in which they are looked for. */
const LOADERS: readonly Loader[] = [
  {
    name: 'iptables-persistent',
    marks: {
      ipv4: ['/usr/share/netfilter-persistent/plugins.d/15-ip4tables'],
      ipv6: ['/usr/share/netfilter-persistent/plugins.d/25-ip6tables'],
    },
    file: { ipv4: '/etc/iptables/rules.v4', ipv6: '/etc/iptables/rules.v6' },
    unit: { ipv4: 'netfilter-persistent.service', ipv6: 'netfilter-persistent.service' },
  },
  {
    name: 'iptables-services',
    marks: { ipv4: rhelMarks(RHEL.ipv4), ipv6: rhelMarks(RHEL.ipv6) },
    file: { ipv4: '/etc/sysconfig/iptables', ipv6: '/etc/sysconfig/ip6tables' },
    unit: { ipv4: 'iptables.service', ipv6: 'ip6tables.service' },
  },
];

const wantsPaths = (unit: string): readonly string[] =>
  ['multi-user.target.wants', 'basic.target.wants', 'sysinit.target.wants'].map(
    (target) => `/etc/systemd/system/${target}/${unit}`,
  );

/** What has to be read to know what the next boot gives. */
export function bootReads(family: Family): readonly Read[] {
  const paths = LOADERS.flatMap((loader) => [
    loader.file[family],
    ...loader.marks[family],
    ...wantsPaths(loader.unit[family]),
  ]);
  return ['/proc/1/comm', ...new Set(paths)].map((path): Read => ({ read: 'file', path }));
}

/** The file that gives the rules of a family at boot. */
export interface BootFile {
  readonly path: string;
  /** null: there is none yet. */
  readonly state: FileState | null;
  readonly file: IptablesFile;
  /** Why nothing that is written there counts, or could be written. */
  readonly fault: string | null;
}

/**
 * @returns null where nothing loads rules at boot
 * @throws FormatError where the file is broken
 */
export function readBootFile(seen: Observations, family: Family): BootFile | null {
  const loader = LOADERS.find(({ marks }) => marks[family].some((path) => exists(seen, path)));
  if (loader === undefined) return null;
  const path = loader.file[family];
  const state = seen.file(path);
  const file = parseIptablesSave(state?.text ?? '', path);
  return { path, state, file, fault: faultOf(seen, loader, family, file) };
}

/** How to get such a program. */
export function missingLoader(seen: Observations, family: Family): string {
  const left = LOADERS.map(({ file }) => file[family]).filter((path) => seen.file(path) !== null);
  const also = left.length === 0 ? '' : `; "${left[0]}" is there, but nothing was found that loads it`;
  return `nothing loads the rules of ${PROGRAMS[family]} at boot${also}: install iptables-persistent ("apt-get install iptables-persistent"), or iptables-services on RHEL`;
}

function faultOf(seen: Observations, loader: Loader, family: Family, file: IptablesFile): string | null {
  const path = loader.file[family];
  const unit = loader.unit[family];
  const isSystemd = seen.file('/proc/1/comm')?.text.trim() === 'systemd';
  if (isSystemd && !wantsPaths(unit).some((link) => exists(seen, link)))
    return `"${path}" is not loaded at boot, as ${unit} is not enabled: look through the file, then run "systemctl enable ${unit}"`;
  const [objection] = restoreObjections(file);
  return objection === undefined ? null : `${path}:${objection.line}: ${objection.message}: mend the file first`;
}

const exists = (seen: Observations, path: string): boolean => seen.file(path) !== null;
