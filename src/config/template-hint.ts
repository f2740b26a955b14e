/** What to write instead of what people bring along from Ansible. */
export function hintFor(expression: string): string | undefined {
  const filtered =
    /^\{\{-?\s*(?<name>[\w.]+)\s*\|\s*(?<filter>default|d|join)\s*\((?<argument>[^()]*)\)\s*-?\}\}$/.exec(expression);
  if (filtered?.groups) {
    const { name, filter, argument } = filtered.groups;
    const value = /^(?:"[^"]*"|'[^']*'|[^,]*)/.exec(argument?.trim() ?? '')?.[0];
    return `Jinja filters don't exist here: write {{${filter === 'join' ? 'join' : 'default'} ${name} ${value}}}`;
  }
  if (!/\||\(|\[|\{%|\s(?:is|if|not|and|or|in)\s|[+*~]/.test(expression)) return undefined;
  return 'this looks like Jinja; templates are Handlebars: {{name}}, {{default name "value"}}, {{join list ","}}, {{lookup map key}}';
}
