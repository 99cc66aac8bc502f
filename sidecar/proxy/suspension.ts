// An exchange that waits at a gate: for a delay to pass, or for a place. Knows the gate until the exchange ends, because
// a place that was taken must be given back whatever came of the request.
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { Downstream, Gate, Suspendable } from "./contract.ts";
import type { DataPath } from "./data-path.ts";

export class Suspension implements Suspendable, TimerOwner {
  gate: Gate | undefined = undefined;
  #isWaiting = false;
  readonly #client: Downstream;
  readonly #path: DataPath;
  readonly #run: (step: () => void) => void;
  readonly #timer = new WheelTimer(this);

  /** @param run takes a step of the exchange, with its errors caught */
  constructor(client: Downstream, path: DataPath, run: (step: () => void) => void) {
    this.#client = client;
    this.#path = path;
    this.#run = run;
  }

  wait(timeoutMs: number): void {
    this.#isWaiting = true;
    if (!this.#client.isRequestComplete) this.#client.pauseReading();
    this.#path.wheel.arm(this.#timer, timeoutMs);
  }

  resume(step: () => void): void {
    if (!this.#isWaiting) return;
    this.#stop();
    this.#run(() => {
      this.#client.resumeReading();
      step();
    });
  }

  onTimer(): void {
    this.gate?.onWaitTimeout();
  }

  /** The exchange is over. */
  end(saysNothing: boolean, nowMs: number): void {
    const gate = this.gate;
    if (gate === undefined) return;
    this.gate = undefined;
    this.#stop();
    gate.onExchangeEnd(saysNothing, nowMs);
  }

  /** Stands in no wheel any more, until it is used again. */
  rest(): void {
    this.#path.wheel.release(this.#timer);
  }

  #stop(): void {
    this.#isWaiting = false;
    this.#path.wheel.cancel(this.#timer);
  }
}
