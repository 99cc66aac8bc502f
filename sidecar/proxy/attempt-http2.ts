// An attempt over HTTP/2: one stream of a connection that others use as well.
import type { TimerWheel } from "../../runtime/timer-wheel.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import { type ResponseDecoder, responseDecoders } from "../http1/decoder.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Http1Limits } from "../http1/limits.ts";
import type { Shared } from "../http1/shared.ts";
import type { Http2StreamView, StreamHandler } from "../http2/contract.ts";
import { ERROR, errorName } from "../http2/error-code.ts";
import type { Http2Head } from "../http2/head.ts";
import { NO_HANDLER } from "../http2/stream.ts";
import type { StreamConnection, StreamWaiter } from "../upstream/stream-pool.ts";
import { Attempt } from "./attempt.ts";
import type { AttemptOwner } from "./contract.ts";
import { HTTP1_KINDS } from "./http2-heads.ts";
import { StreamOutlet, type StreamSender } from "./http2-outlet.ts";
import { readRequestText } from "./http2-text.ts";
import { Http2Upstream } from "./http2-upstream.ts";
import { READ_END_MAX_BYTES, type ReadEnder } from "./read-end.ts";
import { type Failure, failure } from "./reasons.ts";

export class Http2Attempt extends Attempt implements StreamWaiter, StreamHandler, StreamSender, ReadEnder {
  awaitsReadEnd = false;
  readonly outlet = new StreamOutlet(this, true);
  readonly form = "data";
  readonly #decoders: Shared<ResponseDecoder>;
  #method = "";
  #connection: Http2Upstream | undefined = undefined;
  #stream: Http2StreamView | undefined = undefined;

  constructor(owner: AttemptOwner, wheel: TimerWheel, limits: Http1Limits, interimMax: number) {
    super(owner, wheel, interimMax);
    this.#decoders = responseDecoders.of(limits);
  }

  get isOpen(): boolean {
    return this.#connection !== undefined;
  }

  /** Its frames leave with those of the others, and a reset follows them. */
  get hasUnsent(): boolean {
    return false;
  }

  pauseReading(): void {
    this.#stream?.pauseReading();
  }

  resumeReading(): void {
    this.#stream?.resumeReading();
  }

  endTunnelWrites(): void {
    this.outlet.end("");
  }

  /** The connection goes on for others; what waits for the endpoint's window still goes out. */
  endTunnel(): void {
    this.fail(failure("upstream-reset"));
  }

  protected lease(member: EndpointMember, method: string): void {
    this.#method = method;
    const pool = member.state.streams;
    const connection = pool.lease();
    if (connection instanceof Http2Upstream) {
      this.#connection = connection;
      this.open(connection.requests > 0);
    } else if (!pool.enqueue(this)) this.fail(failure("pool-overflow"));
  }

  protected letGo(member: EndpointMember): void {
    if (this.state === "waiting") member.state.streams.cancel(this);
    const stream = this.#stream;
    this.outlet.detach();
    this.#connection = undefined;
    this.#stream = undefined;
    if (stream === undefined) return;
    if (stream.state !== "closed" && !(stream.isSent && stream.isReceived)) stream.reset(ERROR.cancel);
    stream.handler = NO_HANDLER;
    stream.release();
  }

  onStreamLeased(connection: StreamConnection): void {
    this.guard(() => {
      if (!(connection instanceof Http2Upstream)) return this.fail(failure("internal-error"));
      this.#connection = connection;
      this.openLate(connection.requests > 0);
    });
  }

  onLeaseFailed(error: string, isLocal: boolean): void {
    this.guard(() => this.failToConnect(error, isLocal));
  }

  readText(text: string, into: Http2Head): void {
    readRequestText(text, into);
  }

  sendHead(head: Http2Head, isEnd: boolean): Http2StreamView | undefined {
    this.#stream = this.#connection?.request(head, isEnd, this);
    // The connection went away within this turn, or others took its last room: nothing was sent.
    if (this.#stream === undefined)
      this.fail(failure("refused-stream", "the connection takes no more requests"), false);
    else if (this.member !== undefined && this.#connection !== undefined)
      this.member.state.streams.noteRequest(this.#connection);
    return this.#stream;
  }

  // ---- the answer ----

  onHead(_stream: Http2StreamView, fields: Http2Head, isEnd: boolean): void {
    this.guard(() => {
      this.hasAnswered = true;
      const head = this.#headOf(fields, isEnd);
      if (head === undefined) return;
      if (head.framing === "tunnel") {
        this.enterTunnel(head.status);
        this.owner.onTunnelOpen(head);
        if (isEnd) this.owner.tunnel?.onEndpointEnd();
        return;
      }
      if (isEnd) head.framing = "none";
      if (this.member !== undefined) this.member.state.outlier.connectFailures = 0;
      this.noteHead(head);
      if (this.owner.wantsRetry(head)) return this.giveWay(false, head.status);
      this.owner.onResponseHead(head, "data", fields);
      if (this.isOver) return;
      this.state = "body";
      if (isEnd) this.complete(true, "");
      else this.#connection?.readEnd.add(this);
    });
  }

  onInterimHead(_stream: Http2StreamView, fields: Http2Head): void {
    this.guard(() => {
      this.hasAnswered = true;
      const head = this.#headOf(fields, true);
      if (head === undefined || !this.passInterim(head)) return;
      this.owner.onReadDone();
    });
  }

  onData(_stream: Http2StreamView, bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    try {
      if (this.state === "tunnel") this.#passTunnel(bytes, start, end, isEnd);
      else {
        if (end > start) {
          this.noteContent();
          this.owner.onResponseBody(bytes, start, end);
        }
        if (isEnd) this.complete(true, "");
        else if (end - start > READ_END_MAX_BYTES) this.owner.onReadDone();
        else this.#connection?.readEnd.add(this);
      }
    } catch (error) {
      this.owner.onInternalError("attempt", error);
    }
  }

  onTrailers(_stream: Http2StreamView, trailers: Http2Head): void {
    this.guard(() => {
      if (this.state === "tunnel") this.owner.tunnel?.onEndpointEnd();
      else this.complete(true, trailers);
    });
  }

  onReadEnd(): void {
    if (this.isOver) return;
    try {
      this.owner.onReadDone();
    } catch (error) {
      this.owner.onInternalError("attempt", error);
    }
  }

  onReset(stream: Http2StreamView): void {
    const connection = this.#connection;
    // Neither RST_STREAM nor silence is the end of a connection that was idle.
    if (stream.resetCause === "peer" || connection?.wasSilent === true) this.hasAnswered = true;
    const isBlamed = !stream.isUnprocessed || connection?.refusesAll(stream) !== false;
    this.guard(() => this.fail(failureOf(stream, connection), isBlamed));
  }

  onDrain(): void {
    this.guard(() => {
      this.outlet.onDrain();
      this.owner.onAttemptDrain();
    });
  }

  #passTunnel(bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    const { tunnel } = this.owner;
    if (end > start) tunnel?.fromEndpoint(bytes, start, end);
    if (isEnd) tunnel?.onEndpointEnd();
    else this.owner.onReadDone();
  }

  /** For as long as nobody else reads a head. @returns undefined when it breaks a rule of HTTP: the attempt has failed */
  #headOf(fields: Http2Head, isEnd: boolean): MessageHead | undefined {
    const decoder = this.#decoders.current;
    decoder.reset();
    decoder.expect(this.#method, "");
    if (decoder.takeHead(fields, HTTP1_KINDS, isEnd)) return decoder.head;
    this.fail(failure("bad-response", decoder.refusal?.detail));
    return undefined;
  }
}

/** Why a stream ended before its answer did. */
function failureOf(stream: Http2StreamView, connection: Http2Upstream | undefined): Failure {
  if (stream.resetCause === "refused") return failure("bad-response", stream.refusal?.detail ?? "");
  if (stream.isUnprocessed) return failure("refused-stream", `the endpoint refused the stream`);
  const code = errorName(stream.resetCode);
  if (stream.resetCause === "peer") return failure("upstream-reset", `the endpoint reset the stream: ${code}`);
  const rule = connection?.brokenRule ?? "";
  if (rule !== "") return failure("upstream-reset", `the endpoint broke a rule of HTTP/2: ${rule}`);
  if (connection?.wasSilent === true) return failure("upstream-reset", "the endpoint did not answer PING or SETTINGS");
  return failure("upstream-reset", "the endpoint's connection ended");
}
