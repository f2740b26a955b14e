/** Sizes of the rings of a NIC, by the words of `ethtool -G`. */
export type RingName = 'rx' | 'rx_mini' | 'rx_jumbo' | 'tx';

/** Number of descriptors; "n/a": the driver has no such ring; undefined: there is no row for it. */
export type RingSize = number | 'n/a' | undefined;
export type RingSizes = Readonly<Record<RingName, RingSize>>;

/** A row such as `TX push buff len: n/a`. */
export interface RingRow {
  readonly label: string;
  readonly value: string;
  /** From 1. */
  readonly line: number;
  /** undefined: no heading says what the row is about. */
  readonly block: 'maximum' | 'current' | undefined;
  /** Device of the last heading before it, undefined without any. */
  readonly device: string | undefined;
  /** How many headings of devices stand before it. */
  readonly section: number;
}

/** A line that is neither heading nor row: what ethtool has to say otherwise. */
export interface RingMessage {
  readonly text: string;
  /** From 1. */
  readonly line: number;
  readonly device: string | undefined;
}

/** What `ethtool -g` printed, on both of its outputs, with every byte kept. */
export interface EthtoolRings {
  /** Lines with their line ends. */
  readonly raw: readonly string[];
  /** Devices by their headings, in order; one may come twice. */
  readonly devices: readonly string[];
  readonly rows: readonly RingRow[];
  readonly messages: readonly RingMessage[];
}

/** What ethtool says of the rings of one device. */
export type RingAnswer =
  | { readonly kind: 'rings'; readonly maximum: RingSizes; readonly current: RingSizes }
  /** The driver has no rings that can be read: a bridge, a veth, many virtual NICs. */
  | { readonly kind: 'unsupported'; readonly message: string; readonly line: number }
  | { readonly kind: 'no-device'; readonly message: string; readonly line: number }
  /** The output is cut off, of another program or of a kind not known. `line` is from 1, in the whole text. */
  | { readonly kind: 'unclear'; readonly message: string; readonly line: number };

const LABELS: Readonly<Record<string, RingName>> = {
  RX: 'rx',
  'RX Mini': 'rx_mini',
  'RX Jumbo': 'rx_jumbo',
  TX: 'tx',
};
const NAMES: readonly RingName[] = ['rx', 'rx_mini', 'rx_jumbo', 'tx'];

/**
 * Reads the output of `ethtool -g` by its labels (ethtool(8); run it with LC_ALL=C). Never fails: lines not understood are kept as
 * messages, and `ringsOf` says whether what is there is enough.
 */
export function parseEthtoolRings(text: string): EthtoolRings {
  const raw = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const devices: string[] = [];
  const rows: RingRow[] = [];
  const messages: RingMessage[] = [];
  let device: string | undefined;
  let block: RingRow['block'];
  for (const [index, row] of raw.entries()) {
    const line = index + 1;
    const trimmed = row.trim();
    const heading = /^Ring parameters for (?<name>\S+):$/.exec(trimmed)?.groups?.name;
    if (heading !== undefined) {
      device = heading;
      devices.push(heading);
      block = undefined;
    } else if (trimmed === 'Pre-set maximums:') {
      block = 'maximum';
    } else if (trimmed === 'Current hardware settings:') {
      block = 'current';
    } else if (trimmed !== '') {
      const isWithin = device !== undefined || block !== undefined;
      const { label, value } = readRow(trimmed, isWithin);
      if (label === undefined) messages.push({ text: trimmed, line, device });
      else rows.push({ label, value, line, block, device, section: devices.length });
    }
  }
  return { raw, devices, rows, messages };
}

/** The text that was parsed, byte for byte. */
export function printEthtoolRings(report: EthtoolRings): string {
  return report.raw.join('');
}

/**
 * The rings of a device, or why there are none. Where a heading is lost, rows before `Current hardware settings:` are the maximums, and
 * without any heading those from the first label that comes a second time on are the current ones. Without a device's heading
 * all rows are taken for its own; where a device comes twice, the last time counts.
 */
export function ringsOf(report: EthtoolRings, device: string): RingAnswer {
  const isOurs = (each: { readonly device: string | undefined }): boolean =>
    each.device === device || (each.device === undefined && report.devices.length === 0);
  const all = report.rows.filter(isOurs);
  const rows = all.filter((row) => row.section === all.at(-1)?.section);
  if (rows.length === 0) return withoutRows(report, device);
  const split = splitBlocks(rows);
  const end = rows.at(-1)?.line ?? 1;
  const [maximum, current] = [readSizes(split.maximum), readSizes(split.current)];
  if ('message' in maximum) return maximum;
  if ('message' in current) return current;
  if (split.current.length === 0) {
    return {
      kind: 'unclear',
      line: end,
      message: `the current settings of "${device}" are missing: the output is cut off`,
    };
  }
  const lost = (['rx', 'tx'] as const).find((name) => maximum[name] !== undefined && current[name] === undefined);
  if (lost !== undefined) {
    const message = `the current ${lost} of "${device}" is missing: the output is cut off`;
    return { kind: 'unclear', line: end, message };
  }
  if (typeof current.rx !== 'number' && typeof current.tx !== 'number') {
    if (current.rx === 'n/a' && current.tx === 'n/a') {
      return { kind: 'unsupported', line: end, message: `ethtool knows no ring size of "${device}"` };
    }
    return {
      kind: 'unclear',
      line: end,
      message: `neither RX nor TX of "${device}" has a size: the output is cut off`,
    };
  }
  return { kind: 'rings', maximum, current };
}

/** Outside of all headings only the rows of the rings themselves are known. */
function readRow(text: string, isWithin: boolean): { label: string | undefined; value: string } {
  const colon = text.indexOf(':');
  const label = text.slice(0, Math.max(0, colon)).trimEnd();
  const isRow = /^[A-Za-z][\w /.()-]*$/.test(label) && (isWithin || LABELS[label] !== undefined);
  const isMessage = !isRow || /^(?:ethtool|netlink)\b|error|warning|^cannot|^no |not /i.test(label);
  return { label: isMessage ? undefined : label, value: text.slice(colon + 1).trimStart() };
}

function withoutRows(report: EthtoolRings, device: string): RingAnswer {
  const own = report.messages.filter((message) => message.device === undefined || message.device === device);
  const find = (pattern: RegExp): RingMessage | undefined => own.find((message) => pattern.test(message.text));
  const missing = find(/no such device|no device matches name/i);
  if (missing)
    return { kind: 'no-device', message: `there is no device "${device}": ${missing.text}`, line: missing.line };
  const refused = find(/(?:operation )?not supported/i);
  if (refused) {
    return {
      kind: 'unsupported',
      message: `the driver of "${device}" has no rings to read: ${refused.text}`,
      line: refused.line,
    };
  }
  const [other] = own;
  if (other) return { kind: 'unclear', message: `ethtool says "${other.text}"`, line: other.line };
  return {
    kind: 'unclear',
    message: `ethtool says nothing of the rings of "${device}"`,
    line: Math.max(1, report.raw.length),
  };
}

interface Blocks {
  readonly maximum: readonly RingRow[];
  readonly current: readonly RingRow[];
}

function splitBlocks(rows: readonly RingRow[]): Blocks {
  const current = rows.filter((row) => row.block === 'current');
  if (current.length > 0) return { maximum: rows.filter((row) => row.block !== 'current'), current };
  const again = rows.findIndex((row, at) => rows.findIndex((other) => other.label === row.label) < at);
  return again < 0 ? { maximum: rows, current: [] } : { maximum: rows.slice(0, again), current: rows.slice(again) };
}

function readSizes(rows: readonly RingRow[]): RingSizes | Extract<RingAnswer, { kind: 'unclear' }> {
  const sizes = new Map<RingName, RingSize>();
  for (const { label, value, line } of rows) {
    const name = LABELS[label];
    if (name === undefined) continue;
    if (sizes.has(name)) return { kind: 'unclear', line, message: `there is a second row "${label}" in one block` };
    if (!/^(?:\d{1,10}|n\/a)$/.test(value)) {
      return { kind: 'unclear', line, message: `"${label}" is neither a number nor n/a: "${value}"` };
    }
    sizes.set(name, value === 'n/a' ? value : Number(value));
  }
  const [rx, rx_mini, rx_jumbo, tx] = NAMES.map((name) => sizes.get(name));
  return { rx, rx_mini, rx_jumbo, tx };
}
