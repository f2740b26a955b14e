import { KEYS, RINGS, type Section, type Transport } from './keys.ts';
import type { Block, CorosyncParams } from './params.ts';

/** Something in the parameters that can't be, with the path of what has to change. */
export interface CrossFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Rules between parameters that need no host. Sources: corosync.conf(5), votequorum(5), totemconfig.c of corosync 3.1.7. */
export function crossFaults(params: CorosyncParams): readonly CrossFault[] {
  return [
    ...emptiness(params),
    ...transportFaults(params),
    ...timerFaults(params),
    ...linkFaults(params),
    ...nodeFaults(params),
  ];
}

function emptiness(params: CorosyncParams): CrossFault[] {
  const { totem, interfaces, quorum, logging, system, nodes, absent } = params;
  const faults = interfaces.flatMap((each, index) =>
    !each.absent && Object.keys(each.values).length === 0
      ? [{ path: ['interfaces', index], message: 'names no key: add one, such as mcastport: 5405' }]
      : each.absent && Object.keys(each.values).length > 0
        ? [{ path: ['interfaces', index], message: 'is to be absent and to have keys: name one or the other' }]
        : [],
  );
  const named = [totem, quorum, logging, system].some((block) => Object.keys(block).length > 0);
  if (named || interfaces.length > 0 || nodes.length > 0 || absent.length > 0) return faults;
  return [{ path: [], message: 'names no key: add at least one, such as transport: udp' }];
}

/** What a transport does not take: an error where it matters, since corosync would not start, or would not heed it. */
export function misplaced(section: Section, name: string, value: unknown, transport: Transport): string | null {
  const key = KEYS[section].find((each) => each.name === name);
  if (value === null || key?.only === undefined || key.only.includes(transport)) return null;
  if (value === 'none' || value === 'off' || value === 'no' || value === false) return null;
  const needed = key.only.map((each) => `transport: ${each}`).join(' or ');
  if (name === 'mcastaddr')
    return `a multicast address does nothing with transport ${transport}, which is unicast: remove it, or use ${needed}`;
  if (name.startsWith('crypto_') || name === 'secauth')
    return `corosync does not start with encryption and transport ${transport}: remove it, or use ${needed}`;
  return `does nothing with transport ${transport}: remove it, or use ${needed}`;
}

function transportFaults({ totem, interfaces, nodes }: CorosyncParams): CrossFault[] {
  const { transport } = totem;
  if (transport !== 'knet' && transport !== 'udp' && transport !== 'udpu') return [];
  const of = (section: Section, block: Block, path: readonly (string | number)[]): CrossFault[] =>
    Object.entries(block).flatMap(([name, value]) => {
      const message = misplaced(section, name, value, transport);
      return message === null ? [] : [{ path: [...path, name], message }];
    });
  const faults = [
    ...of('totem', totem, []),
    ...interfaces.flatMap((each, index) => of('interface', each.values, ['interfaces', index])),
    ...nodes.flatMap((each, index) => of('node', each.values, ['nodelist', 'nodes', index])),
  ];
  if (transport === 'knet') return faults;
  const more = interfaces.findIndex((each) => each.linknumber > 0 && !each.absent);
  if (more < 0) return faults;
  return [
    ...faults,
    { path: ['interfaces', more, 'linknumber'], message: `transport ${transport} has one link, number 0` },
  ];
}

function timerFaults({ totem, quorum }: CorosyncParams): CrossFault[] {
  const of = (name: string): number | null => {
    const value = totem[name];
    return typeof value === 'number' ? value : null;
  };
  const faults: CrossFault[] = [];
  const [token, consensus, netmtu] = [of('token'), of('consensus'), of('netmtu')];
  if (token !== null && consensus !== null && consensus < 1.2 * token) {
    const least = Math.ceil(1.2 * token);
    faults.push({
      path: ['consensus'],
      message: `must be at least 1.2 times token, ${least}: raise it, or leave it out`,
    });
  }
  const attempts = of('token_retransmits_before_loss_const') ?? 4;
  if (token !== null && of('token_retransmit') === null && token / (attempts + 0.2) < 30) {
    const message = `leaves less than 30 ms for each of ${attempts} attempts: raise it to ${Math.ceil(30 * (attempts + 0.2))} or more`;
    faults.push({ path: ['token'], message });
  }
  for (const name of ['window_size', 'max_messages']) {
    const value = of(name);
    if (netmtu !== null && value !== null && value * netmtu > 256_000)
      faults.push({ path: [name], message: `must be at most 256000 / netmtu, ${Math.floor(256_000 / netmtu)}` });
  }
  const isOn = (value: unknown) => value === true || value === 1 || value === '1';
  if (isOn(quorum['two_node']) && isOn(quorum['auto_tie_breaker']))
    faults.push({
      path: ['quorum', 'two_node'],
      message: 'can not be together with auto_tie_breaker: corosync turns it off',
    });
  return faults;
}

function linkFaults({ interfaces }: CorosyncParams): CrossFault[] {
  const faults: CrossFault[] = [];
  for (const [index, { linknumber, values }] of interfaces.entries()) {
    const path = ['interfaces', index];
    const before = interfaces.slice(0, index);
    if (before.some((other) => other.linknumber === linknumber))
      faults.push({ path: [...path, 'linknumber'], message: `link ${linknumber} stands here twice: keep one of them` });
    if (values['mcastaddr'] != null && (values['broadcast'] === true || values['broadcast'] === 'yes'))
      faults.push({
        path: [...path, 'mcastaddr'],
        message: 'can not be set together with broadcast: remove one of them',
      });
    const [group, port] = [values['mcastaddr'], values['mcastport'] ?? 5405];
    const near = before.find(
      (other) =>
        group != null &&
        other.values['mcastaddr'] === group &&
        Math.abs(Number(other.values['mcastport'] ?? 5405) - Number(port)) < 2,
    );
    if (near !== undefined) {
      const message = `is too near to that of link ${near.linknumber}: each uses its port and the one below, so leave a gap of 2`;
      faults.push({ path: [...path, 'mcastport'], message });
    }
  }
  return faults;
}

function nodeFaults({ nodes, absent, quorum }: CorosyncParams): CrossFault[] {
  const faults: CrossFault[] = [];
  const used = new Map<string, string>();
  for (const [index, { name, values }] of nodes.entries()) {
    const path = ['nodelist', 'nodes', index];
    if (nodes.slice(0, index).some((other) => other.name === name))
      faults.push({ path: [...path, 'name'], message: `node "${name}" stands here twice: keep one of them` });
    if (absent.includes(name))
      faults.push({ path: [...path, 'name'], message: `node "${name}" is also to be absent: name it once` });
    for (const key of ['nodeid', ...RINGS.map((ring) => `ring${ring}_addr`)]) {
      const value = values[key];
      if (value === undefined || value === null) continue;
      const mark = key === 'nodeid' ? `nodeid ${value}` : `address "${value}"`;
      const other = used.get(mark);
      if (other !== undefined && other !== name)
        faults.push({ path: [...path, key], message: `${mark} is also that of node "${other}"` });
      used.set(mark, name);
    }
  }
  if (nodes.length > 2 && (quorum['two_node'] === true || quorum['two_node'] === 1 || quorum['two_node'] === '1')) {
    const message = `is for two nodes, and ${nodes.length} are named: remove it, or set it to 0`;
    faults.push({ path: ['quorum', 'two_node'], message });
  }
  return faults;
}
