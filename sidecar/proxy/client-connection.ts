// One client's connection: reads requests one after the other and hands each to the exchange; answers leave in the
// order of the requests, because the next one is not begun before. Bytes that come early are held, bounded by not
// reading on. Not routing and not answers.
import type { Socket } from "node:net";
import type { ByteReader } from "../../runtime/shared-socket.ts";
import { BodyDecoder } from "../http1/body.ts";
import { NEEDS_MORE, REFUSED, type Refusal } from "../http1/contract.ts";
import { RequestDecoder } from "../http1/decoder.ts";
import type { MessageHead } from "../http1/head.ts";
import type { ClientLink, Downstream, LinkOwner, Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { Exchange } from "./exchange.ts";
import { linger } from "./linger.ts";
import { copyOf, Outlet, SocketSink } from "./outlet.ts";
import { type Phase, type PhaseOwner, PhaseTimer } from "./phase-timer.ts";
import { type Failure, failure } from "./reasons.ts";
import { recordRefusal } from "./record.ts";
import { ownAnswer, sendAnswer } from "./respond.ts";

/**
 * What is read next. "answering": the request is complete, its answer is not. "discarding": the answer is out, the rest
 * of the request is read away. "full": the client does not take its answers, so it gets no further ones. "closing":
 * the last byte was written; what still comes is dropped until the client closes.
 */
type ConnectionState = "head" | "body" | "answering" | "discarding" | "full" | "tunnel" | "closing" | "closed";

const DRAINING = failure("draining");

export class ClientConnection implements ClientLink, Downstream, ByteReader, PhaseOwner {
  readonly outlet = new Outlet();
  readonly http2Head = undefined;
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #owner: LinkOwner;
  readonly #path: DataPath;
  readonly #decoder: RequestDecoder;
  readonly body: BodyDecoder;
  readonly #exchange: Exchange;
  readonly #timer: PhaseTimer;
  /** Stream idle time that the exchange's policy asks for, for when the request is complete. */
  #policyIdleMs = 0;
  #state: ConnectionState = "head";
  /** Bytes behind the request in progress. While there are any the socket is not read. */
  #held: Buffer | undefined = undefined;
  /** The exchange or its attempt cannot take more of the body. */
  #isPaused = false;
  #isReading = true;
  #isConsuming = false;
  #discarded = 0;
  /** The client ended its side. */
  #hasEnded = false;

  /** @param socket whose bytes, from now on, come to `onBytes` */
  constructor(socket: Socket, remoteAddress: string, owner: LinkOwner, path: DataPath, router: Router) {
    this.#socket = socket;
    this.#owner = owner;
    this.#path = path;
    this.remoteAddress = remoteAddress;
    this.#decoder = new RequestDecoder(path.http1Limits);
    this.body = new BodyDecoder(path.http1Limits);
    this.#timer = new PhaseTimer(this, path.wheel);
    this.#exchange = new Exchange(this, path, router);
    this.outlet.attach(new SocketSink(this.#socket, path.limits.writeBufferBytes));
    this.#listen(this.#socket);
    this.#timer.arm("idle", path.limits.clientIdleTimeoutMs);
  }

  #listen(socket: Socket): void {
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => this.#guard(() => this.#onEnd()));
    socket.on("error", () => {});
    socket.on("close", () => this.#guard(() => this.#onClose()));
  }

  get head(): MessageHead {
    return this.#decoder.head;
  }

  get isRequestComplete(): boolean {
    return this.body.isDone;
  }

  get isDraining(): boolean {
    return this.#owner.isDraining;
  }

  /** Between requests: nothing is lost by closing. */
  get isIdle(): boolean {
    return this.#state === "head" && !this.#decoder.hasBegun;
  }

  // ---- bytes in ----

  onBytes(bytes: Buffer, length: number): void {
    try {
      this.#consume(bytes, 0, length);
    } catch (error) {
      this.#isConsuming = false;
      this.#onError(error);
    }
  }

  #consume(bytes: Buffer, start: number, end: number): void {
    this.#isConsuming = true;
    this.#timer.hasMoved = true;
    let at = start;
    while (at < end) {
      if (this.#state === "head") at = this.#readHead(bytes, at, end);
      else if (this.#state === "body") at = this.#readBody(bytes, at, end);
      else if (this.#state === "discarding") at = this.#discard(bytes, at, end);
      else if (this.#state === "tunnel") {
        this.#exchange.tunnel.fromClient(bytes, at, end);
        at = end;
      } else {
        if (this.#state === "answering" || this.#state === "full") this.#hold(bytes, at, end);
        at = end;
      }
    }
    this.#isConsuming = false;
    this.#exchange.request.flush();
    if (this.#hasEnded) this.#afterEnd();
    this.#updateReading();
  }

  #readHead(bytes: Buffer, start: number, end: number): number {
    const at = this.#decoder.decodeHead(bytes, start, end);
    if (at === NEEDS_MORE) {
      if (this.#decoder.hasBegun && this.#timer.phase !== "head")
        this.#timer.arm("head", this.#path.limits.headTimeoutMs);
      return end;
    }
    if (at === REFUSED) return this.#refuse(this.#decoder.refusal, end);
    const head = this.#decoder.head;
    this.body.begin(head.framing, head.contentLength, "data", "downstream");
    this.#discarded = 0;
    const isComplete = this.body.isDone;
    this.#state = isComplete ? "answering" : "body";
    this.#policyIdleMs = this.#path.limits.streamIdleTimeoutMs;
    const nowMs = this.#path.clock.now();
    this.#timer.arm("stream", isComplete ? this.#policyIdleMs : this.#path.limits.bodyIdleTimeoutMs, nowMs);
    this.#exchange.begin(nowMs);
    return at;
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

  #hold(bytes: Buffer, start: number, end: number): void {
    const rest = copyOf(bytes, start, end);
    this.#held = this.#held === undefined ? rest : Buffer.concat([this.#held, rest]);
  }

  /** What the client sent is not HTTP: answered where nothing is out yet, then closed. */
  #refuse(refusal: Refusal | undefined, end: number): number {
    const cause = failure(refusal?.reason ?? "bad-request", refusal?.detail, refusal?.status);
    if (this.#exchange.state !== "idle") {
      this.#state = "closing";
      this.#exchange.refuse(cause);
      return end;
    }
    this.#sayAndClose(cause);
    return end;
  }

  /** Answers what never became an exchange. */
  #sayAndClose(cause: Failure): void {
    const wallMs = this.#path.clock.wall();
    sendAnswer(this.outlet, ownAnswer(cause, { request: undefined, lines: "", closes: true, wallMs }));
    recordRefusal(this.#path, this.#exchange.direction, this.remoteAddress, cause);
    this.#close();
  }

  // ---- for the exchange ----

  pauseReading(): void {
    this.#isPaused = true;
    if (!this.#isConsuming) this.#updateReading();
  }

  resumeReading(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#isConsuming) this.#updateReading();
  }

  noteActivity(): void {
    this.#timer.hasMoved = true;
  }

  setIdleTimeout(idleMs: number): void {
    this.#policyIdleMs = idleMs;
    if (this.body.isDone && idleMs !== this.#timer.delayMs)
      this.#timer.arm("stream", idleMs, this.#path.wheel.recentMs);
  }

  onExchangeDone(mayKeepAlive: boolean): void {
    this.#isPaused = false;
    if (!mayKeepAlive || this.#state === "tunnel" || this.#state === "closing") this.#close();
    else if (!this.body.isDone) {
      this.#state = "discarding";
      this.#timer.arm("linger", this.#path.limits.lingerMs);
    } else if (this.outlet.isFull) this.#becomeFull();
    else this.#nextRequest();
    if (!this.#isConsuming) this.#takeHeld();
  }

  /** The client has a whole stream's idle time to take what waits for it. */
  #becomeFull(): void {
    this.#state = "full";
    this.#timer.arm("stream", this.#path.limits.streamIdleTimeoutMs);
  }

  reset(): void {
    this.#state = "closing";
    this.#socket.resetAndDestroy();
  }

  startTunnel(): void {
    this.#state = "tunnel";
    this.#timer.arm("stream", this.#path.limits.tunnelIdleTimeoutMs);
    if (!this.#isConsuming) this.#takeHeld();
    if (this.#hasEnded) this.#exchange.tunnel.onClientEnd();
  }

  endTunnelWrites(): void {
    this.#socket.end();
  }

  // ---- between requests ----

  #nextRequest(): void {
    this.#decoder.reset();
    this.#state = "head";
    this.#timer.arm("idle", this.#path.limits.clientIdleTimeoutMs, this.#exchange.endedMs);
  }

  /** Goes on with what came early, now that there is somebody for it. */
  #takeHeld(): void {
    const held = this.#held;
    if (held !== undefined && (this.#state === "head" || this.#state === "tunnel" || this.#state === "discarding")) {
      this.#held = undefined;
      this.#consume(held, 0, held.length);
    } else if (this.#hasEnded) this.#afterEnd();
    else this.#updateReading();
  }

  #updateReading(): void {
    const wants = !this.#isPaused && this.#held === undefined && this.#state !== "closed";
    if (wants === this.#isReading) return;
    this.#isReading = wants;
    if (wants) this.#socket.resume();
    else this.#socket.pause();
  }

  #onDrain(): void {
    this.outlet.onDrain();
    this.#guard(() => {
      if (this.#state === "full") {
        this.#nextRequest();
        this.#takeHeld();
      } else this.#exchange.onClientDrain();
    });
  }

  // ---- ends ----

  /** The client ended its side: it is gone, or only done with sending. */
  #onEnd(): void {
    this.#hasEnded = true;
    if (this.#held === undefined || this.#state === "answering") this.#afterEnd();
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
    this.#exchange.onClientGone();
    this.#socket.destroy();
  }

  #onClose(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#timer.release();
    this.#held = undefined;
    this.#exchange.onClientGone();
    this.outlet.detach();
    this.#owner.onLinkClosed(this);
  }

  /** Orderly: what was written goes out, then the end; what the client still sends is dropped for a while. */
  #close(): void {
    if (this.#state === "closed") return;
    this.outlet.flush();
    this.#state = "closing";
    this.#held = undefined;
    this.#isPaused = false;
    this.#socket.end();
    linger(this.#socket, this.#timer, this.#path.limits);
    if (!this.#isConsuming) this.#updateReading();
  }

  /** Closes if nothing is in progress; otherwise the answer in progress will be the last. */
  drain(): void {
    if (this.isIdle) this.#close();
  }

  /** Cuts what is there; a client that still waits for its answer is told why there is none, one in a tunnel is reset. */
  destroy(): void {
    const isInProgress = this.#state === "answering" || this.#state === "body" || this.#state === "tunnel";
    if (isInProgress) this.#guard(() => this.#exchange.refuse(DRAINING));
    this.#socket.destroySoon();
  }

  // ---- time ----

  onTimeout(phase: Phase): void {
    this.#guard(() => this.#afterTimeout(phase));
  }

  #afterTimeout(phase: Phase): void {
    switch (phase) {
      case "idle":
        return this.#close();
      case "head":
        return this.#sayAndClose(
          failure("client-timeout", `no complete head after ${this.#path.limits.headTimeoutMs} ms`),
        );
      case "stream":
        return this.#onStreamTimeout();
      case "half-closed":
        return this.#giveUp();
      case "linger":
        this.#socket.destroy();
        return;
    }
  }

  #onStreamTimeout(): void {
    if (this.#state === "full") this.reset();
    else if (this.#state === "body" && !this.#isPaused) {
      this.#state = "closing";
      this.#exchange.refuse(failure("client-timeout", "the request body stopped"));
    } else this.#exchange.fail(failure("stream-idle-timeout"));
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
