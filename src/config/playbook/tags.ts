/** What `--tags` and `--skip-tags` ask for. */
export interface TagFilter {
  /** undefined or empty: all. */
  readonly tags?: readonly string[] | undefined;
  readonly skipTags?: readonly string[] | undefined;
}

/**
 * Whether a task runs, by Ansible's rules (https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_tags.html):
 * `always` runs unless skipped by name, `never` only when asked for by name; `all`, `tagged` and `untagged` may be asked for.
 * @param own tags of the task, those of its play included
 */
export function isSelected(own: ReadonlySet<string>, filter: TagFilter): boolean {
  const wanted = filter.tags?.length ? filter.tags : ['all'];
  return isWanted(own, wanted) && !isSkipped(own, filter.skipTags ?? []);
}

function isWanted(own: ReadonlySet<string>, wanted: readonly string[]): boolean {
  if (own.has('always') || wanted.some((tag) => own.has(tag))) return true;
  if (own.has('never')) return false;
  if (wanted.includes('all')) return true;
  return own.size > 0 ? wanted.includes('tagged') : wanted.includes('untagged');
}

function isSkipped(own: ReadonlySet<string>, skipped: readonly string[]): boolean {
  if (skipped.some((tag) => own.has(tag))) return true;
  if (skipped.includes('all') && !own.has('always')) return true;
  return own.size > 0 ? skipped.includes('tagged') : skipped.includes('untagged');
}

const WORDS: ReadonlySet<string> = new Set(['all', 'tagged', 'untagged', 'always', 'never']);

/** The tags that `--tags` asks for and no task has, apart from the words with a meaning of their own. */
export function unknownTags(filter: TagFilter, known: ReadonlySet<string>): readonly string[] {
  return (filter.tags ?? []).filter((tag) => !known.has(tag) && !WORDS.has(tag));
}

/** The tags in what a playbook gives as `tags`: text with commas, or a list. */
export function tagList(tags: string | readonly string[] | null | undefined): readonly string[] {
  const listed = typeof tags === 'string' ? [tags] : (tags ?? []);
  return listed.flatMap((entry) => entry.split(',').map((tag) => tag.trim())).filter((tag) => tag !== '');
}
