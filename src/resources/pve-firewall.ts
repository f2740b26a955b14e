import * as z from 'zod';
import { HostError } from '../core/errors.ts';
import type { Change, Observations, Read, Resource, ResourcePlan, ResourceType, Step } from '../core/resource.ts';
import { type FirewallScope, optionIn } from '../formats/pve-firewall.ts';
import type { FirewallBackend } from './firewall/backend.ts';
import {
  type AcceptRule,
  acceptRules,
  checkWish,
  propertyOf,
  showPorts,
  WISH_SHAPE,
  type Wish,
  wishId,
  wishOf,
  wishWants,
} from './firewall/wish.ts';
import { QUORUM_READ, quorumFault } from './pmxcfs.ts';
import { type FirewallFiles, isSwitchedOn, usesNftables } from './pve-firewall/chain.ts';
import { type FirewallTexts, PATHS, parseFiles, placeRule } from './pve-firewall/rules.ts';
import { isRunning, RUNTIME_READS, runningChain, statusOf, WAIT_ARGV } from './pve-firewall/runtime.ts';

const READS: readonly Read[] = [
  ...[PATHS.cluster, PATHS.host].map((path): Read => ({ read: 'file', path })),
  QUORUM_READ,
  ...RUNTIME_READS,
];

const Shape = z.strictObject({
  ...WISH_SHAPE,
  scope: z
    .enum(['cluster', 'host'], { error: 'must be cluster or host' })
    .optional()
    .describe(
      '`cluster` (by default): cluster.fw, which all nodes share; `host`: host.fw of the node, whose rules come before those of cluster.fw',
    ),
});
const PveFirewallParams = Shape.superRefine(({ scope: _, ...wish }, context) => checkWish(wish, context));

const textsOf = (seen: Observations): FirewallTexts => ({
  cluster: seen.file(PATHS.cluster)?.text ?? null,
  host: seen.file(PATHS.host)?.text ?? null,
});

/** What a person must know of the firewall as a whole. */
function stateNotes(files: FirewallFiles, status: ReturnType<typeof statusOf>): readonly string[] {
  const enable = optionIn(files.cluster, 'enable');
  return [
    ...(isSwitchedOn(files)
      ? []
      : [
          `without effect as long as the firewall is off (enable is ${enable ?? 'not set'} in ${PATHS.cluster}, ${optionIn(files.host, 'enable') ?? 'not set'} in ${PATHS.host})`,
        ]),
    ...(usesNftables(files)
      ? [
          'nftables: 1, so proxmox-firewall makes the rules: of its own it lets UDP 5405 to 5412 in, but neither 5404 nor multicast; the running rules are not compared',
        ]
      : []),
    ...(status !== null && !status.isRunning && isSwitchedOn(files)
      ? [`pve-firewall says "${status.text}": the rules come into force when it runs`]
      : []),
  ];
}

function told({ dports }: AcceptRule): string {
  return ['accept', ...dports.map((range) => showPorts(range))].join(' ');
}

const rulesOf = (wish: Wish): readonly AcceptRule[] => wish.families.flatMap((family) => acceptRules(wish, family));

/** All rules placed one after the other: each sees what those before it left. */
function place(rules: readonly AcceptRule[], wish: Wish, scope: FirewallScope, texts: FirewallTexts) {
  let now = texts;
  const states = rules.map((rule) => {
    // What is there is told from the files as they are; where it goes, from what the rules before leave.
    const before = placeRule(texts, scope, rule, wish);
    const state = placeRule(now, scope, rule, wish);
    now = { ...now, [scope]: state.text };
    return { rule, before, blocked: state.blocked };
  });
  return { states, text: now[scope] };
}

function plan(wish: Wish, scope: FirewallScope, seen: Observations): ResourcePlan {
  const texts = textsOf(seen);
  const status = statusOf(seen);
  if (status === null)
    throw new HostError('there is no "pve-firewall" on this node', {
      hint: 'it comes with Proxmox VE: name the firewall that this node has, or use "firewall"',
    });
  const files = parseFiles(texts);
  const notes = stateNotes(files, status);
  const rules = rulesOf(wish);
  const { states } = place(rules, wish, scope, texts);
  const wrong = states.filter(({ before }) => before.from !== 'right');
  const persistent = wrong.map(({ rule, before }): Change => {
    const more = before.from === 'disabled' ? ['its rule is disabled there with "|": it is enabled'] : [];
    return {
      layer: 'persistent',
      property: propertyOf(rule),
      from: before.from === 'absent' ? null : before.from === 'present' ? told(rule) : before.from,
      to: wish.state === 'absent' ? 'absent' : told(rule),
      file: PATHS[scope],
      ...(before.line !== null && { line: before.line }),
      ...([...more, ...notes].length > 0 && { note: [...more, ...notes].join('; ') }),
    };
  });
  const isCompared = isSwitchedOn(files) && !usesNftables(files) && status.isRunning;
  const edited = new Set(wrong.map(({ rule }) => rule));
  const isWanted = isCompared && wish.state === 'present';
  const runtime = isWanted ? rules.flatMap((rule) => runtimeChange(rule, edited.has(rule), seen)) : [];
  const changes = [...runtime, ...persistent];
  if (changes.length === 0) return { changes, try: [], undo: [], keep: [] };
  const blocked = [quorumFault(seen), ...states.map((each) => each.blocked)].filter((each) => each !== null);
  const wait: readonly Step[] = isCompared ? [{ do: 'run', argv: WAIT_ARGV, seconds: 60 }] : [];
  const edit: Step = {
    do: 'edit',
    path: PATHS[scope],
    edit: (text) => place(rules, wish, scope, { ...texts, [scope]: text }).text,
  };
  return {
    changes,
    try: [],
    undo: [],
    keep: [...(persistent.length > 0 ? [edit] : []), ...wait],
    unkeep: wait,
    ...(blocked.length > 0 && { blocked: [...new Set(blocked)].join('; ') }),
  };
}

/** What the kernel does not do yet. For rules that are taken away it is not asked: others may let the same in. */
function runtimeChange(rule: AcceptRule, isEdited: boolean, seen: Observations): readonly Change[] {
  const chain = runningChain(seen, rule.family);
  if (chain === null || isRunning(chain, rule)) return [];
  const to = told(rule);
  const change: Change = { layer: 'runtime', property: propertyOf(rule), from: null, to, after: 'keep' };
  const note = 'the file says so, the kernel not yet: pve-firewall makes its rules every 10 seconds';
  return [isEdited ? change : { ...change, note }];
}

/** The Proxmox firewall, where it is switched on. */
export const pveFirewallBackend: FirewallBackend = {
  name: 'pve_firewall',
  reads: () => READS,
  detect(seen) {
    try {
      const status = statusOf(seen);
      if (status === null) return { isActive: false, reason: 'there is no "pve-firewall"' };
      const isActive = isSwitchedOn(parseFiles(textsOf(seen)));
      return { isActive, reason: `the Proxmox firewall is switched ${isActive ? 'on' : 'off'} ("${status.text}")` };
    } catch (error) {
      if (error instanceof HostError) return { isActive: false, reason: error.message };
      throw error;
    }
  },
  plan: (wish, seen) => plan(wish, 'cluster', seen),
};

function pveFirewallResource({ scope = 'cluster', ...params }: z.output<typeof Shape>): Resource {
  const wish = wishOf(params);
  return {
    id: wishId('pve_firewall', wish).replace('[input', `[${scope}`) as Resource['id'],
    reads: READS,
    wants: wishWants(wish),
    plan: (seen) => plan(wish, scope, seen),
  };
}

/**
 * Rules of the Proxmox firewall. What counts is the file: pve-firewall makes the running rules of it every 10 seconds and writes over
 * whatever else is in its chains, so a rule set by iptables would not stay.
 */
export const pveFirewall = {
  type: 'pve_firewall',
  summary: 'Multicast, corosync and IGMP let in by the Proxmox firewall: the rules of cluster.fw or host.fw',
  schema: PveFirewallParams,
  example: `- name: Let multicast and corosync in
  pve_firewall:
    accept: [multicast, corosync, igmp]
    source: 10.0.0.0/24
`,
  resources: (params) => [pveFirewallResource(params)],
} satisfies ResourceType<typeof PveFirewallParams>;
