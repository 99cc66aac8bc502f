// For tests of the data path: a client and an endpoint that speak HTTP/2 frame by frame, so that they can break off, lie
// and stall where a library would not.
import { connect, type Socket } from "node:net";
import { HpackDecoder } from "../../http2/hpack-decoder.ts";
import { FieldList } from "../../http2/testing/field-list.ts";
import {
  CLIENT_START,
  lastHeaders,
  type Pair,
  type ReadFrame,
  readFrames,
  SERVER_START,
} from "../../http2/testing/frames.ts";
import { type Endpoint, onCleanUp, startEndpoint, until } from "./rig.ts";

export const FRAME_TYPE = { data: 0, headers: 1, rst: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;

/** What is known of one stream by the frames that came on it. */
export interface SeenStream {
  /** Of the first head that was final. */
  readonly fields: Record<string, string>;
  readonly interim: string[];
  readonly trailers: Record<string, string>;
  body: string;
  bytes: number;
  /** END_STREAM came. */
  isWhole: boolean;
  /** Code of RST_STREAM; -1: none. */
  reset: number;
}

/** Takes frames apart as they come. */
export class FrameLog {
  readonly frames: ReadFrame[] = [];
  readonly streams = new Map<number, SeenStream>();
  goawayCode = -1;
  goawayText = "";
  readonly #decoder = new HpackDecoder(4096);
  readonly #onFrame: (frame: ReadFrame) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(onFrame: (frame: ReadFrame) => void = () => {}) {
    this.#onFrame = onFrame;
  }

  stream(id: number): SeenStream {
    let seen = this.streams.get(id);
    if (seen === undefined) {
      seen = { fields: {}, interim: [], trailers: {}, body: "", bytes: 0, isWhole: false, reset: -1 };
      this.streams.set(id, seen);
    }
    return seen;
  }

  add(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (this.#rest.toString("latin1", 0, 3) === "PRI") {
      if (this.#rest.length < 24) return;
      this.#rest = this.#rest.subarray(24);
    }
    while (this.#rest.length >= 9) {
      const length = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < length) return;
      const [frame] = readFrames(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
      if (frame !== undefined) this.#take(frame);
    }
  }

  #take(frame: ReadFrame): void {
    const { type, flags, streamId, payload } = frame;
    const seen = this.stream(streamId);
    if (type !== FRAME_TYPE.data) this.frames.push(frame);
    else {
      seen.bytes += payload.length;
      if (seen.body.length < 65_536) seen.body += payload.toString("latin1");
    }
    if (type === FRAME_TYPE.headers) this.#readHead(seen, payload);
    if ((type === FRAME_TYPE.data || type === FRAME_TYPE.headers) && (flags & 1) === 1) seen.isWhole = true;
    if (type === FRAME_TYPE.rst) seen.reset = payload.readUInt32BE(0);
    if (type === FRAME_TYPE.goaway) {
      this.goawayCode = payload.readUInt32BE(4);
      this.goawayText = payload.toString("latin1", 8);
    }
    this.#onFrame(frame);
  }

  #readHead(seen: SeenStream, payload: Buffer): void {
    const list = new FieldList();
    this.#decoder.decode(payload, 0, payload.length, list);
    const fields = Object.fromEntries(list.fields);
    const status = fields[":status"] ?? "";
    if (status.startsWith("1")) seen.interim.push(status);
    else if (Object.keys(seen.fields).length > 0) Object.assign(seen.trailers, fields);
    else Object.assign(seen.fields, fields);
  }
}

export class RawClient {
  readonly socket: Socket;
  readonly log: FrameLog;
  isClosed = false;

  /** @param start what it begins with */
  constructor(port: number, start: Buffer = CLIENT_START) {
    this.log = new FrameLog();
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("data", (chunk: Buffer) => this.log.add(chunk));
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.isClosed = true;
    });
    if (start.length > 0) this.socket.write(start);
    onCleanUp(() => this.socket.destroy());
  }

  send(...frames: readonly Buffer[]): this {
    this.socket.write(Buffer.concat(frames));
    return this;
  }

  get(id: number, ...more: readonly Pair[]): this {
    return this.send(lastHeaders(id, request("GET", ...more)));
  }

  /** The stream, once it has ended, one way or the other. */
  async ends(id: number): Promise<SeenStream> {
    const seen = this.log.stream(id);
    await until(
      () => seen.isWhole || seen.reset >= 0 || this.isClosed,
      () => `the end of stream ${id}: ${JSON.stringify(seen)}`,
    );
    return seen;
  }
}

export function request(method: string, ...more: readonly Pair[]): Pair[] {
  const head: Pair[] = [
    [":method", method],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "orders"],
  ];
  const names = new Set(more.map(([name]) => name));
  return [
    ...head.filter(([name]) => !names.has(name)),
    ...more.filter(([name]) => name[0] === ":"),
    ...more.filter(([name]) => name[0] !== ":"),
  ];
}

export interface RawEndpoint extends Endpoint {
  readonly logs: FrameLog[];
}

/** An endpoint of HTTP/2 that says `onFrame` what came, and sends what it writes. @param start its first bytes */
export async function rawEndpoint(
  onFrame: (frame: ReadFrame, socket: Socket, log: FrameLog, connection: number) => void,
  start: Buffer = SERVER_START,
): Promise<RawEndpoint> {
  const logs: FrameLog[] = [];
  const endpoint = await startEndpoint(({ socket }) => {
    const index = logs.length;
    const log: FrameLog = new FrameLog((frame) => onFrame(frame, socket, log, index));
    logs.push(log);
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => log.add(chunk));
    socket.on("end", () => socket.end());
    if (start.length > 0) socket.write(start);
  });
  return { ...endpoint, logs };
}

/** The same, answering each request's end with these frames. */
export function rawAnswering(
  answer: (streamId: number, index: number, socket: Socket) => readonly Buffer[],
): Promise<RawEndpoint> {
  let index = 0;
  return rawEndpoint(({ type, flags, streamId }, socket) => {
    if (type > FRAME_TYPE.headers || (flags & 1) === 0) return;
    const frames = answer(streamId, index++, socket);
    if (frames.length > 0) socket.write(Buffer.concat(frames));
  });
}

/** Service `orders` of these endpoints. */
export function serviceOf2(protocol: string, ...ports: readonly number[]): string {
  const endpoints = ports.map((port) => `{ address: "127.0.0.1:${port}" }`).join(", ");
  return `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80, protocol: ${protocol} }], endpoints: [${endpoints}] }
---
`;
}
