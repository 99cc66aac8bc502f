// Who knows whom in this room: the seat of a client owns an exchange, an exchange owns an attempt; upwards they are known
// by these interfaces only. Types, no code.
import type { Prepared } from "../../runtime/turn-writer.ts";
import type { BodyForm } from "../http1/contract.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Http2Head } from "../http2/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Direction } from "../observe/metrics.ts";
import type { Resolution } from "../resolver.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Destination } from "./destination.ts";
import type { Failure } from "./reasons.ts";

/** Field lines and the empty line behind them ("": none), or as they came in HTTP/2. */
export type Trailers = string | Http2Head;

/**
 * The way out of one side, whatever protocol is spoken there. Heads come as HTTP/1.1 text, already without what is for
 * one hop; what was added in one turn leaves with `flush`.
 */
export interface MessageOutlet {
  /** "wire": takes a chunked body in its wire form as well as content; "data": content alone. */
  readonly form: BodyForm;
  /** Nothing more should be added before it has drained. */
  readonly isFull: boolean;
  /**
   * A head, final or interim.
   * @param chunks the content that follows is to be put into chunks here, if the protocol has such a thing
   */
  addHead(text: string, chunks: boolean): void;
  /** The same as it lies in bytes[start, end), where HTTP/1.1 is spoken. */
  addHeadBytes?(bytes: Buffer, start: number, end: number, chunks: boolean): void;
  /** The same where its octets are known and HTTP/1.1 is spoken. */
  addPreparedHead?(head: Prepared, chunks: boolean): void;
  /** The same in fields, with `lines` behind them, where HTTP/2 is spoken. It stays as it is until the next flush. */
  addFields?(head: Http2Head, lines: string): void;
  /** bytes[start, end) of the body, which may change after this call returns. */
  addBody(bytes: Buffer, start: number, end: number): void;
  /** The same, as latin1 text. */
  addBodyText(text: string): void;
  /** The message is complete. */
  end(trailers: Trailers): void;
  flush(): void;
  /** The peer has taken of what waits in the process since this was last asked, as far as it can be told. */
  takeProgress(): boolean;
}

/** A socket as the outlet needs it; false means "no more until it has drained". */
export interface ByteSink {
  write(text: string): boolean;
  /** The bytes are not changed by anybody afterwards. */
  writeBytes(bytes: Buffer): boolean;
  /** bytes[start, end) that were read in this turn. @returns false where they have to be copied: nothing was done */
  writeRead?(bytes: Buffer, start: number, end: number): boolean;
  /** The same as `write` of its text. */
  writePrepared?(prepared: Prepared): boolean;
  /** Nothing of what was written waits in the process. */
  readonly isEmpty: boolean;
  /** As of MessageOutlet. */
  takeProgress(): boolean;
}

/** A client's connection, as its seat of HTTP/1.1 sees it. */
export interface SeatedLink extends ByteSink {
  readonly remoteAddress: string;
  readonly isDraining: boolean;
  /** Time for a head that begins now, less what its first bytes have waited already. */
  readonly headLeftMs: number;
  pauseReading(): void;
  resumeReading(): void;
  /** Ends the sidecar's side alone. */
  endWrites(): void;
  /** Ends in order: what was written goes out, what still comes is dropped for a while. */
  close(): void;
  /** Cuts the connection so that the client notices. */
  reset(): void;
  cut(): void;
  /** The seat serves it no more. @param quietMs how long there has been no request */
  onSeatLeft(quietMs: number): void;
}

/** Where seats come from. */
export interface SeatRoom<Seat> {
  /** Connections must not keep theirs between requests. */
  readonly areMany: boolean;
  /** Nothing is under way on it. */
  giveBack(seat: Seat): void;
  /** It is not used again: what is under way on it may go on. */
  forget(): void;
}

/** One client's connection, as its listener sees it. */
export interface ClientLink {
  /** Closes if nothing is in progress; otherwise what is in progress will be the last. */
  drain(): void;
  /** Cuts it. */
  destroy(): void;
}

/** What a connection tells its listener. */
export interface LinkOwner {
  readonly isDraining: boolean;
  /** The client speaks HTTP/2: from now on `successor` stands for the connection. */
  onSuccession(link: ClientLink, successor: ClientLink): void;
  onLinkClosed(link: ClientLink): void;
}

/** In which form the exchange gets the body of a request. */
export interface RequestBody {
  readonly form: BodyForm;
  /** Has it come in its wire form, if it can and nothing of it has been handed out yet. */
  useWireForm(): void;
}

/** The client's side, as its exchange sees it. */
export interface Downstream {
  /** Head of the request in progress; stays until the exchange is done. */
  readonly head: MessageHead;
  /** The same as it came, where it may go on as it is in HTTP/2. */
  readonly http2Head: Http2Head | undefined;
  readonly outlet: MessageOutlet;
  readonly body: RequestBody;
  readonly remoteAddress: string;
  /** All of the request has been read. */
  readonly isRequestComplete: boolean;
  /** `isAwaited`: content that was read with the head is handed on behind the steps that the exchange takes in this turn. */
  readonly content: { readonly isAwaited: boolean };
  /** The listener drains: the next answer says that the connection closes. */
  readonly isDraining: boolean;
  pauseReading(): void;
  resumeReading(): void;
  /** The answer is out. Reads the next request, or closes. May begin the next exchange before it returns. */
  onExchangeDone(mayKeepAlive: boolean): void;
  /** Cuts the connection so that the client cannot take what it got for a whole answer. */
  reset(): void;
  /** From now on bytes go through unread. */
  startTunnel(): void;
  /** Ends the sidecar's side of a tunnel; the other may go on. */
  endTunnelWrites(): void;
  /** Bytes moved, either way: the idle clock starts anew. */
  noteActivity(): void;
  /** Stream idle time of the exchange, 0: none. Replaces the default once the policy is known. */
  setIdleTimeout(idleMs: number): void;
}

/** A tunnel, as the endpoint's side sees it. */
export interface TunnelEnd {
  fromEndpoint(bytes: Buffer, start: number, end: number): void;
  onEndpointEnd(): void;
}

/** The exchange, as its attempt sees it. */
export interface AttemptOwner {
  /** A connection is there: write the request. */
  onAttemptOpen(): void;
  onInterimHead(head: MessageHead): void;
  /** Should the attempt with this final status be given up for another one? */
  wantsRetry(head: MessageHead): boolean;
  /**
   * Writes the head to the client.
   * @param form "wire": the body can be had in its wire form
   * @param fields the same head as it came in HTTP/2
   * @returns the form in which the body is wanted
   */
  onResponseHead(head: MessageHead, form: BodyForm, fields?: Http2Head): BodyForm;
  onResponseBody(bytes: Buffer, start: number, end: number): void;
  onResponseEnd(trailers: Trailers): void;
  onTunnelOpen(head: MessageHead): void;
  /** Where bytes go after that; undefined for one that wants no tunnel. */
  readonly tunnel: TunnelEnd | undefined;
  /** All bytes of one read have been taken. */
  onReadDone(): void;
  /** The endpoint takes more of the request. */
  onAttemptDrain(): void;
  /** No answer from this attempt. */
  onAttemptFailed(failure: Failure): void;
  /** Its answer asked for another attempt; the connection is dealt with. */
  onRetryableAnswer(status: number): void;
  onInternalError(where: string, error: unknown): void;
  readonly isRequestComplete: boolean;
}

/** "trying": an attempt is under way and nothing of its answer is out. */
export type ExchangeState = "idle" | "routing" | "resolving" | "trying" | "backing-off" | "responding" | "tunnel";

/** What a router may do with an exchange: exactly one of the verbs per call of `route`. */
export interface RoutedExchange {
  readonly head: MessageHead;
  /** The snapshot that this exchange goes by. */
  readonly snapshot: Snapshot;
  readonly destination: Destination;
  /** What was decided so far, for those who ask what happened to the request. */
  readonly record: ExchangeRecord;
  /** Sends the request where `destination` says. */
  forward(): void;
  /** @param lines complete field lines for the answer, such as `location: ...` */
  answer(cause: Failure, lines: string): void;
  /** Asks for a service that the snapshot does not hold; `route` is called again with what came of it. */
  hold(service: string): void;
  readonly remoteAddress: string;
  readonly suspension: Suspendable;
}

/** What exchanges do at the end of a turn, each step together with all others that have come as far. */
export type TurnStep = "finish" | "route" | "forward" | "send";

export interface StagedExchange {
  /** Takes this step, if it is still the one that it waits for. Never throws. */
  take(step: TurnStep): void;
}

/** Content that waits behind these steps. */
export interface StagedContent {
  /** Hands on what waits, if it still does. Never throws. */
  take(): void;
}

/** How a router lets an exchange wait before it takes one of the verbs. */
export interface Suspendable {
  /** Told when the exchange ends, whatever came of it. */
  gate: Gate | undefined;
  /** Waits until somebody calls `resume`; after `timeoutMs` the gate is told. */
  wait(timeoutMs: number): void;
  /** Ends waiting: `step` takes one of the verbs, or waits again. Without effect on an exchange that does not wait. */
  resume(step: () => void): void;
}

/** What stands between an exchange and its destination, and counts it while it is under way. */
export interface Gate {
  /** The time of `wait` is over. */
  onWaitTimeout(): void;
  /** @param saysNothing its time is not the service's: the mesh answered, or it was a tunnel */
  onExchangeEnd(saysNothing: boolean, nowMs: number): void;
}

/** Decides where requests of one listener go. */
export interface Router {
  readonly direction: Direction;
  /** @param resolution what came of `hold`; undefined at first */
  route(exchange: RoutedExchange, resolution: Resolution | undefined): void;
}
