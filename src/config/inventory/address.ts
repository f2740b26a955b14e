/** A host pattern split into what names the host and the port. */
export interface Address {
  readonly host: string;
  readonly port: bigint | undefined;
}

// Each piece is an address component or, in its place, a range such as [1:16]. Ansible's rules, found in its parsing/utils/addresses.py.
const NUMBERS = '\\[[0-9]+:[0-9]+(?::[0-9]+)?\\]';
const HEX_NUMBERS = '\\[[0-9a-f]+:[0-9a-f]+(?::[0-9]+)?\\]';
const LETTERS_OR_NUMBERS = '\\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\\]';
const BYTE = `(?:[01]?[0-9]{1,2}|2[0-4][0-9]|25[0-5]|${NUMBERS})`;
const HEX = `(?:[0-9a-f]{1,4}|${HEX_NUMBERS})`;
const WORD = '[\\p{L}\\p{N}_]';
const LABEL = `(?:${WORD}|${LETTERS_OR_NUMBERS})(?:[\\p{L}\\p{N}_\\-]|${LETTERS_OR_NUMBERS})*(?<![_\\-])`;

const BRACKETED_PORT = /^\[(.+)\]:([0-9]+)$/u;
const HOST_PORT = /^((?:[^:[\]]|\[[^\]]*\])*):([0-9]+)$/u;
const IPV4 = new RegExp(`^(?:${BYTE}\\.){3}${BYTE}$`, 'iu');
const HOSTNAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`, 'iu');

// Only the last form is anchored at the end there, so that trailing text passes after the others.
const IPV6 = new RegExp(
  `^(?:${[
    `(?:${HEX}:){7}${HEX}`,
    `(?:${HEX}:){1,6}:`,
    ...[1, 2, 3, 4, 5, 6].map((before) => `(?:${HEX}:){${before}}(?::${HEX}){1,${7 - before}}`),
    `:(?::${HEX}){1,6}`,
    `${HEX}?::`,
    `(?:0:){6}(?:${HEX}\\.){3}${HEX}`,
    `::(?:ffff:)?(?:${HEX}\\.){3}${HEX}`,
    `(?:0:){5}ffff:(?:${HEX}\\.){3}${HEX}$`,
  ].join('|')})`,
  'iu',
);

/**
 * Splits a host pattern, which may hold ranges, into host and port.
 * @returns undefined where it is neither an address nor a host name
 */
export function parseAddress(pattern: string): Address | undefined {
  let host = pattern;
  let port: bigint | undefined;
  for (const form of [BRACKETED_PORT, HOST_PORT]) {
    const match = form.exec(host);
    if (match === null) continue;
    host = match[1] ?? '';
    port = BigInt(match[2] ?? 0);
  }
  const isKnown = host !== '' && (IPV4.test(host) || IPV6.test(host) || HOSTNAME.test(host));
  return isKnown ? { host, port } : undefined;
}

/** Whether a name is an IP address: those keep their dots in `inventory_hostname_short`. */
export function isIpAddress(name: string): boolean {
  return IPV4.test(name) || IPV6.test(name);
}
