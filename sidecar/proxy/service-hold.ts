// A request that waits until the control plane has said what its service is: bounded in time, and in number by the
// whole process. What comes too late, or after the request has gone, is dropped.
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { Resolution, ServiceResolver } from "../resolver.ts";
import type { DataPath } from "./data-path.ts";

export class ServiceHold implements TimerOwner {
  isHolding = false;
  readonly #path: DataPath;
  readonly #timer = new WheelTimer(this);
  #done: (resolution: Resolution) => void = () => {};
  /** Counts holds, so that a late answer to an earlier one is told apart. */
  #turn = 0;

  constructor(path: DataPath) {
    this.#path = path;
  }

  /** @returns false when too many requests wait already. `done` is called once, unless `cancel` comes first. */
  start(service: string, resolver: ServiceResolver, done: (resolution: Resolution) => void): boolean {
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
