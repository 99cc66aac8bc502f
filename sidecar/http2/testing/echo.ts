// A service for tests: answers with what it got. Takes content no faster than it is taken back.
import type { Http2StreamView, StreamHandler } from "../contract.ts";
import { Http2Head } from "../head.ts";

/** Answers each request with its own content; fields of the request that begin with "echo-" come back. */
const ECHO: StreamHandler = {
  onHead: (stream, head, isEnd) => {
    const answer = new Http2Head();
    answer.status = 200;
    answer.add("content-type", head.value("content-type") ?? "application/octet-stream");
    answer.add("x-method", head.method);
    answer.add("x-path", head.path);
    answer.add("x-authority", head.authority);
    for (let index = 0; index < head.count; index++) {
      if (head.nameAt(index).startsWith("echo-")) answer.add(head.nameAt(index), head.valueAt(index));
    }
    stream.sendHead(answer, isEnd || head.method === "HEAD");
  },
  onData: (stream, bytes, start, end, isEnd) => {
    if (!stream.sendData(bytes, start, end, isEnd)) stream.pauseReading();
  },
  onTrailers: (stream, trailers) => stream.sendTrailers(trailers),
  onInterimHead: () => {},
  onDrain: (stream) => stream.resumeReading(),
  onReset: () => {},
};

export function acceptEcho(_stream: Http2StreamView): StreamHandler {
  return ECHO;
}

/** Gathers one answer. */
export class Answer implements StreamHandler {
  readonly interim: Http2Head[] = [];
  readonly head: Http2Head = new Http2Head();
  trailers: Http2Head | undefined = undefined;
  readonly #chunks: Buffer[] = [];
  /** Resolves to "end", or to why the stream was reset. */
  readonly done: Promise<string>;
  #settle: (how: string) => void = () => {};
  stream: Http2StreamView | undefined = undefined;
  drains = 0;

  constructor() {
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get body(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  onHead(stream: Http2StreamView, head: Http2Head, isEnd: boolean): void {
    this.stream = stream;
    this.head.copyFrom(head);
    if (isEnd) this.#settle("end");
  }

  onInterimHead(_stream: Http2StreamView, head: Http2Head): void {
    const copy = new Http2Head();
    copy.copyFrom(head);
    this.interim.push(copy);
  }

  onData(_stream: Http2StreamView, bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    this.#chunks.push(Buffer.from(bytes.subarray(start, end)));
    if (isEnd) this.#settle("end");
  }

  onTrailers(_stream: Http2StreamView, trailers: Http2Head): void {
    this.trailers = new Http2Head();
    this.trailers.copyFrom(trailers);
    this.#settle("end");
  }

  onReset(stream: Http2StreamView): void {
    this.stream = stream;
    this.#settle(`reset: ${stream.resetCause} ${stream.resetCode}${stream.isUnprocessed ? " unprocessed" : ""}`);
  }

  onDrain(): void {
    this.drains++;
  }
}

/** A request head with the pseudo-fields that each needs. */
export function requestHead(method: string, path: string, fields: Readonly<Record<string, string>> = {}): Http2Head {
  const head = new Http2Head();
  head.method = method;
  head.scheme = "http";
  head.authority = "service.test";
  head.path = path;
  for (const [name, value] of Object.entries(fields)) head.add(name, value);
  return head;
}
