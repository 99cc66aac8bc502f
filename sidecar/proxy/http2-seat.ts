// One stream of a client: its request is read for the exchange, and the exchange's answer goes out on it. Seats are used
// for stream after stream. Not routing and not answers.
import { type BodyForm, REFUSED } from "../http1/contract.ts";
import { RequestDecoder } from "../http1/decoder.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Http2StreamView, StreamHandler } from "../http2/contract.ts";
import { ERROR } from "../http2/error-code.ts";
import type { Http2Head } from "../http2/head.ts";
import type { Refusal } from "../http2/refusal.ts";
import { NO_HANDLER } from "../http2/stream.ts";
import { BodyLog } from "./body-log.ts";
import type { Downstream, Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { Exchange } from "./exchange.ts";
import { inTermsOf } from "./grpc.ts";
import { connectText, HTTP1_KINDS } from "./http2-heads.ts";
import { StreamOutlet, type StreamSender } from "./http2-outlet.ts";
import { readResponseText, trailersText } from "./http2-text.ts";
import { type Phase, type PhaseOwner, PhaseTimer } from "./phase-timer.ts";
import { READ_END_MAX_BYTES, ReadEnd, type ReadEnder } from "./read-end.ts";
import { type Failure, failure } from "./reasons.ts";
import { refuseHead } from "./refuse-head.ts";
import { CLIENT_CLOSED } from "./tunnel.ts";
import { type ContentOwner, TurnContent } from "./turn-content.ts";

/** The connection, as its seats see it. */
export interface SeatOwner {
  readonly remoteAddress: string;
  readonly isDraining: boolean;
  readonly readEnd: ReadEnd;
  /** What is being read now lies here. */
  readonly readBytes: Buffer;
  /** Why a stream of it ended before its answer did. */
  whyReset(stream: Http2StreamView): Failure;
  giveBack(seat: Http2Seat): void;
}

/** Of a handshake whose answer nobody checks: the endpoint's end of it stops at the sidecar (RFC 8441 section 5). */
const WEBSOCKET_KEY = "d2VmdC1zaWRlY2FyLWtleQ==";
const DRAINING = failure("draining");
const DATA_BODY: { readonly form: BodyForm; useWireForm(): void } = { form: "data", useWireForm: () => {} };

/** Of a free seat. */
const NOBODY: SeatOwner = {
  remoteAddress: "",
  isDraining: false,
  readEnd: new ReadEnd(),
  whyReset: () => CLIENT_CLOSED,
  readBytes: Buffer.alloc(0),
  giveBack: () => {},
};

/** "answered": the answer is out, the rest of the request is not wanted. */
type SeatState = "free" | "body" | "answering" | "tunnel" | "answered";

export class Http2Seat implements ContentOwner, Downstream, StreamHandler, StreamSender, PhaseOwner, ReadEnder {
  awaitsReadEnd = false;
  readonly outlet = new StreamOutlet(this, false);
  readonly body = DATA_BODY;
  readonly content: TurnContent;
  #owner: SeatOwner = NOBODY;
  readonly #path: DataPath;
  readonly #decoder: RequestDecoder;
  readonly #exchange: Exchange;
  readonly #timer: PhaseTimer;
  #stream: Http2StreamView | undefined = undefined;
  /** The request as it came. */
  #fields: Http2Head | undefined = undefined;
  #state: SeatState = "free";
  #policyIdleMs = 0;
  /** What a tunnel's client sent before there was a tunnel; at most a stream's window. */
  #early: BodyLog | undefined = undefined;
  #hasEnded = false;
  #isPaused = false;
  /** The client takes nothing of what waits for it. */
  #isStalled = false;
  /** What the rest of the request is being refused for. */
  #refusal: Refusal | undefined = undefined;

  constructor(path: DataPath, router: Router) {
    this.#path = path;
    this.#decoder = new RequestDecoder(path.http1Limits);
    this.#exchange = new Exchange(this, path, router);
    this.content = new TurnContent(this, this.#exchange.steps, path.turn);
    this.#timer = new PhaseTimer(this, path.wheel, this.#exchange.tries);
  }

  get head(): MessageHead {
    return this.#decoder.head;
  }

  /** An upgrade is no request of HTTP/2. */
  get http2Head(): Http2Head | undefined {
    const { head } = this;
    return head.upgrade || head.isConnect ? undefined : this.#fields;
  }

  get remoteAddress(): string {
    return this.#owner.remoteAddress;
  }

  get isRequestComplete(): boolean {
    return this.#state !== "body";
  }

  get isDraining(): boolean {
    return this.#owner.isDraining;
  }

  /** A stream begins. */
  take(owner: SeatOwner, stream: Http2StreamView): void {
    this.#owner = owner;
    this.#stream = stream;
    this.#policyIdleMs = this.#path.limits.streamIdleTimeoutMs;
  }

  /** The connection is about to be cut: a client that waits for its answer is told why there is none. */
  cut(): void {
    if (this.#exchange.state !== "idle") this.#guard(() => this.#exchange.refuse(DRAINING));
  }

  /** A free seat will not be used again. */
  dispose(): void {
    this.#exchange.onClientGone();
    this.#timer.release();
  }

  // ---- the request ----

  onHead(_stream: Http2StreamView, fields: Http2Head, isEnd: boolean): void {
    this.#guard(() => {
      this.#fields = fields;
      if (!this.#takeHead(fields, isEnd)) return this.#refuse();
      const { head } = this.#decoder;
      const hasBody = !isEnd && !head.isConnect && !head.upgrade;
      this.#hasEnded = isEnd;
      this.#state = hasBody ? "body" : "answering";
      this.#timer.arm("stream", hasBody ? this.#path.limits.bodyIdleTimeoutMs : this.#policyIdleMs);
      const waits = hasBody && this.content.begin(this.#owner.readBytes);
      this.#exchange.begin();
      if (!waits) this.#awaitReadEnd();
    });
  }

  #takeHead(head: Http2Head, isEnd: boolean): boolean {
    if (!head.isConnect) return this.#decoder.takeHead(head, HTTP1_KINDS, isEnd);
    const bytes = Buffer.from(connectText(head, WEBSOCKET_KEY), "latin1");
    return this.#decoder.decodeHead(bytes, 0, bytes.length) !== REFUSED;
  }

  onInterimHead(): void {}

  onData(_stream: Http2StreamView, bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    try {
      this.#timer.hasMoved = true;
      this.#hasEnded ||= isEnd;
      if (this.content.add(bytes, start, end, isEnd)) return;
      if (this.#state === "body") {
        this.#addContent(bytes, start, end, isEnd);
        if (end - start > READ_END_MAX_BYTES) this.#exchange.request.flush();
        else this.#awaitReadEnd();
      } else if (this.#state === "tunnel") this.#passTunnel(bytes, start, end, isEnd);
      else if (this.#state === "answering" && end > start) this.#holdEarly(bytes, start, end);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** There is no tunnel yet: the stream's window stays with us until there is one. */
  #holdEarly(bytes: Buffer, start: number, end: number): void {
    this.#early ??= new BodyLog();
    this.#early.addBytes(bytes, start, end);
    this.#stream?.pauseReading();
  }

  #passEarly(early: BodyLog): void {
    const { tunnel, request } = this.#exchange;
    early.sendTo({ addBody: (bytes, start, end) => tunnel.fromClient(bytes, start, end) });
    request.flush();
    this.#dropEarly();
  }

  #dropEarly(): void {
    this.#early?.clear();
    this.#early = undefined;
  }

  #addContent(bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    if (end > start) this.#exchange.request.addBody(bytes, start, end);
    if (isEnd && this.#state === "body") this.#completeRequest("");
  }

  onContent(bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    try {
      if (this.#state === "body") this.#addContent(bytes, start, end, isEnd);
      this.#exchange.request.flush();
    } catch (error) {
      this.#onError(error);
    }
  }

  onTrailers(_stream: Http2StreamView, trailers: Http2Head): void {
    this.#guard(() => {
      this.#hasEnded = true;
      this.content.take();
      if (this.#state === "body") {
        this.#completeRequest(trailersText(trailers));
        this.#awaitReadEnd();
      } else if (this.#state === "tunnel") this.#exchange.tunnel.onClientEnd();
    });
  }

  /** A seat whose exchange is over by now has left: nobody would call it, and as one that waits it would not be added again. */
  #awaitReadEnd(): void {
    if (this.#stream !== undefined) this.#owner.readEnd.add(this);
  }

  onReadEnd(): void {
    try {
      this.#exchange.request.flush();
    } catch (error) {
      this.#onError(error);
    }
  }

  onReset(stream: Http2StreamView): void {
    this.#guard(() => {
      if (this.#exchange.state !== "idle") this.#exchange.onClientReset(this.#owner.whyReset(stream));
      this.#leave();
    });
  }

  /**
   * The rest of the request breaks a rule of messages, as content of another length than was promised does. It is answered where
   * no answer has begun, and its stream is reset with the rule's code (RFC 9113 section 8.1.1).
   */
  refuseRest(refusal: Refusal): void {
    if (this.#exchange.state === "idle") return;
    const reason = refusal.status === 400 ? "bad-request" : "header-too-large";
    this.#refusal = refusal;
    this.#guard(() => this.#exchange.refuse(failure(reason, refusal.detail)));
    this.#refusal = undefined;
  }

  onDrain(): void {
    this.#guard(() => {
      this.outlet.onDrain();
      if (this.#state === "answered") this.#leave();
      else this.#exchange.onClientDrain();
    });
  }

  #completeRequest(trailers: string): void {
    this.#state = "answering";
    this.#timer.arm("stream", this.#policyIdleMs);
    this.#exchange.onRequestEnd(trailers);
  }

  /** The head breaks a rule that HTTP/2 itself has not. */
  #refuse(): void {
    const { refusal } = this.#decoder;
    const cause = inTermsOf(failure(refusal?.reason ?? "bad-request", refusal?.detail, refusal?.status), this.#fields);
    this.#state = "answering";
    refuseHead(this, this.#path, this.#exchange.direction, cause);
    this.onExchangeDone();
  }

  // ---- for the exchange ----

  readText(text: string, into: Http2Head): void {
    readResponseText(text, into);
  }

  sendHead(head: Http2Head, isEnd: boolean): Http2StreamView | undefined {
    this.#stream?.sendHead(head, isEnd);
    return this.#stream;
  }

  pauseReading(): void {
    this.#isPaused = true;
    this.#stream?.pauseReading();
  }

  resumeReading(): void {
    this.#isPaused = false;
    this.#stream?.resumeReading();
  }

  noteActivity(): void {
    this.#timer.hasMoved = true;
  }

  setIdleTimeout(idleMs: number): void {
    this.#policyIdleMs = idleMs;
    if (this.#state !== "body") this.#timer.changeStream(idleMs);
  }

  /** The answer was given to the codec. What of it waits for the client still goes out. */
  onExchangeDone(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (this.#isStalled) this.reset();
    else if (stream.queuedBytes > 0) {
      this.#state = "answered";
      this.#timer.arm("stream", this.#policyIdleMs);
    } else this.#leave();
  }

  reset(): void {
    if (this.#isStalled) this.#stream?.giveUp();
    else this.#stream?.reset(this.#resetCode);
    this.#leave();
  }

  get #resetCode(): number {
    if (this.#refusal !== undefined) return this.#refusal.code;
    return this.#state === "tunnel" ? this.#tunnelError : ERROR.internalError;
  }

  /** What stands for a reset of TCP: RFC 9113 section 8.5, for what CONNECT was extended to RFC 8441 section 5. */
  get #tunnelError(): number {
    return this.head.isConnect ? ERROR.connectError : ERROR.cancel;
  }

  startTunnel(): void {
    this.#state = "tunnel";
    this.#timer.arm("stream", this.#path.limits.tunnelIdleTimeoutMs);
    if (!this.#isPaused) this.#stream?.resumeReading();
    if (this.#early !== undefined) this.#passEarly(this.#early);
    if (this.#hasEnded) this.#exchange.tunnel.onClientEnd();
    else this.#exchange.request.flush();
  }

  endTunnelWrites(): void {
    this.outlet.end("");
  }

  // ---- ends ----

  #passTunnel(bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    const { tunnel, request } = this.#exchange;
    if (end > start) tunnel.fromClient(bytes, start, end);
    if (isEnd) tunnel.onClientEnd();
    else request.flush();
  }

  /** The seat is free for another stream. */
  #leave(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    this.#fields = undefined;
    this.#state = "free";
    this.content.drop();
    if (this.#early !== undefined) this.#dropEarly();
    this.#isPaused = false;
    this.#isStalled = false;
    this.#decoder.release();
    this.outlet.detach();
    this.#timer.cancel();
    // All of the answer is out, and the rest of the request is not wanted (RFC 9113 section 8.1), or malformed.
    if (stream.state !== "closed" && !stream.isReceived) {
      stream.reset(this.#refusal?.status === 400 ? this.#refusal.code : ERROR.noError);
    }
    stream.handler = NO_HANDLER;
    stream.release();
    const owner = this.#owner;
    this.#owner = NOBODY;
    owner.giveBack(this);
  }

  onTimeout(phase: Phase): void {
    if (phase !== "stream") return;
    this.#isStalled = (this.#stream?.queuedBytes ?? 0) > 0;
    this.#guard(() => {
      if (this.#state === "answered") this.reset();
      else if (this.#state === "body" && !this.#isPaused)
        this.#exchange.refuse(this.#exchange.keepAlive.stopped(this, this.#exchange.record));
      else this.#exchange.fail(failure("stream-idle-timeout"));
    });
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#onError(error);
    }
  }

  /** A bug: the exchange in progress is answered 500; without one only a reset ends the stream. */
  #onError(error: unknown): void {
    const wasIdle = this.#exchange.state === "idle";
    this.#exchange.onInternalError("client", error);
    if (wasIdle) this.reset();
  }
}
