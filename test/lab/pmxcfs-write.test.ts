import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AgentSession } from '../../src/agent/session.ts';
import type { Argv, FileState } from '../../src/core/resource.ts';
import { localLink } from '../support/local-link.ts';

/**
 * A real FUSE file system at /etc/pve that does what pmxcfs does: every file belongs to root:www-data with mode 0640, and chmod and
 * chown are refused. pmxcfs itself comes with Proxmox only.
 */
const MAKE = `
  mount -t tmpfs t /mnt
  mkdir /mnt/upper /mnt/work /mnt/cluster
  mount -t overlay o -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
  mkdir -p /etc/pve
  [ -e /dev/fuse ] || mknod /dev/fuse c 10 229
  bindfs --force-user=root --force-group=www-data -p u=rwX,g=rX,o= --chmod-deny --chown-deny /mnt/cluster /etc/pve
  mkdir /etc/pve/firewall
  printf '[RULES]\\n' > /etc/pve/firewall/cluster.fw
`;
const CLUSTER_FW = '/etc/pve/firewall/cluster.fw';

describe.each([
  ['cp carries owner and mode over', ''],
  ['cp fails, as where extended attributes are refused', 'mount --bind /bin/false "$(command -v cp)"'],
])('%s', (_, more) => {
  let session: AgentSession;
  beforeAll(async () => {
    const here = localLink();
    // A process namespace of its own: bindfs ends with the agent.
    const inside: Argv = [
      'unshare',
      '-mp',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-eu',
      '-c',
      `${MAKE}\n${more}\nexec "$@"`,
      'sh',
    ];
    session = await AgentSession.open({ ...here, start: (argv) => here.start([...inside, ...argv]) });
  });
  afterAll(() => session?.close());

  const read = async (path: string): Promise<FileState | null> =>
    (await session.read([{ read: 'file', path }])).file(path);
  const exec = async (...argv: Argv): Promise<string> => {
    const { stdout, stderr } = await session.run(argv);
    return stdout + stderr;
  };

  test('the stand-in refuses what pmxcfs refuses', async () => {
    expect(await exec('stat', '-c', '%U:%G %a', CLUSTER_FW)).toBe('root:www-data 640\n');
    expect(await exec('chmod', '644', CLUSTER_FW)).toContain('Operation not permitted');
    expect(await exec('chown', 'nobody', CLUSTER_FW)).toContain('Operation not permitted');
  });

  test('a file is replaced, made and removed', async () => {
    await session.write(CLUSTER_FW, await read(CLUSTER_FW), '[RULES]\nIN ACCEPT -p igmp\n', 0o644);
    expect(await exec('cat', CLUSTER_FW)).toBe('[RULES]\nIN ACCEPT -p igmp\n');
    await session.write('/etc/pve/nodes/host.fw', null, '[OPTIONS]\n', 0o644);
    expect(await exec('stat', '-c', '%U:%G %a', '/etc/pve/nodes/host.fw')).toBe('root:www-data 640\n');
    await session.write('/etc/pve/nodes/host.fw', await read('/etc/pve/nodes/host.fw'), null, 0o644);
    expect(await exec('find', '/etc/pve', '-type', 'f')).toBe(`${CLUSTER_FW}\n`);
  });

  test('a new file that more people could read than was asked for is not made', async () => {
    await expect(session.write('/etc/pve/secret', null, 'x', 0o600)).rejects.toThrow('Operation not permitted');
    expect(await exec('find', '/etc/pve', '-name', '*secret*')).toBe('');
  });

  test('what another node has done in the meantime is no fault where it is the same', async () => {
    const before = await read(CLUSTER_FW);
    await session.run(['sh', '-c', `printf '[RULES]\\nOUT ACCEPT\\n' > ${CLUSTER_FW}`]);
    await session.write(CLUSTER_FW, before, '[RULES]\nOUT ACCEPT\n', 0o644);
    await expect(session.write(CLUSTER_FW, before, '[RULES]\n', 0o644)).rejects.toThrow(
      'has changed since it was read',
    );
    expect(await exec('cat', CLUSTER_FW)).toBe('[RULES]\nOUT ACCEPT\n');
  });
});
