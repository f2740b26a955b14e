import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { compile, faultsOf, file, inventoryOf, paramsOf, shortFaultsOf, tasksOf } from './fixtures.ts';

it('a file is taken as it is, a template is filled in for each host', () => {
  file('motd.hbs', '{{inventory_hostname}} <{{cluster_bridge}}> {{loud}}\n');
  file('files/key', 'a {{b}}\r\n');
  const tasks = '- text: { src: motd.hbs, as_it_is: key }\n  vars: { loud: "{{index}}!" }\n';
  expect(paramsOf(tasksOf(tasks))).toEqual([{ src: 'pve1 <vmbr0> 1!\n', as_it_is: 'a {{b}}\r\n' }]);
  expect(paramsOf(tasksOf(tasks, { host: 'pve2' }))).toEqual([{ src: 'pve2 <vmbr1> 2!\n', as_it_is: 'a {{b}}\r\n' }]);
});

it('a template is looked for beside the playbook first, then among those that ship', () => {
  const templates = dirname(file('shipped/own.hbs', 'shipped'));
  file('shipped/theirs.hbs', 'shipped');
  file('templates/own.hbs', 'own');
  const text = (name: string) => paramsOf(tasksOf(`- text: { src: ${name} }\n`, { templates }));
  expect([text('own.hbs'), text('theirs.hbs'), text(file('x.hbs', 'x'))]).toEqual([
    [{ src: 'own' }],
    [{ src: 'shipped' }],
    [{ src: 'x' }],
  ]);
  expect(faultsOf(() => tasksOf('- text: { as_it_is: theirs.hbs }\n', { templates }))).toContain(
    'no file "theirs.hbs"',
  );
});

it('every fault of a template is told with its place, together with those of the playbook', () => {
  file('bad.hbs', 'one {{nme}}\n{{#if cluster_bridge}}\n  {{cluster_bridg}}\n{{/if}}\n');
  const faults = shortFaultsOf(() =>
    tasksOf('- text: { src: bad.hbs }\n- bridge: { name: 1 }\n', { play: 'vars: { name: x }' }),
  );
  expect(faults).toEqual([
    '1:5 unknown variable "nme" (hosts pve1, pve2) | did you mean "name"?',
    '3:3 unknown variable "cluster_bridg" (hosts pve1, pve2) | did you mean "cluster_bridge"?',
    '5:23 "name" must be text, not 1',
  ]);
  expect(faultsOf(() => tasksOf('- text: { src: bad.hbs }\n'))).toMatch(/^bad\.hbs:1:5: unknown variable "nme"/);
});

it('a template that can not be read as one, or is not there, is a fault', () => {
  file('open.hbs', 'a\n  {{#if x}}\n');
  expect(faultsOf(() => tasksOf('- text: { src: open.hbs }\n'))).toMatch(/^open\.hbs:2:3: /);
  const faults = shortFaultsOf(() => tasksOf('- text: { src: none.hbs }\n'));
  expect(faults).toEqual(['3:20 there is no file "none.hbs": looked for "none.hbs", "templates/none.hbs"']);
  file('bytes', Buffer.from([0xff, 0xfe]));
  expect(faultsOf(() => tasksOf('- text: { as_it_is: bytes }\n'))).toContain(
    '"bytes" can\'t be read: it is not UTF-8 text',
  );
  expect(faultsOf(() => tasksOf('- text: { as_it_is: files }\n'))).toContain(
    '"files" can\'t be read: it is a directory',
  );
});

it('a task that is skipped needs no file', () => {
  expect(paramsOf(tasksOf('- text: { src: none.hbs }\n  when: false\n'))).toEqual([]);
});

it('only a handler asks for what is done each time', () => {
  const again = 'text: { src: motd.hbs, again: true }';
  file('motd.hbs', 'x');
  expect(shortFaultsOf(() => tasksOf(`- ${again}\n`))).toEqual([
    '3:13 text[motd.hbs] would be done again by every run: only a handler can ask for that | put it under "handlers" and let the tasks that change something "notify" it',
  ]);
  const [play] = compile(`- hosts: all\n  handlers:\n    - name: Again\n      ${again}\n`);
  expect(play?.handlers.get('pve1')?.[0]?.items[0]?.resources[0]?.isAction).toBe(true);
});

it('hostvars are the variables of every host, evaluated with its own', () => {
  const inventory = inventoryOf({
    pve1: { address: '192.0.2.{{last}}', last: 1 },
    pve2: { address: '192.0.2.{{last}}', last: 2, broken: '{{nothing}}' },
  });
  const tasks = `- bridge: { name: "{{lookup (lookup hostvars item) 'address'}}" }
  loop: "{{groups.cluster}}"
`;
  expect(paramsOf(tasksOf(tasks, { inventory }))).toEqual([{ name: '192.0.2.1' }, { name: '192.0.2.2' }]);
  const broken = '- bridge: { name: "{{hostvars.pve2.broken}}" }\n';
  expect(faultsOf(() => tasksOf(broken, { inventory }))).toContain(
    'inventory variable "broken": unknown variable "nothing"',
  );
  expect(faultsOf(() => tasksOf('- bridge: { name: "{{hostvars.pve3.x}}" }\n', { inventory }))).toContain(
    'a map has no "pve3"',
  );
});
