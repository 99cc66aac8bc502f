// The seat of a client that speaks HTTP/1.1: reads its requests one after the other and hands each to the exchange;
// answers leave in the order of the requests, because the next one is not begun before. Bytes that come early are held,
// bounded by not reading on. Seats serve connection after connection. Not routing and not answers.
import { BodyDecoder, NO_BODY } from "../http1/body.ts";
import { NEEDS_MORE, REFUSED, type Refusal } from "../http1/contract.ts";
import { RequestDecoder } from "../http1/decoder.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Downstream, Router, SeatedLink, SeatRoom } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { Exchange } from "./exchange.ts";
import { Intake } from "./intake.ts";
import { Outlet } from "./outlet.ts";
import { type Phase, type PhaseOwner, PhaseTimer } from "./phase-timer.ts";
import { type Failure, failure } from "./reasons.ts";
import { refuseHead } from "./refuse-head.ts";
import { type ContentOwner, TurnContent } from "./turn-content.ts";

/**
 * What is read next. "answering": the request is complete, its answer is not. "discarding": the answer is out, the rest
 * of the request is read away. "full": the client does not take its answers, so it gets no further ones. "closing": the
 * answer in progress is the last. "over": nothing is under way, and nothing will be.
 */
type SeatState = "head" | "body" | "answering" | "discarding" | "full" | "tunnel" | "closing" | "over";

/** A connection without a request for this long is idle: it needs no seat. */
const QUIET_MS = 1_000;

export class Http1Seat implements ContentOwner, Downstream, PhaseOwner {
  readonly outlet = new Outlet();
  readonly http2Head = undefined;
  /** Of the request in progress. */
  body: BodyDecoder = NO_BODY;
  readonly content: TurnContent;
  readonly #room: SeatRoom<Http1Seat>;
  readonly #path: DataPath;
  readonly #decoder: RequestDecoder;
  /** From the first request with content on. */
  #ownBody: BodyDecoder | undefined = undefined;
  readonly #exchange: Exchange;
  readonly #timer: PhaseTimer;
  readonly #quietMs: number;
  /** Undefined while the seat is free. */
  #link: SeatedLink | undefined = undefined;
  remoteAddress = "";
  /** Stream idle time that the exchange's policy asks for, for when the request is complete. */
  #policyIdleMs = 0;
  #state: SeatState = "over";
  readonly #intake = new Intake();
  #discarded = 0;
  /** The client ended its side. */
  #hasEnded = false;

  constructor(room: SeatRoom<Http1Seat>, path: DataPath, router: Router) {
    this.#room = room;
    this.#path = path;
    this.#quietMs = Math.min(QUIET_MS, path.limits.clientIdleTimeoutMs);
    this.#decoder = new RequestDecoder(path.http1Limits);
    this.#exchange = new Exchange(this, path, router);
    this.#timer = new PhaseTimer(this, path.wheel, this.#exchange.tries);
    this.content = new TurnContent(this, this.#exchange.steps, path.turn);
  }

  /** Serves this connection from now on, whose bytes and events come here until `onSeatLeft`. */
  take(link: SeatedLink): void {
    this.#link = link;
    this.#intake.attach(link);
    this.remoteAddress = link.remoteAddress;
    this.outlet.attach(link);
    this.#state = "head";
    this.#hasEnded = false;
    this.#timer.arm("idle", this.#quietMs);
  }

  /** Stands in no wheel any more, until it is taken. */
  rest(): void {
    this.#timer.release();
    this.#exchange.rest();
  }

  get head(): MessageHead {
    return this.#decoder.head;
  }

  get isRequestComplete(): boolean {
    return this.body.isDone;
  }

  get isDraining(): boolean {
    return this.#link?.isDraining === true;
  }

  /** Between requests: nothing is lost by closing. */
  get isIdle(): boolean {
    return this.#state === "head" && !this.#decoder.hasBegun;
  }

  // ---- bytes in ----

  /** bytes[start, end) came, and are overwritten after this returns. */
  onBytes(bytes: Buffer, start: number, end: number): void {
    try {
      this.content.take();
      this.#consume(bytes, start, end);
    } catch (error) {
      this.#intake.isInUse = false;
      this.#onError(error);
    }
  }

  #consume(bytes: Buffer, start: number, end: number): void {
    this.#intake.isInUse = true;
    this.#timer.hasMoved = true;
    let at = start;
    while (at < end) {
      if (this.#state === "head") at = this.#readHead(bytes, at, end);
      else if (this.#state === "body") at = this.#readBody(bytes, at, end);
      else if (this.#state === "discarding") at = this.#discard(bytes, at, end);
      else {
        if (this.#state === "tunnel") this.#exchange.tunnel.fromClient(bytes, at, end);
        else if (this.#state === "answering" || this.#state === "full") this.#intake.hold(bytes, at, end);
        at = end;
      }
    }
    this.#intake.isInUse = false;
    this.#exchange.request.flush();
    if (this.#hasEnded) this.#afterEnd();
    this.#settle();
  }

  #readHead(bytes: Buffer, start: number, end: number): number {
    const at = this.#decoder.decodeHead(bytes, start, end);
    if (at === NEEDS_MORE) {
      if (this.#decoder.hasBegun && this.#timer.phase !== "head") this.#timer.arm("head", this.#link?.headLeftMs ?? 0);
      return end;
    }
    if (at === REFUSED) return this.#refuse(this.#decoder.refusal, end);
    const head = this.#decoder.head;
    this.body = head.framing === "none" ? NO_BODY : this.#beginBody(head);
    this.#discarded = 0;
    const isComplete = this.body.isDone;
    this.#state = isComplete ? "answering" : "body";
    this.#policyIdleMs = this.#path.limits.streamIdleTimeoutMs;
    this.#timer.arm("stream", isComplete ? this.#policyIdleMs : this.#path.limits.bodyIdleTimeoutMs);
    const waits = !isComplete && at < end && this.content.begin(bytes) && this.content.add(bytes, at, end, false);
    this.#exchange.begin();
    return waits ? end : at;
  }

  #beginBody({ framing, contentLength }: MessageHead): BodyDecoder {
    this.#ownBody ??= new BodyDecoder(this.#path.http1Limits);
    this.#ownBody.begin(framing, contentLength, "data", "downstream");
    return this.#ownBody;
  }

  onContent(bytes: Buffer, start: number, end: number): void {
    this.onBytes(bytes, start, end);
  }

  #readBody(bytes: Buffer, start: number, end: number): number {
    const body = this.body;
    const at = body.decode(bytes, start, end);
    if (at === REFUSED) return this.#refuse(body.refusal, end);
    if (body.outEnd > body.outStart) this.#exchange.request.addBody(bytes, body.outStart, body.outEnd);
    if (this.#state !== "body" || !body.isDone) return at;
    this.#state = "answering";
    this.#timer.arm("stream", this.#policyIdleMs);
    this.#exchange.onRequestEnd(body.tail);
    return at;
  }

  /** The answer is out already; a short rest is read away so that the connection can stay. */
  #discard(bytes: Buffer, start: number, end: number): number {
    const at = this.body.decode(bytes, start, end);
    if (at === REFUSED) {
      this.#close();
      return end;
    }
    this.#discarded += at - start;
    if (this.body.isDone) this.#nextRequest();
    else if (this.#discarded > this.#path.limits.discardBytesMax) this.#close();
    return at;
  }

  /** What the client sent is not HTTP: answered where nothing is out yet, then closed. */
  #refuse(refusal: Refusal | undefined, end: number): number {
    const cause = failure(refusal?.reason ?? "bad-request", refusal?.detail, refusal?.status);
    if (this.#exchange.state === "idle") this.#sayAndClose(cause);
    else {
      this.#state = "closing";
      this.#exchange.refuse(cause);
    }
    return end;
  }

  /** Answers what never became an exchange. */
  #sayAndClose(cause: Failure): void {
    refuseHead(this, this.#path, this.#exchange.direction, cause);
    this.#close();
  }

  // ---- for the exchange ----

  pauseReading(): void {
    this.#intake.pause();
  }

  resumeReading(): void {
    this.#intake.resume();
  }

  noteActivity(): void {
    this.#timer.hasMoved = true;
  }

  setIdleTimeout(idleMs: number): void {
    this.#policyIdleMs = idleMs;
    if (this.body.isDone) this.#timer.changeStream(idleMs);
  }

  onExchangeDone(mayKeepAlive: boolean): void {
    this.#intake.isPaused = false;
    if (!mayKeepAlive || this.#state === "tunnel" || this.#state === "closing") this.#close();
    else if (!this.body.isDone) {
      this.#state = "discarding";
      this.#timer.arm("linger", this.#path.limits.lingerMs);
    } else if (this.outlet.isFull) {
      // The client has a whole stream's idle time to take what waits for it.
      this.#state = "full";
      this.#timer.arm("stream", this.#path.limits.streamIdleTimeoutMs);
    } else this.#nextRequest();
    if (!this.#intake.isInUse) this.#takeHeld();
  }

  reset(): void {
    this.#state = "closing";
    this.#link?.reset();
  }

  startTunnel(): void {
    this.#state = "tunnel";
    this.#timer.arm("stream", this.#path.limits.tunnelIdleTimeoutMs);
    if (!this.#intake.isInUse) this.#takeHeld();
    if (this.#hasEnded) this.#exchange.tunnel.onClientEnd();
  }

  endTunnelWrites(): void {
    this.#link?.endWrites();
  }

  #nextRequest(): void {
    this.#decoder.reset();
    this.#state = "head";
    this.#timer.arm("idle", this.#quietMs);
  }

  /** Goes on with what came early, now that there is somebody for it. */
  #takeHeld(): void {
    const { held, heldAt, hasHeld } = this.#intake;
    if (hasHeld && (this.#state === "head" || this.#state === "tunnel" || this.#state === "discarding")) {
      this.#intake.hasHeld = false;
      this.#consume(held, heldAt, held.length);
    } else if (this.#hasEnded) this.#afterEnd();
    else this.#settle();
  }

  /** What was read is dealt with. */
  #settle(): void {
    const isSpare = this.#room.areMany && this.isIdle && !this.#decoder.isInEmptyLine;
    if (this.#state === "over" || (isSpare && !this.#intake.hasHeld)) this.#leave(0);
    else this.#intake.update();
  }

  /** Nothing is under way: the seat is free. @param quietMs how long there has been no request */
  #leave(quietMs: number): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#vacate();
    this.#decoder.release();
    link.onSeatLeft(quietMs);
    this.#room.giveBack(this);
  }

  #vacate(): void {
    this.#link = undefined;
    this.#state = "over";
    this.#intake.detach();
    this.content.drop();
    this.#timer.cancel();
    this.outlet.detach();
  }

  onDrain(): void {
    this.outlet.onDrain();
    this.#guard(() => {
      if (this.#state === "full") {
        this.#nextRequest();
        this.#takeHeld();
      } else this.#exchange.onClientDrain();
    });
  }

  // ---- ends and time ----

  /** The client ended its side: it is gone, or only done with sending. */
  onEnd(): void {
    this.#guard(() => {
      this.content.take();
      this.#hasEnded = true;
      if (!this.#intake.hasHeld || this.#state === "answering") this.#afterEnd();
    });
  }

  /** Nothing more will be read: what is not complete now never will be. */
  #afterEnd(): void {
    switch (this.#state) {
      case "tunnel":
        return this.#exchange.tunnel.onClientEnd();
      case "answering":
        return this.#timer.arm("half-closed", this.#path.limits.halfClosedGraceMs);
      case "body":
        return this.#giveUp();
      case "head":
      case "discarding":
      case "full":
        return this.#close();
    }
  }

  /** Nobody is there for an answer. */
  #giveUp(): void {
    const hasBegun = this.#exchange.state === "responding";
    this.#exchange.onClientGone();
    // A client that only ended its side would take the end of half an answer for that of all (RFC 9112 section 6.3).
    if (hasBegun && (this.#state === "answering" || this.#state === "body")) this.#link?.reset();
    else this.#link?.cut();
  }

  /** The connection is gone. */
  onLinkClosed(): void {
    if (this.#exchange.state !== "idle") this.#guard(() => this.#exchange.onClientGone());
    this.#vacate();
    // What the client sent into a tunnel still goes out, and the head of its request is still to be written down.
    if (this.#exchange.state !== "idle") return this.#room.forget();
    this.#decoder.release();
    this.#room.giveBack(this);
  }

  #close(): void {
    if (this.#state === "over") return;
    this.outlet.flush();
    this.#state = "over";
    this.#link?.close();
    if (!this.#intake.isInUse) this.#leave(0);
  }

  /** The connection is about to be cut: a client that waits for its answer is told why there is none, others are reset. */
  refuseDraining(): void {
    if (this.#exchange.state !== "idle") this.#guard(() => this.#exchange.refuse(failure("draining")));
  }

  onTimeout(phase: Phase): void {
    this.#guard(() => this.#afterTimeout(phase));
  }

  #afterTimeout(phase: Phase): void {
    const { headTimeoutMs } = this.#path.limits;
    switch (phase) {
      case "idle":
        // A CR that may be half of an empty line: its LF has to come to this decoder, so the seat stays.
        if (!this.#decoder.isInEmptyLine) return this.#leave(this.#quietMs);
        return this.#timer.arm("head", headTimeoutMs);
      case "head":
        return this.#sayAndClose(failure("client-timeout", `no complete head after ${headTimeoutMs} ms`));
      case "stream":
        if (this.#state === "full") return this.reset();
        if (this.#state !== "body" || this.#intake.isPaused) return this.#exchange.fail(failure("stream-idle-timeout"));
        this.#state = "closing";
        return this.#exchange.refuse(this.#exchange.keepAlive.stopped(this, this.#exchange.record));
      case "half-closed":
        return this.#giveUp();
      case "linger":
        return this.#close();
    }
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#onError(error);
    }
  }

  /** A bug: the exchange in progress is answered 500; without one nobody waits for an answer. */
  #onError(error: unknown): void {
    const wasIdle = this.#exchange.state === "idle";
    this.#exchange.onInternalError("client", error);
    if (wasIdle) this.reset();
  }
}
