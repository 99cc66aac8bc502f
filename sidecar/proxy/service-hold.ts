// A request that waits until the control plane has said what its service is: bounded in time, and in number by the
// whole process. What comes too late, or after the request has gone, is dropped.
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { Resolution, ServiceResolver } from "../resolver.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Downstream, ExchangeState, RoutedExchange, Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { failure } from "./reasons.ts";

/** The exchange, while it waits. */
interface HeldExchange extends RoutedExchange {
  state: ExchangeState;
  snapshot: Snapshot;
}

export class ServiceHold implements TimerOwner {
  isHolding = false;
  readonly #client: Downstream;
  readonly #path: DataPath;
  readonly #router: Router;
  readonly #run: (step: () => void) => void;
  readonly #timer = new WheelTimer(this);
  #done: (resolution: Resolution) => void = () => {};
  /** Counts holds, so that a late answer to an earlier one is told apart. */
  #turn = 0;

  /** @param run takes a step of the exchange, with its errors caught */
  constructor(client: Downstream, path: DataPath, router: Router, run: (step: () => void) => void) {
    this.#client = client;
    this.#path = path;
    this.#router = router;
    this.#run = run;
  }

  /** The exchange is routed again with what comes of it; now, where there is nobody to ask. */
  ask(exchange: HeldExchange, service: string): void {
    const { resolver } = this.#path;
    if (resolver === undefined) return this.#router.route(exchange, "unknown");
    exchange.state = "resolving";
    exchange.record.note("resolve", service);
    this.#client.pauseReading();
    const isHeld = this.#start(service, resolver, (resolution) =>
      this.#run(() => this.#routeAgain(exchange, resolution)),
    );
    if (!isHeld) exchange.answer(failure("overloaded", "too many requests wait for the control plane"), "");
  }

  #routeAgain(exchange: HeldExchange, resolution: Resolution): void {
    exchange.state = "routing";
    this.#client.resumeReading();
    exchange.snapshot = this.#path.snapshots.current;
    exchange.record.revision = exchange.snapshot.revision;
    this.#router.route(exchange, resolution);
  }

  /** @returns false when too many requests wait already. `done` is called once, unless `cancel` comes first. */
  #start(service: string, resolver: ServiceResolver, done: (resolution: Resolution) => void): boolean {
    if (this.#path.resolvingCount >= this.#path.limits.resolvingRequestsMax) return false;
    const turn = ++this.#turn;
    this.isHolding = true;
    this.#done = done;
    this.#path.resolvingCount++;
    this.#path.wheel.arm(this.#timer, this.#path.limits.resolveTimeoutMs);
    resolver.resolve(service, (resolution) => {
      if (turn === this.#turn) this.#finish(resolution);
    });
    return true;
  }

  cancel(): void {
    if (!this.isHolding) return;
    this.isHolding = false;
    this.#turn++;
    this.#path.resolvingCount--;
    this.#path.wheel.release(this.#timer);
  }

  onTimer(): void {
    this.#finish("unavailable");
  }

  #finish(resolution: Resolution): void {
    if (!this.isHolding) return;
    this.cancel();
    this.#done(resolution);
  }
}
