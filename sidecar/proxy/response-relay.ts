// The endpoint's answer on its way to the client: which framing the client gets, the head edited, the body in the form
// that the framing wants. Not flow control: the exchange flushes and pauses.
import type { Clock } from "../../runtime/clock.ts";
import type { BodyForm } from "../http1/contract.ts";
import { AS_IT_CAME, encodeResponseHead } from "../http1/encoder.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import { HeadEdits } from "../http1/head-edits.ts";
import { Http2Head } from "../http2/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Downstream, Trailers } from "./contract.ts";
import { corsLines } from "./cors.ts";
import type { Destination } from "./destination.ts";
import { applyModifiers } from "./forwarding.ts";
import { editHead } from "./http2-edits.ts";
import { readResponse } from "./http2-fields.ts";
import { KeptResponse } from "./keep-good.ts";
import { answerText, knownAnswer } from "./known-answer.ts";
import type { Failure } from "./reasons.ts";
import { endGrpcAnswer } from "./respond.ts";

/** What is asked of the exchange that is answered. */
interface AnsweredExchange {
  readonly head: MessageHead;
  readonly destination: Destination;
}

/** Used within one call at a time. */
const edits = new HeadEdits();
/** The same: it is sent before anybody else's answer is looked at. */
const sent = new Http2Head();

export class ResponseRelay {
  /** Of an answer that may end with its head, which therefore waits until that is known. */
  #waiting: Http2Head | undefined = undefined;
  readonly #client: Downstream;
  readonly #record: ExchangeRecord;
  readonly #clock: Clock;
  /** What is kept of the answer in progress. */
  #kept: KeptResponse | undefined = undefined;
  /** The end of the connection ends the body: there is no place for trailers. */
  #endsByClosing = false;
  /** The client's connection must close behind this answer. */
  closes = false;

  constructor(client: Downstream, record: ExchangeRecord, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
    this.#record = record;
  }

  /**
   * Writes the head of a final answer, with response filters applied.
   * @param given "wire": the body can be had in its wire form
   * @param fields the same head as it came in HTTP/2
   * @returns the form in which the body is to come
   */
  head(
    head: MessageHead,
    { head: request, destination }: AnsweredExchange,
    mayKeepAlive: boolean,
    given: BodyForm,
    fields: Http2Head | undefined,
  ): BodyForm {
    const { outlet } = this.#client;
    edits.clear();
    applyFilters(request, destination);
    const lastGood = destination.cluster?.state.lastGood;
    this.#kept = lastGood && KeptResponse.begin(lastGood, request, head, edits);
    edits.append += destination.responseLines;
    edits.upgrade = head.upgrade;
    const toOldClient = request.minorVersion === 0;
    let form: BodyForm = given === "wire" && outlet.form === "wire" && this.#kept === undefined ? "wire" : "data";
    this.#endsByClosing = false;
    let chunks = false;
    if (head.framing === "until-close" || (head.framing === "chunked" && toOldClient)) {
      this.#endsByClosing = toOldClient;
      edits.framing = toOldClient ? "close" : "chunked";
      chunks = !toOldClient;
      form = "data";
    } else if (toOldClient && head.has(FIELD.transferEncoding)) {
      // Of content that does not come (HEAD, 304), yet HTTP/1.0 knows no coding of it (RFC 9112 section 6.1).
      edits.framing = "close";
    } else if (given === "data" && outlet.form === "wire" && head.framing === "none" && endsWithHead(head, request))
      edits.framing = "length";
    else chunks = head.framing === "chunked" && form === "data";
    const closes = !mayKeepAlive || this.#endsByClosing;
    if (closes) edits.connection = "close";
    else if (toOldClient) edits.connection = "keep-alive";
    this.closes = closes;
    if (outlet.addFields === undefined) {
      if (fields === undefined) this.#addHead(head, chunks);
      else outlet.addHead(answerText(head, fields, edits, request.method), chunks);
    } else {
      const mayEndHere = head.framing === "none" || head.contentLength === 0;
      const known = mayEndHere || fields !== undefined ? undefined : knownAnswer(head, edits);
      const into = known ?? (mayEndHere ? this.#waitingHead() : sent);
      if (fields !== undefined) editHead(fields, edits, into);
      else if (known === undefined) readResponse(head, edits, into);
      outlet.addFields(into, "");
      if (!mayEndHere) outlet.flush();
    }
    return form;
  }

  #addHead(head: MessageHead, chunks: boolean): void {
    const { outlet } = this.#client;
    const { bytes, bytesStart, length } = head.fields;
    const text = encodeResponseHead(head, edits, bytes !== undefined && outlet.addHeadBytes !== undefined);
    if (text !== AS_IT_CAME || bytes === undefined) outlet.addHead(text, chunks);
    else outlet.addHeadBytes?.(bytes, bytesStart, bytesStart + length, chunks);
  }

  #waitingHead(): Http2Head {
    this.#waiting ??= new Http2Head();
    return this.#waiting;
  }

  body(bytes: Buffer, start: number, end: number): void {
    this.#record.responseBytes += end - start;
    if (this.#kept?.add(bytes, start, end) === false) this.#kept = undefined;
    this.#client.outlet.addBody(bytes, start, end);
  }

  end(trailers: Trailers): void {
    this.#kept?.keep(this.#clock.now());
    this.#kept = undefined;
    this.#client.outlet.end(this.#endsByClosing ? "" : trailers);
  }

  /** The answer is cut short. @returns whether its end says so; otherwise a reset has to */
  cut(destination: Destination, cause: Failure): boolean {
    this.#kept = undefined;
    return endGrpcAnswer(this.#client.outlet, destination, cause);
  }

  /** Interim answers: as they came, less what is for one hop. */
  interimHead(head: MessageHead): void {
    edits.clear();
    this.#addHead(head, false);
  }

  /** Writes the head that opens a tunnel, with response filters applied. */
  tunnelHead(head: MessageHead, { head: request, destination }: AnsweredExchange): void {
    edits.clear();
    edits.upgrade = true;
    applyFilters(request, destination);
    edits.append += destination.responseLines;
    this.#addHead(head, false);
  }
}

/**
 * HTTP/2 ends an answer without content by a flag. In HTTP/1.1 that has to be said, or the answer would last until the
 * connection closes (RFC 9112 section 6.3).
 */
function endsWithHead({ status }: MessageHead, { method }: MessageHead): boolean {
  return status >= 200 && status !== 204 && status !== 304 && method !== "HEAD";
}

function applyFilters(request: MessageHead, destination: Destination): void {
  const { ruleFilters, backendFilters } = destination;
  if (ruleFilters.isEmpty && backendFilters.isEmpty) return;
  applyModifiers(edits, ruleFilters.responseHeaders);
  applyModifiers(edits, backendFilters.responseHeaders);
  if (ruleFilters.cors !== undefined) edits.append += corsLines(edits, ruleFilters.cors, request);
}
