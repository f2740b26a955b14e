import * as z from 'zod';

/** An hour: far above any sensible timer, below every value in the kernel's unit that people copy from sysfs. */
const LONGEST = 3600;
/** A parameter that is true or false. */
export const flag = (what: string) =>
  z
    .boolean({
      error: ({ input }) =>
        `must be true or false, ${JSON.stringify(input) ?? 'nothing'} is ${input === null ? 'null' : `a ${typeof input}`}`,
    })
    .optional()
    .describe(`${what}: true or false`);

/** A parameter that is a whole number from 0. */
export const count = (what: string, max: number) =>
  z
    .int({ error: `must be a whole number from 0 to ${max}` })
    .min(0, `must be a whole number from 0 to ${max}`)
    .max(max, `must be a whole number from 0 to ${max}`)
    .optional()
    .describe(`${what}: a whole number, 0 to ${max}`);

/**
 * A parameter in seconds.
 * @param remark what to know of the persistent layer
 */
export const seconds = (what: string, min: number, remark = '') => {
  const range = `must be seconds, from ${min} to ${LONGEST}`;
  return z
    .number({ error: `${range}, as a number without unit` })
    .min(min, range)
    .max(LONGEST, `${range}; the kernel's own unit is a hundredth of it: 12500 in sysfs is 125 here`)
    .multipleOf(0.01, `${range}, with two decimals at most`)
    .optional()
    .describe(`${what}: seconds, ${min} to ${LONGEST}, two decimals at most${remark}`);
};

/** A parameter that is one of some numbers. */
export const oneOf = (what: string, values: readonly [number, ...number[]]) =>
  z
    .literal([...values], { error: `must be one of ${values.join(', ')} (a number)` })
    .optional()
    .describe(what);

/** The largest response time that the one byte of an IGMPv2 query can say, in seconds (RFC 2236, 2.2). */
const IGMP2_LONGEST_RESPONSE = 25.5;

/** Rules between the timers of a querier. Sources: RFC 3376, 8.3 and 8.4; RFC 2236, 2.2. */
export function timerFaults(params: Readonly<Record<string, unknown>>): { path: string[]; message: string }[] {
  const faults: { path: string[]; message: string }[] = [];
  const of = (name: string) => {
    const value = params[name];
    return typeof value === 'number' ? value : undefined;
  };
  const response = of('multicast_query_response_interval');
  const query = of('multicast_query_interval');
  const path = ['multicast_query_response_interval'];
  if (response !== undefined && query !== undefined && response >= query) {
    faults.push({ path, message: `must be less than multicast_query_interval (${query}), RFC 3376 section 8.3` });
  }
  if (response !== undefined && response > IGMP2_LONGEST_RESPONSE && of('multicast_igmp_version') === 2) {
    faults.push({ path, message: `must be at most ${IGMP2_LONGEST_RESPONSE} with multicast_igmp_version: 2` });
  }
  const membership = of('multicast_membership_interval');
  if (membership !== undefined && query !== undefined && membership <= query) {
    faults.push({
      path: ['multicast_membership_interval'],
      message: `must be more than multicast_query_interval (${query}), or members time out between two queries`,
    });
  }
  const querier = of('multicast_querier_interval');
  if (querier !== undefined && query !== undefined && querier <= query) {
    faults.push({
      path: ['multicast_querier_interval'],
      message: `must be more than multicast_query_interval (${query}), or a live querier counts as gone between two queries`,
    });
  }
  return faults;
}
