// One client's connection that speaks HTTP/2: the socket, the codec on it, and a seat with an exchange for each stream.
// Not requests: those are the seats'.
import type { Socket } from "node:net";
import type { ByteReader } from "../../runtime/shared-socket.ts";
import type { HeldReader } from "../../runtime/turn.ts";
import { Http2Connection } from "../http2/connection.ts";
import type { Http2ConnectionHandler, Http2StreamView, StreamHandler } from "../http2/contract.ts";
import { ERROR } from "../http2/error-code.ts";
import { Http2Head } from "../http2/head.ts";
import type { Refusal } from "../http2/refusal.ts";
import type { ClientLink, LinkOwner, Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { inTermsOf } from "./grpc.ts";
import { Http2Seat, type SeatOwner } from "./http2-seat.ts";
import type { Http2Seats } from "./http2-seats.ts";
import { readResponseText } from "./http2-text.ts";
import { SocketTransport } from "./http2-transport.ts";
import { type Phase, type PhaseOwner, PhaseTimer } from "./phase-timer.ts";
import { ReadEnd } from "./read-end.ts";
import { type Failure, failure } from "./reasons.ts";
import { countBug, recordRefusal } from "./record.ts";
import { ownAnswer } from "./respond.ts";
import { CLIENT_CLOSED } from "./tunnel.ts";

const NOTHING = Buffer.alloc(0);
const refusalHead = new Http2Head();

export class Http2Client implements ClientLink, Http2ConnectionHandler, SeatOwner, ByteReader, HeldReader, PhaseOwner {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #owner: LinkOwner;
  readonly #path: DataPath;
  readonly #router: Router;
  readonly #connection: Http2Connection;
  readonly #timer: PhaseTimer;
  readonly #seats: Http2Seats;
  /** The one that is this connection's while it lasts. */
  #spare: Http2Seat | undefined = undefined;
  readonly readEnd = new ReadEnd();
  readBytes: Buffer = NOTHING;
  heldReads = 0;

  /** @param socket whose bytes, from now on, come to `onBytes` */
  constructor(socket: Socket, remoteAddress: string, owner: LinkOwner, path: DataPath, seats: Http2Seats) {
    this.#socket = socket;
    this.#owner = owner;
    this.#path = path;
    this.#router = seats.router;
    this.#seats = seats;
    this.remoteAddress = remoteAddress;
    this.#connection = new Http2Connection({
      role: "server",
      transport: new SocketTransport(socket, path.socketMode, path.limits.writeBufferBytes),
      handler: this,
      limits: path.http2.limits,
      clock: path.clock,
      wheel: path.wheel,
      flushes: path.http2.flushes,
    });
    this.#timer = new PhaseTimer(this, path.wheel);
    this.#listen(socket);
    this.#connection.start();
    this.#timer.arm("idle", path.limits.clientIdleTimeoutMs);
    if (owner.isDraining) this.drain();
  }

  #listen(socket: Socket): void {
    socket.on("drain", () => this.#connection.onTransportDrain());
    socket.on("end", () => this.#onEnd());
    socket.on("error", () => {});
    socket.on("close", () => this.#onClose());
  }

  get isDraining(): boolean {
    return this.#owner.isDraining;
  }

  onBytes(bytes: Buffer, length: number): void {
    const { requests } = this.#path.turn;
    if (requests.take(this, bytes, length)) return;
    requests.lend(bytes);
    this.onHeldBytes(bytes, 0, length);
    requests.takeBack();
  }

  onHeldBytes(bytes: Buffer, start: number, end: number): void {
    this.readBytes = bytes;
    try {
      this.#connection.receive(bytes, start, end);
    } catch (error) {
      countBug(this.#path, "http2-client", error);
    }
    this.readBytes = NOTHING;
    this.readEnd.run();
  }

  /** Says GOAWAY; what is under way is finished. */
  drain(): void {
    this.#connection.drain();
  }

  /** Cuts what is there; clients that still wait for answers are told why there are none. */
  destroy(): void {
    this.#path.turn.requests.settle(this);
    for (const { handler } of this.#connection.streams.table.all()) if (handler instanceof Http2Seat) handler.cut();
    this.#connection.close(ERROR.noError);
    this.#socket.destroySoon();
  }

  /** No stream for the idle time: the client is asked to come again when it has something. */
  onTimeout(_phase: Phase): void {
    if (this.#connection.openStreams === 0) this.#connection.drain();
    else this.#timer.arm("idle", this.#path.limits.clientIdleTimeoutMs);
  }

  // ---- what the codec tells ----

  onStream(stream: Http2StreamView): StreamHandler {
    const seat = this.#spare ?? this.#seats.take();
    this.#spare = undefined;
    seat.take(this, stream);
    return seat;
  }

  onStreamRefused(stream: Http2StreamView, refusal: Refusal): void {
    this.#path.metrics.http2Refusals.cell(this.#router.direction, refusal.detail).value++;
    if (refusal.status === 0) return;
    if (stream.handler instanceof Http2Seat) return stream.handler.refuseRest(refusal);
    // What is malformed ends by a reset that says so, behind its answer (RFC 9113 section 8.1.1); what is merely too large
    // is answered in order.
    const isWhole = refusal.status !== 400;
    const cause = failure(isWhole ? "header-too-large" : "bad-request", refusal.detail);
    const inItsTerms = inTermsOf(cause, stream.request);
    const wallMs = this.#path.clock.wall();
    const options = { request: undefined, lines: "", closes: false, wallMs };
    const { head, body } = ownAnswer(isWhole ? inItsTerms : cause, options);
    recordRefusal(this.#path, this.#router.direction, this.remoteAddress, inItsTerms);
    readResponseText(head, refusalHead);
    if (body === "") return stream.sendHead(refusalHead, isWhole);
    stream.sendHead(refusalHead, false);
    const bytes = Buffer.from(body, "latin1");
    stream.sendData(bytes, 0, bytes.length, isWhole);
  }

  onSettings(): void {}

  onGoaway(): void {}

  onStreamClosed(): void {
    if (this.#connection.openStreams === 0) this.#timer.arm("idle", this.#path.limits.clientIdleTimeoutMs);
  }

  onClosed(): void {
    const { refusal } = this.#connection;
    if (refusal !== undefined && refusal.scope === "connection")
      this.#path.metrics.http2Refusals.cell(this.#router.direction, refusal.detail).value++;
  }

  /** The client gave it up, unless a rule was broken: on the stream itself, or on the connection, which ends all others too. */
  whyReset({ resetCause, refusal }: Http2StreamView): Failure {
    if (resetCause === "refused") return failure("bad-request", refusal?.detail);
    const broken = this.#connection.refusal;
    return broken === undefined
      ? CLIENT_CLOSED
      : failure("client-closed", `the connection broke a rule: ${broken.detail}`);
  }

  /** The seat has no stream any more. */
  giveBack(seat: Http2Seat): void {
    if (this.#spare === undefined && !this.#socket.destroyed) this.#spare = seat;
    else this.#seats.giveBack(seat);
  }

  #onEnd(): void {
    this.#path.turn.requests.settle(this);
    this.#connection.onTransportEnd();
  }

  #onClose(): void {
    this.#path.turn.requests.settle(this);
    this.#connection.onTransportClosed("");
    this.#timer.release();
    if (this.#spare !== undefined) this.#seats.giveBack(this.#spare);
    this.#spare = undefined;
    this.#owner.onLinkClosed(this);
  }
}
