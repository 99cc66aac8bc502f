// What the HTTP/2 codec costs, in nanoseconds of user CPU: HPACK of a gRPC call's heads, and whole unary calls through two
// connections as a proxy makes them, in memory. Not a proxy benchmark: no sockets. Run with `node bench/http2.ts`; rounds
// are interleaved, the median is printed.

import { FlushQueue } from "../runtime/flush-queue.ts";
import { ManualClock } from "../runtime/manual-clock.ts";
import { TimerWheel } from "../runtime/timer-wheel.ts";
import { Http2Connection } from "../sidecar/http2/connection.ts";
import type { Http2ConnectionHandler, Http2StreamView, StreamHandler } from "../sidecar/http2/contract.ts";
import { Http2Head } from "../sidecar/http2/head.ts";
import { HeadReader } from "../sidecar/http2/head-rules.ts";
import { HpackDecoder } from "../sidecar/http2/hpack-decoder.ts";
import { HpackEncoder } from "../sidecar/http2/hpack-encoder.ts";
import { DEFAULT_HTTP2_LIMITS } from "../sidecar/http2/limits.ts";
import { NO_HANDLER } from "../sidecar/http2/stream.ts";

const ROUNDS = 11;
const RUNS = 100_000;
/** Calls under way at a time on the connection. */
const STREAMS = 16;

const limits = DEFAULT_HTTP2_LIMITS;

function grpcRequest(): Http2Head {
  const head = new Http2Head();
  head.method = "POST";
  head.scheme = "http";
  head.authority = "orders.default:80";
  head.path = "/shop.v1.Orders/GetOrder";
  head.add("te", "trailers");
  head.add("content-type", "application/grpc");
  head.add("user-agent", "grpc-node-js/1.14.0");
  head.add("grpc-accept-encoding", "identity,deflate,gzip");
  head.add("grpc-timeout", "4999m");
  return head;
}

function response(): Http2Head {
  const head = new Http2Head();
  head.status = 200;
  head.add("content-type", "application/grpc");
  head.add("grpc-accept-encoding", "identity,deflate,gzip");
  head.add("date", "Tue, 04 Mar 2025 10:00:00 GMT");
  return head;
}

function status(): Http2Head {
  const head = new Http2Head();
  head.add("grpc-status", "0");
  head.add("grpc-message", "");
  return head;
}

// ---- HPACK ----

const out = Buffer.alloc(64 * 1024);
const request = grpcRequest();
const answer = response();
const trailers = status();
const decoded = new Http2Head();
const reader = new HeadReader(limits);

function block(usesHuffman: boolean, isWarm: boolean): { bytes: Buffer; decoder: HpackDecoder } {
  const encoder = new HpackEncoder(isWarm ? 4096 : 0, usesHuffman);
  const decoder = new HpackDecoder(4096);
  let end = 0;
  for (let turn = 0; turn < 3; turn++) {
    end = encoder.encodeRequest(request, out, 0);
    decode(decoder, Buffer.from(out.subarray(0, end)));
  }
  return { bytes: Buffer.from(out.subarray(0, end)), decoder };
}

function decode(decoder: HpackDecoder, bytes: Buffer): void {
  reader.begin(decoded, "request");
  if (decoder.decode(bytes, 0, bytes.length, reader) !== undefined) throw new Error("refused");
  if (reader.finish() !== undefined) throw new Error("malformed");
}

const warm = block(false, true);
const literal = block(false, false);
const huffman = block(true, false);
const warmEncoder = new HpackEncoder(4096, false);
for (let turn = 0; turn < 3; turn++) {
  warmEncoder.encodeRequest(request, out, 0);
  warmEncoder.encodeResponse(answer, out, 0);
  warmEncoder.encodeTrailers(trailers, out, 0);
}

// ---- whole calls: client -> [server side | client side] -> endpoint ----

class Pipe {
  readonly isEmpty = true;
  readonly waitingBytes = 0;
  readonly #into: () => Http2Connection;

  constructor(into: () => Http2Connection) {
    this.#into = into;
  }

  writeBytes(bytes: Buffer): boolean {
    // The receiver handles them in a turn of its own, as it would from a socket.
    inbox.push({ to: this.#into(), bytes: Buffer.from(bytes) });
    return true;
  }

  end(): void {}
  destroy(): void {}
}

const inbox: { to: Http2Connection; bytes: Buffer }[] = [];
const clock = new ManualClock();
const wheel = new TimerWheel(clock);
const flushes = new FlushQueue(() => {});

/** All that is needed of an owner here. */
function owner(onStream: (stream: Http2StreamView) => StreamHandler): Http2ConnectionHandler {
  return {
    onStream,
    onStreamRefused: (_stream, refusal) => {
      throw new Error(refusal.detail);
    },
    onSettings: () => {},
    onGoaway: () => {},
    onStreamClosed: () => {},
    onClosed: () => {
      throw new Error("closed");
    },
  };
}

function connect(role: "client" | "server", into: () => Http2Connection, handler: Http2ConnectionHandler) {
  const connection = new Http2Connection({ role, transport: new Pipe(into), handler, limits, clock, wheel, flushes });
  connection.start();
  return connection;
}

const forwarded = new Http2Head();

/** One call through a proxy: each direction hands on what it gets. */
class Relay implements StreamHandler {
  #other: Http2StreamView | undefined = undefined;

  constructor(other: Http2StreamView | undefined) {
    this.#other = other;
  }

  onHead(stream: Http2StreamView, head: Http2Head, isEnd: boolean): void {
    forwarded.copyFrom(head);
    if (this.#other !== undefined) return this.#other.sendHead(forwarded, isEnd);
    const back = new Relay(stream);
    this.#other = upstream.request(forwarded, isEnd, back);
  }

  onInterimHead(): void {}

  onData(stream: Http2StreamView, bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    this.#other?.sendData(bytes, start, end, isEnd);
    if (isEnd && this.#other !== undefined && stream.state === "closed") stream.release();
  }

  onTrailers(stream: Http2StreamView, trailers: Http2Head): void {
    this.#other?.sendTrailers(trailers);
    this.#other?.release();
    stream.release();
  }

  onReset(): void {}
  onDrain(): void {}
}

class Service implements StreamHandler {
  onHead(): void {}
  onInterimHead(): void {}
  onData(stream: Http2StreamView, bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    stream.sendHead(answer, false);
    stream.sendData(bytes, start, end, false);
    if (isEnd) stream.sendTrailers(trailers);
    stream.release();
  }
  onTrailers(): void {}
  onReset(): void {}
  onDrain(): void {}
}

let calls = 0;
class Caller implements StreamHandler {
  onHead(): void {}
  onInterimHead(): void {}
  onData(): void {}
  onTrailers(stream: Http2StreamView): void {
    calls++;
    stream.release();
  }
  onReset(): void {
    throw new Error("reset");
  }
  onDrain(): void {}
}

const service = new Service();
const caller = new Caller();
const message = Buffer.from("\0\0\0\0\x0aorder-1234", "latin1");
const client: Http2Connection = connect(
  "client",
  () => downstream,
  owner(() => NO_HANDLER),
);
const downstream: Http2Connection = connect(
  "server",
  () => client,
  owner(() => new Relay(undefined)),
);
const upstream: Http2Connection = connect(
  "client",
  () => endpoint,
  owner(() => NO_HANDLER),
);
const endpoint: Http2Connection = connect(
  "server",
  () => upstream,
  owner(() => service),
);
/** Time within the two connections of the proxy, in ns. */
let proxyNs = 0n;

function deliver(): void {
  flushes.flushAll();
  for (let next = inbox.shift(); next !== undefined; next = inbox.shift()) {
    const isProxy = next.to === downstream || next.to === upstream;
    const begun = isProxy ? process.hrtime.bigint() : 0n;
    next.to.receive(next.bytes, 0, next.bytes.length);
    if (isProxy) {
      downstream.flush();
      upstream.flush();
      proxyNs += process.hrtime.bigint() - begun;
    }
    flushes.flushAll();
  }
}

function callMany(): void {
  for (let index = 0; index < STREAMS; index++) {
    const stream = client.request(request, false, caller);
    stream?.sendData(message, 0, message.length, true);
  }
  deliver();
}

deliver();

// ---- rounds ----

const cases: Record<string, () => void> = {
  [`request head, ${warm.bytes.length} bytes, all indexed: decode and check`]: () => decode(warm.decoder, warm.bytes),
  [`request head, ${literal.bytes.length} bytes, literals seen before: decode and check`]: () =>
    decode(literal.decoder, literal.bytes),
  [`request head, ${huffman.bytes.length} bytes, Huffman seen before: decode and check`]: () =>
    decode(huffman.decoder, huffman.bytes),
  "request head: encode": () => {
    warmEncoder.encodeRequest(request, out, 0);
  },
  "response head and trailers: encode": () => {
    warmEncoder.encodeTrailers(trailers, out, warmEncoder.encodeResponse(answer, out, 0));
  },
};

const figures = new Map<string, number[]>();
const note = (name: string, value: number): void => {
  const list = figures.get(name) ?? [];
  list.push(value);
  figures.set(name, list);
};

function userNs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  return process.cpuUsage(before).user * 1000;
}

for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(cases)) {
    const ns = userNs(() => {
      for (let turn = 0; turn < RUNS; turn++) run();
    });
    note(name, ns / RUNS);
  }
  const before = calls;
  proxyNs = 0n;
  const begun = process.hrtime.bigint();
  const ns = userNs(() => {
    for (let turn = 0; turn < RUNS / STREAMS; turn++) callMany();
  });
  const proxyShare = Number(proxyNs) / Number(process.hrtime.bigint() - begun);
  const made = calls - before;
  if (made !== Math.floor(RUNS / STREAMS) * STREAMS) throw new Error(`${made} calls`);
  note(`unary call, ${STREAMS} at a time: client, proxy and endpoint together`, ns / made);
  note(`unary call, ${STREAMS} at a time: the proxy's two connections`, (ns * proxyShare) / made);
}

for (const [name, values] of figures) {
  const sorted = values.sort((left, right) => left - right);
  console.log(`${(sorted[sorted.length >> 1] ?? 0).toFixed(0).padStart(7)} ns  ${name}`);
}
