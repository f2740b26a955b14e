import type { ResourceType } from '../core/resource.ts';
import { bridge } from './bridge.ts';
import { hostsEntry } from './hosts-entry.ts';
import { igmp } from './igmp.ts';
import { sysctl } from './sysctl.ts';

const ALL: readonly ResourceType[] = [bridge, hostsEntry, igmp, sysctl];

/** All kinds of managed things by the key under which a task names them. A new kind is one file and one line here. */
export const resourceTypes: ReadonlyMap<string, ResourceType> = new Map(ALL.map((type) => [type.type, type]));
