/** The agent's wire format: see the head of agent.pl. */

/** Fields of a message; text is sent as UTF-8. */
export type Field = string | number | Buffer;

/** Netstrings, one a field: `LENGTH:BYTES,`. */
export function encodeFields(fields: readonly Field[]): Buffer {
  const parts = fields.map((field) => (Buffer.isBuffer(field) ? field : Buffer.from(String(field), 'utf8')));
  const heads = parts.map((bytes) => `${bytes.length}:`);
  const size = parts.reduce((sum, bytes, index) => sum + (heads[index]?.length ?? 0) + bytes.length + 1, 0);
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  parts.forEach((bytes, index) => {
    at += out.write(heads[index] ?? '', at, 'latin1');
    at += bytes.copy(out, at);
    out[at++] = 0x2c;
  });
  return out;
}

/** The fields of a payload. Throws RangeError where it is no sequence of netstrings. */
export function decodeFields(payload: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  let at = 0;
  while (at < payload.length) {
    const colon = payload.indexOf(0x3a, at);
    const digits = colon < 0 ? '' : payload.toString('latin1', at, colon);
    const end = colon + 1 + Number(digits);
    if (!/^\d{1,10}$/.test(digits) || payload[end] !== 0x2c) throw new RangeError('no sequence of netstrings');
    fields.push(payload.subarray(colon + 1, end));
    at = end + 1;
  }
  return fields;
}

/** A whole message: length of the payload, newline, payload. */
export function encodeMessage(fields: readonly Field[]): Buffer {
  const payload = encodeFields(fields);
  return Buffer.concat([Buffer.from(`${payload.length}\n`), payload]);
}

/** Bytes of the longest message that is taken from a node. The agent's own limit is lower, so that it can say so itself. */
export const MAX_MESSAGE = 48 << 20;

/** Cuts a byte stream into the fields of its messages. Keeps no more than MAX_MESSAGE bytes and the chunk that goes beyond. */
export class MessageReader {
  #chunks: Buffer[] = [];
  #size = 0;
  #wanted = 0;

  /**
   * Takes what arrived and gives the messages that are complete now.
   * @throws RangeError where the stream is not the agent's, such as the greeting of a login shell, or announces too much
   */
  push(chunk: Buffer): Buffer[][] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const messages: Buffer[][] = [];
    // Joined only when enough is there: a long answer arrives in many chunks.
    while (this.#size > 0 && this.#size >= this.#wanted) {
      const bytes = this.#chunks.length === 1 && this.#chunks[0] ? this.#chunks[0] : Buffer.concat(this.#chunks);
      this.#chunks = [bytes];
      const newline = bytes.subarray(0, 12).indexOf(0x0a);
      const head = bytes.toString('latin1', 0, newline < 0 ? Math.min(12, bytes.length) : newline);
      if (!/^\d{0,10}$/.test(head) || newline === 0) throw new RangeError('no message begins so');
      if (newline < 0) return messages;
      if (Number(head) > MAX_MESSAGE) throw new RangeError(`a message of ${head} bytes`);
      const end = newline + 1 + Number(head);
      if (bytes.length < end) {
        this.#wanted = end;
        return messages;
      }
      messages.push(decodeFields(bytes.subarray(newline + 1, end)));
      this.#chunks = [bytes.subarray(end)];
      this.#size = bytes.length - end;
      this.#wanted = 0;
    }
    return messages;
  }

  /** What has arrived of a message that is not complete. */
  get rest(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}
