import { describe, expect, it } from 'vitest';
import { HostError } from '../../../src/core/errors.ts';
import type { Observations, Stage, Step, TogetherPlan } from '../../../src/core/resource.ts';
import { CorosyncSchema, paramsOf } from '../../../src/resources/corosync/params.ts';
import { planTogether } from '../../../src/resources/corosync/together.ts';
import { confOf } from '../../support/corosync.ts';
import { type Observed, observed, observedCluster } from '../../support/corosync-observed.ts';

const KNET = confOf(3, { version: 4, totem: ['transport: knet'] });
const NEW = KNET.replace('config_version: 4', 'config_version: 5');
const planned = (given: Record<string, unknown>, seen: ReadonlyMap<string, Observations>): TogetherPlan =>
  planTogether(paramsOf(CorosyncSchema.parse(given)), seen);

/** A stage on one line: its name, and for each host what is done there. */
const told = (stages: readonly Stage[]): string[] => stages.map(({ name }) => name);
const words = (step: Step | undefined): string =>
  step === undefined
    ? ''
    : step.do === 'run'
      ? step.argv.join(' ')
      : step.do === 'edit'
        ? `edit ${step.path}`
        : step.path;
const stepsOn = (host: string, stages: readonly Stage[]): string[] =>
  stages.flatMap(({ steps }) => (steps.get(host) ?? []).map(words));
/** What a stage makes of a host's file. */
const written = (stage: Stage | undefined, host: string, before: string | null): string | null => {
  const [step] = stage?.steps.get(host) ?? [];
  if (step?.do !== 'edit') throw new Error('no edit');
  return step.edit(before);
};

describe('the order of a change', () => {
  it('is check, write, reload where a reload is enough', () => {
    const { stages } = planned({ token: 5000 }, observedCluster(KNET));
    expect(told(stages)).toEqual([
      'corosync -t of the new corosync.conf',
      'write /etc/corosync/corosync.conf',
      'reload corosync',
    ]);
    expect(stepsOn('pve1', stages)).toEqual([
      'corosync -t -c /dev/stdin',
      'edit /etc/corosync/corosync.conf',
      'corosync-cfgtool -R',
    ]);
    expect(stepsOn('pve2', stages)).toEqual(['corosync -t -c /dev/stdin', 'edit /etc/corosync/corosync.conf']);
    expect(written(stages[1], 'pve2', KNET)).toBe(NEW.replace('transport: knet', 'transport: knet\n\ttoken: 5000'));
  });

  it('is node by node after a reload where nodes get along', () => {
    const { stages, impact } = planned({ link_mode: 'active' }, observedCluster(KNET));
    expect(told(stages).slice(2)).toEqual([
      'reload corosync',
      ...['pve1', 'pve2', 'pve3'].flatMap((host) => [`stop corosync on ${host}`, `start corosync on ${host}`]),
    ]);
    expect(impact?.kind).toBe('restart-node');
    for (const stage of stages.filter(({ name }) => name.startsWith('stop')))
      expect(stage.guard?.hosts).toEqual(['pve1', 'pve2', 'pve3']);
  });

  it('stops all before any starts where they would not find each other, and starts what systemd stopped with it', () => {
    const { stages, impact } = planned(
      { transport: 'udp' },
      observedCluster(KNET, { systemd: true, dependents: ['pacemaker'] }),
    );
    expect(told(stages).slice(2)).toEqual(['stop corosync on pve1, pve2, pve3', 'start corosync on pve1, pve2, pve3']);
    expect(stepsOn('pve3', stages.slice(2))).toEqual(['systemctl stop corosync', 'systemctl start corosync pacemaker']);
    expect(impact?.kind).toBe('restart-cluster');
  });

  it('lets a node in last and out first', () => {
    const joining = new Map([...observedCluster(KNET), ['pve4', observed({ number: 4, text: null, cmap: null })]]);
    const joins = planned({ nodelist: { nodes: [{ name: 'pve4', nodeid: 4, ring0_addr: '198.18.0.14' }] } }, joining);
    expect(told(joins.stages).slice(1)).toEqual([
      'write /etc/corosync/corosync.conf',
      'reload corosync',
      'start corosync on pve4',
    ]);
    expect(written(joins.stages[1], 'pve4', null)).toBe(written(joins.stages[1], 'pve1', KNET));
    const leaves = planned({ nodelist: { absent: ['pve3'] } }, observedCluster(KNET));
    expect(told(leaves.stages)).toEqual([
      'corosync -t of the new corosync.conf',
      'stop corosync on pve3',
      'write /etc/corosync/corosync.conf',
      'reload corosync',
    ]);
    expect(written(leaves.stages[2], 'pve3', KNET)).toBeNull();
    expect(written(leaves.stages[2], 'pve1', KNET)).not.toContain('pve3');
  });

  it('gives a node with an older file the newest, and one version to all', () => {
    const old = KNET.replace('config_version: 4', 'config_version: 3').replace('# a cluster', '# an old cluster');
    const seen = observedCluster(KNET, {}, (number) =>
      number === 2 ? { text: old, cmap: { 'totem.config_version': '4' } } : {},
    );
    const { stages } = planned({ token: null }, seen);
    expect(written(stages[1], 'pve2', old)).toBe(NEW);
    expect(written(stages[1], 'pve1', KNET)).toBe(NEW);
  });

  it('does not write over what someone else has changed meanwhile', () => {
    const { stages } = planned({ token: 5000 }, observedCluster(KNET));
    expect(() => written(stages[1], 'pve1', `${KNET}# mine\n`)).toThrow('was changed by someone else meanwhile');
  });
});

describe('a change is not begun', () => {
  it.each<[string, Record<string, unknown>, ReadonlyMap<string, Observations>, string]>([
    [
      'without one of the nodes',
      { token: 1000 },
      new Map([...observedCluster(KNET)].slice(0, 2)),
      '"pve3" of the cluster is no host of this task',
    ],
    ['without quorum', { token: 1000 }, observedCluster(KNET, { quorate: false }), 'pve1 has no quorum'],
    [
      'where nodes do not see each other',
      { token: 1000 },
      observedCluster(KNET, {}, (number) => (number === 3 ? { members: [3] } : { members: [1, 2] })),
      'pve1 does not see all of the other nodes',
    ],
    [
      'while a node that is to leave still runs elsewhere',
      { nodelist: { absent: ['pve3'] } },
      new Map([...observedCluster(KNET)].slice(0, 2)),
      'node "pve3" is to leave and still runs: stop corosync there first',
    ],
    [
      'where only some nodes share a file',
      { token: 1000 },
      observedCluster(KNET, {}, (number) => (number === 1 ? { shared: KNET } : {})),
      'only some of the nodes have /etc/pve/corosync.conf',
    ],
    [
      'where Proxmox has its own way of joining',
      { nodelist: { absent: ['pve3'] } },
      observedCluster(KNET, { shared: KNET }),
      'on Proxmox VE nodes join by "pvecm add"',
    ],
  ])('%s', (_, given, seen, message) => {
    expect(planned(given, seen).blocked).toContain(message);
  });

  it('where none of the hosts is in a cluster, or is in another one, or was started by something else', () => {
    const join = { nodelist: { nodes: [{ name: 'pve4', nodeid: 4, ring0_addr: '198.18.0.14' }] } };
    const alone = new Map([['pve4', observed({ number: 4, text: null, cmap: null })]]);
    expect(() => planned(join, alone)).toThrow('none of the hosts is in a cluster that runs');
    const elsewhere = new Map([
      ...observedCluster(KNET),
      ['pve4', observed({ number: 4, text: null, members: [4, 5] })],
    ]);
    expect(() => planned(join, elsewhere)).toThrow('its corosync is in a cluster of 2 nodes already');
    expect(() => planned({ transport: 'udp' }, observedCluster(KNET, { words: ' -f -c /root/x.conf' }))).toThrow(
      'corosync on pve1 was started with "-f -c /root/x.conf", and no systemd is there to restart it',
    );
  });
});

describe('what takes a change back', () => {
  const now = (each: (number: number) => Partial<Observed> | null = () => ({})) =>
    new Map(
      [1, 2, 3].flatMap((number): [string, Observations][] => {
        const more = each(number);
        return more === null ? [] : [[`pve${number}`, observed({ number, text: KNET, ...more })]];
      }),
    );
  const dead = (which: number) => (number: number) =>
    number === which ? { cmap: null } : { members: [1, 2, 3].filter((id) => id !== which) };
  const undone = (given: Record<string, unknown>, begun: number, seen = now()) =>
    planned(given, observedCluster(KNET)).undo(begun, seen);

  it('is nothing before the first byte is written', () => {
    expect(undone({ token: 5000 }, 1)).toEqual({ stages: [] });
  });

  it('puts the old bytes back and loads them', () => {
    const { stages, advice } = undone({ token: 5000 }, 3);
    expect(told(stages)).toEqual(['put /etc/corosync/corosync.conf back', 'reload corosync']);
    const after = written(planned({ token: 5000 }, observedCluster(KNET)).stages[1], 'pve1', KNET);
    expect(written(stages[0], 'pve1', after)).toBe(KNET);
    expect(advice).toBeUndefined();
    expect(told(undone({ token: 5000 }, 2).stages)).toEqual(['put /etc/corosync/corosync.conf back']);
  });

  it('loads the old bytes on those that live where one has ended, and restarts nobody', () => {
    const { stages, advice } = undone({ token: 5000 }, 3, now(dead(3)));
    expect(told(stages)).toEqual(['put /etc/corosync/corosync.conf back', 'reload corosync']);
    expect(advice).toContain('corosync has ended on pve3');
    expect(advice).toContain('/etc/corosync/corosync.conf is the old one again on all nodes');
  });

  it('stops and starts all where all were restarted', () => {
    expect(told(undone({ transport: 'udp' }, 4).stages)).toEqual([
      'stop corosync on pve1, pve2, pve3',
      'put /etc/corosync/corosync.conf back',
      'start corosync on pve1, pve2, pve3',
    ]);
  });

  it('leaves the new file on all where one has ended and the others have quorum', () => {
    for (const given of [{ transport: 'udp' }, { link_mode: 'active' }]) {
      const { stages, advice } = undone(given, given.transport === undefined ? 5 : 4, now(dead(3)));
      expect(told(stages)).toEqual(['quorum of pve1, pve2']);
      expect(stages.flatMap(({ steps }) => [...steps])).toEqual([]);
      expect(advice).toContain('stays the new one on all nodes, config_version 5, so that none of them leaves');
    }
  });

  it('goes back node by node, only where it has been', () => {
    const { stages } = undone({ link_mode: 'active' }, 5);
    expect(told(stages)).toEqual([
      'wait for all nodes',
      'put /etc/corosync/corosync.conf back',
      'reload corosync',
      'stop corosync on pve1',
      'start corosync on pve1',
    ]);
    // Cut short while one is only starting: that is no reason to leave things as they are.
    const starting = now((number) => (number === 1 ? { isStarting: true } : { members: [2, 3] }));
    expect(told(undone({ link_mode: 'active' }, 5, starting).stages)).toEqual(told(stages));
    const second = undone({ link_mode: 'active' }, 7);
    expect(told(second.stages).slice(3)).toEqual([
      'stop corosync on pve2',
      'start corosync on pve2',
      'stop corosync on pve1',
      'start corosync on pve1',
    ]);
  });

  it('starts what it has stopped itself', () => {
    const { stages, advice } = undone(
      { transport: 'udp' },
      3,
      now((number) => (number === 1 ? {} : { cmap: null })),
    );
    expect(told(stages)).toEqual([
      'stop corosync on pve1',
      'put /etc/corosync/corosync.conf back',
      'start corosync on pve1, pve2, pve3',
    ]);
    expect(advice).toBeUndefined();
  });

  it('leaves all as they are where one can not be reached, and says so', () => {
    const { stages, advice } = undone(
      { link_mode: 'active' },
      5,
      now((number) => (number === 2 ? null : {})),
    );
    expect(told(stages)).toEqual(['quorum of pve1, pve3']);
    expect(advice).toContain("pve2 can't be reached");
  });
});

describe('a file that Proxmox shares', () => {
  const shared = observedCluster(KNET, { shared: KNET, systemd: true });

  it('is drafted and renamed on one node, waited for on all, and loaded once more', () => {
    const { stages } = planned({ token: 5000 }, shared);
    expect(told(stages).slice(1)).toEqual(['write /etc/pve/corosync.conf', 'reload corosync']);
    expect(stepsOn('pve1', stages.slice(1, 2))).toEqual([
      'tee /etc/pve/corosync.conf.mcastctl',
      'mv -f -- /etc/pve/corosync.conf.mcastctl /etc/pve/corosync.conf',
    ]);
    expect(stepsOn('pve2', stages.slice(1, 2))).toEqual([]);
    const copies = new Map(
      [1, 2, 3].map((number) => [`pve${number}`, observed({ number, text: number === 3 ? KNET : NEW, shared: NEW })]),
    );
    expect(stages[1]?.until?.problem(copies)).toContain('is not yet the new one on pve1, pve2, pve3');
  });

  it('is not touched while someone else drafts or changes it', () => {
    const guard = planned({ token: 5000 }, shared).stages[1]?.guard;
    const later = (more: Partial<Observed>) =>
      new Map([1, 2, 3].map((number) => [`pve${number}`, observed({ number, text: KNET, shared: KNET, ...more })]));
    expect(guard?.problem(later({}))).toBeNull();
    expect(() => guard?.problem(later({ draft: 'x' }))).toThrow(HostError);
    expect(() => guard?.problem(later({ shared: `${KNET}\n` }))).toThrow('was changed by someone else meanwhile');
  });

  it('is taken back with one version more, since Proxmox takes none that is lower', () => {
    const { stages } = planned({ token: 5000 }, shared).undo(3, shared);
    expect(told(stages)).toEqual([
      'write /etc/pve/corosync.conf',
      'remove the draft of /etc/pve/corosync.conf',
      'reload corosync',
    ]);
    const [step] = stages[0]?.steps.get('pve1') ?? [];
    expect(step?.do === 'run' ? step.stdin : '').toBe(KNET.replace('config_version: 4', 'config_version: 6'));
  });

  it('is put right from the local files where there is no quorum to write it', () => {
    const none = observedCluster(KNET, { shared: KNET, systemd: true, quorate: false, members: [1] }, (number) =>
      number === 1 ? {} : { cmap: null },
    );
    const { stages } = planned({ transport: 'udp' }, shared).undo(4, none);
    expect(told(stages)).toEqual([
      'stop corosync on pve1',
      'put /etc/corosync/corosync.conf back',
      'start corosync on pve1, pve2, pve3',
      'write /etc/pve/corosync.conf',
      'remove the draft of /etc/pve/corosync.conf',
    ]);
  });
});
