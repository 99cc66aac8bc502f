// A client's socket for all its life, and who reads from it: nobody before the first byte, a seat of HTTP/1.1 while there
// are requests, the connection of HTTP/2 from its preface on. What an idle connection costs is what stands here: a seat,
// with its decoder and its exchange, is given back after a moment without a request. Not requests and not answers.
import type { Socket } from "node:net";
import { adoptSocket, type ByteReader } from "../../runtime/shared-socket.ts";
import type { HeldReader } from "../../runtime/turn.ts";
import { TurnWriter } from "../../runtime/turn-writer.ts";
import { PREFACE } from "../http2/frame.ts";
import type { ClientLink, LinkOwner, SeatedLink } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { plainAddress } from "./forwarding.ts";
import type { Http1Seat } from "./http1-seat.ts";
import type { Http1Seats } from "./http1-seats.ts";
import { Http2Client } from "./http2-client.ts";
import type { Http2Seats } from "./http2-seats.ts";
import { linger } from "./linger.ts";
import { type Phase, type PhaseOwner, PhaseTimer } from "./phase-timer.ts";

const NOTHING = Buffer.alloc(0);
/** How long a connection may be idle while its listener drains: the drain's own look at them may be over (drain.ts). */
const DRAINING_IDLE_MS = 1_000;
const ignore = (): void => {};

/**
 * "greeting": the first bytes tell what is spoken, without waiting for anything else, because HTTP/2 begins with a preface
 * that is no request of HTTP/1.1 (RFC 9113 section 3.4). "closing": the last byte was written; what still comes is dropped
 * until the client closes.
 */
type SocketState = "greeting" | "http1" | "http2" | "closing" | "closed";

export class ClientSocket implements ClientLink, ByteReader, HeldReader, SeatedLink, PhaseOwner {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #writer: TurnWriter;
  readonly #owner: LinkOwner;
  readonly #path: DataPath;
  readonly #seats: Http1Seats;
  readonly #streamSeats: Http2Seats;
  /** Runs while there is no seat, which has a timer of its own. */
  readonly #timer: PhaseTimer;
  heldReads = 0;
  #state: SocketState = "greeting";
  #seat: Http1Seat | undefined = undefined;
  #http2: ByteReader | undefined = undefined;
  /** A beginning that may still become the preface. */
  #held: Buffer = NOTHING;
  /** Since when, by the clock. */
  #heldSinceMs = 0;

  constructor(accepted: Socket, owner: LinkOwner, path: DataPath, seats: Http1Seats, streamSeats: Http2Seats) {
    this.#owner = owner;
    this.#path = path;
    this.#seats = seats;
    this.#streamSeats = streamSeats;
    this.remoteAddress = plainAddress(accepted.remoteAddress);
    this.#timer = new PhaseTimer(this, path.wheel);
    this.#socket = adoptSocket(accepted, this, path.socketMode);
    const { socketMode, limits, turn } = path;
    this.#writer = new TurnWriter(this.#socket, socketMode, limits.writeBufferBytes, path.http2.flushes, turn.answers);
    this.#socket.on("error", ignore);
    this.#socket.on("drain", () => this.#seat?.onDrain());
    this.#socket.on("end", () => this.#onEnd());
    this.#socket.on("close", () => this.#onClose());
    this.#awaitRequest(0);
    this.#socket.resume();
  }

  // ---- bytes in ----

  onBytes(bytes: Buffer, length: number): void {
    if (this.#state === "http1") {
      if (!this.#path.turn.requests.take(this, bytes, length)) this.onHeldBytes(bytes, 0, length);
    } else if (this.#http2 !== undefined) this.#http2.onBytes(bytes, length);
    else if (this.#state === "greeting") this.#greet(bytes, length);
  }

  onHeldBytes(bytes: Buffer, start: number, end: number): void {
    if (this.#seat !== undefined) this.#seat.onBytes(bytes, start, end);
    else if (this.#state === "http1") this.#sit().onBytes(bytes, start, end);
  }

  #greet(bytes: Buffer, length: number): void {
    if (this.#held === NOTHING) return this.#read(bytes, length);
    const all = Buffer.concat([this.#held, bytes.subarray(0, length)]);
    this.#read(all, all.length);
  }

  #read(bytes: Buffer, length: number): void {
    const matched = matchOf(bytes, length);
    if (matched === PREFACE.length) this.#speakHttp2(bytes, length);
    // "P" alone may also be the first byte of POST: either way the rest is waited for.
    else if (matched === length) {
      if (this.#held === NOTHING) {
        this.#heldSinceMs = this.#path.clock.now();
        this.#timer.arm("head", this.#path.limits.headTimeoutMs, this.#heldSinceMs);
      }
      this.#held = Buffer.from(bytes.subarray(0, length));
    } else this.#speakHttp1(bytes, length);
  }

  #speakHttp2(bytes: Buffer, length: number): void {
    this.#timer.release();
    this.#state = "http2";
    this.#held = NOTHING;
    for (const event of ["error", "drain", "end", "close"]) this.#socket.removeAllListeners(event);
    const successor = new Http2Client(this.#socket, this.remoteAddress, this.#owner, this.#path, this.#streamSeats);
    this.#http2 = successor;
    this.#owner.onSuccession(this, successor);
    successor.onBytes(bytes, length);
  }

  #speakHttp1(bytes: Buffer, length: number): void {
    this.#state = "http1";
    this.#sit().onBytes(bytes, 0, length);
    this.#held = NOTHING;
  }

  #sit(): Http1Seat {
    this.#timer.cancel();
    const seat = this.#seats.take(this);
    this.#seat = seat;
    return seat;
  }

  // ---- for the seat ----

  get isDraining(): boolean {
    return this.#owner.isDraining;
  }

  get headLeftMs(): number {
    const { clock, limits } = this.#path;
    if (this.#held === NOTHING) return limits.headTimeoutMs;
    return Math.max(0, limits.headTimeoutMs - (clock.now() - this.#heldSinceMs));
  }

  write(text: string): boolean {
    return this.#writer.write(text);
  }

  writeBytes(bytes: Buffer): boolean {
    return this.#writer.writeBytes(bytes);
  }

  writeRead(bytes: Buffer, start: number, end: number): boolean {
    return this.#writer.writeRead(bytes, start, end);
  }

  get isEmpty(): boolean {
    return this.#writer.isEmpty;
  }

  takeProgress(): boolean {
    return this.#writer.takeProgress();
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  endWrites(): void {
    this.#writer.end();
  }

  reset(): void {
    this.#writer.sendNow();
    this.#writer.reset();
  }

  cut(): void {
    this.#writer.sendNow();
    this.#socket.destroy();
  }

  onSeatLeft(quietMs: number): void {
    this.#seat = undefined;
    if (this.#state === "http1") this.#awaitRequest(quietMs);
  }

  /** @param quietMs how long there has been no request */
  #awaitRequest(quietMs: number): void {
    const leftMs = this.#path.limits.clientIdleTimeoutMs - quietMs;
    this.#timer.arm("idle", this.isDraining ? Math.min(leftMs, DRAINING_IDLE_MS) : leftMs);
  }

  close(): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#state = "closing";
    this.#writer.end();
    linger(this.#socket, !this.#writer.isEmpty, this.#timer, this.#path.limits);
  }

  // ---- ends ----

  /** The client ended its side. */
  #onEnd(): void {
    this.#path.turn.requests.settle(this);
    if (this.#seat !== undefined) return this.#seat.onEnd();
    const held = this.#held;
    if (held === NOTHING) return this.close();
    // What came so far is no preface any more.
    this.#speakHttp1(held, held.length);
    this.#onEnd();
  }

  #onClose(): void {
    this.#path.turn.requests.settle(this);
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#timer.release();
    const seat = this.#seat;
    this.#seat = undefined;
    seat?.onLinkClosed();
    this.#owner.onLinkClosed(this);
  }

  drain(): void {
    this.#path.turn.requests.settle(this);
    if (this.#seat === undefined || this.#seat.isIdle) this.close();
  }

  destroy(): void {
    this.#path.turn.requests.settle(this);
    this.#seat?.refuseDraining();
    this.#writer.sendNow();
    this.#socket.destroySoon();
  }

  onTimeout(phase: Phase): void {
    if (phase === "idle") this.close();
    else if (phase === "head") {
      // What came is the beginning of some request: it is answered that the rest did not come.
      this.#speakHttp1(this.#held, this.#held.length);
      this.#seat?.onTimeout(phase);
    } else this.#socket.destroy();
  }
}

/** How many bytes are those of the preface. */
function matchOf(bytes: Buffer, length: number): number {
  let at = 0;
  while (at < PREFACE.length && at < length && bytes[at] === PREFACE[at]) at++;
  return at;
}
