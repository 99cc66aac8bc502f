// One connection in memory that is sent octets, cut wherever a test wants; what its handlers were told and what it wrote
// become lines of text. For tests.

import { FlushQueue } from "../../../runtime/flush-queue.ts";
import { ManualClock } from "../../../runtime/manual-clock.ts";
import { TimerWheel } from "../../../runtime/timer-wheel.ts";
import { Http2Connection } from "../connection.ts";
import type { CloseCause, Http2ConnectionHandler, Http2StreamView, StreamHandler } from "../contract.ts";
import { errorName } from "../error-code.ts";
import { Http2Head } from "../head.ts";
import { HpackDecoder } from "../hpack-decoder.ts";
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from "../limits.ts";
import type { Refusal } from "../refusal.ts";
import { requestHead } from "./echo.ts";
import { FieldList } from "./field-list.ts";
import { type ReadFrame, readFrames } from "./frames.ts";

/** A transport that keeps what is written, and can be full. */
class MemoryTransport {
  readonly written: Buffer[] = [];
  isEmpty = true;
  waitingBytes = 0;
  isBlocked = false;
  hasEnded = false;
  isDestroyed = false;

  writeBytes(bytes: Buffer): boolean {
    if (this.hasEnded) throw new Error("written after the end");
    this.written.push(Buffer.from(bytes));
    if (this.isBlocked) this.waitingBytes += bytes.length;
    return !this.isBlocked;
  }

  end(): void {
    this.hasEnded = true;
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  take(): Buffer {
    return Buffer.concat(this.written.splice(0));
  }
}

export interface ScriptOptions {
  readonly role: "server" | "client";
  readonly limits?: Partial<Http2Limits>;
  /** Server: answers 200 "ok" as soon as a request is whole. */
  readonly answers?: boolean;
  /** Streams are not read from their heads on. */
  readonly pauses?: boolean;
  /** Client: requests made at the start, by method. */
  readonly requests?: readonly string[];
}

export class Script implements Http2ConnectionHandler, StreamHandler {
  readonly clock = new ManualClock();
  readonly transport = new MemoryTransport();
  readonly flushes = new FlushQueue(() => {});
  readonly connection: Http2Connection;
  readonly streams: Http2StreamView[] = [];
  /** Of the requests and answers that were told, in their order. */
  readonly heads: Http2Head[] = [];
  readonly events: string[] = [];
  readonly frames: string[] = [];
  readonly #options: ScriptOptions;
  readonly #decoder = new HpackDecoder(1 << 16);

  constructor(options: ScriptOptions) {
    this.#options = options;
    this.connection = new Http2Connection({
      role: options.role,
      transport: this.transport,
      handler: this,
      limits: { ...DEFAULT_HTTP2_LIMITS, ...options.limits },
      clock: this.clock,
      wheel: new TimerWheel(this.clock),
      flushes: this.flushes,
    });
    this.connection.start();
    for (const method of options.requests ?? []) {
      const head = requestHead(method, method === "CONNECT" ? "" : "/");
      const stream = this.connection.request(head, method !== "POST", this);
      if (stream !== undefined) this.streams.push(stream);
    }
    this.flushes.flushAll();
    this.transport.take();
  }

  /** Sends `bytes` in pieces that end at the positions, and one piece for the rest. */
  send(bytes: Buffer, positions: readonly number[] = []): void {
    let start = 0;
    for (const end of [...positions, bytes.length]) {
      // A copy that is wiped at once: nothing may be kept of what was lent.
      const piece = Buffer.from(bytes.subarray(start, end));
      this.connection.receive(piece, 0, piece.length);
      piece.fill(0xee);
      this.flushes.flushAll();
      start = end;
    }
    this.readWritten();
  }

  /** Turns what was written since into lines. */
  readWritten(): void {
    this.flushes.flushAll();
    for (const frame of readFrames(this.transport.take())) this.#note(frame);
  }

  get lines(): string[] {
    return [...this.events, ...this.frames];
  }

  #event(line: string): void {
    this.events.push(line);
  }

  #note(frame: ReadFrame): void {
    const { type, flags, streamId, payload } = frame;
    const end = (flags & 1) !== 0 ? " end" : "";
    if (type === 0) this.#noteData(streamId, payload, end);
    else if (type === 1) this.frames.push(`> HEADERS ${streamId} ${this.#fields(payload)}${end}`);
    else if (type === 3) this.frames.push(`> RST_STREAM ${streamId} ${errorName(payload.readUInt32BE(0))}`);
    // An acknowledgement of the first SETTINGS is in every case, and says nothing.
    else if (type === 4) this.frames.push(flags === 1 ? "> SETTINGS ack" : "> SETTINGS");
    else if (type === 6) this.frames.push(`> PING ${payload.toString("latin1")}${flags === 1 ? " ack" : ""}`);
    else if (type === 7) {
      const last = payload.readUInt32BE(0);
      const words = payload.toString("latin1", 8);
      this.frames.push(`> GOAWAY ${last} ${errorName(payload.readUInt32BE(4))}${words === "" ? "" : ` ${words}`}`);
    } else if (type === 8) this.frames.push(`> WINDOW_UPDATE ${streamId} ${payload.readUInt32BE(0)}`);
    else this.frames.push(`> frame ${type}`);
  }

  /** Pieces of one body are one line: how it is cut into frames depends on how it came. */
  #noteData(streamId: number, payload: Buffer, end: string): void {
    const text = payload.length > 100 ? `${payload.length} bytes` : payload.toString("latin1");
    const before = this.frames.at(-1);
    const start = `> DATA ${streamId} `;
    if (before?.startsWith(start) === true && !before.endsWith(" end"))
      this.frames[this.frames.length - 1] += text + end;
    else this.frames.push(`${start}${text}${end}`);
  }

  #fields(payload: Buffer): string {
    const list = new FieldList();
    this.#decoder.decode(payload, 0, payload.length, list);
    return list.fields.map(([name, value]) => `${name}=${value}`).join(" ");
  }

  // ---- the connection's handler ----

  onStream(stream: Http2StreamView): StreamHandler {
    this.streams.push(stream);
    return this;
  }

  onStreamRefused(stream: Http2StreamView, refusal: Refusal): void {
    this.#event(`refused ${stream.id} ${refusal.detail}`);
    if (refusal.status === 0 || this.#options.answers !== true || this.#options.role === "client") return;
    const head = new Http2Head();
    head.status = refusal.status;
    stream.sendHead(head, true);
  }

  onSettings(): void {}

  onGoaway(lastStreamId: number, code: number): void {
    this.#event(`goaway ${lastStreamId} ${errorName(code)}`);
  }

  onStreamClosed(): void {}

  onClosed(cause: CloseCause): void {
    this.#event(`closed ${cause}`);
  }

  // ---- the streams' ----

  onHead(stream: Http2StreamView, head: Http2Head, isEnd: boolean): void {
    this.heads.push(head);
    const start = head.status > 0 ? String(head.status) : `${head.method} ${head.path}`;
    const host = head.authority === "" || head.authority === "a.test" ? "" : ` @${head.authority}`;
    this.#event(`head ${stream.id} ${start}${host}${fieldsOf(head)}${isEnd ? " end" : ""}`);
    if (this.#options.pauses === true) stream.pauseReading();
    if (isEnd) this.#answer(stream);
  }

  onInterimHead(stream: Http2StreamView, head: Http2Head): void {
    this.#event(`interim ${stream.id} ${head.status}${fieldsOf(head)}`);
  }

  onData(stream: Http2StreamView, bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    const text = bytes.toString("latin1", start, end);
    const before = this.events.at(-1);
    const mark = `data ${stream.id} `;
    if (before?.startsWith(mark) === true) this.events[this.events.length - 1] += text + (isEnd ? " end" : "");
    else this.#event(`${mark}${text}${isEnd ? " end" : ""}`);
    if (isEnd) this.#answer(stream);
  }

  onTrailers(stream: Http2StreamView, trailers: Http2Head): void {
    this.#event(`trailers ${stream.id}${fieldsOf(trailers)}`);
    this.#answer(stream);
  }

  onReset(stream: Http2StreamView): void {
    const again = stream.isUnprocessed ? " unprocessed" : "";
    this.#event(`reset ${stream.id} ${stream.resetCause} ${errorName(stream.resetCode)}${again}`);
  }

  onDrain(stream: Http2StreamView): void {
    this.#event(`drain ${stream.id}`);
  }

  #answer(stream: Http2StreamView): void {
    if (this.#options.answers !== true || this.#options.role === "client") return;
    const head = new Http2Head();
    head.status = 200;
    stream.sendHead(head, false);
    stream.sendData(Buffer.from("ok"), 0, 2, true);
  }
}

function fieldsOf(head: Http2Head): string {
  let text = "";
  for (let index = 0; index < head.count; index++) text += ` ${head.nameAt(index)}=${head.valueAt(index)}`;
  return text;
}
