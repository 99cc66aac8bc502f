// The load of the benchmark: a process that is told over IPC what to send where, and answers with what it counted.
// Closed loop: every connection sends its next request when the last answer is complete. Constant rate: requests are
// due at fixed times and their latency counts from then, so that a stall shows (no coordinated omission).
import { connect, type Socket } from "node:net";

export interface LoadOrder {
  readonly port: number;
  readonly connections: number;
  readonly milliseconds: number;
  readonly kind: "small" | "chunked" | "bytes";
  /** For "bytes". */
  readonly bytes: number;
  /** Requests per second in all; 0: closed loop. */
  readonly rate: number;
}

export interface LoadReport {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  readonly bytes: number;
  /** Of constant-rate runs, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

const HOST = "host: bench\r\n";
const shared = Buffer.allocUnsafeSlow(256 * 1024);

function requestOf(order: LoadOrder): string {
  if (order.kind === "small") return `GET /small HTTP/1.1\r\n${HOST}user-agent: bench\r\n\r\n`;
  if (order.kind === "bytes") return `GET /bytes/${order.bytes} HTTP/1.1\r\n${HOST}\r\n`;
  return `POST /chunked HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n1000\r\n${"x".repeat(4096)}\r\n0\r\n\r\n`;
}

class Connection {
  readonly #socket: Socket;
  readonly #onAnswer: (connection: Connection, isGood: boolean) => void;
  readonly #chunked: boolean;
  /** Bytes of the answer still to come; -1: the head is awaited. */
  #left = -1;
  #head = "";
  dueMs = 0;
  isBusy = false;
  bytes = 0;

  constructor(order: LoadOrder, onOpen: () => void, onAnswer: (connection: Connection, isGood: boolean) => void) {
    this.#onAnswer = onAnswer;
    this.#chunked = order.kind === "chunked";
    this.#socket = connect({
      host: "127.0.0.1",
      port: order.port,
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (length) => {
          this.#read(length);
          return true;
        },
      },
    });
    this.#socket.on("connect", onOpen);
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#onAnswer(this, false));
  }

  send(text: string): void {
    this.isBusy = true;
    this.#left = -1;
    this.#head = "";
    this.#socket.write(text, "latin1");
  }

  close(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.destroy();
  }

  #read(length: number): void {
    this.bytes += length;
    if (this.#left >= 0) this.#left -= length;
    else {
      this.#head += shared.latin1Slice(0, length);
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (this.#chunked) {
        if (!this.#head.endsWith("\r\n0\r\n\r\n")) return;
        this.#left = 0;
      } else {
        const at = this.#head.toLowerCase().indexOf("content-length: ");
        this.#left = Number.parseInt(this.#head.slice(at + 16, at + 30), 10) - (this.#head.length - end - 4);
      }
    }
    if (this.#left > 0) return;
    this.isBusy = false;
    this.#onAnswer(this, this.#head.startsWith("HTTP/1.1 200"));
  }
}

function run(order: LoadOrder): Promise<LoadReport> {
  const text = requestOf(order);
  const connections: Connection[] = [];
  const latencies: number[] = [];
  let [requests, errors, opened, isOver] = [0, 0, 0, false];
  const idle: Connection[] = [];
  const onAnswer = (connection: Connection, isGood: boolean): void => {
    if (isOver) return;
    if (isGood) requests++;
    else errors++;
    if (order.rate > 0) {
      latencies.push(performance.now() - connection.dueMs);
      idle.push(connection);
    } else connection.send(text);
  };
  return new Promise((resolve) => {
    const start = (): void => {
      const startedMs = performance.now();
      if (order.rate > 0) idle.push(...connections);
      else for (const connection of connections) connection.send(text);
      const pacing = order.rate > 0 ? pace(order, text, idle, () => isOver) : undefined;
      setTimeout(() => {
        isOver = true;
        clearInterval(pacing);
        const seconds = (performance.now() - startedMs) / 1000;
        const bytes = connections.reduce((sum, connection) => sum + connection.bytes, 0);
        for (const connection of connections) connection.close();
        latencies.sort((a, b) => a - b);
        const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0;
        resolve({ requests, errors, seconds, bytes, p50: at(0.5), p99: at(0.99), p999: at(0.999) });
      }, order.milliseconds);
    };
    for (let index = 0; index < order.connections; index++) {
      connections.push(
        new Connection(
          order,
          () => {
            if (++opened === order.connections) start();
          },
          onAnswer,
        ),
      );
    }
  });
}

/** Sends what is due every millisecond; a request whose connection is late keeps the time at which it was due. */
function pace(order: LoadOrder, text: string, idle: Connection[], isOver: () => boolean): NodeJS.Timeout {
  const startMs = performance.now();
  let sent = 0;
  const tick = (): void => {
    if (isOver()) return;
    const due = Math.floor(((performance.now() - startMs) * order.rate) / 1000);
    while (sent < due) {
      const connection = idle.pop();
      if (connection === undefined) return;
      connection.dueMs = startMs + (sent * 1000) / order.rate;
      sent++;
      connection.send(text);
    }
  };
  return setInterval(tick, 1);
}

process.on("message", (order: LoadOrder) => {
  void run(order).then((report) => process.send?.(report));
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
