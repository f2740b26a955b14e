import { HostError } from '../../core/errors.ts';
import type { Argv, Observations, Read, Step } from '../../core/resource.ts';
import { own } from '../../formats/own.ts';
import type { ManagedService } from './manager.ts';
import type { ServiceParams } from './params.ts';

/** Is there where systemd is process 1, sd_booted(3). */
const BOOTED: Extract<Read, { read: 'dir' }> = { read: 'dir', path: '/run/systemd/system', suffix: '.absent' };
const PROPERTIES = 'LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,CanReload';

const unitOf = (name: string): string =>
  /\.(?:service|socket|target|timer|mount|path|slice|scope|automount|swap|device)$/.test(name)
    ? name
    : `${name}.service`;
const showOf = (name: string): Argv => ['systemctl', 'show', `--property=${PROPERTIES}`, '--', unitOf(name)];
const enabledOf = (name: string): Argv => ['systemctl', 'is-enabled', '--', unitOf(name)];

export function systemdReads({ name }: ServiceParams): readonly Read[] {
  return [BOOTED, { read: 'run', argv: showOf(name) }, { read: 'run', argv: enabledOf(name) }];
}

export function isSystemd(seen: Observations): boolean {
  return seen.dir(BOOTED.path, BOOTED.suffix) !== null;
}

/** States of unit files that mean "at boot", systemctl(1); `enabled-runtime` is gone by then. */
const ENABLED: readonly string[] = ['enabled', 'alias'];
/** States in which there is nothing that could be enabled. */
const FIXED: Readonly<Record<string, string>> = {
  static: 'it has no [Install] section, other units start it',
  indirect: 'only other units of it can be enabled, see its [Install] section',
  generated: 'a generator of systemd made it at boot',
  transient: 'it was made at run time',
};

/** A unit of systemd. @throws HostError where systemctl does not answer as it does */
export function systemdService(seen: Observations, { name }: ServiceParams): ManagedService {
  const unit = unitOf(name);
  const { stdout, stderr, code } = seen.run(showOf(name));
  const shown = new Map(stdout.split('\n').flatMap((line) => keyValue(line)));
  const load = shown.get('LoadState');
  if (code !== 0 || load === undefined)
    throw new HostError(`"systemctl show ${unit}" ended with exit code ${code}: ${stderr.trim() || stdout.trim()}`);
  const active = shown.get('ActiveState') ?? '';
  const fileState = seen.run(enabledOf(name)).stdout.trim();
  const isMasked = load === 'masked' || fileState === 'masked' || fileState === 'masked-runtime';
  const isMissing = load === 'not-found';
  const missing = `there is no unit "${unit}" on the node: install its package before this task, or correct the name`;
  const broken =
    load === 'error' || load === 'bad-setting'
      ? `systemd can't load "${unit}" (${load}): see "systemctl status ${unit}"`
      : null;
  const why = isMissing ? missing : broken;
  const fixed = own(FIXED, fileState);
  const systemctl = (verb: string): Step => ({ do: 'run', argv: ['systemctl', verb, '--', unit], seconds: 120 });
  const fresh: readonly Step[] =
    shown.get('NeedDaemonReload') === 'yes' ? [{ do: 'run', argv: ['systemctl', 'daemon-reload'] }] : [];
  return {
    isActive: active === 'active' || active === 'reloading',
    ...(active !== 'active' && active !== 'inactive' && { activeNote: `it is ${active} (${shown.get('SubState')})` }),
    isEnabled: ENABLED.includes(fileState),
    isMasked,
    no: {
      ...(why !== null && { start: why, enable: why, reload: why }),
      ...(why === null &&
        fixed !== undefined && { enable: `"${unit}" is ${fileState}, ${fixed}: leave "enabled" out` }),
      ...(why === null &&
        shown.get('CanReload') === 'no' && { reload: `"${unit}" can't be reloaded while it runs: write "restarted"` }),
    },
    isUp: ['systemctl', 'is-active', '--quiet', '--', unit],
    start: [...fresh, systemctl('start')],
    stop: [systemctl('stop')],
    restart: [...fresh, systemctl('restart')],
    reload: [...fresh, systemctl('reload')],
    enable: [systemctl('enable')],
    disable: [systemctl('disable')],
    mask: [systemctl('mask')],
    unmask: [systemctl('unmask')],
  };
}

function keyValue(line: string): [string, string][] {
  const at = line.indexOf('=');
  return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).trim()]];
}
