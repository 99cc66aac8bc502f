// The endpoint's answer on its way to the client: which framing the client gets, the head edited, the body in the form
// that the framing wants. Not flow control: the exchange flushes and pauses.
import { CHUNK_END, chunkHeader, LAST_CHUNK } from "../http1/chunk.ts";
import type { BodyForm } from "../http1/contract.ts";
import { encodeResponseHead } from "../http1/encoder.ts";
import type { MessageHead } from "../http1/head.ts";
import { HeadEdits } from "../http1/head-edits.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Downstream } from "./contract.ts";
import { corsLines } from "./cors.ts";
import type { Destination } from "./destination.ts";
import { applyModifiers } from "./forwarding.ts";

export class ResponseRelay {
  readonly #edits = new HeadEdits();
  readonly #client: Downstream;
  readonly #record: ExchangeRecord;
  /** Content is put into chunks here, because the endpoint ends its body by closing. */
  #chunks = false;
  /** The client's connection must close behind this answer. */
  closes = false;

  constructor(client: Downstream, record: ExchangeRecord) {
    this.#client = client;
    this.#record = record;
  }

  /** Writes the head of a final answer, with response filters applied. @returns the form in which its body is to come. */
  head(head: MessageHead, request: MessageHead, destination: Destination, mayKeepAlive: boolean): BodyForm {
    const edits = this.#edits;
    edits.clear();
    this.#chunks = false;
    applyFilters(edits, request, destination);
    edits.append += destination.responseLines;
    const toOldClient = request.minorVersion === 0;
    let form: BodyForm = "wire";
    let closes = !mayKeepAlive;
    if (head.framing === "until-close") {
      this.#chunks = !toOldClient;
      edits.framing = toOldClient ? "close" : "chunked";
      form = "data";
    } else if (head.framing === "chunked" && toOldClient) {
      edits.framing = "close";
      form = "data";
    }
    if (edits.framing === "close") closes = true;
    if (closes) edits.connection = "close";
    else if (toOldClient) edits.connection = "keep-alive";
    this.closes = closes;
    this.#client.outlet.addText(encodeResponseHead(head, edits));
    return form;
  }

  body(bytes: Buffer, start: number, end: number): void {
    const outlet = this.#client.outlet;
    this.#record.responseBytes += end - start;
    if (!this.#chunks) {
      outlet.addBytes(bytes, start, end);
      return;
    }
    outlet.addText(chunkHeader(end - start));
    outlet.addBytes(bytes, start, end);
    outlet.addText(CHUNK_END);
  }

  end(tail: string): void {
    if (this.#chunks) this.#client.outlet.addText(LAST_CHUNK);
    else if (tail !== "") this.#client.outlet.addText(tail);
  }

  /** Interim answers and the head of a tunnel: as they came, less what is for one hop. */
  passHead(head: MessageHead, upgrade: boolean): void {
    const edits = this.#edits;
    edits.clear();
    edits.upgrade = upgrade;
    this.#client.outlet.addText(encodeResponseHead(head, edits));
  }
}

function applyFilters(edits: HeadEdits, request: MessageHead, destination: Destination): void {
  const { ruleFilters, backendFilters } = destination;
  if (ruleFilters.isEmpty && backendFilters.isEmpty) return;
  applyModifiers(edits, ruleFilters.responseHeaders);
  applyModifiers(edits, backendFilters.responseHeaders);
  if (ruleFilters.cors !== undefined) edits.append += corsLines(edits, ruleFilters.cors, request);
}
