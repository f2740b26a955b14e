import type * as z from 'zod';
import type { Resource, ResourceType } from '../../core/resource.ts';
import { hasTemplate } from '../vars.ts';
import type { YamlNode } from '../yaml.ts';
import type { Texts } from './sources.ts';

/** Resources of a task, or why its parameters are wrong. */
export type Built =
  | { readonly ok: true; readonly resources: readonly Resource[] }
  | { readonly ok: false; readonly issues: readonly z.core.$ZodIssue[] };

/** Checks parameters and builds resources once for all hosts whose parameters are the same. */
export class ResourceCache {
  readonly #byNode = new Map<YamlNode, Built>();
  readonly #byValue = new Map<string, Built>();

  /**
   * @param node where the parameters stand
   * @param params the parameters, templates evaluated
   * @param texts the texts of files that they name
   */
  build(type: ResourceType, node: YamlNode, params: unknown, texts: Texts): Built {
    const hasTexts = Object.keys(texts).length > 0;
    if (!hasTexts && !hasTemplate(node)) return remember(this.#byNode, node, () => buildResources(type, params, texts));
    const key = `${type.type} ${JSON.stringify([params, texts], keepNumbers)}`;
    return remember(this.#byValue, key, () => buildResources(type, params, texts));
  }
}

function remember<Key>(cache: Map<Key, Built>, key: Key, build: () => Built): Built {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const built = build();
  cache.set(key, built);
  return built;
}

/** JSON writes null for .inf and .nan, and 0 for -0. */
function keepNumbers(_key: string, value: unknown): unknown {
  const isSpecial = typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0));
  return isSpecial ? { number: Object.is(value, -0) ? '-0' : String(value) } : value;
}

function buildResources(type: ResourceType, params: unknown, texts: Texts): Built {
  const result = type.schema.safeParse(params);
  return result.success
    ? { ok: true, resources: type.resources(result.data, texts) }
    : { ok: false, issues: result.error.issues };
}
