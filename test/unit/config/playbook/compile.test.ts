import { performance } from 'node:perf_hooks';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePlaybook, loadPlaybook } from '../../../../src/config/playbook/index.ts';
import { HostError } from '../../../../src/core/errors.ts';
import {
  compile,
  facts,
  faultsOf,
  file,
  inventoryOf,
  paramsOf,
  registry,
  shortFaultsOf,
  tasksOf,
  twoHosts,
} from './fixtures.ts';

describe('a play', () => {
  it('is made concrete for each host', () => {
    const [play] = compile(`- name: Stay up
  hosts: cluster
  tasks:
    - name: Querier of {{inventory_hostname}}
      bridge: { name: "{{cluster_bridge}}", multicast_querier: true }
      notify: Reload
    - sysctl: { net.core.rmem_max: 1, net.core.wmem_max: 2 }
      ignore_errors: true
  handlers:
    - name: Reload
      ring: { device: eth0, rx: max }
`);
    expect(play).toMatchObject({
      name: 'Stay up',
      source: { line: 1, column: 3 },
      hosts: ['pve1', 'pve2'],
      batches: [['pve1', 'pve2']],
      needsFacts: false,
      probe: { group: '239.192.77.1', port: 4321, count: 20, intervalMs: 10, ttl: 1, maxLoss: 0 },
    });
    const [querier, buffers] = play?.tasks.get('pve2') ?? [];
    expect(querier).toMatchObject({
      host: 'pve2',
      name: 'Querier of pve2',
      type: 'bridge',
      source: { line: 4, column: 7 },
      ignoreErrors: false,
      notify: ['Reload'],
    });
    expect(querier?.items[0]?.resources.map((resource) => resource.id)).toEqual(['bridge[vmbr1]']);
    expect(querier?.items[0]?.when(facts)).toBe(true);
    expect(buffers).toMatchObject({ name: 'sysctl[net.core.rmem_max, net.core.wmem_max]', ignoreErrors: true });
    expect(play?.handlers.get('pve1')).toMatchObject([{ name: 'Reload', type: 'ring' }]);
    expect(play?.probeInterfaces.size).toBe(0);
  });

  it('takes its hosts from the pattern and the limit', () => {
    const text = '- hosts: cluster\n';
    expect(compile(text, { limit: 'pve2' })[0]?.hosts).toEqual(['pve2']);
    expect(compile('- hosts: [pve2, pve1]\n')[0]?.hosts).toEqual(['pve1', 'pve2']);
    expect(compile('- hosts: spare\n')[0]?.hosts).toEqual([]);
  });

  it('can be compiled from a loaded playbook', () => {
    const playbook = loadPlaybook(file('site.yml', '- hosts: all\n  tasks: [{ bridge: { name: a } }]\n'), registry);
    expect(compilePlaybook(playbook, twoHosts, { registry })[0]?.tasks.get('pve1')).toHaveLength(1);
  });

  it('has a probe whose interface may differ between hosts', () => {
    const probe =
      'probe: { group: "{{group}}", interface: "{{cluster_bridge}}", duration: 14s, ttl: 3, max_loss: 0.5 }';
    const [play] = compile(`- hosts: all\n  vars: { group: ff05::77 }\n  ${probe}\n`);
    expect(play?.probe).toEqual({ group: 'ff05::77', port: 4321, count: 1400, intervalMs: 10, ttl: 3, maxLoss: 0.5 });
    expect([...(play?.probeInterfaces ?? [])]).toEqual([
      ['pve1', 'vmbr0'],
      ['pve2', 'vmbr1'],
    ]);
    expect(shortFaultsOf(() => compile('- hosts: all\n  probe: { ttl: "{{index}}" }\n'))).toEqual([
      '2:10 "probe" is not the same on all hosts of the play (host pve2) | only "interface" may differ between the hosts of a play',
    ]);
  });
});

describe('variables', () => {
  it('rank as Ansible ranks them', () => {
    file('vars.yml', 'c: file\nd: file\ne: file\nf: file\n');
    const inventory = inventoryOf({
      pve1: { a: 'inventory', b: 'inventory', c: 'inventory', d: 'inventory', e: 'inventory', f: 'inventory' },
    });
    const play = 'vars: { b: play, c: play, d: play, e: play, f: play }\nvars_files: vars.yml';
    const task = `- sysctl: { a: "{{a}}", b: "{{b}}", c: "{{c}}", d: "{{d}}", e: "{{e}}", f: "{{f}}" }
  vars: { d: task, e: task, f: task }
  loop: [loop]
  loop_control: { loop_var: e }`;
    const tasks = tasksOf(task, { inventory, play, extraVars: { f: 'extra' } });
    expect(paramsOf(tasks)).toEqual(['inventory', 'play', 'file', 'task', 'loop', 'extra']);
  });

  it('of the last file win', () => {
    file('one.yml', 'a: 1\nb: 1\n');
    file('two.yml', 'b: 2\n');
    expect(
      paramsOf(tasksOf('- sysctl: { a: "{{a}}", b: "{{b}}" }', { play: 'vars_files: [one.yml, two.yml]' })),
    ).toEqual([1, 2]);
  });

  it('may refer to others in any order, across places', () => {
    const inventory = inventoryOf({ pve1: { bridge: 'vmbr{{number}}' } });
    const play =
      'vars:\n  name: "{{prefix}}-{{map.inner}}"\n  prefix: "{{bridge}}"\n  map: { inner: "{{number}}", other: "{{nothing}}" }';
    const tasks = tasksOf('- bridge: { name: "{{name}}" }\n  vars: { number: 7 }', { inventory, play });
    expect(paramsOf(tasks)).toEqual([{ name: 'vmbr7-7' }]);
  });

  it('keep their types where an expression stands alone', () => {
    const inventory = inventoryOf({
      pve1: { on: true, count: 0, part: { query_interval: 5 }, all: { name: 'vmbr0', timers: { last_member: 1 } } },
    });
    const tasks = tasksOf(
      '- bridge: { name: "n{{count}}", multicast_querier: "{{on}}", multicast_router: "{{ count }}", timers: "{{part}}" }\n- bridge: "{{all}}"',
      { inventory },
    );
    expect(paramsOf(tasks)).toEqual([
      { name: 'n0', multicast_querier: true, multicast_router: 0, timers: { query_interval: 5 } },
      { name: 'vmbr0', timers: { last_member: 1 } },
    ]);
  });

  it('that hold a fault do no harm while unused', () => {
    const inventory = inventoryOf({
      pve1: { bad: '{{ a | b(1) }}', worse: '{% if %}', map: { good: 1, bad: '{{ x | y }}' } },
    });
    expect(paramsOf(tasksOf('- sysctl: { a: "{{map.good}}" }', { inventory }))).toEqual([1]);
  });

  it('marked by Ansible are text, or refused where they are encrypted', () => {
    const inventory = inventoryOf({
      pve1: { raw: { __ansible_unsafe: '{{a}}' }, secret: { __ansible_vault: '$ANSIBLE_VAULT' } },
    });
    expect(paramsOf(tasksOf('- sysctl: { a: "{{raw}}" }', { inventory }))).toEqual(['{{a}}']);
    expect(shortFaultsOf(() => tasksOf('- sysctl: { a: "{{secret}}" }', { inventory }))).toEqual([
      '3:21 inventory variable "secret" is encrypted with ansible-vault (host pve1) | write it as "!vault |", or give it with -e',
    ]);
  });

  it('come through byte by byte', () => {
    const value = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !/\{[{%]/.test(text));
    fc.assert(
      fc.property(value, (text) => {
        const inventory = inventoryOf({ pve1: { text, list: [text], map: { text } } });
        const tasks = tasksOf(
          '- sysctl: { a: "{{text}}", b: "<{{text}}>", c: "{{map.text}}", d: "{{join list}}" }\n- sysctl: { a: "{{item}}" }\n  loop: "{{list}}"',
          { inventory },
        );
        expect(paramsOf(tasks)).toEqual([text, `<${text}>`, text, text, text]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a loop', () => {
  it('gives one item each, with its own condition', () => {
    const [task] = tasksOf(
      '- bridge: { name: "{{item.name}}" }\n  loop: [{ name: a }, { name: "{{cluster_bridge}}" }]\n  when: item.name != "a"',
    );
    expect(task?.items.map((item) => item.when(facts))).toEqual([false, true]);
    expect(task?.items[1]?.resources[0]?.id).toBe('bridge[vmbr0]');
    expect(task?.name).toBe('bridge[a, vmbr0]');
  });

  it('takes a list from an expression and may rename its item', () => {
    const inventory = inventoryOf({ pve1: { bridges: ['a', 'b'] } });
    const task = '- bridge: { name: "{{bridge}}" }\n  loop: "{{bridges}}"\n  loop_control: { loop_var: bridge }';
    expect(paramsOf(tasksOf(task, { inventory }))).toEqual([{ name: 'a' }, { name: 'b' }]);
  });

  it('over nothing gives no item', () => {
    expect(tasksOf('- bridge: { name: a }\n  loop: []')[0]?.items).toEqual([]);
  });

  it('does not evaluate its items twice', () => {
    const inventory = inventoryOf({ pve1: { list: [{ __ansible_unsafe: '{{a}}' }] } });
    expect(paramsOf(tasksOf('- sysctl: { a: "{{item}}" }\n  loop: "{{list}}"', { inventory }))).toEqual(['{{a}}']);
  });
});

describe('when', () => {
  it('without facts is decided before any host is contacted', () => {
    const [task] = tasksOf('- bridge: { name: "{{missing}}" }\n  when: index == 2', {
      inventory: inventoryOf({ pve1: { index: 1 } }),
    });
    expect(task?.items).toEqual([{ resources: [], when: expect.any(Function) }]);
    expect(task?.items[0]?.when(facts)).toBe(false);
  });

  it('keeps the resources of what is left out, for the report', () => {
    const [task] = tasksOf('- bridge: { name: "{{cluster_bridge}}" }\n  when: false');
    expect(task?.items[0]?.resources[0]?.id).toBe('bridge[vmbr0]');
    expect(task?.items[0]?.when(facts)).toBe(false);
  });

  it('with facts is decided on the host', () => {
    const text =
      '- hosts: all\n  tasks:\n    - bridge: { name: a }\n      when:\n        - facts.nics[cluster_nic].driver != "vlance"\n        - facts.nics[cluster_nic].mtu == 1500 && index < 2\n';
    const [play] = compile(text);
    expect(play?.needsFacts).toBe(true);
    expect(play?.tasks.get('pve1')?.[0]?.items[0]?.when(facts)).toBe(true);
    expect(play?.tasks.get('pve2')?.[0]?.items[0]?.when(facts)).toBe(false);
  });

  it('fails on the host where a key is missing there', () => {
    const [task] = tasksOf('- bridge: { name: a }\n  when: facts.nics["eno9"].driver == "x"');
    const evaluate = () => task?.items[0]?.when(facts);
    expect(evaluate).toThrow(HostError);
    expect(evaluate).toThrow('"when" can\'t be evaluated: No such key: eno9 (in "facts.nics["eno9"].driver == "x"")');
  });

  it('of a list needs all, and takes booleans', () => {
    const whenOf = (when: string) => tasksOf(`- bridge: { name: a }\n  when: ${when}`)[0]?.items[0]?.when(facts);
    expect(whenOf('[true, "index == 1"]')).toBe(true);
    expect(whenOf('[false, "index == 1"]')).toBe(false);
    expect(whenOf('["index == 2", "facts.kernel == \'6.1.0\'"]')).toBe(false);
    expect(whenOf('true')).toBe(true);
  });
});

describe('tags', () => {
  const play = '- hosts: all\n  tags: net\n  tasks:\n';
  const tasks = [
    ['plain', ''],
    ['a', 'tags: [a]'],
    ['ab', 'tags: "a, b"'],
    ['always', 'tags: always'],
    ['never', 'tags: [never, debug]'],
  ];
  const text =
    play + tasks.map(([name, tags]) => `    - { name: ${name}, bridge: { name: x }${tags && `, ${tags}`} }\n`).join('');
  const untagged = text.replace('  tags: net\n', '');
  const namesOf = (source: string, options: { tags?: string[]; skipTags?: string[] }) =>
    compile(source, options)[0]
      ?.tasks.get('pve1')
      ?.map((task) => task.name)
      .join(' ');

  it.each([
    [{}, 'plain a ab always'],
    [{ tags: ['a'] }, 'a ab always'],
    [{ tags: ['net'] }, 'plain a ab always never'],
    [{ tags: ['debug'] }, 'always never'],
    [{ tags: ['never'] }, 'always never'],
    [{ tags: ['a'], skipTags: ['b'] }, 'a always'],
    [{ skipTags: ['always'] }, 'plain a ab'],
    [{ tags: ['all'], skipTags: ['a'] }, 'plain always'],
  ])('%j', (options, names) => {
    expect(namesOf(text, options)).toBe(names);
  });

  it('know tagged and untagged tasks', () => {
    expect(namesOf(untagged, { tags: ['untagged'] })).toBe('plain always');
    expect(namesOf(untagged, { tags: ['tagged'] })).toBe('a ab always');
    expect(namesOf(untagged, { skipTags: ['tagged'] })).toBe('plain');
    expect(namesOf(untagged, { skipTags: ['untagged'] })).toBe('a ab always');
    expect(namesOf(untagged, { skipTags: ['all'] })).toBe('always');
  });

  it('choose what is checked, too', () => {
    const source =
      '- hosts: all\n  tasks:\n    - { bridge: { name: "{{missing}}" }, tags: a }\n    - { bridge: { name: x }, tags: b }\n';
    expect(namesOf(source, { tags: ['b'] })).toBe('bridge[x]');
    expect(faultsOf(() => compile(source))).toContain('unknown variable "missing"');
  });

  it('that no task has are a fault, not a run that does nothing', () => {
    const said = faultsOf(() => compile(text, { tags: ['a', 'debgu'] }));
    expect(said).toContain('no task has the tag "debgu"');
    expect(said).toContain('did you mean "debug"?');
  });
});

describe('any text', () => {
  it('gives a playbook or an InputError', () => {
    const word = fc.constantFrom(
      '- ',
      'hosts',
      ': ',
      'all',
      '\n',
      '  ',
      'tasks',
      'bridge',
      '{',
      '}',
      '[',
      ']',
      '{{',
      '}}',
      '"',
      "'",
      'when',
      '|',
      '>',
      '&a',
      '*a',
      '<<',
      '#',
      '!x',
      '\t',
      'null',
      '1',
      'name',
      'vars',
      'loop',
      'probe',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
    );
    fc.assert(
      fc.property(text, (body) => {
        try {
          compile(body);
        } catch (error) {
          expect(error).toHaveProperty('name', 'InputError');
        }
      }),
      { numRuns: 1000 },
    );
    for (const deep of [
      '['.repeat(20_000),
      '- '.repeat(20_000),
      '{a: '.repeat(5000),
      `- hosts: ${'['.repeat(9000)}${']'.repeat(9000)}`,
    ]) {
      expect(faultsOf(() => compile(deep))).not.toBe('');
    }
  });

  it('with aliases that multiply is refused quickly', () => {
    const lines = Array.from(
      { length: 12 },
      (_, index) => `      k${index + 1}: &k${index + 1} [${`*k${index}, `.repeat(9)}]`,
    );
    const text = `- hosts: all\n  vars:\n      k0: &k0 [1, 2, 3]\n${lines.join('\n')}\n`;
    expect(faultsOf(() => compile(text))).toContain('aliases blow this file up');
  });
});

it('compiles 8 tasks for 20 hosts in well under a tenth of a second', () => {
  const hosts = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [
      `pve${index}`,
      { cluster_bridge: 'vmbr0', cluster_nic: `eth${index}`, index },
    ]),
  );
  const task =
    '    - bridge: { name: "{{cluster_bridge}}", multicast_querier: true }\n    - ring: { device: "{{cluster_nic}}", rx: max }\n      when: facts.nics[cluster_nic].driver != "vlance"\n';
  const text = `- hosts: all\n  vars: { udp: 26214400 }\n  tasks:\n${task.repeat(4)}`;
  const inventory = inventoryOf(hosts);
  const durations = Array.from({ length: 5 }, () => {
    const start = performance.now();
    compile(text, { inventory });
    return performance.now() - start;
  });
  expect(Math.min(...durations)).toBeLessThan(100);
});
