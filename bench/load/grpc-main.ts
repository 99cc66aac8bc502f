// The load process of calls of gRPC: endpoint and clients on one core, frames by the codec of this tree, because every
// other one costs more than the proxies that are measured. Obeys as main.ts does; started by load-process.ts.
import { createServer, type Socket } from "node:net";
import { systemClock } from "../../runtime/clock.ts";
import { FlushQueue } from "../../runtime/flush-queue.ts";
import { adoptSocket, type ByteReader, connectSocket } from "../../runtime/shared-socket.ts";
import { TimerWheel } from "../../runtime/timer-wheel.ts";
import { Http2Connection } from "../../sidecar/http2/connection.ts";
import type {
  Http2ConnectionHandler,
  Http2Role,
  Http2StreamView,
  StreamHandler,
} from "../../sidecar/http2/contract.ts";
import { Http2Head } from "../../sidecar/http2/head.ts";
import { DEFAULT_HTTP2_LIMITS } from "../../sidecar/http2/limits.ts";
import { NO_HANDLER } from "../../sidecar/http2/stream.ts";
import { SocketTransport } from "../../sidecar/proxy/http2-transport.ts";
import type { Calls, Command, LoadReport, Reply, Target } from "./contract.ts";
import { cpuSince, cpuTimesOf } from "./cpu-time.ts";
import { Latencies } from "./latencies.ts";
import { routePath } from "./messages.ts";

const PORTS = 2;
const BACKLOG = 4_096;
const WARM_UP_SHARE = 0.15;
const MESSAGE_HEAD_BYTES = 5;
const limits = { ...DEFAULT_HTTP2_LIMITS, streamsMax: 1_000, keepAliveIntervalMs: 0 };
const shared = {
  limits,
  clock: systemClock,
  wheel: new TimerWheel(systemClock),
  flushes: new FlushQueue((run) => setImmediate(run)),
};

let calls: Calls = { messages: 1, messageBytes: 16 };
let message = messageOf(16);

function messageOf(bytes: number): Buffer {
  const made = Buffer.alloc(MESSAGE_HEAD_BYTES + bytes, "x");
  made.writeUInt8(0, 0);
  made.writeUInt32BE(bytes, 1);
  return made;
}

/** A connection of either role: its socket fed to the codec. */
class Wire implements ByteReader {
  readonly http2: Http2Connection;
  readonly socket: Socket;

  constructor(role: Http2Role, handler: Http2ConnectionHandler, open: (reader: ByteReader) => Socket) {
    this.socket = open(this);
    const transport = new SocketTransport(this.socket, "handle", 64 * 1024);
    this.http2 = new Http2Connection({ ...shared, role, transport, handler });
    this.socket.on("drain", () => this.http2.onTransportDrain());
    this.socket.on("end", () => this.http2.onTransportEnd());
    this.socket.on("error", () => {});
    this.socket.on("close", () => this.http2.onTransportClosed(""));
  }

  onBytes(bytes: Buffer, length: number): void {
    this.http2.receive(bytes, 0, length);
  }
}

const QUIET: Http2ConnectionHandler = {
  onStream: () => NO_HANDLER,
  onStreamRefused: () => {},
  onSettings: () => {},
  onGoaway: () => {},
  onStreamClosed: () => {},
  onClosed: () => {},
};

// ---- the endpoint ----

const answer = new Http2Head();
answer.status = 200;
answer.add("content-type", "application/grpc");
const ended = new Http2Head();
ended.add("grpc-status", "0");

/** Sends the messages of one answer as the client takes them. */
class Answer implements StreamHandler {
  #left = 0;

  onHead(stream: Http2StreamView, _head: Http2Head, isEnd: boolean): void {
    if (isEnd) this.#begin(stream);
  }

  onData(stream: Http2StreamView, _bytes: Buffer, _start: number, _end: number, isEnd: boolean): void {
    if (isEnd) this.#begin(stream);
  }

  onDrain(stream: Http2StreamView): void {
    this.#send(stream);
  }

  onInterimHead(): void {}

  onTrailers(): void {}

  onReset(stream: Http2StreamView): void {
    stream.release();
  }

  #begin(stream: Http2StreamView): void {
    stream.sendHead(answer, false);
    this.#left = calls.messages;
    this.#send(stream);
  }

  #send(stream: Http2StreamView): void {
    while (this.#left > 0) {
      this.#left--;
      if (!stream.sendData(message, 0, message.length, false)) return;
    }
    stream.sendTrailers(ended);
    stream.handler = NO_HANDLER;
    stream.release();
  }
}

async function listen(): Promise<number> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
  server.on("connection", (accepted) => {
    const handler = { ...QUIET, onStream: () => new Answer() };
    const wire = new Wire("server", handler, (reader) => adoptSocket(accepted, reader, "handle"));
    wire.http2.start();
    wire.socket.resume();
  });
  return new Promise((settle) => {
    server.listen({ host: "127.0.0.1", port: 0, backlog: BACKLOG }, () => {
      const address = server.address();
      settle(address !== null && typeof address === "object" ? address.port : 0);
    });
  });
}

// ---- the clients ----

type Load = Extract<Command, { kind: "calls" }>;

class Run {
  readonly #load: Load;
  readonly #latencies = new Latencies();
  readonly #wires: Wire[] = [];
  readonly #waiting: number[] = [];
  readonly #idle: Call[] = [];
  #count = 0;
  #messages = 0;
  #errors = 0;
  #firstError = "";
  #isOver = false;
  #nextMs = 0;

  constructor(load: Load) {
    this.#load = load;
  }

  async run(): Promise<LoadReport> {
    const { target, connections, streams, durationMs, perSecond } = this.#load;
    for (let index = 0; index < connections; index++) await this.#connect(target);
    const ready = Array.from(
      { length: connections * streams },
      (_, number) => new Call(this, this.#wires[number % connections] as Wire, number),
    );
    if (perSecond > 0) {
      this.#idle.push(...ready);
      this.#nextMs = performance.now();
      this.#poll(1000 / perSecond);
    } else for (const call of ready) call.begin(performance.now());
    await new Promise((settle) => setTimeout(settle, durationMs * WARM_UP_SHARE));
    this.#count = 0;
    this.#messages = 0;
    this.#latencies.clear();
    const before = cpuTimesOf(target.pids);
    const own = process.cpuUsage();
    const startMs = performance.now();
    await new Promise((settle) => setTimeout(settle, durationMs));
    return this.#report(startMs, cpuSince(before, target.pids), process.cpuUsage(own));
  }

  #report(startMs: number, used: Pick<LoadReport, "cpu" | "cpuOfEach">, own: NodeJS.CpuUsage): LoadReport {
    const seconds = (performance.now() - startMs) / 1000;
    this.#isOver = true;
    for (const { socket } of this.#wires) socket.destroy();
    const quantile = (share: number): number => this.#latencies.quantileMs(share);
    return {
      // Of a stream its messages are what is counted.
      requests: calls.messages === 1 ? this.#count : this.#messages,
      errors: this.#errors,
      firstError: this.#firstError,
      seconds,
      bodyBytes: this.#messages * calls.messageBytes,
      ...used,
      loadCpu: { userUs: own.user, systemUs: own.system },
      latencyMs: { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999), max: this.#latencies.maxMs },
    };
  }

  async #connect({ host, port }: Target): Promise<void> {
    const wire = new Wire("client", QUIET, (reader) => connectSocket({ host, port }, reader, "handle"));
    await new Promise((settle) => wire.socket.once("connect", settle));
    wire.http2.start();
    this.#wires.push(wire);
  }

  /** Calls leave by the clock; one that finds nobody idle waits with its time running. */
  #poll(stepMs: number): void {
    const nowMs = performance.now();
    for (; this.#nextMs <= nowMs; this.#nextMs += stepMs) {
      const call = this.#idle.pop();
      if (call === undefined) this.#waiting.push(this.#nextMs);
      else call.begin(this.#nextMs);
    }
    if (!this.#isOver) setImmediate(() => this.#poll(stepMs));
  }

  onBytes(bytes: number): void {
    this.#messages += bytes / message.length;
  }

  /** There is nowhere to call any more. */
  onLost(error: string): void {
    if (!this.#isOver && this.#errors++ === 0) this.#firstError = error;
  }

  onDone(call: Call, dueMs: number, error: string): void {
    if (this.#isOver) return;
    this.#count++;
    if (error !== "" && this.#errors++ === 0) this.#firstError = error;
    this.#latencies.add(performance.now() - dueMs);
    if (this.#load.perSecond === 0) call.begin(performance.now());
    else {
      const due = this.#waiting.shift();
      if (due === undefined) this.#idle.push(call);
      else call.begin(due);
    }
  }
}

/** As many methods as a few services have. */
const METHODS = 100;
const requests = Array.from({ length: METHODS }, (_, number) => {
  const head = new Http2Head();
  head.method = "POST";
  head.scheme = "http";
  head.authority = "orders";
  head.path = routePath(number);
  head.add("te", "trailers");
  head.add("content-type", "application/grpc");
  head.add("user-agent", "grpc-node-js/1.14.0");
  head.add("grpc-accept-encoding", "identity,deflate,gzip");
  return head;
});
const asked = messageOf(16);

class Call implements StreamHandler {
  readonly #run: Run;
  readonly #wire: Wire;
  readonly #request: Http2Head;
  #dueMs = 0;

  constructor(run: Run, wire: Wire, number: number) {
    this.#request = requests[number % METHODS] as Http2Head;
    this.#run = run;
    this.#wire = wire;
  }

  begin(dueMs: number): void {
    this.#dueMs = dueMs;
    const stream = this.#wire.http2.request(this.#request, false, this);
    if (stream === undefined) this.#run.onLost("the connection takes no more calls");
    else stream.sendData(asked, 0, asked.length, true);
  }

  onHead(stream: Http2StreamView, head: Http2Head, isEnd: boolean): void {
    if (isEnd) this.#end(stream, `an answer without messages: ${head.value("grpc-message")}`);
  }

  onInterimHead(): void {}

  onData(stream: Http2StreamView, _bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    this.#run.onBytes(end - start);
    if (isEnd) this.#end(stream, "an answer without a status");
  }

  onTrailers(stream: Http2StreamView, trailers: Http2Head): void {
    const status = trailers.value("grpc-status");
    this.#end(stream, status === "0" ? "" : `grpc-status ${status}`);
  }

  onReset(stream: Http2StreamView): void {
    this.#end(stream, `reset ${stream.resetCode}`);
  }

  onDrain(): void {}

  #end(stream: Http2StreamView, error: string): void {
    stream.handler = NO_HANDLER;
    stream.release();
    this.#run.onDone(this, this.#dueMs, error);
  }
}

async function obey(command: Command): Promise<Reply> {
  if (command.kind !== "calls") throw new Error(`this process makes calls, not ${command.kind}`);
  calls = command.calls;
  message = messageOf(calls.messageBytes);
  return { kind: "report", report: await new Run(command).run() };
}

process.on("message", (command: Command) => {
  obey(command).then(
    (reply) => process.send?.(reply),
    (error: unknown) => process.send?.({ kind: "failed", message: String(error) } satisfies Reply),
  );
});
process.on("disconnect", () => process.exit(0));
const ports: number[] = [];
for (let index = 0; index < PORTS; index++) ports.push(await listen());
process.send?.({ kind: "listening", ports } satisfies Reply);
