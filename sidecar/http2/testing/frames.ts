// Frames written octet by octet, and read back, for tests: nothing here is shared with the code that is tested.

const PREFACE_TEXT = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export type Pair = readonly [name: string, value: string];

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const out = Buffer.alloc(9 + payload.length);
  out.writeUIntBE(payload.length, 0, 3);
  out[3] = type;
  out[4] = flags;
  out.writeUInt32BE(streamId, 5);
  out.set(payload, 9);
  return out;
}

/** A literal without indexing, in plain text, for each field. */
export function block(fields: readonly Pair[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    parts.push(Buffer.from([0]), plain(name), plain(value));
  }
  return Buffer.concat(parts);
}

function plain(text: string): Buffer {
  const octets = Buffer.from(text, "latin1");
  const length = octets.length;
  if (length < 127) return Buffer.concat([Buffer.from([length]), octets]);
  const lengths = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>= 7) lengths.push((rest & 127) | 128);
  lengths.push(rest);
  return Buffer.concat([Buffer.from(lengths), octets]);
}

export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITY = 32;
export const ACK = 1;

export const GET: readonly Pair[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "a.test"],
];
export const POST: readonly Pair[] = [[":method", "POST"], ...GET.slice(1)];
export const OK: readonly Pair[] = [[":status", "200"]];

export function headers(streamId: number, fields: readonly Pair[], flags: number = END_HEADERS): Buffer {
  return frame(1, flags, streamId, block(fields));
}

/** The same with END_STREAM. */
export function lastHeaders(streamId: number, fields: readonly Pair[]): Buffer {
  return headers(streamId, fields, END_HEADERS | END_STREAM);
}

export function data(streamId: number, text: string | Uint8Array, flags = 0): Buffer {
  return frame(0, flags, streamId, typeof text === "string" ? Buffer.from(text, "latin1") : text);
}

export function padded(text: string, padding: number): Buffer {
  return Buffer.concat([Buffer.from([padding]), Buffer.from(text, "latin1"), Buffer.alloc(padding)]);
}

export function uint32(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) out.writeUInt32BE(value >>> 0, index * 4);
  return out;
}

export function settings(...values: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(values.length * 6);
  for (const [index, [id, value]] of values.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(4, 0, 0, payload);
}

export const SETTINGS_ACK: Buffer = frame(4, ACK, 0);
/** What a client begins with. */
export const CLIENT_START: Buffer = Buffer.concat([Buffer.from(PREFACE_TEXT), settings(), SETTINGS_ACK]);
/** What a server begins with. */
export const SERVER_START: Buffer = Buffer.concat([settings(), SETTINGS_ACK]);

export function rst(streamId: number, code: number): Buffer {
  return frame(3, 0, streamId, uint32(code));
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(8, 0, streamId, uint32(increment));
}

export function ping(text: string, flags = 0): Buffer {
  return frame(6, flags, 0, Buffer.from(text));
}

export function goaway(lastStreamId: number, code: number): Buffer {
  return frame(7, 0, 0, uint32(lastStreamId, code));
}

export interface ReadFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Whole frames in their order; throws where bytes are left over. */
export function readFrames(bytes: Buffer): ReadFrame[] {
  const frames: ReadFrame[] = [];
  let at = bytes.toString("latin1", 0, 24) === PREFACE_TEXT ? 24 : 0;
  while (at < bytes.length) {
    const length = bytes.readUIntBE(at, 3);
    const payload = bytes.subarray(at + 9, at + 9 + length);
    if (payload.length !== length) throw new Error("a frame is cut short");
    frames.push({ type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, streamId: bytes.readUInt32BE(at + 5), payload });
    at += 9 + length;
  }
  return frames;
}
