import { describe, expect, it } from 'vitest';
import { compile, faultsOf, inventoryOf, shortFaultsOf, tasksOf } from './fixtures.ts';

describe('faults of a playbook', () => {
  it('are reported all at once, each with its place', () => {
    const text = `- name: Multicast that stays up
  hosts: cluster
  vars:
    udp_buffer: 26214400
  tasks:
    - name: Querier
      bridge: { name: "{{cluster_brige}}", multicast_queryer: true }
    - name: Buffers
      sysctl:
        net.core.rmem_max: "{{udp_buffer}}"
        net.core.wmem_max: yes please
      notify: Reload
    - name: Ring
      ring: { device: "{{cluster_nic}}", rx: 0 }
      when: facts.nics[cluster_nic].drivr != "vlance"
`;
    expect(faultsOf(() => compile(text))).toMatchInlineSnapshot(`
      "site.yml:7:24: unknown variable "cluster_brige" (hosts pve1, pve2)
        6 |     - name: Querier
      > 7 |       bridge: { name: "{{cluster_brige}}", multicast_queryer: true }
          |                        ^
        8 |     - name: Buffers
      hint: did you mean "cluster_bridge"?

      site.yml:7:44: unknown key "multicast_queryer" in "bridge"
        6 |     - name: Querier
      > 7 |       bridge: { name: "{{cluster_brige}}", multicast_queryer: true }
          |                                            ^
        8 |     - name: Buffers
      hint: did you mean "multicast_querier"?

      site.yml:12:15: unknown handler "Reload"
        11 |         net.core.wmem_max: yes please
      > 12 |       notify: Reload
           |               ^
        13 |     - name: Ring
      hint: this play has no handlers

      site.yml:14:46: "rx" must be at least 1, not 0
        13 |     - name: Ring
      > 14 |       ring: { device: "{{cluster_nic}}", rx: 0 }
           |                                              ^
        15 |       when: facts.nics[cluster_nic].drivr != "vlance"

      site.yml:15:37: facts have no "drivr"
        14 |       ring: { device: "{{cluster_nic}}", rx: 0 }
      > 15 |       when: facts.nics[cluster_nic].drivr != "vlance"
           |                                     ^
        16 |
      hint: did you mean "driver"?"
    `);
  });

  it.each([
    [
      'mapping in place of a list',
      'hosts: all\ntasks: []\n',
      ['1:1 a playbook is a list of plays | put "- " before its first key and indent the rest'],
    ],
    [
      'an inventory',
      'all:\n  hosts: { pve1: }\n',
      ['1:1 a playbook is a list of plays | this looks like an inventory: give it first, the playbook with -p'],
    ],
    ['a scalar', 'hello\n', ['1:1 a playbook is a list of plays']],
    ['an empty file', '# nothing\n', ['1:1 playbook "site.yml" is empty']],
    [
      'two documents',
      '- hosts: all\n---\n- hosts: all\n',
      ['2:1 a second YAML document begins | one document a file: remove the "---" or split the file'],
    ],
    ['a tab', '- hosts: all\n\ttasks: []\n', ['2:1 a tab is used for indentation | YAML indents with blanks only']],
    [
      'a duplicate key',
      '- hosts: all\n  hosts: pve1\n',
      ['2:3 duplicate key "hosts" | a key stands once in a mapping'],
    ],
    [
      'an unclosed list',
      '- hosts: [all\n',
      ['2:1 not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]'],
    ],
    [
      'an unknown alias',
      '- hosts: *x\n',
      ['1:10 no anchor "&x" stands before this alias', '1:10 "hosts" is a host pattern, or a list of them'],
    ],
    ['a tag', '- hosts: !text all\n', ['1:10 the YAML tag "!text" is not supported | write the plain value']],
    [
      'a template without quotes',
      '- hosts: all\n  tasks:\n    - bridge: { name: {{x}} }\n',
      [
        '3:23 a template without quotes | a value that starts with "{{" stands in quotes: "{{name}}"',
        '3:23 unknown variable "x" (hosts pve1, pve2)',
      ],
    ],
    ['no hosts', '- tasks: []\n', ['1:3 a play lacks "hosts" | Host pattern, such as a group, or a list of them']],
    [
      'a key of Ansible',
      '- hosts: all\n  become: true\n',
      ['2:3 unknown key "become" in a play | set ansible_become in the inventory, or give --become'],
    ],
    ['a misspelt key', '- hosts: all\n  task: []\n', ['2:3 unknown key "task" in a play | did you mean "tasks"?']],
    [
      'wrong types',
      '- hosts: 5\n  vars: [a]\n  serial: many\n  tags: { a: 1 }\n  tasks: x\n',
      [
        '1:10 "hosts" is a host pattern, or a list of them',
        '2:9 "vars" must be a mapping, not a list',
        '3:11 "serial" is a number of hosts, a percentage such as "30%", or a list of those',
        '4:9 "tags" must be text or a list, not a map',
        '5:10 "tasks" must be a list, not "x"',
      ],
    ],
    ['a play that is text', '- site.yml\n', ['1:3 a play is a mapping with hosts and tasks']],
    [
      'an unknown pattern',
      '- hosts: clustr\n',
      ['1:10 "clustr" matches no host of the inventory | did you mean "cluster"?'],
    ],
    [
      'a template in hosts',
      '- hosts: "{{x}}"\n',
      ['1:10 "hosts" can\'t hold a template | name a group here and choose hosts with --limit'],
    ],
    [
      'a missing vars file',
      '- hosts: all\n  vars_files: [none.yml]\n',
      ['2:16 variables file "none.yml" can\'t be read: no such file'],
    ],
    [
      'a reserved variable',
      '- hosts: all\n  vars: { facts: 1 }\n',
      ['2:11 a variable can\'t be named "facts" | in "when" that name means what was read from the host'],
    ],
  ])('%s', (_name, text, expected) => {
    expect(shortFaultsOf(() => compile(text))).toEqual(expected);
  });

  it.each([
    ['no resource', '- name: x', ['3:7 this task has no resource | resource types: bridge, sysctl, ring, text']],
    [
      'two resources',
      '- bridge: { name: a }\n  ring: { device: a, rx: 1 }',
      ['4:7 a task has one resource, not "bridge" and "ring" | make each a task of its own'],
    ],
    ['a misspelt resource', '- brige: { name: a }', ['3:7 unknown key "brige" in a task | did you mean "bridge"?']],
    [
      'an unheard resource',
      '- pacman: { name: a }',
      [
        '3:7 unknown key "pacman" in a task | known keys: bridge, sysctl, ring, text, name, when, loop, loop_control, tags, ignore_errors, vars, no_log, notify',
      ],
    ],
    ['a task that is text', '- bridge', ['3:7 a task is a mapping with a resource and its parameters']],
    [
      'a missing parameter',
      '- bridge: { multicast_snooping: true }',
      ['3:7 "bridge" lacks "name" | Name of the bridge'],
    ],
    ['no parameters', '- bridge:', ['3:14 "bridge" must be a mapping, not null']],
    [
      'a nested unknown key',
      '- bridge: { name: a, timers: { query_intervall: 1 } }',
      ['3:36 unknown key "query_intervall" in "timers" | did you mean "query_interval"?'],
    ],
    [
      'YAML 1.1 booleans',
      '- bridge: { name: a, multicast_snooping: yes, multicast_querier: off }',
      [
        '3:46 "multicast_snooping" must be true or false, not "yes" | YAML 1.2 reads yes as text: write true',
        '3:70 "multicast_querier" must be true or false, not "off" | YAML 1.2 reads off as text: write false',
      ],
    ],
    [
      'a wrong number',
      '- bridge: { name: a, timers: { query_interval: 0, last_member: 1.5 } }',
      ['3:52 "query_interval" must be at least 1, not 0', '3:68 "last_member" must be a whole number, not 1.5'],
    ],
    [
      'a wrong value of a union',
      '- bridge: { name: a, multicast_router: atuo }',
      ['3:44 "multicast_router" must be one of "off", "auto", "on" or a number, not "atuo" | did you mean "auto"?'],
    ],
    [
      'a wrong number of a union',
      '- bridge: { name: a, multicast_router: 7 }',
      ['3:44 "multicast_router" must be at most 2, not 7'],
    ],
    [
      'a wrong type of a union',
      '- sysctl: { net.core.rmem_max: true }',
      ['3:36 "net.core.rmem_max" must be text or a number, not true'],
    ],
    ['a wrong key', '- sysctl: { "net core": 1 }', ['3:17 wrong key "net core": must match pattern /^[\\w./-]+$/']],
    [
      'an unknown handler',
      '- { bridge: { name: a }, notify: [Reload] }',
      ['3:39 unknown handler "Reload" | this play has no handlers'],
    ],
    [
      'a loop over text',
      '- { bridge: { name: a }, loop: "{{inventory_hostname}}" }',
      [
        '3:36 "loop" must be a list, not text (hosts pve1, pve2) | write "{{name}}" of a variable that is a list, or a list',
      ],
    ],
    [
      'a key of Ansible',
      '- { bridge: { name: a }, with_items: [1], become: true }',
      [
        '3:30 unknown key "with_items" in a task | write "loop"',
        '3:47 unknown key "become" in a task | set ansible_become in the inventory, or give --become',
      ],
    ],
    [
      'Jinja',
      '- { bridge: { name: "{{ bridge | default(\'vmbr0\') }}" } }',
      [
        "3:26 not a Handlebars expression: \"{{ bridge | default('vmbr0') }}\" | Jinja filters don't exist here: write {{default bridge 'vmbr0'}}",
      ],
    ],
    [
      'a Jinja statement',
      '- { bridge: { name: "{% if x %}a{% endif %}" } }',
      ['3:26 Jinja statements ("{%") are not supported | use {{#if}} and {{#each}}'],
    ],
    [
      'several unknown names',
      '- { bridge: { name: "{{clusterbridge}}{{indx}}" } }',
      [
        '3:26 unknown variable "clusterbridge" (hosts pve1, pve2) | did you mean "cluster_bridge"?',
        '3:43 unknown variable "indx" (hosts pve1, pve2) | did you mean "index"?',
      ],
    ],
    [
      'facts in a template',
      '- { bridge: { name: "{{facts.hostname}}" } }',
      [
        '3:26 "facts" is known only in "when" (hosts pve1, pve2) | parameters must be known before the one read of a host',
      ],
    ],
    [
      'an unknown name and an unknown key',
      '- { bridge: { name: "{{x}}", multicast_snoping: true } }',
      [
        '3:26 unknown variable "x" (hosts pve1, pve2)',
        '3:34 unknown key "multicast_snoping" in "bridge" | did you mean "multicast_snooping"?',
      ],
    ],
    [
      'a rendered value of the wrong type',
      '- { bridge: { name: "{{index}}" } }',
      ['3:25 "name" must be text, not 1 (host pve1)', '3:25 "name" must be text, not 2 (host pve2)'],
    ],
    ['when: syntax', '- { bridge: { name: a }, when: "index ==" }', ['3:45 not a CEL expression: it ends too early']],
    [
      'when: Jinja words',
      '- { bridge: { name: a }, when: "index == 1 and true" }',
      [
        '3:48 not a CEL expression: Unexpected character: \'d\' | CEL writes && || ! for and, or, not, and has(a.b) for "is defined"',
      ],
    ],
    [
      'when: a template',
      '- { bridge: { name: a }, when: "{{index}}" }',
      ['3:37 "when" is a CEL expression, not a template | write the names without {{ }}'],
    ],
    [
      'when: unknown variable',
      '- { bridge: { name: a }, when: "true || clusternic == 1" }',
      ['3:45 unknown variable "clusternic" (hosts pve1, pve2) | did you mean "cluster_nic"?'],
    ],
    [
      'when: unknown fact',
      '- { bridge: { name: a }, when: facts.kernl == "6" }',
      ['3:42 facts have no "kernl" | did you mean "kernel"?'],
    ],
    [
      'when: not a boolean, statically',
      '- { bridge: { name: a }, when: facts.kernel }',
      ['3:36 "when" must be true or false, but this is of type string | compare it with something: == != < >'],
    ],
    [
      'when: not a boolean, by its value',
      '- { bridge: { name: a }, when: cluster_nic }',
      ['3:36 "when" must be true or false, not "eth0" (hosts pve1, pve2) | compare it with something: == != < >'],
    ],
    [
      'when: a missing key',
      '- { bridge: { name: a }, when: groups.none == 1 }',
      [
        '3:43 "when" can\'t be evaluated: No such key: none (hosts pve1, pve2) | ask first: has(map.key) && …, or "key" in map && …',
      ],
    ],
    [
      'when: unknown function',
      '- { bridge: { name: a }, when: "exists(index)" }',
      ["3:37 \"when\" can't be evaluated: found no matching overload for 'exists(dyn)'"],
    ],
    [
      'when: a number',
      '- { bridge: { name: a }, when: 5 }',
      ['3:36 "when" is a CEL expression, true, false, or a list of those'],
    ],
    [
      'loop_control',
      '- { bridge: { name: a }, loop: [1], loop_control: { loop_var: "a b", x: 1 } }',
      ['3:67 "loop_var" is the name of a variable', '3:74 unknown key "x" in "loop_control" | known keys: loop_var'],
    ],
  ])('%s', (_name, tasks, expected) => {
    expect(shortFaultsOf(() => tasksOf(tasks))).toEqual(expected);
  });

  it('name the hosts once', () => {
    const hosts = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`pve${index + 1}`, {}]));
    const faults = shortFaultsOf(() => tasksOf('- bridge: { name: "{{x_y}}" }', { inventory: inventoryOf(hosts) }));
    expect(faults).toEqual([
      '3:24 unknown variable "x_y" (hosts pve1, pve2, pve3, pve4, pve5, pve6, pve7, pve8 and 12 more)',
    ]);
  });

  it('of inventory values name the variable and where it is used', () => {
    const inventory = inventoryOf({ pve1: { bridge: '{{ a | b }}', unused: '{{ c | d }}' } });
    const located = { ...inventory, sourceOf: () => ({ file: 'hosts.yml', line: 7, column: 3 }) };
    expect(shortFaultsOf(() => tasksOf('- bridge: { name: "br-{{bridge}}" }', { inventory: located }))).toEqual([
      '3:27 inventory variable "bridge" at hosts.yml:7:3: not a Handlebars expression: "{{ a | b }}" (host pve1) | ' +
        'this looks like Jinja; templates are Handlebars: {{name}}, {{default name "value"}}, {{join list ","}}, {{lookup map key}}',
    ]);
    expect(tasksOf('- bridge: { name: a }', { inventory: located })).toHaveLength(1);
  });

  it('of circles show the chain once', () => {
    const play = 'vars:\n  a: "{{b}}"\n  b: "x{{c}}"\n  c: "{{a}}"';
    const tasks = '- bridge: { name: "{{c}}" }\n- bridge: { name: "{{a}}" }';
    expect(shortFaultsOf(() => tasksOf(tasks, { play }))).toEqual([
      '3:8 variable "a" refers to itself: a → b → c → a (hosts pve1, pve2)',
    ]);
  });
});

describe('tasks that would undo each other', () => {
  const two = (more = '') => `- hosts: all
  tasks:
    - name: On
      bridge: { name: vmbr0, multicast_querier: true, multicast_router: 0 }
    - name: Off
      bridge: { name: vmbr0, multicast_querier: false, multicast_router: 0 }
${more}`;

  it('are a fault with both places', () => {
    expect(
      faultsOf(() => compile(two())),
    ).toBe(`site.yml:5:7: bridge[vmbr0]: multicast_querier is to be true by task "On" (site.yml:3:7) and false by task "Off" (site.yml:5:7): it would never stay as desired (hosts pve1, pve2)
  4 |       bridge: { name: vmbr0, multicast_querier: true, multicast_router: 0 }
> 5 |     - name: Off
    |       ^
  6 |       bridge: { name: vmbr0, multicast_querier: false, multicast_router: 0 }
hint: keep one of them, or let their "when" exclude each other`);
  });

  it.each([
    [
      'in another play',
      '- hosts: pve2\n  tasks:\n    - sysctl: { a.b: 0 }\n- hosts: all\n  tasks:\n    - sysctl: { a.b: "" }\n',
    ],
    [
      'a handler',
      '- hosts: pve1\n  tasks:\n    - sysctl: { a.b: 1 }\n      notify: h\n  handlers:\n    - { name: h, sysctl: { a.b: 2 } }\n',
    ],
    ['items of a loop', '- hosts: pve1\n  tasks:\n    - sysctl: { a.b: "{{item}}" }\n      loop: [1, 2]\n'],
  ])('are found %s', (_, text) => {
    expect(faultsOf(() => compile(text))).toMatch(
      /^site\.yml:\d+:7: sysctl\[a\.b\]: value is to be .* and .*: it would never stay as desired/,
    );
  });

  it.each([
    ['the same value', '    - sysctl: { a.b: 1 }\n    - sysctl: { a.b: 1 }\n'],
    ['one is left out', '    - sysctl: { a.b: 1 }\n    - sysctl: { a.b: 2 }\n      when: index == 3\n'],
    ['facts decide', '    - sysctl: { a.b: 1 }\n    - sysctl: { a.b: 2 }\n      when: facts.hostname == "x"\n'],
    [
      'different hosts',
      '    - sysctl: { a.b: 1 }\n      when: index == 1\n    - sysctl: { a.b: 2 }\n      when: index == 2\n',
    ],
  ])('are none where %s', (_, tasks) => {
    expect(compile(`- hosts: all\n  tasks:\n${tasks}`)).toHaveLength(1);
  });

  it('are none where tags choose one', () => {
    const text = two()
      .replaceAll('name: O', 'tags: [x]\n      name: O')
      .replace('tags: [x]\n      name: On', 'name: On');
    expect(compile(text, { tags: ['x'] })).toHaveLength(1);
  });
});
