// The same bytes as llhttp reads them, through Node's own HTTP server and client over in-memory streams. For tests:
// a second opinion that nobody here wrote.
import { createServer, type IncomingMessage, request as sendRequest } from "node:http";
import { Duplex } from "node:stream";

/** A message as both parsers can tell it. */
export interface Reading {
  readonly startLine: string;
  /** Name, value, name, value... as they came. */
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

export interface Outcome {
  readonly messages: readonly Reading[];
  /** llhttp's error code; undefined when all was read. */
  readonly error: string | undefined;
}

/** One end of a connection whose peer says `bytes` and then ends; what is written to it is thrown away. */
class Scripted extends Duplex {
  constructor(bytes: Uint8Array) {
    super({ read: () => {}, write: (_chunk, _encoding, done) => done() });
    this.push(Buffer.from(bytes));
    this.push(null);
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

function collect(message: IncomingMessage, startLine: string, messages: Reading[], index: number): void {
  const parts: Buffer[] = [];
  message.on("data", (part: Buffer) => parts.push(part));
  message.on("error", () => {});
  message.on("end", () => {
    messages[index] = {
      startLine,
      fields: message.rawHeaders,
      body: Buffer.concat(parts).toString("latin1"),
      trailers: message.rawTrailers,
    };
  });
}

/** Requests, up to the first that ends the connection. */
export function readRequests(bytes: Uint8Array): Promise<Outcome> {
  return new Promise((resolve) => {
    const messages: Reading[] = [];
    let count = 0;
    let error: string | undefined;
    const server = createServer({ requireHostHeader: false, maxHeaderSize: 1 << 20, insecureHTTPParser: false });
    server.maxHeadersCount = 0;
    const take = (message: IncomingMessage): void => {
      collect(message, `${message.method} ${message.url} ${message.httpVersion}`, messages, count++);
    };
    server.on("request", (message, response) => {
      take(message);
      message.on("end", () => response.end());
    });
    // Expectations that are not 100-continue are still requests.
    server.on("checkExpectation", (message, response) => server.emit("request", message, response));
    const tunnel = (message: IncomingMessage): void => {
      messages[count++] = {
        startLine: `${message.method} ${message.url} ${message.httpVersion}`,
        fields: message.rawHeaders,
        body: "",
        trailers: [],
      };
      // Not at once: what was read before it is still on its way to its listeners.
      setImmediate(() => socket.destroy());
    };
    server.on("connect", tunnel);
    server.on("clientError", (problem: NodeJS.ErrnoException) => {
      error ??= problem.code ?? problem.message;
      socket.destroy();
    });
    const socket = new Scripted(bytes);
    socket.on("error", () => {});
    socket.on("close", () => resolve({ messages: messages.filter((message) => message !== undefined), error }));
    server.emit("connection", socket);
  });
}

/** The final response to one request with this method. */
export function readResponse(bytes: Uint8Array, method: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const messages: Reading[] = [];
    let error: string | undefined;
    const socket = new Scripted(bytes);
    const request = sendRequest({
      method,
      host: "a",
      path: method === "CONNECT" ? "a:1" : "/",
      maxHeaderSize: 1 << 20,
      createConnection: () => socket as never,
    });
    const note = (status: number | undefined, message: string | undefined, version: string): string =>
      `${version} ${status} ${message ?? ""}`;
    request.on("information", (interim) => {
      const startLine = note(interim.statusCode, interim.statusMessage, interim.httpVersion);
      messages.push({ startLine, fields: interim.rawHeaders, body: "", trailers: [] });
    });
    const whole = (message: IncomingMessage): void => {
      const startLine = note(message.statusCode, message.statusMessage, message.httpVersion);
      collect(message, startLine, messages, messages.length);
      message.on("aborted", () => {
        error ??= "aborted";
      });
    };
    request.on("response", whole);
    request.on("error", (problem: NodeJS.ErrnoException) => {
      error ??= problem.code ?? problem.message;
    });
    request.on("close", () => {
      socket.destroy();
      setImmediate(() => resolve({ messages: messages.filter((message) => message !== undefined), error }));
    });
    request.end();
  });
}
