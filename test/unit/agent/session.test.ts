import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AgentSession } from '../../../src/agent/session.ts';
import { decodeFields, encodeFields, encodeMessage, MessageReader } from '../../../src/agent/wire.ts';
import { HostError } from '../../../src/core/errors.ts';
import type { FileState } from '../../../src/core/resource.ts';
import { localLink } from '../../support/local-link.ts';

describe('wire', () => {
  it('gives back the fields it was given, in whatever pieces they arrive', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 50 }),
        (messages, size) => {
          const stream = Buffer.concat(messages.map((fields) => encodeMessage(fields.map((f) => Buffer.from(f)))));
          const reader = new MessageReader();
          const got: Buffer[][] = [];
          for (let at = 0; at < stream.length; at += size) got.push(...reader.push(stream.subarray(at, at + size)));
          expect(got.map((m) => m.map((f) => [...f]))).toEqual(messages.map((m) => m.map((f) => [...f])));
        },
      ),
    );
  });

  it.each(['hello\n', '3\nabc', 'x'.repeat(20), '4\n1:ab,'])('refuses the foreign stream %j', (text) => {
    expect(() => new MessageReader().push(Buffer.from(text))).toThrow(RangeError);
  });

  it('encodes text as UTF-8', () => {
    expect(encodeFields(['ä', 7]).toString()).toBe('2:ä,1:7,');
    expect(decodeFields(Buffer.from('2:ä,')).map(String)).toEqual(['ä']);
  });
});

describe('agent', () => {
  let agent: AgentSession;
  let dir: string;
  beforeAll(async () => {
    agent = await AgentSession.open(localLink(), { commandTimeoutMs: 2_000 });
  });
  afterAll(() => agent.close());
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'mcastctl-agent-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  async function readFile(path: string): Promise<FileState | null> {
    return (await agent.read([{ read: 'file', path }])).file(path);
  }

  it('says who it is', async () => {
    expect((await agent.hello()).uid).toBe(process.getuid?.());
  });

  it('reads files, directories and commands in one message', async () => {
    writeFileSync(join(dir, 'a.conf'), 'one\n');
    writeFileSync(join(dir, 'b.txt'), 'no');
    writeFileSync(join(dir, '0.conf'), Buffer.from([0x66, 0xff, 0x0a]));
    symlinkSync('/dev/null', join(dir, 'masked.conf'));
    const seen = await agent.read([
      { read: 'dir', path: dir, suffix: '.conf' },
      { read: 'file', path: join(dir, 'b.txt') },
      { read: 'file', path: join(dir, 'missing') },
      { read: 'dir', path: join(dir, 'nowhere'), suffix: '' },
      { read: 'run', argv: ['sh', '-c', 'echo out; echo err >&2; exit 3'] },
      { read: 'run', argv: ['no-such-program'] },
    ]);
    expect(seen.dir(dir, '.conf')?.map((f) => [f.path.slice(dir.length), f.text, f.encoding, f.target])).toEqual([
      ['/0.conf', 'f\xff\n', 'latin1', null],
      ['/a.conf', 'one\n', 'utf8', null],
      ['/masked.conf', '', 'utf8', '/dev/null'],
    ]);
    expect(seen.file(join(dir, 'b.txt'))).toMatchObject({ text: 'no', mode: 0o644 });
    expect(seen.file(join(dir, 'missing'))).toBeNull();
    expect(seen.dir(join(dir, 'nowhere'), '')).toBeNull();
    expect(seen.run(['sh', '-c', 'echo out; echo err >&2; exit 3'])).toMatchObject({
      code: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(seen.run(['no-such-program'])).toMatchObject({ code: 127 });
    expect(() => seen.file('/etc/passwd')).toThrow('not read');
  });

  it('reads the drop-ins of subdirectories', async () => {
    for (const [folder, name] of [
      ['b.netdev.d', 'z.conf'],
      ['a.netdev.d', 'y.conf'],
      ['a.netdev.d', 'no.txt'],
      ['other', 'x.conf'],
    ] as const) {
      mkdirSync(join(dir, folder), { recursive: true });
      writeFileSync(join(dir, folder, name), name);
    }
    const read = { read: 'dir', path: dir, suffix: '.conf', within: '.netdev.d' } as const;
    const seen = await agent.read([read, { ...read, path: join(dir, 'nowhere') }]);
    expect(seen.dir(dir, '.conf', '.netdev.d')?.map((file) => file.path.slice(dir.length))).toEqual([
      '/a.netdev.d/y.conf',
      '/b.netdev.d/z.conf',
    ]);
    expect(seen.dir(join(dir, 'nowhere'), '.conf', '.netdev.d')).toBeNull();
  });

  it('reads /proc/sys, whose files have no size', async () => {
    expect((await readFile('/proc/sys/kernel/ostype'))?.text).toBe('Linux\n');
  });

  it('writes, keeps mode and owner, follows links, leaves no temporary file', async () => {
    const path = join(dir, 'conf');
    const link = join(dir, 'link');
    writeFileSync(path, 'old\n');
    chmodSync(path, 0o640);
    symlinkSync('conf', link);
    await agent.write(link, await readFile(link), 'new\n', 0o644);
    expect(readFileSync(path, 'utf8')).toBe('new\n');
    expect(statSync(path).mode & 0o777).toBe(0o640);
    await agent.write(join(dir, 'made.d/first.conf'), null, 'x', 0o644);
    expect(readFileSync(join(dir, 'made.d/first.conf'), 'utf8')).toBe('x');
    rmSync(join(dir, 'made.d'), { recursive: true });
    await agent.write(join(dir, 'made'), null, 'x', 0o600);
    expect(statSync(join(dir, 'made')).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir).sort()).toEqual(['conf', 'link', 'made']);
    await agent.write(path, await readFile(path), null, 0o644);
    expect(readdirSync(dir).sort()).toEqual(['link', 'made']);
  });

  it('keeps bytes that are no UTF-8', async () => {
    const path = join(dir, 'latin1');
    writeFileSync(path, Buffer.from([0xe4, 0x0a]));
    const before = await readFile(path);
    await agent.write(path, before, `${before?.text}more\n`, 0o644);
    expect([...readFileSync(path)]).toEqual([0xe4, 0x0a, ...Buffer.from('more\n')]);
    await expect(agent.write(path, await readFile(path), '→\n', 0o644)).rejects.toThrow('is not UTF-8');
  });

  it('refuses to write over what someone else has changed', async () => {
    const path = join(dir, 'conf');
    writeFileSync(path, 'old\n');
    const before = await readFile(path);
    writeFileSync(path, 'theirs\n');
    await expect(agent.write(path, before, 'ours\n', 0o644)).rejects.toThrow('has changed since it was read');
    await expect(agent.write(path, null, 'ours\n', 0o644)).rejects.toThrow('has changed since it was read');
    await expect(agent.write(path, before, null, 0o644)).rejects.toThrow('has changed since it was read');
    expect(readFileSync(path, 'utf8')).toBe('theirs\n');
  });

  it('takes what someone else has done in the meantime for done where it is the same', async () => {
    const path = join(dir, 'shared');
    writeFileSync(path, 'old\n');
    const before = await readFile(path);
    writeFileSync(path, 'new\n');
    const inode = statSync(path).ino;
    await agent.write(path, before, 'new\n', 0o644);
    await agent.write(path, null, 'new\n', 0o644);
    expect(statSync(path).ino).toBe(inode);
    rmSync(path);
    await agent.write(path, before, null, 0o644);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('does not replace a device that a link leads to', async () => {
    const path = join(dir, 'masked.conf');
    symlinkSync('/dev/null', path);
    await expect(agent.write(path, await readFile(path), 'x', 0o644)).rejects.toThrow('no regular file');
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  it('says why a value could not be set', async () => {
    await expect(agent.set('/proc/sys/kernel/ostype', 'x')).rejects.toThrow(/ostype: /);
    await expect(agent.set(join(dir, 'no/such'), 'x')).rejects.toThrow('No such file or directory');
  });

  it('stops a command that takes too long, and goes on', async () => {
    await expect(agent.run(['sleep', '30'], { timeoutMs: 300 })).rejects.toThrow('did not end within 0.3 s');
    expect(await agent.run(['true'])).toMatchObject({ code: 0 });
  });

  it('stops a command that prints without end', async () => {
    await expect(agent.run(['yes'], { timeoutMs: 20_000 })).rejects.toThrow('printed more than');
  });

  it('tells the signal that ended a command', async () => {
    expect(await agent.run(['sh', '-c', 'kill -9 $$'])).toMatchObject({ code: null, signal: '9' });
  });

  it('feeds standard input of any length', async () => {
    const input = 'x'.repeat(1_000_000);
    expect((await agent.run(['wc', '-c'], { stdin: input })).stdout.trim()).toBe('1000000');
  });

  it('gives every argument to the program as it is', async () => {
    const word = fc.string({ unit: 'binary' }).filter((s) => !s.includes('\0'));
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 4 }), async (words) => {
        const { stdout } = await agent.run(['printf', '%s\\0', '--', ...words]);
        expect(stdout).toBe(['--', ...words].map((w) => `${Buffer.from(w).toString()}\0`).join(''));
      }),
      { numRuns: 100 },
    );
  });

  it('reports facts', async () => {
    const facts = await agent.facts();
    expect(facts.nics.lo).toMatchObject({ driver: '', mtu: 65536 });
    expect(facts.os.id).not.toBe('');
    expect(facts.kernel).toMatch(/^\d+\.\d+/);
  });

  it('explains a login shell that talks', async () => {
    const link = localLink();
    const noisy = await AgentSession.open({
      ...link,
      start: () => link.start(['sh', '-c', 'echo Welcome; cat >/dev/null']),
    });
    await expect(noisy.read([])).rejects.toThrow('"Welcome"');
  });

  /** A session with a node on which a perl program of our own answers instead of the agent. */
  async function lyingNode(program: string): Promise<AgentSession> {
    const link = localLink();
    const wait = 'my $in = ""; sysread STDIN, $in, 65536, length $in until $in =~ /5:first/;';
    const greet = '$|=1; sub say_all { my $p = join "", map { length($_).":$_," } @_; print length($p)."\n$p" }';
    return AgentSession.open(
      { ...link, start: () => link.start(['perl', '-e', `${greet} say_all(0, "ok", 0, ""); ${wait} ${program}`]) },
      { commandTimeoutMs: 2_000 },
    );
  }

  it.each([
    ['a wrong id', 'say_all(77, "ok"); sleep 9', 'an answer to a question that was not put'],
    ['two answers', 'say_all(1, "ok"); say_all(1, "ok"); sleep 9', 'an answer to a question that was not put'],
    [
      'a message beyond all measure',
      'print "4000000000\n"; print "x" x 65536 while 1',
      'a message of 4000000000 bytes',
    ],
    ['bytes without sense', 'print "\\x00\\xff\\x1b]0;x\\x07" x 99; sleep 9', 'no message begins so'],
    ['fields that are none', 'print "3\nabc"; sleep 9', 'no sequence of netstrings'],
  ])('ends a session in which the node answers with %s', async (_, program, text) => {
    const session = await lyingNode(program);
    await session.hello();
    const asked = session.call('first', []).then(() => session.call('second', []));
    await expect(asked).rejects.toThrow(text);
    await expect(asked).rejects.not.toThrow(/[\u0000-\u001f]/);
    expect(session.failure).toBeInstanceOf(HostError);
    session.close();
  });

  it('says itself that an answer is longer than the controller would take', async () => {
    writeFileSync(join(dir, '1.conf'), Buffer.alloc(16 << 20));
    for (const name of ['2.conf', '3.conf']) linkSync(join(dir, '1.conf'), join(dir, name));
    await expect(agent.read([{ read: 'dir', path: dir, suffix: '.conf' }])).rejects.toThrow('longer than 40 MiB');
    expect(await readFile(join(dir, 'none'))).toBeNull();
  });

  it('explains a node without perl', async () => {
    const link = localLink();
    const bare = await AgentSession.open({ ...link, start: () => link.start(['sh', '-c', 'exit 127']) });
    await expect(bare.read([])).rejects.toThrow(HostError);
    await expect(bare.read([])).rejects.toThrow('perl is missing');
  });
});

describe('a session to look with', () => {
  let dir: string;
  let session: AgentSession;
  const reads = () => [
    { read: 'file' as const, path: join(dir, 'ä') },
    { read: 'run' as const, argv: ['echo', 'x'] as const },
  ];
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mcastctl-look-'));
    writeFileSync(join(dir, 'ä'), 'kept');
    // What a bug could do who forgets what kind of session it has.
    session = (await AgentSession.openToRead(localLink(), reads())) as AgentSession;
  });
  afterEach(() => {
    session.close();
    rmSync(dir, { recursive: true });
  });

  it('answers what was registered, and facts', async () => {
    const seen = await session.read(reads());
    expect(seen.file(join(dir, 'ä'))?.text).toBe('kept');
    expect(seen.run(['echo', 'x']).stdout).toBe('x\n');
    expect((await session.facts()).kernel).not.toBe('');
    expect((await session.hello()).uid).toBe(process.getuid?.());
  });

  it('refuses here whatever else it is asked for', async () => {
    const path = join(dir, 'ä');
    for (const work of [
      () => session.run(['touch', path]),
      () => session.set(path, 'new'),
      () => session.write(path, null, 'new', 0o644),
      () => session.load('1'),
      () => session.loadWithChange('1'),
      () => session.call('seal', []),
    ])
      await expect(work()).rejects.toThrow('in a session that only looks');
    await expect(session.read([{ read: 'run', argv: ['touch', join(dir, 'new')] }])).rejects.toThrow(
      `a read that was not registered: run touch ${join(dir, 'new')}`,
    );
    expect(readdirSync(dir)).toEqual(['ä']);
    expect(readFileSync(path, 'utf8')).toBe('kept');
  });

  it('is refused by the node itself, whatever this side sends', async () => {
    const link = localLink();
    const process = await link.start(['perl', '-e', BOOTSTRAP_OF_ANY, agentPath]);
    const reader = new MessageReader();
    const answers: string[][] = [];
    process.stdout.on('data', (chunk: Buffer) => answers.push(...reader.push(chunk).map((each) => each.map(String))));
    const registered = encodeFields(['run', '10', 'echo', 'x']);
    const marker = join(dir, 'marker');
    const asked: (string | Buffer)[][] = [
      ['seal', registered],
      ['read', registered],
      ['read', registered, encodeFields(['run', '10', 'touch', marker])],
      ['read', encodeFields(['run', '11', 'echo', 'x'])],
      ['load', `open my $f, '>', '${marker}'`],
      ['run', '10', '', 'touch', marker],
      ['write', marker],
      ['seal', encodeFields(['run', '10', 'touch', marker])],
      ['facts'],
    ];
    for (const [index, fields] of asked.entries()) process.stdin.write(encodeMessage([index + 1, ...fields]));
    await vi.waitFor(() => expect(answers).toHaveLength(asked.length + 1));
    process.stdin.end();
    await process.exit;
    const byId = new Map(answers.map(([id, ...rest]) => [Number(id), rest]));
    expect(
      [...Array(9).keys()].map((index) =>
        byId
          .get(index + 1)
          ?.slice(0, 2)
          .join(' '),
      ),
    ).toMatchObject([
      'ok',
      expect.stringMatching(/^ok /),
      `error a read that was not registered: run 10 touch ${marker}`,
      'error a read that was not registered: run 11 echo x',
      'error the agent knows no "load"',
      'error the agent knows no "run"',
      'error the agent knows no "write"',
      'error the agent knows no "seal"',
      expect.stringMatching(/^ok /),
    ]);
    expect(readdirSync(dir)).toEqual(['ä']);
  });
});

const agentPath = new URL('../../../src/agent/agent.pl', import.meta.url).pathname;
/** Runs the agent from its file. */
const BOOTSTRAP_OF_ANY = 'do shift';
