import type { FileState, Observations, Read, Resource, Step } from '../../src/core/resource.ts';

/** A node made of data: its files by path, and what its commands print by their joined words. */
export interface Node {
  readonly files: Readonly<Record<string, string>>;
  readonly folders?: readonly string[];
  readonly runs?: Readonly<Record<string, { code?: number; stdout?: string; stderr?: string }>>;
}

/** The answers of such a node to the reads of a resource; throws where it asks for what it has not declared. */
export function observe(node: Node, reads: readonly Read[]): Observations {
  const declared = new Set(reads.map((read) => JSON.stringify(read)));
  const check = (read: Read) => {
    if (!declared.has(JSON.stringify(read))) throw new Error(`not declared: ${JSON.stringify(read)}`);
  };
  const state = (path: string, text: string): FileState => ({
    path,
    text,
    encoding: 'utf8',
    mode: 0o644,
    uid: 0,
    gid: 0,
    target: null,
  });
  return {
    file(path) {
      check({ read: 'file', path });
      const text = node.files[path];
      return text === undefined ? null : state(path, text);
    },
    dir(path, suffix, within) {
      check({ read: 'dir', path, suffix, ...(within !== undefined && { within }) });
      if (within !== undefined) {
        const files = Object.keys(node.files).filter((each) => {
          const [folder, name, ...more] = each.startsWith(`${path}/`) ? each.slice(path.length + 1).split('/') : [];
          return folder?.endsWith(within) && name?.endsWith(suffix) && more.length === 0;
        });
        return files.toSorted().map((each) => state(each, node.files[each] ?? ''));
      }
      const inside = Object.keys(node.files).filter((each) => each.slice(0, each.lastIndexOf('/')) === path);
      if (inside.length === 0 && !node.folders?.includes(path)) return null;
      const names = inside.filter((each) => each.endsWith(suffix)).toSorted();
      return names.map((each) => state(each, node.files[each] ?? ''));
    },
    run(argv) {
      check({ read: 'run', argv });
      const known = node.runs?.[argv.join(' ')];
      const result = known ?? { code: 127, stderr: 'not found' };
      return { argv, code: result.code ?? 0, signal: null, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
    },
  };
}

/** The plan of a resource for a node. */
export function planOn(node: Node, resource: Resource) {
  return resource.plan(observe(node, resource.reads));
}

/** The node after the file edits of some steps. */
export function afterEdits(node: Node, steps: readonly Step[]): Node {
  const files: Record<string, string> = { ...node.files };
  for (const step of steps) {
    if (step.do !== 'edit') continue;
    const text = step.edit(files[step.path] ?? null);
    if (text === null) delete files[step.path];
    else files[step.path] = text;
  }
  return { ...node, files };
}
