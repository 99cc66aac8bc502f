// An attempt over HTTP/1.1: one connection of the endpoint's pool, leased for this request alone.
import type { TimerWheel } from "../../runtime/timer-wheel.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import { type BodyDecoder, bodyDecoders } from "../http1/body.ts";
import { NEEDS_MORE, REFUSED } from "../http1/contract.ts";
import { type ResponseDecoder, responseDecoders } from "../http1/decoder.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Http1Limits } from "../http1/limits.ts";
import type { Shared } from "../http1/shared.ts";
import type { UpstreamConnection } from "../upstream/connection.ts";
import { learnIdleTime, type PoolWaiter } from "../upstream/pool.ts";
import { Attempt } from "./attempt.ts";
import type { AttemptOwner } from "./contract.ts";
import { Outlet } from "./outlet.ts";
import { type Failure, failure } from "./reasons.ts";

/** Position that says: this attempt is over, or its turn is; touch nothing more. */
const OVER = -1;

export class Http1Attempt extends Attempt implements PoolWaiter {
  readonly outlet = new Outlet();
  readonly form = "wire";
  needsFresh = false;
  readonly #decoders: Shared<ResponseDecoder>;
  /** Its own from when the head of an answer came cut. */
  #decoder: ResponseDecoder | undefined = undefined;
  #method = "";
  #askedProtocols = "";
  readonly #bodies: Shared<BodyDecoder>;
  /** Its own from when a read ended within the body. */
  #body: BodyDecoder | undefined = undefined;
  #connection: UpstreamConnection | undefined = undefined;
  /** The answer, once it is complete, leaves the connection to others. */
  #staysOpen = false;

  constructor(owner: AttemptOwner, wheel: TimerWheel, limits: Http1Limits, interimMax: number) {
    super(owner, wheel, interimMax);
    this.#decoders = responseDecoders.of(limits);
    this.#bodies = bodyDecoders.of(limits);
  }

  get isOpen(): boolean {
    return this.#connection !== undefined;
  }

  get hasUnsent(): boolean {
    return this.#connection?.sendNow() === false;
  }

  pauseReading(): void {
    this.#connection?.pauseReading();
  }

  resumeReading(): void {
    this.#connection?.resumeReading();
  }

  endTunnelWrites(): void {
    this.#connection?.end();
  }

  endTunnel(): void {}

  protected lease(member: EndpointMember, method: string, askedProtocols: string, isFresh: boolean): void {
    this.#method = method;
    this.#askedProtocols = askedProtocols;
    const { pool } = member.state;
    const idle = isFresh ? undefined : pool.leaseIdle(this);
    if (idle !== undefined) {
      this.#attach(idle);
      this.open(idle.requests > 1);
      return;
    }
    this.needsFresh = isFresh;
    if (!pool.enqueue(this)) this.fail(failure("pool-overflow"));
  }

  protected letGo(member: EndpointMember, isReusable: boolean): void {
    const connection = this.#connection;
    this.outlet.detach();
    this.#connection = undefined;
    if (this.#decoder !== undefined || this.#body !== undefined) this.#giveBack();
    if (this.state === "waiting") member.state.pool.cancel(this);
    if (connection === undefined) return;
    // A socket that was paused for a slow client must read again, or its close would never be seen.
    connection.resumeReading();
    // A tunnel that is given up before its end: an orderly close would tell the endpoint that all has come.
    if (this.state === "tunnel" && connection.state === "leased") connection.reset();
    member.state.pool.release(connection, isReusable);
  }

  onLeased(connection: UpstreamConnection): void {
    this.guard(() => {
      this.#attach(connection);
      this.openLate(connection.requests > 1);
    });
  }

  onLeaseFailed(error: string, isLocal: boolean): void {
    this.failToConnect(error, isLocal);
  }

  onUpstreamBytes(bytes: Buffer, start: number, end: number): void {
    try {
      if (this.#read(bytes, start, end)) this.owner.onReadDone();
    } catch (error) {
      this.owner.onInternalError("attempt", error);
    }
  }

  onUpstreamDrain(): void {
    this.guard(() => {
      this.outlet.onDrain();
      this.owner.onAttemptDrain();
    });
  }

  onUpstreamEnd(): void {
    this.guard(() => this.#onEnd());
  }

  onUpstreamClose(error: string): void {
    this.fail(failure("upstream-reset", error));
  }

  #onEnd(): void {
    if (this.state === "tunnel") this.owner.tunnel?.onEndpointEnd();
    else if (this.state === "body" && this.#body?.finish() === true) this.#finish(this.#body, false);
    else this.fail(failure("upstream-reset", "the endpoint ended the connection"));
  }

  #attach(connection: UpstreamConnection): void {
    this.#connection = connection;
    this.outlet.attach(connection);
  }

  /** @returns false when the attempt ended on the way. */
  #read(bytes: Buffer, start: number, end: number): boolean {
    this.hasAnswered = true;
    for (let at = start; at < end; ) {
      if (this.state === "head") at = this.#readHead(bytes, at, end);
      else if (this.state === "body") at = this.#readBody(bytes, at, end);
      else if (this.state === "tunnel") {
        this.owner.tunnel?.fromEndpoint(bytes, at, end);
        at = end;
      } else return false;
      if (at === OVER) return false;
    }
    if (this.state === "body") this.#body ??= this.#bodies.keep();
    return true;
  }

  #readHead(bytes: Buffer, start: number, end: number): number {
    const decoder = this.#decoder ?? this.#borrow();
    const at = decoder.decodeHead(bytes, start, end);
    if (at === NEEDS_MORE) {
      this.#decoder ??= this.#decoders.keep();
      return end;
    }
    if (at === REFUSED) return this.#refuse(failure("bad-response", decoder.refusal?.detail));
    // Whoever is told of it may read the next one: what is needed after that is asked before.
    const { head } = decoder;
    const { status, framing, contentLength, keepAliveTimeoutSeconds } = head;
    if (framing === "tunnel") return this.#openTunnel(head, at);
    this.noteHead(head);
    if (status < 200) {
      if (!this.passInterim(head)) return OVER;
      this.#decoder?.reset();
      return at;
    }
    if (this.needsUpgrade && status < 300)
      return this.#refuse(failure("bad-response", `the endpoint declined the upgrade with ${status}`));
    this.#staysOpen = head.keepAlive && framing !== "until-close";
    if (this.#connection !== undefined) learnIdleTime(this.#connection, keepAliveTimeoutSeconds);
    const body = this.#bodies.current;
    if (this.owner.wantsRetry(head)) {
      body.begin(framing, contentLength, "data", "upstream");
      return this.#giveWay(body, bytes, at, end, status);
    }
    const form = this.owner.onResponseHead(head, "wire");
    if (this.isOver) return OVER;
    body.begin(framing, contentLength, form, "upstream");
    this.state = "body";
    return body.isDone ? this.#finish(body, at === end) : at;
  }

  /** A decoder for this call. */
  #borrow(): ResponseDecoder {
    const decoder = this.#decoders.current;
    decoder.reset();
    decoder.expect(this.#method, this.#askedProtocols);
    return decoder;
  }

  #giveBack(): void {
    if (this.#decoder !== undefined) {
      this.#decoder.release();
      this.#decoders.giveBack(this.#decoder);
      this.#decoder = undefined;
    }
    if (this.#body !== undefined) this.#bodies.giveBack(this.#body);
    this.#body = undefined;
  }

  #openTunnel(head: MessageHead, at: number): number {
    this.enterTunnel(head.status);
    this.owner.onTunnelOpen(head);
    return this.isOver ? OVER : at;
  }

  /** The answer will not be used. Where all of it is here already the connection is kept. */
  #giveWay(body: BodyDecoder, bytes: Buffer, start: number, end: number, status: number): number {
    let at = start;
    while (at < end && at >= 0 && !body.isDone) at = body.decode(bytes, at, end);
    const isReusable = body.isDone && at === end && this.#staysOpen && this.owner.isRequestComplete;
    this.giveWay(isReusable, status);
    return OVER;
  }

  #readBody(bytes: Buffer, start: number, end: number): number {
    const body = this.#body ?? this.#bodies.current;
    const at = body.decode(bytes, start, end);
    if (at === REFUSED) return this.#refuse(failure("bad-response", body.refusal?.detail));
    if (body.outEnd > body.outStart) this.owner.onResponseBody(bytes, body.outStart, body.outEnd);
    return body.isDone ? this.#finish(body, at === end) : at;
  }

  /** @param isClean no byte is left over behind the answer */
  #finish({ tail }: BodyDecoder, isClean: boolean): number {
    const isReusable = isClean && this.#staysOpen && this.owner.isRequestComplete;
    this.complete(isReusable, tail);
    return OVER;
  }

  #refuse(reason: Failure): number {
    this.fail(reason);
    return OVER;
  }
}
