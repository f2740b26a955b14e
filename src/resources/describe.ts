import { parse } from 'yaml';
import * as z from 'zod';
import type { Read, ResourceType } from '../core/resource.ts';

/** A parameter of a resource type, as people are told of it. */
export interface ParameterText {
  /** With those it stands in: `interfaces[].mcastport`, `nodes.NAME`. "" where the type takes no mapping. */
  readonly name: string;
  readonly description: string;
  readonly isNeeded: boolean;
}

interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly propertyNames?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
}

/** All parameters of a type, those within others right after them, in the order of the schema. */
export function parametersOf(type: ResourceType): ParameterText[] {
  const schema = z.toJSONSchema(type.schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const found = inner(schema, '');
  return [...new Map(found.map((parameter) => [parameter.name, parameter])).values()];
}

function inner(schema: JsonSchema, prefix: string): ParameterText[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const isNeeded = schema.required?.includes(name) ?? false;
    return [{ name: path, description: describe(property), isNeeded }, ...inner(property, path)];
  });
  const { additionalProperties: more } = schema;
  const key = prefix === '' ? 'KEY' : `${prefix}.KEY`;
  const keyed =
    typeof more === 'object' && schema.propertyNames !== undefined
      ? [
          { name: key, description: join(describe(schema.propertyNames), describe(more)), isNeeded: false },
          ...inner(more, key),
        ]
      : [];
  const items = schema.items === undefined ? [] : inner(schema.items, `${prefix}[]`);
  const branches = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((branch) => inner(branch, prefix));
  return [...own, ...keyed, ...items, ...branches];
}

function describe(schema: JsonSchema): string {
  if (schema.description !== undefined) return schema.description;
  const branch = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].find(({ description }) => description);
  return branch?.description ?? schema.items?.description ?? '';
}

function join(key: string, value: string): string {
  return [key, value].filter(Boolean).join('. Value: ');
}

/** What the resources of the type's own example ask of a node, in words; Markdown marks names with backquotes. */
export function readTextsOf(type: ResourceType): string[] {
  const tasks = parse(type.example) as Readonly<Record<string, unknown>>[];
  const reads = tasks.flatMap((task) =>
    type.resources(type.schema.parse(task[type.type])).flatMap((resource) => resource.reads),
  );
  return [...new Set(reads.map(readText))];
}

function readText(read: Read): string {
  if (read.read === 'file') return `the file \`${read.path}\``;
  if (read.read === 'run') return `the output of \`${read.argv.map((word) => word || "''").join(' ')}\``;
  return read.suffix.startsWith('.absent')
    ? `whether there is a folder \`${read.path}\``
    : `the files \`${read.path}/${read.within === undefined ? '' : `*${read.within}/`}*${read.suffix}\``;
}
