// Bytes both ways after an upgrade or a CONNECT, until both sides have ended theirs. Each side ends by itself
// (half-close); a side that fails takes the other with it, by a reset, so that half of something never looks whole.
import type { ReasonName } from "../../rules/reason-names.ts";
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Cell } from "../observe/families.ts";
import type { Direction } from "../observe/metrics.ts";
import type { Snapshot } from "../snapshot.ts";
import type { AttemptHolder } from "./attempt.ts";
import type { Downstream, TunnelEnd } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import type { Destination } from "./destination.ts";
import { type Failure, failure } from "./reasons.ts";

/** The tries of the exchange, one of which stands. */
interface TunnelHolder extends AttemptHolder {
  abort(reason: ReasonName): void;
}

/** The exchange, as its tunnel sees it. */
interface TunnelledExchange {
  readonly direction: Direction;
  readonly destination: Destination;
  readonly record: ExchangeRecord;
  snapshot: Snapshot;
}

export const CLIENT_CLOSED = failure("client-closed");
const NOT_TAKEN = failure("stream-idle-timeout", "the endpoint did not take the rest");

export class Tunnel implements TunnelEnd, TimerOwner {
  readonly #client: Downstream;
  readonly #holder: TunnelHolder;
  readonly #exchange: TunnelledExchange;
  readonly #path: DataPath;
  readonly #onOver: (cause: Failure) => void;
  readonly #timer = new WheelTimer(this);
  /** Undefined exactly while there is no tunnel. */
  #counts: TunnelCounts | undefined = undefined;
  #hasClientEnded = false;
  #hasEndpointEnded = false;

  /** @param onOver the client went, and the endpoint did not follow in time */
  constructor(
    client: Downstream,
    holder: TunnelHolder,
    exchange: TunnelledExchange,
    path: DataPath,
    onOver: (cause: Failure) => void,
  ) {
    this.#client = client;
    this.#holder = holder;
    this.#exchange = exchange;
    this.#path = path;
    this.#onOver = onOver;
  }

  begin(): void {
    this.#counts = countsOf(this.#path, this.#exchange);
    this.#counts.opened.value++;
    this.#counts.open.value++;
    this.#hasClientEnded = false;
    this.#hasEndpointEnded = false;
    this.#exchange.record.answeredMs = this.#path.clock.now();
    // Tunnels last for days, and nothing is looked up any more.
    this.#exchange.snapshot = this.#path.noSnapshot;
    this.#client.outlet.flush();
    this.#client.startTunnel();
  }

  fromEndpoint(bytes: Buffer, start: number, end: number): void {
    this.#exchange.record.responseBytes += end - start;
    if (this.#counts !== undefined) this.#counts.received.value += end - start;
    this.#client.outlet.addBody(bytes, start, end);
  }

  onEndpointEnd(): void {
    this.#hasEndpointEnded = true;
    this.#client.outlet.flush();
    this.#client.endTunnelWrites();
    if (this.#isOrderly) this.#holder.attempt.endTunnel();
  }

  fromClient(bytes: Buffer, start: number, end: number): void {
    this.#exchange.record.requestBytes += end - start;
    if (this.#counts !== undefined) this.#counts.sent.value += end - start;
    this.#holder.attempt.outlet.addBody(bytes, start, end);
  }

  onClientEnd(): void {
    this.#hasClientEnded = true;
    this.#holder.attempt.outlet.flush();
    this.#holder.attempt.endTunnelWrites();
    if (this.#isOrderly) this.#holder.attempt.endTunnel();
  }

  /**
   * The client's connection is closed. After both ends that is in order, and the rest goes to the endpoint; otherwise it
   * failed, and so does the endpoint's side as soon as what was written has left.
   */
  onClientGone(): void {
    const { attempt } = this.#holder;
    const { limits, wheel } = this.#path;
    attempt.outlet.flush();
    if (this.#isOrderly) wheel.arm(this.#timer, limits.streamIdleTimeoutMs);
    else if (attempt.hasUnsent) wheel.arm(this.#timer, limits.lingerMs);
    else this.onTimer();
  }

  onTimer(): void {
    const cause = this.#isOrderly ? NOT_TAKEN : CLIENT_CLOSED;
    this.#holder.abort(cause.reason);
    this.#onOver(cause);
  }

  /** The exchange is over. @returns whether it was a tunnel */
  end(): boolean {
    if (this.#counts === undefined) return false;
    this.#counts.open.value--;
    this.#counts = undefined;
    this.#path.wheel.release(this.#timer);
    return true;
  }

  get #isOrderly(): boolean {
    return this.#hasClientEnded && this.#hasEndpointEnded;
  }
}

/** Of all tunnels that are alike. */
interface TunnelCounts {
  readonly opened: Cell;
  readonly open: Cell;
  readonly sent: Cell;
  readonly received: Cell;
}

function countsOf({ metrics }: DataPath, { direction, destination }: TunnelledExchange): TunnelCounts {
  const service = destination.source?.service ?? "";
  const backend = destination.cluster?.service ?? "";
  return {
    opened: metrics.tunnelsOpened.cell(direction, service, backend),
    open: metrics.tunnels.cell(direction, service, backend),
    sent: metrics.tunnelBytes.cell(direction, service, backend, "sent"),
    received: metrics.tunnelBytes.cell(direction, service, backend, "received"),
  };
}
