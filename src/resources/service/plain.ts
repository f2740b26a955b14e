import { HostError } from '../../core/errors.ts';
import type { Argv, Observations, Read, Step } from '../../core/resource.ts';
import type { ManagedService } from './manager.ts';
import type { ServiceParams } from './params.ts';
import { detached } from './steps.ts';

const baseOf = (name: string): string => name.replace(/\.service$/, '');
const scriptOf = (name: string): string => `/etc/init.d/${baseOf(name)}`;
const UPDATE_RC: Argv = ['test', '-x', '/usr/sbin/update-rc.d'];
const CHKCONFIG: Argv = ['test', '-x', '/sbin/chkconfig'];
/** Run levels with several users: Debian boots into 2, RHEL 6 into 3 or 5. */
const FOLDERS = ['/etc/rc2.d', '/etc/rc3.d', '/etc/rc4.d', '/etc/rc5.d'] as const;

/** What tells whether it runs: ends with 0 then. */
function statusOf({ name, process }: ServiceParams): Argv {
  return process === undefined ? [scriptOf(name), 'status'] : ['pidof', process];
}

export function plainReads(params: ServiceParams): readonly Read[] {
  return [
    { read: 'file', path: scriptOf(params.name) },
    { read: 'run', argv: statusOf(params) },
    ...(params.enabled === undefined
      ? []
      : [
          ...FOLDERS.map((path): Read => ({ read: 'dir', path, suffix: baseOf(params.name) })),
          { read: 'run' as const, argv: UPDATE_RC },
          { read: 'run' as const, argv: CHKCONFIG },
        ]),
  ];
}

/** A service of a node without systemd: an init script, or a program. @throws HostError where nobody can tell whether it runs */
export function plainService(seen: Observations, params: ServiceParams): ManagedService {
  const { name, start, stop, seconds } = params;
  const script = scriptOf(name);
  const hasScript = seen.file(script) !== null;
  const boot = bootOf(seen, params, hasScript);
  const isManaged = hasScript || start !== undefined;
  const none = `there is neither systemd nor "${script}" on the node: install its package before this task, or give "start", "stop" and "process"`;
  const call = (verb: string): Step => detached([script, verb], seconds);
  const starting = start === undefined ? [call('start')] : [detached(start, seconds)];
  const stopping = stop === undefined ? [call('stop')] : [detached(stop, seconds, statusOf(params))];
  return {
    ...boot.service,
    isActive: isActive(seen, params, hasScript),
    isMasked: false,
    no: {
      ...(!isManaged && { start: none, reload: none }),
      ...(isManaged &&
        start !== undefined && { reload: `"${name}" has no way to be reloaded here: write "restarted"` }),
      ...(boot.no !== null && { enable: hasScript || start !== undefined ? boot.no : none }),
      mask: 'only systemd can mask a service: leave "masked" out',
    },
    isUp: statusOf(params),
    start: starting,
    stop: stopping,
    restart: start === undefined ? [call('restart')] : [...stopping, ...starting],
    reload: [call('reload')],
    mask: [],
    unmask: [],
  };
}

function isActive(seen: Observations, params: ServiceParams, hasScript: boolean): boolean {
  if (params.process === undefined && !hasScript) return false;
  const { argv, code, stderr } = seen.run(statusOf(params));
  if (code === 0) return true;
  // LSB, init script actions: 1 and 2 dead, 3 not running; 4 is unknown. pidof: 1.
  if (code === 1 || code === 2 || code === 3) return false;
  throw new HostError(
    `"${argv.join(' ')}" can't tell whether it runs: exit code ${code}${stderr.trim() && `: ${stderr.trim()}`}`,
    {
      hint: 'give "process", the name of the process of the service',
    },
  );
}

interface Boot {
  readonly service: Pick<ManagedService, 'isEnabled' | 'enable' | 'disable'>;
  /** Why it can't be enabled. */
  readonly no: string | null;
}

function bootOf(seen: Observations, { name, enabled }: ServiceParams, hasScript: boolean): Boot {
  const nothing = { isEnabled: null, enable: [], disable: [] };
  if (enabled === undefined) return { service: nothing, no: null };
  if (!hasScript)
    return {
      service: { ...nothing, isEnabled: false },
      no: 'a plain process has nothing that starts it at boot: leave "enabled" out',
    };
  const base = baseOf(name);
  const links = FOLDERS.flatMap((folder) => seen.dir(folder, base) ?? []).map(
    ({ path }) => path.split('/').at(-1) ?? '',
  );
  const isOurs = (kind: string) => (link: string) =>
    link.length === base.length + 3 && new RegExp(`^${kind}\\d\\d`).test(link);
  const isEnabled = links.some(isOurs('S'));
  const hasLinks = isEnabled || links.some(isOurs('K'));
  const run = (...argv: Argv): readonly Step[] => [{ do: 'run', argv }];
  if (seen.run(UPDATE_RC).code === 0) {
    const enable = run('update-rc.d', base, hasLinks ? 'enable' : 'defaults');
    const disable = hasLinks ? run('update-rc.d', base, 'disable') : run('update-rc.d', '-f', base, 'remove');
    return { service: { isEnabled, enable, disable }, no: null };
  }
  if (seen.run(CHKCONFIG).code === 0) {
    return {
      service: { isEnabled, enable: run('chkconfig', base, 'on'), disable: run('chkconfig', base, 'off') },
      no: null,
    };
  }
  return {
    service: { isEnabled, enable: [], disable: [] },
    no: "the node has neither update-rc.d nor chkconfig: its links in /etc/rc?.d are nobody's business",
  };
}
