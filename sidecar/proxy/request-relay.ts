// The request on its way to the endpoint: head and body into the attempt's connection, what must be kept for another
// attempt into the log, copies to mirrors. Holds the client back while there is nobody to send to.
import type { MeshResource } from "../../rules/resource.ts";
import { LINE_END } from "../http1/field-line.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { MirrorFilter } from "../route/rule-plan.ts";
import type { Snapshot } from "../snapshot.ts";
import type { AttemptHolder } from "./attempt.ts";
import { BodyLog } from "./body-log.ts";
import type { Downstream, MessageOutlet } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import type { Destination } from "./destination.ts";
import { Mirror } from "./mirror.ts";
import type { RetryState } from "./retry-state.ts";
import { ForwardedHeads } from "./rewrite.ts";

export class RequestRelay {
  readonly #client: Downstream;
  readonly #holder: AttemptHolder;
  readonly #retry: RetryState;
  readonly #record: ExchangeRecord;
  readonly #path: DataPath;
  readonly #heads: ForwardedHeads;
  readonly #log = new BodyLog();
  #mirrors: Mirror[] | undefined = undefined;
  /** The head for the next hop, without what each attempt adds and the empty line. */
  #headText = "";
  /** Instead of the text, where the head goes on in fields: made for each attempt anew, because all requests share one Http2Head. */
  #isInFields = false;
  /** Instead of the text, where the same head was sent before. */
  #isKnown = false;
  /** What heads that are not text yet are made from. */
  #settings: MeshResource["headers"] | undefined = undefined;
  #destination: Destination | undefined = undefined;
  /** Of the body, once it is complete. */
  #trailers = "";
  /** An answer has begun: no other attempt will be made, so nothing more is kept. */
  #isSettled = false;

  constructor(client: Downstream, holder: AttemptHolder, retry: RetryState, record: ExchangeRecord, path: DataPath) {
    this.#record = record;
    this.#path = path;
    this.#heads = new ForwardedHeads(client, path, record);
    this.#client = client;
    this.#holder = holder;
    this.#retry = retry;
  }

  /** All that was sent so far can be sent again. */
  get isWhole(): boolean {
    return this.#log.isWhole;
  }

  /** A request goes to `destination`. */
  begin(destination: Destination, snapshot: Snapshot): void {
    const { head } = this.#client;
    const { mirrors } = destination.ruleFilters;
    // What follows a CONNECT is a talk of two, and no third one could take part.
    const hasMirrors = mirrors.length > 0 && !destination.isFallback && !head.isConnect;
    const { headers } = snapshot.mesh;
    const heads = this.#heads;
    heads.begin(headers, head);
    this.#isInFields = !hasMirrors && heads.hasFields(head, destination);
    this.#isKnown = !hasMirrors && !this.#isInFields && heads.isKnown(head, destination);
    this.#settings = headers;
    this.#destination = destination;
    if (!this.#isInFields && !this.#isKnown) this.#headText = heads.textOf(headers, head, destination);
    if (hasMirrors) this.#startMirrors(mirrors, snapshot);
    // Others who may get the body too may speak another protocol: then its content alone is of use.
    else if (this.#holder.attempt.form === "wire" && destination.cluster?.policy.fallback === undefined)
      this.#client.body.useWireForm();
  }

  #startMirrors(filters: readonly MirrorFilter[], snapshot: Snapshot): void {
    const { head, isRequestComplete } = this.#client;
    const { trace } = this.#record;
    for (const filter of filters) {
      const spanId = trace.source?.newSpanId() ?? "";
      const headText = `${this.#headText}${trace.linesOf(spanId)}\r\n`;
      const mirror = Mirror.start(filter, this.#path, snapshot, head, headText, this.#record);
      if (mirror === undefined) continue;
      // Content that came while the request was held is the copy's as well: its head promises it.
      this.#log.sendTo(mirror);
      if (isRequestComplete) mirror.end(this.#trailers);
      if (spanId !== "" && trace.isSampled) mirror.trace(this.#record, spanId);
      this.#mirrors ??= [];
      this.#mirrors.push(mirror);
    }
  }

  /** The attempt's connection stands: what there is of the request goes out. @param hopLines end its head */
  sendAll(hopLines: string): void {
    const outlet = this.#holder.attempt.outlet;
    const { isRequestComplete, head } = this.#client;
    this.#sendHead(outlet, hopLines);
    this.#log.sendTo(outlet);
    // Behind CONNECT its tunnel follows: HTTP/2 would end the client's side of it by the same flag (RFC 9113 section 8.5).
    if (head.isConnect) outlet.flush();
    else if (isRequestComplete) outlet.end(this.#trailersFor(outlet));
    else if (this.#isInFields) outlet.flush();
    if (this.#log.bytes > 0 && (!this.#retry.keepsBody || this.#isTooLarge())) {
      // Others may have its blocks from here on.
      outlet.flush();
      this.#log.forget();
    }
    this.#client.resumeReading();
  }

  /** All of the request once more, which must be complete and whole. */
  sendCopy(outlet: MessageOutlet, hopLines: string): void {
    this.#sendHead(outlet, hopLines);
    this.#log.sendTo(outlet);
    outlet.end(this.#trailersFor(outlet));
  }

  /** Behind a body of known length HTTP/1.1 has no place for them: they would be read as the next request. */
  #trailersFor(outlet: MessageOutlet): string {
    return outlet.form === "wire" && this.#client.head.framing !== "chunked" ? "" : this.#trailers;
  }

  #sendHead(outlet: MessageOutlet, hopLines: string): void {
    const { head, body } = this.#client;
    const settings = this.#settings;
    const destination = this.#destination;
    const chunks = head.framing === "chunked" && body.form === "data";
    if (settings !== undefined && destination !== undefined) {
      if (this.#isInFields && outlet.addFields !== undefined)
        return outlet.addFields(this.#heads.fieldsOf(settings, head, destination), hopLines);
      if (this.#isKnown && outlet.addPreparedHead !== undefined) {
        const prepared = this.#heads.preparedHead(settings, head, destination, hopLines);
        if (prepared !== undefined) return outlet.addPreparedHead(prepared, chunks);
      }
      if (this.#headText === "") this.#headText = this.#heads.textOf(settings, head, destination);
    }
    outlet.addHead(this.#headText + hopLines + LINE_END, chunks);
  }

  addBody(bytes: Buffer, start: number, end: number): void {
    this.#record.requestBytes += end - start;
    const isSent = this.#holder.attempt.isOpen;
    const { outlet } = this.#holder.attempt;
    if (isSent) outlet.addBody(bytes, start, end);
    if (outlet.isFull) this.#client.pauseReading();
    if (this.#keeps(isSent)) this.#log.addBytes(bytes, start, end);
    this.#bound(isSent);
    if (this.#mirrors !== undefined) for (const mirror of this.#mirrors) mirror.addBody(bytes, start, end);
  }

  /** The body is complete. @param trailers as of MessageOutlet.end */
  end(trailers: string): void {
    this.#trailers = trailers;
    this.#record.requestBytes += trailers.length;
    const { attempt } = this.#holder;
    if (attempt.isOpen) attempt.outlet.end(this.#trailersFor(attempt.outlet));
    if (this.#mirrors !== undefined) for (const mirror of this.#mirrors) mirror.end(trailers);
  }

  /** Writes what was gathered in this turn. */
  flush(): void {
    const outlet = this.#holder.attempt.outlet;
    outlet.flush();
    if (outlet.isFull) this.#client.pauseReading();
  }

  /** It goes to another destination than the one it was made for. */
  forgetHead(): void {
    this.#headText = "";
  }

  /** Nothing is needed again. */
  settle(): void {
    this.#isSettled = true;
    this.#log.clear();
  }

  clear(): void {
    this.#headText = "";
    this.#isInFields = false;
    this.#isKnown = false;
    this.#settings = undefined;
    this.#trailers = "";
    this.#isSettled = false;
    this.#log.clear();
    if (this.#mirrors === undefined) return;
    for (const mirror of this.#mirrors) mirror.cancel();
    this.#mirrors = undefined;
  }

  #isTooLarge(): boolean {
    return this.#log.bytes > (this.#retry.plan?.maxBodyBytes ?? 0);
  }

  #keeps(isSent: boolean): boolean {
    return !this.#isSettled && (!isSent || (this.#retry.keepsBody && this.#log.isWhole));
  }

  /** Nothing more is read before a connection is there; what is too much is not kept for retries. */
  #bound(isSent: boolean): void {
    if (!isSent) {
      if (!this.#client.isRequestComplete) this.#client.pauseReading();
    } else if (!this.#retry.keepsBody) this.#log.isWhole = false;
    else if (this.#isTooLarge()) this.#log.forget();
  }
}
