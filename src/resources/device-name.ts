import * as z from 'zod';

/** Whether the kernel takes a name for a device (dev_valid_name): up to 15 bytes, no white space, "/" or ":", not "." or "..". */
export function isDeviceName(name: string): boolean {
  const bytes = new TextEncoder().encode(name).length;
  return bytes >= 1 && bytes <= 15 && name !== '.' && name !== '..' && !/[\s/:\u0000-\u001f\u007f\p{Cs}]/u.test(name);
}

/**
 * A parameter that names a network device.
 * @param kind what it is, such as `a bridge`
 * @param example such as `vmbr0`
 */
export function deviceName(kind: string, example: string): z.ZodString {
  const noun = kind.replace(/^an? /, '');
  return z
    .string({ error: `must be the name of ${kind}, such as "${example}"` })
    .refine(isDeviceName, `must be a device name: 1 to 15 bytes without white space, "/" or ":", such as "${example}"`)
    .describe(`Name of the ${noun}, such as ${example}: 1 to 15 bytes, no white space, "/" or ":"`);
}
