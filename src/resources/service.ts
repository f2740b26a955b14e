import type { Change, Impact, Observations, Resource, ResourcePlan, ResourceType, Step } from '../core/resource.ts';
import type { ManagedService } from './service/manager.ts';
import { actionOf, ServiceParams } from './service/params.ts';
import { plainReads, plainService } from './service/plain.ts';
import { waitFor } from './service/steps.ts';
import { isSystemd, systemdReads, systemdService } from './service/systemd.ts';

/** Units whose stop costs the node its place in the cluster. */
const CLUSTER = /^(?:corosync|pve-cluster|cman|pacemaker|heartbeat)(?:\.service)?$/;

const NONE: ResourcePlan = { changes: [], try: [], undo: [], keep: [] };

type Part = Pick<ResourcePlan, 'changes' | 'try' | 'undo' | 'keep'> & {
  readonly unkeep?: readonly Step[];
  readonly blocked?: string | undefined;
};

/** Starting or stopping it, or the action of a handler. */
function planState(service: ManagedService, params: ServiceParams): Part {
  const { state, seconds } = params;
  const action = actionOf(state);
  const up = waitFor(service.isUp, true, seconds);
  const down = waitFor(service.isUp, false, seconds);
  if (state === undefined) return NONE;
  if (action !== null) {
    const verb = !service.isActive ? 'start' : action === 'restarted' ? 'restart' : 'reload';
    const change: Change = { layer: 'runtime', property: action, from: false, to: true, isAction: true };
    const note = service.isActive ? undefined : 'it does not run: it is started';
    const blocked = verb === 'reload' ? service.no.reload : service.no.start;
    return {
      ...NONE,
      changes: [{ ...change, ...(note !== undefined && { note }) }],
      try: [...service[verb], up],
      blocked,
    };
  }
  const isStart = state === 'started';
  if (service.isActive === isStart) return NONE;
  const change: Change = {
    layer: 'runtime',
    property: 'state',
    from: isStart ? 'stopped' : 'started',
    to: state,
    ...(service.activeNote !== undefined && { note: service.activeNote }),
  };
  const start = [...service.start, up];
  const stop = [...service.stop, down];
  if (isStart && service.isMasked && params.masked === false) {
    // It can be started only once it is unmasked, and that is kept.
    return { ...NONE, changes: [{ ...change, after: 'keep' }], keep: start, unkeep: stop };
  }
  const masked = isStart && service.isMasked ? 'it is masked: add "masked: false"' : undefined;
  return {
    ...NONE,
    changes: [change],
    try: isStart ? start : stop,
    undo: isStart ? stop : start,
    blocked: isStart ? (masked ?? service.no.start) : undefined,
  };
}

function planMasked(service: ManagedService, { masked }: ServiceParams): Part {
  if (masked === undefined || masked === service.isMasked) return NONE;
  const [keep, unkeep] = masked ? [service.mask, service.unmask] : [service.unmask, service.mask];
  const change: Change = { layer: 'persistent', property: 'masked', from: service.isMasked, to: masked };
  return { ...NONE, changes: [change], keep, unkeep, blocked: service.no.mask };
}

function planEnabled(service: ManagedService, { enabled, masked }: ServiceParams): Part {
  if (enabled === undefined || enabled === service.isEnabled) return NONE;
  const [keep, unkeep] = enabled ? [service.enable, service.disable] : [service.disable, service.enable];
  const change: Change = { layer: 'persistent', property: 'enabled', from: service.isEnabled, to: enabled };
  const isMasked = enabled && service.isMasked && masked !== false;
  const blocked = isMasked ? 'it is masked: add "masked: false"' : enabled ? service.no.enable : undefined;
  return { ...NONE, changes: [change], keep, unkeep, blocked };
}

function impactOf({ name, state }: ServiceParams, part: Part): Impact | null {
  if (part.changes.length === 0) return null;
  if (state === 'reloaded') return { kind: 'reload', text: `${name} reads its configuration again` };
  if (state === 'started' || !CLUSTER.test(name)) return null;
  const what = state === 'stopped' ? 'stops' : 'restarts';
  return {
    kind: 'restart-node',
    text: `${what} ${name}: the node leaves the cluster meanwhile; with "serial: 1" the others keep their quorum`,
  };
}

function plan(seen: Observations, params: ServiceParams): ResourcePlan {
  const service = isSystemd(seen) ? systemdService(seen, params) : plainService(seen, params);
  const state = planState(service, params);
  // Unmasked before it is enabled, enabled before it is started.
  const parts = [planMasked(service, params), planEnabled(service, params), state];
  const blocked = parts.map((part) => part.blocked).find((reason) => reason !== undefined);
  const impact = impactOf(params, state);
  return {
    changes: [...parts].reverse().flatMap((part) => part.changes),
    try: state.try,
    undo: state.undo,
    keep: parts.flatMap((part) => part.keep),
    unkeep: [...parts].reverse().flatMap((part) => part.unkeep ?? []),
    ...(impact !== null && { impact }),
    ...(blocked !== undefined && { blocked }),
  };
}

function serviceResource(params: ServiceParams): Resource {
  const { name, state, enabled, masked } = params;
  const action = actionOf(state);
  return {
    id: `service[${name}]`,
    reads: [...systemdReads(params), ...plainReads(params)],
    wants: {
      ...(state !== undefined && action === null && { state }),
      ...(enabled !== undefined && { enabled }),
      ...(masked !== undefined && { masked }),
    },
    ...(action !== null && { isAction: true }),
    plan: (seen) => plan(seen, params),
  };
}

/**
 * A daemon. Runtime: whether it runs. Persistent: whether it starts at boot. systemd where it is process 1, else an init script or a plain
 * process.
 */
export const service = {
  type: 'service',
  summary: 'A daemon: whether it runs, and whether it starts at boot',
  schema: ServiceParams,
  example: `- name: corosync runs, now and after a boot
  service: { name: corosync, state: started, enabled: true }
`,
  resources: (params) => [serviceResource(params)],
} satisfies ResourceType<typeof ServiceParams>;
