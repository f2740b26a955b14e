import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AgentSession, UndoneByNode } from '../../../src/agent/session.ts';
import { armSwitch, lockNode, takeLeftovers, type UndoData } from '../../../src/agent/switch.ts';
import { localLink } from '../../support/local-link.ts';

let dir: string;
let root: string;
let session: AgentSession;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mcastctl-switch-'));
  root = join(dir, 'state/mcastctl');
  session = await AgentSession.open(localLink(), { stateDir: root });
});
afterEach(() => {
  session.close();
  rmSync(dir, { recursive: true });
});

const data = (more: Partial<UndoData> = {}): UndoData => ({
  name: 'run1-1',
  about: 'task "x" of run1',
  files: [],
  unkeep: [],
  undo: [],
  ...more,
});
const path = (name: string) => join(dir, name);
const text = (name: string) => readFileSync(path(name), 'utf8');
const state = () => (existsSync(join(dir, 'state')) ? readdirSync(join(dir, 'state')) : []);

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i++) await sleep(50);
  expect(condition()).toBe(true);
}

it('leaves nothing behind when the task is done', async () => {
  writeFileSync(path('a.conf'), 'old');
  const armed = await armSwitch(session, data({ files: [path('a.conf')] }), 5);
  expect(readdirSync(join(root, 'armed'))).toEqual(['run1-1']);
  expect(statSync(root).mode & 0o777).toBe(0o700);
  const pid = readFileSync(join(root, 'armed/run1-1/pid'), 'utf8').trim();
  await armed.disarm();
  expect(state()).toEqual([]);
  await until(() => !existsSync(`/proc/${pid}`));
  expect(await takeLeftovers(session)).toEqual([]);
  expect(state()).toEqual([]);
});

it('takes back files, programs and values in this order, when nothing is heard', async () => {
  writeFileSync(path('a.conf'), 'old');
  chmodSync(path('a.conf'), 0o640);
  utimesSync(path('a.conf'), 1_000_000, 1_000_000);
  writeFileSync(path('value'), 'old');
  const log = ['sh', '-c', 'cat a.conf value >> log; echo >> log'] as const;
  const inDir = ['env', '-C', dir, ...log] as const;
  const armed = await armSwitch(
    session,
    data({
      files: [path('a.conf'), path('new.conf')],
      unkeep: [{ do: 'run', argv: inDir }],
      undo: [
        { do: 'set', path: path('value'), value: 'old' },
        { do: 'run', argv: ['false'] },
      ],
    }),
    1,
  );
  await armed.mark('u');
  await armed.mark('f');
  await armed.mark('k');
  const before = (await session.read([{ read: 'file', path: path('a.conf') }])).file(path('a.conf'));
  await session.set(path('value'), 'new');
  await session.write(path('a.conf'), before, 'new', 0o644);
  await session.write(path('new.conf'), null, 'new', 0o644);
  armed.abandon();
  await until(() => existsSync(join(root, 'undone/run1-1')));
  expect([text('a.conf'), text('value'), existsSync(path('new.conf'))]).toEqual(['old', 'old', false]);
  expect(statSync(path('a.conf'))).toMatchObject({ mode: 0o100640, mtimeMs: 1_000_000_000 });
  // The program saw the old file and still the new value.
  expect(text('log')).toBe('oldnew\n');
  await expect(session.set(path('value'), 'newer')).rejects.toThrow(UndoneByNode);
  await expect(armed.disarm()).rejects.toThrow('the node has taken the task back by itself');
  expect(text('value')).toBe('old');
  expect(await takeLeftovers(session)).toEqual([
    { name: 'run1-1', about: 'task "x" of run1', problems: '"false" failed with exit code 1', cause: 'time' },
  ]);
  expect(state()).toEqual([]);
});

it('takes back only what was begun', async () => {
  writeFileSync(path('value'), 'as somebody set it');
  writeFileSync(path('a.conf'), 'old');
  const undo = [{ do: 'set' as const, path: path('value'), value: 'old' }];
  const armed = await armSwitch(session, data({ files: [path('a.conf')], undo }), 1);
  writeFileSync(path('a.conf'), 'as somebody wrote it');
  armed.abandon();
  await until(() => existsSync(join(root, 'undone/run1-1')));
  expect([text('value'), text('a.conf')]).toEqual(['as somebody set it', 'as somebody wrote it']);
});

it('waits on as long as it is renewed', async () => {
  const armed = await armSwitch(session, data(), 1);
  await sleep(2_500);
  await armed.disarm();
});

it('fires when the agent is killed with its login', async () => {
  writeFileSync(path('value'), 'old');
  const armed = await armSwitch(session, data({ undo: [{ do: 'set', path: path('value'), value: 'old' }] }), 1);
  await armed.mark('u');
  await session.set(path('value'), 'new');
  session.close();
  await until(() => text('value') === 'old');
});

it('a task that a reboot left half done is taken back by the next run', async () => {
  writeFileSync(path('a.conf'), 'old');
  const armed = await armSwitch(session, data({ files: [path('a.conf')] }), 60);
  await armed.mark('f');
  writeFileSync(path('a.conf'), 'new');
  armed.abandon();
  const pid = Number(readFileSync(join(root, 'armed/run1-1/pid'), 'utf8'));
  process.kill(pid, 'SIGKILL');
  await until(() => !existsSync(`/proc/${pid}`));
  writeFileSync(join(root, 'armed/run1-1/boot'), 'another boot\n');
  const next = await AgentSession.open(localLink(), { stateDir: root });
  expect(await takeLeftovers(next)).toMatchObject([{ name: 'run1-1', problems: '', cause: 'reboot' }]);
  next.close();
  expect(text('a.conf')).toBe('old');
  expect(state()).toEqual([]);
});

it('a step that is under way when the time is over ends first', async () => {
  writeFileSync(path('value'), 'old');
  const armed = await armSwitch(session, data({ undo: [{ do: 'set', path: path('value'), value: 'old' }] }), 1);
  await armed.mark('u');
  armed.abandon();
  await session.run(['sh', '-c', `sleep 2; echo new > ${path('value')}`]);
  await until(() => text('value') === 'old');
});

it('refuses to begin where it can not be kept', async () => {
  writeFileSync(join(dir, 'state'), 'a file in the way');
  await expect(armSwitch(session, data(), 5)).rejects.toThrow(/state/);
  execFileSync('rm', [join(dir, 'state')]);
});

it('lets one run at a time change a node, and names it to the others', async () => {
  const other = await AgentSession.open(localLink(), { stateDir: root });
  const lock = await lockNode(session, 'alice@laptop, process 4711', 0, 60);
  await expect(lockNode(other, 'bob', 0, 60)).rejects.toThrow(
    'another run works on this node: alice@laptop, process 4711',
  );
  const waiting = lockNode(other, 'bob', 10, 60);
  await sleep(500);
  await lock.release();
  const second = await waiting;
  expect(readFileSync(join(root, 'lock'), 'utf8')).toMatch(/\nbob$/);
  await second.release();
  expect(state()).toEqual([]);
  other.close();
});

it("a lock is nobody's once its holder was killed, or has heard nothing for long", async () => {
  const killed = await AgentSession.open(localLink(), { stateDir: root });
  await lockNode(killed, 'a run that is killed', 0, 60);
  killed.close();
  await (await lockNode(session, 'next', 5, 60)).release();
  const silent = await AgentSession.open(localLink(), { stateDir: root });
  await silent.loadWithChange(readFileSync(new URL('../../../src/agent/switch.pl', import.meta.url), 'utf8'));
  await silent.call('lock', [root, 'a controller that was stopped', 0, 1]);
  await (await lockNode(session, 'next', 10, 60)).release();
  expect(state()).toEqual([]);
});

it('a lock whose holder hangs and is silent for long is taken over', async () => {
  const hung = await AgentSession.open(localLink(), { stateDir: root });
  await lockNode(hung, 'a run that hangs', 0, 0.2);
  const pid = Number(readFileSync(join(root, 'lock'), 'utf8').split('\n')[0]);
  process.kill(pid, 'SIGSTOP');
  await (await lockNode(session, 'next', 15, 60)).release();
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(state()).toEqual([]);
});

it('what a run that is gone has armed is taken back at once by the next run, which has the lock', async () => {
  writeFileSync(path('value'), 'old');
  const gone = await AgentSession.open(localLink(), { stateDir: root });
  const armed = await armSwitch(gone, data({ undo: [{ do: 'set', path: path('value'), value: 'old' }] }), 600);
  await armed.mark('u');
  await gone.set(path('value'), 'new');
  armed.abandon();
  gone.close();
  expect(await takeLeftovers(session)).toEqual([]);
  const lock = await lockNode(session, 'next', 5, 60);
  expect(await takeLeftovers(session)).toMatchObject([{ name: 'run1-1', problems: '' }]);
  expect(text('value')).toBe('old');
  await lock.release();
  expect(state()).toEqual([]);
});
