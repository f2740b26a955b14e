import { createHash } from 'node:crypto';
import { HostError } from '../../core/errors.ts';
import type {
  Argv,
  Change,
  FileAttributes,
  FileState,
  Observations,
  Read,
  Resource,
  ResourceId,
  ResourcePlan,
  Step,
} from '../../core/resource.ts';
import { holdsSecret } from '../../core/secrets.ts';

type Account = string | number | undefined;

/** What a path shall be. */
export interface WantedFile {
  readonly path: string;
  readonly state: 'file' | 'directory' | 'link' | 'absent';
  /** The whole text of a file; undefined: whatever it is. */
  readonly text?: string | undefined;
  /** What a link holds. */
  readonly target?: string | undefined;
  readonly owner?: Account;
  readonly group?: Account;
  /** Permission bits. */
  readonly mode?: number | undefined;
  readonly validate?: Argv | undefined;
  readonly secret: boolean;
}

/** What is at a path; of a link: the link itself. */
interface Entry {
  readonly kind: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const NOTHING: ResourcePlan = { changes: [], try: [], undo: [], keep: [] };

const statOf = (path: string): Argv => ['stat', '--printf=%F\\t%a\\t%u\\t%g', '--', path];
const linkOf = (path: string): Argv => ['readlink', '--', path];
const userOf = (name: string): Argv => ['getent', 'passwd', name];
const groupOf = (name: string): Argv => ['getent', 'group', name];
const foldersOf = (path: string): readonly string[] =>
  path
    .split('/')
    .slice(1, -1)
    .map((_, index) =>
      path
        .split('/')
        .slice(0, index + 2)
        .join('/'),
    );
const foldersRead = (path: string): Argv => ['stat', '--printf=%n\\n', '--', '/', ...foldersOf(path)];

/** The resource of a path. */
export function fileResource(wanted: WantedFile): Resource {
  const { path, state } = wanted;
  const run = (argv: Argv): Read => ({ read: 'run', argv });
  const id: ResourceId = `file[${path}]`;
  return {
    id,
    reads: [
      run(statOf(path)),
      ...(state === 'file' || state === 'absent' ? [{ read: 'file' as const, path }] : []),
      ...(state === 'link' || state === 'absent' ? [run(linkOf(path))] : []),
      ...(state === 'directory' ? [run(foldersRead(path))] : []),
      ...(typeof wanted.owner === 'string' ? [run(userOf(wanted.owner))] : []),
      ...(typeof wanted.group === 'string' ? [run(groupOf(wanted.group))] : []),
    ],
    wants: wantsOf(wanted),
    plan(seen) {
      const entry = entryAt(seen, path);
      if (state === 'file') return planFile(seen, wanted, entry);
      if (state === 'directory') return planDirectory(seen, wanted, entry);
      return state === 'link' ? planLink(seen, wanted, entry) : planAbsent(seen, path, entry);
    },
  };
}

function wantsOf({ state, text, target, owner, group, mode, secret }: WantedFile): Readonly<Record<string, unknown>> {
  return {
    state,
    ...(text !== undefined && !secret && !holdsSecret(text) && { content: digest(text) }),
    ...(target !== undefined && { target }),
    ...(owner !== undefined && { owner }),
    ...(group !== undefined && { group }),
    ...(mode !== undefined && { mode: octal(mode) }),
  };
}

function entryAt(seen: Observations, path: string): Entry | null {
  const { argv, code, stdout, stderr } = seen.run(statOf(path));
  if (code === 1 && /: (?:No such file or directory|Not a directory)\s*$/.test(stderr)) return null;
  const [kind = '', mode = '', uid = '', gid = ''] = stdout.split('\t');
  if (code !== 0) throw new HostError(`"${argv.join(' ')}" ended with exit code ${code}: ${stderr.trim()}`);
  const known = kind === 'regular empty file' ? 'regular file' : kind;
  return { kind: known, mode: Number.parseInt(mode, 8), uid: Number(uid), gid: Number(gid) };
}

/** A text by what tells it from others, so that reports stay short. */
function digest(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  return `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`;
}

const octal = (mode: number): string => `0${mode.toString(8).padStart(3, '0')}`;

interface Owners {
  readonly changes: readonly Change[];
  readonly attributes: FileAttributes;
  readonly blocked?: string;
}

/** How owner, group and mode differ. @param now null: there is nothing yet */
function planAttributes(seen: Observations, wanted: WantedFile, now: Omit<Entry, 'kind'> | null): Owners {
  const user = numberOf(seen, wanted.owner, userOf);
  const group = numberOf(seen, wanted.group, groupOf);
  const differ = (property: string, from: unknown, to: unknown, note?: string): Change[] =>
    from === to
      ? []
      : [{ layer: 'persistent', property, from, to, file: wanted.path, ...(note !== undefined && { note }) }];
  const account = (property: string, id: number | string | undefined, from: number | null, name: Account) =>
    id === undefined ? [] : differ(property, from, id, typeof name === 'string' ? `"${name}" is ${id}` : undefined);
  const missing = [
    ...(typeof user === 'string' ? [`there is no user "${user}" on the node`] : []),
    ...(typeof group === 'string' ? [`there is no group "${group}" on the node`] : []),
  ];
  return {
    changes: [
      ...(wanted.mode === undefined ? [] : differ('mode', now === null ? null : octal(now.mode), octal(wanted.mode))),
      ...account('owner', user, now?.uid ?? null, wanted.owner),
      ...account('group', group, now?.gid ?? null, wanted.group),
    ],
    attributes: {
      ...(wanted.mode !== undefined && { mode: wanted.mode }),
      ...(typeof user === 'number' && { uid: user }),
      ...(typeof group === 'number' && { gid: group }),
    },
    ...(missing.length > 0 && {
      blocked: `${missing.join(' and ')}: install the package that makes it before this task, or correct the name`,
    }),
  };
}

/** The number of an account; its name where the node does not know it. */
function numberOf(seen: Observations, account: Account, lookup: (name: string) => Argv): number | string | undefined {
  if (typeof account !== 'string') return account;
  const { code, stdout } = seen.run(lookup(account));
  const id = stdout.split(':')[2];
  return code === 0 && id !== undefined && /^\d+$/.test(id) ? Number(id) : account;
}

function planFile(seen: Observations, wanted: WantedFile, entry: Entry | null): ResourcePlan {
  const { path } = wanted;
  if (entry !== null && entry.kind !== 'regular file' && entry.kind !== 'symbolic link')
    throw new HostError(`"${path}" is a ${entry.kind}, not a file`, { hint: 'remove it by hand, or correct the path' });
  const file = seen.file(path);
  if (entry?.kind === 'symbolic link') refuseBadLink(path, file);
  if (file === null && wanted.text === undefined)
    throw new HostError(`there is no file "${path}"`, {
      hint: 'give its "content" or "src", or make it before this task',
    });
  const owners = planAttributes(seen, wanted, file);
  const content = contentChange(wanted, file);
  const changes = [...content, ...owners.changes];
  if (changes.length === 0) return NOTHING;
  if (owners.blocked !== undefined) return { ...NOTHING, changes, blocked: owners.blocked };
  const step: Step = {
    do: 'edit',
    path,
    edit: (now) => (wanted.text === undefined ? now : asStored(wanted.text, file)),
    mode: wanted.mode ?? (wanted.secret ? 0o600 : 0o644),
    attributes: owners.attributes,
    isSecret: wanted.secret,
    ...(wanted.validate !== undefined && content.length > 0 && { validate: wanted.validate }),
  };
  return { ...NOTHING, changes, keep: [step] };
}

/** A link is followed: its file is changed. */
function refuseBadLink(path: string, file: FileState | null): void {
  if (file === null)
    throw new HostError(`"${path}" is a link to nowhere`, { hint: 'remove the link, or make what it leads to' });
  if (file.target === '/dev/null')
    throw new HostError(`"${path}" is a link to /dev/null, which turns the file off`, { hint: 'remove the link' });
}

/** A file that is no UTF-8 is read one character a byte, and so written. */
function asStored(text: string, file: FileState | null): string {
  return file?.encoding === 'latin1' ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

function contentChange({ path, text, secret }: WantedFile, file: FileState | null): Change[] {
  if (text === undefined || (file !== null && file.text === asStored(text, file))) return [];
  const change = { layer: 'persistent' as const, property: 'content', file: path };
  // A secret within it could be guessed from the hash.
  if (secret || holdsSecret(text))
    return [{ ...change, from: file === null ? null : 'another secret text', to: 'the secret text of the task' }];
  const now = file === null ? null : digest(Buffer.from(file.text, file.encoding).toString('utf8'));
  return [{ ...change, from: now, to: digest(text), ...lineOf(file, text) }];
}

/** The first line that differs. */
function lineOf(file: FileState | null, text: string): { line?: number } {
  if (file === null) return {};
  const [now, wanted] = [file.text.split('\n'), text.split('\n')];
  return { line: now.findIndex((line, index) => line !== wanted[index]) + 1 || now.length };
}

const run = (...argv: Argv): Step => ({ do: 'run', argv });
const ownersText = ({ uid, gid }: FileAttributes): string => `${uid ?? ''}${gid === undefined ? '' : `:${gid}`}`;

function planDirectory(seen: Observations, wanted: WantedFile, entry: Entry | null): ResourcePlan {
  const { path } = wanted;
  if (entry !== null && entry.kind !== 'directory')
    throw new HostError(`"${path}" is a ${entry.kind}, not a directory`, {
      hint: 'remove it by hand, or correct the path',
    });
  const { changes: owners, attributes, blocked } = planAttributes(seen, wanted, entry);
  const made: Change[] = entry === null ? [stateChange(path, null, 'directory')] : [];
  const changes = [...made, ...owners];
  if (changes.length === 0) return NOTHING;
  if (blocked !== undefined) return { ...NOTHING, changes, blocked };
  const { mode = 0o755, uid, gid } = attributes;
  const chown = uid === undefined && gid === undefined ? [] : [run('chown', '--', ownersText(attributes), path)];
  if (entry === null) {
    const there = new Set(seen.run(foldersRead(path)).stdout.split('\n'));
    const above = foldersOf(path).filter((folder) => !there.has(folder));
    return {
      ...NOTHING,
      changes,
      // First for nobody else: the mode is right once the owner is.
      keep: [
        ...above.map((folder) => run('mkdir', '-m', '0755', '--', folder)),
        run('mkdir', '-m', '0700', '--', path),
        ...chown,
        run('chmod', '--', octal(mode), path),
      ],
      unkeep: [path, ...above.toReversed()].map((folder) => run('rm', '-df', '--', folder)),
    };
  }
  const back = [run('chown', '--', `${entry.uid}:${entry.gid}`, path), run('chmod', '--', octal(entry.mode), path)];
  const chmod = wanted.mode === undefined ? [] : [run('chmod', '--', octal(mode), path)];
  return { ...NOTHING, changes, keep: [...chown, ...chmod], unkeep: back };
}

function stateChange(path: string, from: string | null, to: string | null): Change {
  return { layer: 'persistent', property: 'state', from, to, file: path };
}

function linkTarget(seen: Observations, path: string): string {
  const { code, stdout } = seen.run(linkOf(path));
  if (code !== 0) throw new HostError(`the link "${path}" can't be read`);
  return stdout.replace(/\n$/, '');
}

function planLink(seen: Observations, { path, target = '' }: WantedFile, entry: Entry | null): ResourcePlan {
  if (entry === null) {
    const keep = [run('ln', '-sT', '--', target, path)];
    return { ...NOTHING, changes: [linkChange(path, null, target)], keep, unkeep: [run('rm', '-f', '--', path)] };
  }
  if (entry.kind !== 'symbolic link')
    throw new HostError(`"${path}" is a ${entry.kind}, not a link`, { hint: 'remove it by hand, or correct the path' });
  const now = linkTarget(seen, path);
  if (now === target) return NOTHING;
  // In place of a link ln(1) renames a new one over it.
  return {
    ...NOTHING,
    changes: [linkChange(path, now, target)],
    keep: [run('ln', '-sfT', '--', target, path)],
    unkeep: [run('ln', '-sfT', '--', now, path)],
  };
}

function linkChange(path: string, from: string | null, to: string): Change {
  return { layer: 'persistent', property: 'target', from, to, file: path };
}

function planAbsent(seen: Observations, path: string, entry: Entry | null): ResourcePlan {
  if (entry === null) return NOTHING;
  if (entry.kind === 'regular file') {
    const changes = [stateChange(path, 'file', null)];
    // Read, so that it can be put back.
    seen.file(path);
    return { ...NOTHING, changes, keep: [{ do: 'edit', path, edit: () => null }] };
  }
  if (entry.kind === 'symbolic link') {
    const unkeep = [run('ln', '-sfT', '--', linkTarget(seen, path), path)];
    return { ...NOTHING, changes: [stateChange(path, 'link', null)], keep: [run('rm', '--', path)], unkeep };
  }
  if (entry.kind !== 'directory')
    throw new HostError(`"${path}" is a ${entry.kind}`, {
      hint: 'only files, links and empty directories are removed',
    });
  return {
    ...NOTHING,
    changes: [stateChange(path, 'directory', null)],
    keep: [run('rmdir', '--', path)],
    unkeep: [
      run('mkdir', '-p', '-m', '0700', '--', path),
      run('chown', '--', `${entry.uid}:${entry.gid}`, path),
      run('chmod', '--', octal(entry.mode), path),
    ],
  };
}
