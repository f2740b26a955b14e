import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openVault } from '../../src/commands/vault.ts';
import { loadInventory, parseExtraVars } from '../../src/config/inventory/index.ts';
import { compilePlaybookFile } from '../../src/config/playbook/index.ts';
import { renderValue } from '../../src/config/vars.ts';
import type { Vault } from '../../src/config/vault/vault.ts';
import { resolveTarget } from '../../src/connection/index.ts';
import { InputError } from '../../src/core/errors.ts';
import { redact, redactOutput } from '../../src/core/secrets.ts';
import { CLI, mcastctl } from '../support/cli.ts';
import { makeVaultFolder, VAULT_PASSWORD, vaultYaml } from '../support/vault.ts';
import { paramsOf, registry } from '../unit/config/playbook/fixtures.ts';

// Files that the real ansible-vault made, read by both: what Ansible prints for the same inventory and playbook is the reference.

const folder = makeVaultFolder();
afterAll(() => folder.remove());

const PROD = 'prod password';
let inventory = '';
let playbook = '';
let extra = '';
let vault: Vault;
let broken = '';
let vaultIds: readonly string[] = [];

/** The values of a host that are compared, encrypted in one way or another. */
const NAMES = ['of_host', 'of_group', 'of_file', 'in_list', 'mixed', 'number', 'of_extra', 'of_play', 'of_vars_file'];

beforeAll(async () => {
  const passwordFile = folder.write('.prod', PROD);
  const id = { label: 'prod', passwordFile };
  vaultIds = [`default@${folder.passwordFile}`, `prod@${passwordFile}`];
  const file = [
    'of_file: "file: {{ plain }}"',
    'plain: named-in-a-file',
    'number: 4711',
    'deep: { pass: deep-password, list: [one-of-a-list, 7, true] }',
    'ansible_become_password: "become \\"quoted\\""',
  ].join('\n');
  const [
    [
      ofHost = '',
      password = '',
      inList = '',
      hostFile = '',
      extraFile = '',
      ofPlay = '',
      varsFile = '',
      ofTask = '',
      whole = '',
    ],
    [ofGroup = '', groupFile = '', conf = ''],
  ] = await Promise.all([
    folder.encryptAll([
      'host {{ plain }} is no template\n',
      'login: "p\'w"',
      'in a list',
      'host_file: text of a host file\n',
      '{"of_extra": "text of -e"}',
      'text of a play',
      'of_vars_file: text of vars_files\n',
      'text of a task',
      'whole file\nof a secret {{ x }}\n',
    ]),
    folder.encryptAll(['gruppe-ü', `${file}\n`, 'conf {{of_group}} {{inventory_hostname}}\n'], id),
  ]);
  inventory = folder.write(
    'hosts.yml',
    `all:
  children:
    cluster:
      hosts:
        pve1:
          of_host: ${vaultYaml(ofHost, '            ')}
          in_list:
            - ${vaultYaml(inList, '              ')}
            - "{{ of_group }}"
          mixed: "<{{ of_group }}> {{ of_host }}"
          ansible_password: ${vaultYaml(password, '            ')}
        pve2:
`,
  );
  folder.write('group_vars/cluster/10-plain.yml', `of_group: ${vaultYaml(ofGroup)}\n`);
  folder.write('group_vars/cluster/20-vault.yml', `${groupFile}\n`);
  folder.write('host_vars/pve1.yml', `${hostFile}\n`);
  extra = folder.write('extra.json', `${extraFile}\n`);
  folder.write('vars.yml', `${varsFile}\n`);
  playbook = folder.write(
    'site.yml',
    `- hosts: cluster
  vars:
    of_play: ${vaultYaml(ofPlay, '      ')}
  vars_files: [vars.yml]
  tasks:
    - text: { as_it_is: "{{of_play}}.txt" }
    - text:
        src: secret.conf
        as_it_is: ${vaultYaml(ofTask, '          ')}
`,
  );
  folder.write('text of a play.txt', 'plain text');
  folder.write('text of a task', whole);
  folder.write('secret.conf', conf);
  const [head = '', first = ''] = ofHost.split('\n');
  broken = vaultYaml(`${head}\n${first.slice(0, 60)}`, '            ');
  vault = await openVault({ vaultId: vaultIds }, {});
}, 120_000);

const idArgs = () => vaultIds.flatMap((each) => ['--vault-id', each]);

describe('values mean what they mean to Ansible', () => {
  it('in the inventory, group_vars, host_vars and -e', { timeout: 60_000 }, async () => {
    const asked = NAMES.filter((name) => !/play|vars_file/.test(name));
    const message = `msg={{ [${[...asked, 'deep', 'host_file'].join(', ')}] }}`;
    const args = ['-i', inventory, ...idArgs(), '-e', `@${extra}`, '-c', 'local'];
    const said = await folder.ansible('ansible', 'pve1', ...args, '-m', 'debug', '-a', message);
    const { msg } = JSON.parse(said.slice(said.indexOf('{')));
    const loaded = loadInventory(inventory, { vault, extraVars: [`@${extra}`] });
    const vars = loaded.vars('pve1');
    const ours = [...asked, 'deep', 'host_file'].map((name) => renderValue(`{{${name}}}`, vars));
    expect(JSON.parse(JSON.stringify(ours))).toEqual(msg);
    expect(ours[0]).toBe('host {{ plain }} is no template\n');
  });

  it('in a playbook: vars, vars_files, parameters and files of the controller', () => {
    const options = { registry, vault, extraVars: parseExtraVars([`@${extra}`], vault) };
    const plays = compilePlaybookFile(playbook, loadInventory(inventory, { vault }), options);
    expect(paramsOf(plays[0]?.tasks.get('pve2') ?? [])).toEqual([
      { as_it_is: 'plain text' },
      { src: 'conf gruppe-ü pve2\n', as_it_is: 'whole file\nof a secret {{ x }}\n' },
    ]);
    // An encrypted file is a secret as a whole, and in each of its longer lines.
    expect(redact('- of a secret {{ x }}')).toBe('- ***');
  });

  it('as passwords', () => {
    const vars = loadInventory(inventory, { vault }).vars('pve1');
    const render = (value: unknown) => renderValue(value, vars);
    const target = resolveTarget('pve1', { ...vars, ansible_become: true }, { render, sshConfigFile: 'none' });
    expect(target).toMatchObject({ kind: 'ssh' });
    if (target.kind !== 'ssh') throw new Error();
    expect([target.password?.reveal(), target.become?.password?.reveal()]).toEqual([
      'login: "p\'w"',
      'become "quoted"',
    ]);
    expect(JSON.stringify(target)).not.toMatch(/p'w|become \\"/);
  });
});

describe('mcastctl inventory', () => {
  it.each([
    ['--list', []],
    ['--host', ['pve1']],
  ] as const)(
    '%s is what ansible-inventory prints, the texts of encrypted files apart',
    { timeout: 60_000 },
    async (flag, more) => {
      const args = [flag, ...more, ...idArgs()];
      const theirs = await folder.ansible('ansible-inventory', '-i', inventory, ...args);
      const { code, stdout, stderr } = await mcastctl(['inventory', inventory, ...args]);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toBe(redactOutput(theirs.replace(/,\n +"profile": "inventory_legacy"/, '')));
      const vars = flag === '--list' ? JSON.parse(stdout)._meta.hostvars.pve1 : JSON.parse(stdout);
      expect(vars).toMatchObject({
        of_host: { __ansible_vault: expect.stringContaining('$ANSIBLE_VAULT') },
        ansible_password: { __ansible_vault: expect.stringContaining('$ANSIBLE_VAULT') },
        mixed: '<{{ of_group }}> {{ of_host }}',
        of_file: '***',
        host_file: '***',
        ansible_become_password: '***',
        number: 4711,
        deep: { pass: '***', list: ['***', 7, true] },
      });
    },
  );

  it('opens files with a password from the environment', async () => {
    const env = { ANSIBLE_VAULT_IDENTITY_LIST: vaultIds.join(',') };
    expect((await mcastctl(['inventory', inventory, '--graph'], { env })).code).toBe(0);
  });
});

describe('what can not be opened', () => {
  it('files: every one with its place, no password at all', async () => {
    const { code, stderr } = await mcastctl(['validate', inventory]);
    expect(code).toBe(3);
    expect(stderr.replaceAll(`${folder.dir}/`, '').match(/^error: .*ansible-vault.*/gm)).toEqual([
      'error: host_vars/pve1.yml:1:1: encrypted with ansible-vault, and there is no password for it',
      'error: group_vars/cluster/20-vault.yml:1:1: encrypted with ansible-vault with the vault id "prod", and there is no password for it',
      'error: vars.yml:1:1: encrypted with ansible-vault, and there is no password for it',
    ]);
    expect(stderr).toContain('hint: give --vault-password-file FILE');
  });

  it('values: those that are used, with the hosts, all of them together, never what others hold', async () => {
    const plain = folder.write(
      'plain/hosts.yml',
      `all:
  vars:
    unused: ${broken}
    used: ${broken}
  hosts:
    pve1:
      ansible_password: ${broken.replace(/^ {12}/gm, '        ')}
    pve2:
`,
    );
    const site = folder.write(
      'plain/site.yml',
      `- hosts: all
  vars:
    of_play: !vault nonsense
  tasks:
    - sysctl: { net.core.rmem_max: "{{used}}", net.core.wmem_max: "{{of_play}}" }
    - sysctl: { net.core.optmem_max: !vault "$ANSIBLE_VAULT;1.1;AES256" }
`,
    );
    const result = await mcastctl(['validate', plain, '-p', site]);
    expect(result.code).toBe(3);
    const heads = result.stderr.replaceAll(`${folder.dir}/plain/`, '').match(/^error: .*/gm);
    expect(heads).toEqual([
      expect.stringMatching(/^error: hosts\.yml:\d+:25: the encrypted text is damaged$/),
      expect.stringMatching(/^error: hosts\.yml:\d+:11: the encrypted text is damaged \(hosts pve1, pve2\)$/),
      expect.stringMatching(
        /^error: site\.yml:3:21: an encrypted value begins with "\$ANSIBLE_VAULT.*\(hosts pve1, pve2\)$/,
      ),
      expect.stringMatching(/^error: site\.yml:6:45: the encrypted text is damaged \(hosts pve1, pve2\)$/),
    ]);
  });

  it('a playbook that is encrypted as a whole', async () => {
    const path = folder.write('whole.yml', await folder.encrypt('- hosts: all\n'));
    const { code, stderr } = await mcastctl(['validate', inventory, '-p', path, ...idArgs()]);
    expect([code, stderr]).toEqual([
      3,
      expect.stringContaining("whole.yml:1:1: a playbook can't be encrypted as a whole"),
    ]);
  });

  it('a fault in an encrypted file tells its place and shows nothing of it', async () => {
    const text = 'ok: 1\npassword: "half-a-password\nnext: other-words\n';
    const bad = folder.write('bad/hosts.yml', 'all: { hosts: { h: } }\n');
    folder.write('bad/group_vars/all.yml', await folder.encrypt(text));
    const vars = folder.write('bad/vars.yml', await folder.encrypt(text.replace('"', '@')));
    const site = folder.write('bad/site.yml', `- hosts: all\n  vars_files: [${vars}]\n`);
    const { stderr } = await mcastctl(['validate', bad, '-p', site, ...idArgs()]);
    expect(stderr).toMatch(/all\.yml:\d:\d+: .* \(place in the decrypted text\)/);
    const second = await mcastctl(['validate', inventory, '-p', site, ...idArgs()]);
    expect(second.stderr).toMatch(/vars\.yml:2:11: .* \(place in the decrypted text\)/);
    for (const said of [stderr, second.stderr]) expect(said).not.toMatch(/half-a|other-words/);
  });
});

describe('the whole program', () => {
  it('asks for the password on the terminal and shows it nowhere', async () => {
    const site = folder.write(
      'asked.yml',
      '- hosts: cluster\n  tasks:\n    - sysctl: { net.core.rmem_max: "{{number}}" }\n',
    );
    const line = `'${process.execPath}' '${CLI}' validate '${inventory}' -p '${site}' --vault-id '${vaultIds[1]}' -J`;
    // script(1) gives it a terminal.
    const child = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const isAsked = !text.includes('Vault password: ');
      text += chunk;
      if (isAsked && text.includes('Vault password: ')) child.stdin.write(`${VAULT_PASSWORD}\r`);
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect([code, text]).toEqual([0, expect.stringContaining(' are valid: 1 play, 2 hosts, 2 tasks')]);
    expect(text).not.toContain('pässwörd');
  });

  it('reads an inventory that is encrypted as a whole', async () => {
    const whole = folder.write(
      'whole/hosts.yml',
      await folder.encrypt('all: { hosts: { h: { pass: hidden-text } } }\n'),
    );
    const args = ['--host', 'h', '--vault-password-file', folder.passwordFile];
    const { code, stdout } = await mcastctl(['inventory', whole, ...args]);
    expect([code, JSON.parse(stdout)]).toEqual([0, { pass: '***' }]);
  });

  it('gives faults as JSON, with the same places and no secret', async () => {
    const site = folder.write(
      'json.yml',
      `- hosts: pve1
  vars: { mine: not-to-be-logged }
  tasks:
    - command: { argv: "{{of_host}}", creates: /x }
    - igmp: { interface: eth0, version: "{{mine}}" }
      no_log: true
`,
    );
    const { code, stdout, stderr } = await mcastctl(['check', inventory, '-p', site, '--format', 'json', ...idArgs()]);
    const { exitCode, errors } = JSON.parse(stdout);
    expect([code, exitCode]).toEqual([3, 3]);
    expect(errors).toMatchObject([
      { message: expect.stringContaining('that could take "***'), line: 4 },
      { message: 'a parameter is wrong (hidden by no_log) (host pve1)', line: 5 },
    ]);
    for (const said of [stdout, stderr]) expect(said).not.toMatch(/is no template|not "?not-to-be-logged/);
  });
});

it('a value that is not used costs no derivation', () => {
  const loaded = loadInventory(inventory, { vault });
  const value = loaded.vars('pve1')['of_host'];
  expect(String(value)).toBe('(encrypted with ansible-vault)');
  expect(() => parseExtraVars([`@${extra}`])).toThrow(InputError);
});
