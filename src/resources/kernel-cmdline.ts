import * as z from 'zod';
import { HostError } from '../core/errors.ts';
import type { Change, Observations, Resource, ResourcePlan, ResourceType, Step } from '../core/resource.ts';
import { hasArgument } from '../formats/kernel-cmdline.ts';
import { GRUB_READS, hasGrub, planGrub } from './kernel-cmdline/grub.ts';
import { GRUBBY_READS, hasGrubby, planGrubby } from './kernel-cmdline/grubby.ts';
import type { LoaderPlan, Wanted } from './kernel-cmdline/loader.ts';
import { hasProxmoxBoot, PROXMOX_READS, PROXMOX_REFRESH, planProxmox } from './kernel-cmdline/proxmox.ts';

const RUNNING = '/proc/cmdline';

/** No blank, quote or sign that a shell or a boot loader reads. */
const Argument = z
  .string({ error: 'a kernel argument is text, such as "pci=noaer"' })
  .regex(/^[A-Za-z0-9][\w.-]*(?:=[\w.,:;@%+/=-]+)?$/, {
    error: ({ input }) =>
      `${JSON.stringify(input)} is no kernel argument: a name, or NAME=VALUE, without blanks, quotes and "$"`,
  });

const Arguments = (text: string) =>
  z
    .array(Argument, { error: 'kernel arguments are a list, such as [quiet, mitigations=off]' })
    .default([])
    .describe(text);

const KernelCmdlineParams = z
  .strictObject({
    present: Arguments('Arguments that the kernel is to be started with: a list of NAME or NAME=VALUE'),
    absent: Arguments('Arguments that it is not to be started with'),
  })
  .superRefine(({ present, absent }, context) => {
    const fault = (path: PropertyKey[], message: string) => context.addIssue({ code: 'custom', path, message });
    if (present.length + absent.length === 0)
      fault([], '"kernel_cmdline" names no argument: give "present" or "absent"');
    present.forEach((argument, index) => {
      if (absent.includes(argument))
        fault(['present', index], `"${argument}" is to be present and absent: keep one of them`);
    });
    for (const [key, list] of [
      ['present', present],
      ['absent', absent],
    ] as const) {
      list.forEach((argument, index) => {
        if (list.indexOf(argument) < index) fault([key, index], `"${argument}" stands twice: keep one of them`);
        if (/^(?:root|init|rd\.luks.*|cryptdevice|resume)=/.test(argument) && key === 'absent')
          fault([key, index], `without "${argument}" the node may not boot: remove it by hand`);
      });
    }
  });

/** What the next boot will be: all boot loaders that the node has must say the same; null: there is none that is known. */
function planNextBoot(seen: Observations, wanted: Wanted): LoaderPlan | null {
  if (hasGrubby(seen)) return planGrubby(seen, wanted);
  const isProxmox = hasProxmoxBoot(seen);
  const plans = [...(hasGrub(seen) ? [planGrub(seen, wanted)] : []), ...(isProxmox ? [planProxmox(seen, wanted)] : [])];
  if (plans.length === 0) return null;
  const keep = plans.flatMap((plan) => plan.keep);
  const unkeep = plans.flatMap((plan) => plan.unkeep);
  // What update-grub wrote has to reach the boot partitions, too.
  const copy: readonly Step[] = isProxmox && keep.length > 0 ? [PROXMOX_REFRESH] : [];
  return {
    changes: plans.flatMap((plan) => plan.changes),
    keep: [...keep, ...copy],
    unkeep: [...unkeep, ...(unkeep.length > 0 ? copy : [])],
    blocked: plans.map((plan) => plan.blocked).find((reason) => reason !== undefined),
  };
}

function plan(seen: Observations, wanted: Wanted): ResourcePlan {
  const { argument, isPresent } = wanted;
  const running = seen.file(RUNNING)?.text;
  if (running === undefined) throw new HostError(`there is no ${RUNNING}`);
  const isRunning = hasArgument(running, argument);
  const next = planNextBoot(seen, wanted);
  if (next === null) return withoutLoader(wanted, isRunning);
  const { changes, keep, unkeep, blocked } = next;
  const pending: Change = {
    layer: 'runtime',
    property: argument,
    from: isRunning ? argument : null,
    to: isPresent ? argument : null,
    after: 'reboot',
  };
  const isPending = isRunning !== isPresent;
  return {
    changes: [...(isPending ? [pending] : []), ...changes],
    try: [],
    undo: [],
    keep,
    unkeep,
    ...(isPending && {
      impact: { kind: 'reboot', text: `needs a reboot: "${argument}" counts from the next start of the kernel` },
    }),
    ...(blocked !== undefined && { blocked }),
    ...(isPresent && argument === 'pci=nomsi' && { note: NOMSI }),
  };
}

const NOMSI =
  'a measure of 2012 for virtual machines, which did not help then: without MSI the NICs and disks of today lose their queues';

/**
 * A container, mostly: nobody there can say what the next boot will be. What runs as desired is left alone.
 * @throws HostError where it does not
 */
function withoutLoader({ isPresent }: Wanted, isRunning: boolean): ResourcePlan {
  const what = 'no boot loader that is known: neither GRUB (/etc/default/grub), proxmox-boot-tool nor grubby';
  if (isRunning === isPresent)
    return { changes: [], try: [], undo: [], keep: [], skipped: `${what}; the kernel that runs is as desired` };
  throw new HostError(what, { hint: 'a container has the command line of its host: set it there' });
}

function argumentResource(wanted: Wanted): Resource {
  return {
    id: `kernel_cmdline[${wanted.argument}]`,
    reads: [{ read: 'file', path: RUNNING }, ...GRUB_READS, ...PROXMOX_READS, ...GRUBBY_READS],
    wants: { state: wanted.isPresent ? 'present' : 'absent' },
    plan: (seen) => plan(seen, wanted),
  };
}

/** Arguments of the kernel. Runtime: what it was started with, which only a boot changes. Persistent: what the boot loader will start it with. */
export const kernelCmdline = {
  type: 'kernel_cmdline',
  summary: 'Arguments of the kernel, now and at the next boot',
  schema: KernelCmdlineParams,
  example: `- name: No leftover of 2012
  kernel_cmdline: { absent: [pci=nomsi] }
`,
  resources: ({ present, absent }) => [
    ...present.map((argument) => argumentResource({ argument, isPresent: true })),
    ...absent.map((argument) => argumentResource({ argument, isPresent: false })),
  ],
} satisfies ResourceType<typeof KernelCmdlineParams>;
