import { UndoneByNode } from '../agent/session.ts';
import type { TogetherPlan } from '../core/resource.ts';
import type { Member } from './apply-together.ts';
import { type ArmedTask, armNode, type ConfirmOptions } from './node-switch.ts';

/** The dead-man's switches of all hosts of a task that is done on them together. They are renewed, and fire, at the same time. */
export class Switches {
  readonly #members: ReadonlyMap<string, Member>;
  readonly #confirm: ConfirmOptions;
  readonly #armed = new Map<string, ArmedTask>();

  constructor(members: ReadonlyMap<string, Member>, confirm: ConfirmOptions) {
    this.#members = members;
    this.#confirm = confirm;
  }

  /** @throws HostError where a host can't keep it: nothing was begun then */
  async arm({ stages, unattended }: TogetherPlan): Promise<void> {
    if (unattended === undefined) return;
    await Promise.all(
      [...unattended.steps].map(async ([host, undo]) => {
        const member = this.#members.get(host);
        if (member === undefined) return;
        const steps = stages.flatMap((stage) => stage.steps.get(host) ?? []);
        const files = [...new Set(steps.flatMap((step) => (step.do === 'edit' ? [step.path] : [])))];
        const data = { task: member.task.name, files, unkeep: [], undo };
        this.#armed.set(host, await armNode(data, member.session, this.#confirm));
      }),
    );
  }

  /** Files (`f`), or more than files (`u`), are changed from now on. @throws UndoneByNode, HostError where a host can't note that */
  async mark(part: 'f' | 'u'): Promise<void> {
    await Promise.all([...this.#armed.values()].map((armed) => armed.mark(part)));
  }

  /** All is done, or taken back from here. @throws UndoneByNode where a host was faster: then the others will be, too */
  async disarm(): Promise<void> {
    const results = await Promise.allSettled([...this.#armed.values()].map((armed) => armed.disarm()));
    for (const result of results) if (result.status === 'rejected' && isOfNode(result.reason)) throw result.reason;
    this.abandon();
    this.#armed.clear();
  }

  /** Nothing more is said to the hosts: they take the task back. */
  abandon(): void {
    for (const armed of this.#armed.values()) armed.abandon();
  }

  /** Under which name a host knows the task; null: it is not armed there. */
  nameOn(host: string): string | null {
    return this.#armed.get(host)?.name ?? null;
  }
}

function isOfNode(error: unknown): boolean {
  return error instanceof UndoneByNode;
}
