// Bytes both ways after an upgrade or a CONNECT, until both sides have ended theirs. Each side ends by itself
// (half-close); a side that fails takes the other with it.
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { AttemptHolder } from "./attempt.ts";
import type { Downstream, TunnelEnd } from "./contract.ts";
import type { DataPath } from "./data-path.ts";

export class Tunnel implements TunnelEnd, TimerOwner {
  readonly #client: Downstream;
  readonly #holder: AttemptHolder;
  readonly #path: DataPath;
  readonly #onOver: () => void;
  readonly #timer = new WheelTimer(this);

  /** @param onOver the client went, and the endpoint did not follow in time */
  constructor(client: Downstream, holder: AttemptHolder, path: DataPath, onOver: () => void) {
    this.#client = client;
    this.#holder = holder;
    this.#path = path;
    this.#onOver = onOver;
  }

  begin(): void {
    this.#client.outlet.flush();
    this.#client.startTunnel();
  }

  fromEndpoint(bytes: Buffer, start: number, end: number): void {
    this.#client.outlet.addBody(bytes, start, end);
  }

  onEndpointEnd(): void {
    this.#client.outlet.flush();
    this.#client.endTunnelWrites();
  }

  fromClient(bytes: Buffer, start: number, end: number): void {
    this.#holder.attempt.outlet.addBody(bytes, start, end);
  }

  onClientEnd(): void {
    this.#holder.attempt.outlet.flush();
    this.#holder.attempt.endTunnelWrites();
  }

  /** What was written towards the endpoint still goes out; its close, or the timer, ends the exchange. */
  onClientGone(): void {
    this.onClientEnd();
    this.#path.wheel.arm(this.#timer, this.#path.limits.lingerMs);
  }

  onTimer(): void {
    this.#holder.attempt.abort();
    this.#onOver();
  }

  end(): void {
    this.#path.wheel.release(this.#timer);
  }
}
