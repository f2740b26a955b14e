import type { ResourceType } from '../../core/resource.ts';
import type { SourceRef } from '../../core/source.ts';
import type { Expression } from '../expression.ts';
import type { YamlMap, YamlNode, YamlScalar } from '../yaml.ts';
import type { Serial } from './serial.ts';

/** A playbook as it was written, its structure checked. */
export interface Playbook {
  readonly file: string;
  readonly plays: readonly Play[];
}

export interface Play {
  readonly source: SourceRef;
  /** The play's name, or its hosts where it has none. */
  readonly name: string;
  /** Host pattern; entries of a list joined with ":". */
  readonly pattern: string;
  /** Where the pattern stands. */
  readonly hosts: YamlNode;
  /** Variables of the play and, after them, of its vars_files; later ones take precedence. */
  readonly vars: readonly YamlMap[];
  readonly serial: readonly Serial[];
  readonly probe: YamlMap | null;
  readonly tasks: readonly PlayTask[];
  readonly handlers: readonly PlayTask[];
}

/** One `when`, or one entry of it. */
export interface Condition {
  readonly node: YamlScalar;
  readonly expression: Expression | boolean;
}

/** A task or handler of a play. */
export interface PlayTask {
  readonly kind: 'task' | 'handler';
  readonly source: SourceRef;
  readonly name: YamlScalar | null;
  /** null: faults were found in its parameters, so that it can't be made concrete. */
  readonly type: ResourceType | null;
  readonly params: YamlNode;
  /** Offset of the key that names the type. */
  readonly paramsAt: number;
  readonly conditions: readonly Condition[];
  readonly loop: YamlNode | null;
  readonly loopVar: string;
  /** Its own tags and those of its play. */
  readonly tags: ReadonlySet<string>;
  readonly ignoreErrors: boolean;
  /** Whether nothing of it may be shown. */
  readonly noLog: boolean;
  readonly notify: readonly string[];
  readonly vars: YamlMap | null;
}
