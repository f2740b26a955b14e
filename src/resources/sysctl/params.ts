import * as z from 'zod';
import { isGlob, sysctlKey, sysctlPath } from '../../formats/sysctl-conf.ts';
import { UDP_BUFFERS } from './udp-buffers.ts';

/** Why a text can't be the name of one setting below /proc/sys, or null where it can. */
export function keyFault(key: string): { readonly message: string; readonly hint: string } | null {
  const said = JSON.stringify(key);
  const parts = sysctlPath(key).split('/');
  if (key === '') return { message: 'a sysctl key is empty', hint: 'write a key such as net.core.rmem_max' };
  if (key.startsWith('-'))
    return {
      message: `sysctl key ${said} begins with "-"`,
      hint: 'that mark belongs to sysctl.d files; write the key alone',
    };
  if (/^[#;]|=/.test(key))
    return { message: `sysctl key ${said} is not a key`, hint: 'write the key alone, such as net.core.rmem_max' };
  if (/[\s\p{Cc}\p{Cs}]/u.test(key))
    return { message: `sysctl key ${said} contains white space or a control character`, hint: 'write the key alone' };
  if (key.includes('{{'))
    return {
      message: `sysctl key ${said} holds a template`,
      hint: 'only values may hold templates: write out each key',
    };
  if (isGlob(key)) return { message: `sysctl key ${said} is a pattern`, hint: 'name each key, or use "loop"' };
  if (parts.includes('')) {
    const hint = key.startsWith('/') ? `write ${sysctlKey(key.replace(/^\/+(proc\/sys\/+)?/, ''))}` : 'see sysctl.d(5)';
    return { message: `sysctl key ${said} has an empty part`, hint };
  }
  if (parts.includes('.') || parts.includes('..'))
    return {
      message: `sysctl key ${said} would leave its place in /proc/sys`,
      hint: 'a part of a key is a name, not "." or ".."',
    };
  return null;
}

const Value = z
  .union([z.string(), z.number()], {
    error: ({ input }) =>
      typeof input === 'boolean'
        ? `a sysctl value is a number or text, not ${input}: write ${input ? 1 : 0}`
        : 'a sysctl value is a whole number or text; to leave the key alone, leave it out',
  })
  .refine((value) => typeof value === 'string' || Number.isSafeInteger(value), {
    error: ({ input }) =>
      `sysctl value ${String(input)} is no whole number between -(2^53-1) and 2^53-1: write it as text, in quotes`,
  })
  .refine((value) => typeof value === 'number' || !/(?!\t)[\p{Cc}\p{Cs}]/u.test(value), {
    error: 'a sysctl value is one line without control characters',
  })
  .describe(
    'Whole number, or text for settings of several numbers or of none; a boolean setting takes 0 or 1. For udp_buffers bytes, or auto: at least what the corosync of the node asks for on its transport',
  );

/** What is wrong with `udp_buffers`, or null. */
function buffersFault(settings: Readonly<Record<string, string | number>>): string | null {
  const value = settings[UDP_BUFFERS] ?? '';
  const twin = Object.keys(settings).find((key) => /^net\/core\/[rw]mem_max$/.test(sysctlPath(key)));
  if (twin !== undefined) return `"${UDP_BUFFERS}" stands for "${twin}" too: keep one of them`;
  // SOCK_MIN_RCVBUF of the kernel is above 2 KiB everywhere; INT_MAX is what the kernel takes at most.
  const isNumber = /^\d+$/.test(String(value)) && Number(value) >= 4096 && Number(value) <= 2_147_483_647;
  return value === 'auto' || isNumber ? null : `"${UDP_BUFFERS}" is auto or bytes, 4096 to 2147483647`;
}

/** What a `sysctl` task takes: settings by key. */
export const SysctlParams = z
  .record(
    z
      .string()
      .describe(
        'Key as in sysctl(8): net.core.rmem_max, net.ipv4.conf.vmbr0.rp_filter; a device with a dot: net/ipv4/conf/eth0.200/rp_filter. Or udp_buffers, which stands for net.core.rmem_max and net.core.wmem_max',
      ),
    Value,
  )
  .superRefine((settings, context) => {
    const spelled = new Map<string, string>();
    if (Object.keys(settings).length === 0) context.addIssue({ code: 'custom', message: 'sysctl names no key' });
    for (const key of Object.keys(settings)) {
      if (key === UDP_BUFFERS) {
        const fault = buffersFault(settings);
        if (fault !== null) context.addIssue({ code: 'custom', path: [key], message: fault });
        continue;
      }
      const fault = keyFault(key);
      const twin = spelled.get(sysctlPath(key));
      spelled.set(sysctlPath(key), key);
      if (fault) context.addIssue({ code: 'custom', path: [key], message: `${fault.message}: ${fault.hint}` });
      else if (twin !== undefined)
        context.addIssue({
          code: 'custom',
          path: [key],
          message: `"${twin}" and "${key}" are the same key: keep one of them`,
        });
    }
  })
  .describe('Kernel settings by key, each both in /proc/sys and in what the next boot gives');
