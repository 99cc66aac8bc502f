// What the HTTP/1.1 room makes of a byte stream, written down as lines, whatever the pieces in which it arrives.
// For tests: the same loop as the data path's, without sockets.
import { BodyDecoder } from "../../sidecar/http1/body.ts";
import { NEEDS_MORE, REFUSED, type Refusal } from "../../sidecar/http1/contract.ts";
import { RequestDecoder, ResponseDecoder } from "../../sidecar/http1/decoder.ts";
import { encodeRequestHead, encodeResponseHead } from "../../sidecar/http1/encoder.ts";
import { FIELD } from "../../sidecar/http1/field.ts";
import type { MessageHead } from "../../sidecar/http1/head.ts";
import { HeadEdits } from "../../sidecar/http1/head-edits.ts";
import { DEFAULT_HTTP1_LIMITS, type Http1Limits } from "../../sidecar/http1/limits.ts";
import type { Reading } from "./llhttp.ts";

export interface StreamKind {
  readonly kind: "request" | "response";
  /** Of a response: the method of the request, and the protocols that it asked for. */
  readonly method?: string;
  readonly askedProtocols?: string;
  readonly form?: "wire" | "data";
}

export interface LoggedMessage extends Reading {
  readonly method: string;
  readonly originForm: string;
  readonly keepAlive: boolean;
  readonly hasUpgrade: boolean;
}

/** In quotes; long ones by their length. */
function quoted(text: string | undefined): string {
  const value = text ?? "";
  return value.length <= QUOTED_MAX
    ? JSON.stringify(value)
    : `${JSON.stringify(value.slice(0, 20))} and so on, ${value.length} bytes`;
}

function abbreviated(text: string): string {
  return text.length <= QUOTED_MAX ? text : `${text.slice(0, 20)}... of ${text.length} bytes`;
}

const QUOTED_MAX = 200;

/** Reads one direction of a connection; `log` grows as messages come. */
export class MessageLog {
  readonly lines: string[] = [];
  /** The messages that were read whole. */
  readonly messages: LoggedMessage[] = [];
  /** Where in the stream each of them ended. */
  readonly ends: number[] = [];
  #offset = 0;
  /** What would be written to the next hop, latin1. */
  forwarded = "";
  readonly #decoder: RequestDecoder | ResponseDecoder;
  readonly #body: BodyDecoder;
  readonly #edits = new HeadEdits();
  readonly #stream: StreamKind;
  #inBody = false;
  #content = "";
  #isOver = false;

  constructor(stream: StreamKind, limits: Http1Limits = DEFAULT_HTTP1_LIMITS) {
    this.#stream = stream;
    this.#body = new BodyDecoder(limits);
    if (stream.kind === "request") this.#decoder = new RequestDecoder(limits);
    else {
      const decoder = new ResponseDecoder(limits);
      decoder.expect(stream.method ?? "GET", stream.askedProtocols ?? "");
      this.#decoder = decoder;
    }
  }

  get isRefused(): boolean {
    return this.#isOver;
  }

  /** One read. The bytes are spoilt afterwards, as the next read into a shared buffer would. */
  push(piece: Uint8Array): void {
    const bytes = Buffer.from(piece);
    let at = 0;
    while (at < bytes.length && !this.#isOver) {
      at = this.#inBody ? this.#readBody(bytes, at) : this.#readHead(bytes, at);
      while (this.ends.length < this.messages.length) this.ends.push(this.#offset + at);
    }
    this.#offset += bytes.length;
    bytes.fill(0x58);
  }

  /** The peer closed. */
  end(): void {
    if (this.#isOver) return;
    if (!this.#inBody) this.lines.push(this.#decoder.hasBegun ? "closed inside a head" : "closed");
    else if (this.#body.finish()) {
      this.#endMessage();
      this.ends.push(this.#offset);
      this.lines.push("closed");
    } else {
      this.#logContent();
      this.lines.push("closed inside a body");
    }
  }

  #readHead(bytes: Buffer, start: number): number {
    const at = this.#decoder.decodeHead(bytes, start, bytes.length);
    if (at === NEEDS_MORE) return bytes.length;
    if (at === REFUSED) return this.#refuse(this.#decoder.refusal);
    const head = this.#decoder.head;
    this.#logHead(head);
    this.#edits.clear();
    this.#edits.upgrade = true;
    this.forwarded +=
      this.#stream.kind === "request" ? encodeRequestHead(head, this.#edits) : encodeResponseHead(head, this.#edits);
    const side = this.#stream.kind === "request" ? "downstream" : "upstream";
    this.#body.begin(head.framing, head.contentLength, this.#stream.form ?? "wire", side);
    this.#inBody = true;
    this.#content = "";
    if (this.#body.isDone) this.#endMessage();
    return at;
  }

  #readBody(bytes: Buffer, start: number): number {
    const at = this.#body.decode(bytes, start, bytes.length);
    if (at === REFUSED) return this.#refuse(this.#body.refusal);
    if (at === start && !this.#body.isDone && this.#body.outEnd === this.#body.outStart) {
      throw new Error(`no progress at ${at}`);
    }
    const out = bytes.toString("latin1", this.#body.outStart, this.#body.outEnd);
    this.forwarded += out;
    this.#content += out;
    if (this.#body.isDone) this.#endMessage();
    return at;
  }

  #logHead(head: MessageHead): void {
    if (this.#stream.kind === "request")
      this.lines.push(`request ${head.method} ${abbreviated(head.target)} 1.${head.minorVersion}`);
    else this.lines.push(`response ${head.status} ${JSON.stringify(head.reason)} 1.${head.minorVersion}`);
    if (this.#stream.kind === "request") {
      this.lines.push(
        `  for ${JSON.stringify(head.authority)} path ${abbreviated(head.path)} query ${JSON.stringify(head.query)}`,
      );
    }
    for (let index = 0; index < head.fieldCount; index++) {
      this.lines.push(`  field ${head.nameAt(index)}: ${quoted(head.valueAt(index))}`);
    }
    const flags = [
      head.framing === "length" ? `length ${head.contentLength}` : head.framing,
      head.keepAlive ? "keep-alive" : "close",
      head.upgrade ? "upgrade" : "",
      head.expectContinue ? "expect-continue" : "",
      head.acceptsTrailers ? "te-trailers" : "",
      head.keepAliveTimeoutSeconds >= 0 ? `timeout=${head.keepAliveTimeoutSeconds}` : "",
      head.keepAliveMax >= 0 ? `max=${head.keepAliveMax}` : "",
    ];
    this.lines.push(`  ${flags.filter((flag) => flag !== "").join(", ")}`);
  }

  #logContent(): void {
    if (this.#content !== "") this.lines.push(`  body ${quoted(this.#content)}`);
  }

  #endMessage(): void {
    this.forwarded += this.#body.tail;
    this.#logContent();
    const trailers = this.#body.trailers;
    for (let index = 0; index < (trailers?.count ?? 0); index++) {
      this.lines.push(`  trailer ${trailers?.nameAt(index)}: ${quoted(trailers?.valueAt(index))}`);
    }
    this.lines.push(`  end, ${this.#body.contentBytes} bytes`);
    this.#keepMessage();
    this.#inBody = false;
    this.#decoder.reset();
  }

  #keepMessage(): void {
    const head = this.#decoder.head;
    const fields: string[] = [];
    for (let index = 0; index < head.fieldCount; index++) fields.push(head.nameAt(index), head.valueAt(index));
    const trailers: string[] = [];
    const table = this.#body.trailers;
    for (let index = 0; index < (table?.count ?? 0); index++) {
      trailers.push(table?.nameAt(index) ?? "", table?.valueAt(index) ?? "");
    }
    const isRequest = this.#stream.kind === "request";
    this.messages.push({
      startLine: isRequest
        ? `${head.method} ${head.target} 1.${head.minorVersion}`
        : `1.${head.minorVersion} ${head.status} ${head.reason}`,
      method: isRequest ? head.method : "",
      originForm: isRequest ? head.originForm : "",
      fields,
      body: this.#content,
      trailers,
      keepAlive: head.keepAlive,
      hasUpgrade: head.has(FIELD.upgrade),
    });
  }

  #refuse(refusal: Refusal | undefined): number {
    if (refusal === undefined) throw new Error("refused without a reason");
    this.lines.push(`refused ${refusal.status} ${refusal.reason} ${refusal.detail}`);
    this.#isOver = true;
    return Number.MAX_SAFE_INTEGER;
  }
}

/** The whole story of a stream that arrives in these pieces and is then closed. */
export function logOf(stream: StreamKind, pieces: readonly Uint8Array[], limits?: Http1Limits): MessageLog {
  const log = new MessageLog(stream, limits);
  for (const piece of pieces) log.push(piece);
  log.end();
  return log;
}
