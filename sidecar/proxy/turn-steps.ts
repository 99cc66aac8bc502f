// The steps that an exchange takes at the end of its turn, each together with all others that have come as far. It knows
// which one is due; what the steps are is the exchange's.
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Downstream, StagedExchange, TurnStep } from "./contract.ts";
import type { TurnStages } from "./data-path.ts";

/** The exchange, as its steps see it. */
export interface SteppedExchange {
  readonly record: ExchangeRecord;
  onStep(step: TurnStep): void;
  onInternalError(where: string, error: unknown): void;
}

export class TurnSteps implements StagedExchange {
  readonly #exchange: SteppedExchange;
  readonly #client: Downstream;
  readonly #stages: TurnStages;
  #due: TurnStep | "" = "";

  constructor(exchange: SteppedExchange, client: Downstream, stages: TurnStages) {
    this.#exchange = exchange;
    this.#client = client;
    this.#stages = stages;
  }

  /** Nothing more of the request will come before the end of the turn, and it has waited for nothing else. */
  get areShared(): boolean {
    const client = this.#client;
    return (client.isRequestComplete || client.content.isAwaited) && !this.#exchange.record.hasWaited;
  }

  /** The step is taken at the end of the turn, or sooner by `take`, or never: after `clear`. */
  wait(step: TurnStep): void {
    this.#due = step;
    this.#stage(step).add(this);
  }

  /** By name: `stages[step]` is a call into V8 for keys that differ. */
  #stage(step: TurnStep): TurnStages[TurnStep] {
    const { finish, route, forward, send } = this.#stages;
    if (step === "finish") return finish;
    if (step === "route") return route;
    return step === "forward" ? forward : send;
  }

  take(step: TurnStep): void {
    // The client may have gone since, and another one have come.
    if (this.#due !== step) return;
    this.#due = "";
    try {
      this.#exchange.onStep(step);
    } catch (error) {
      this.#exchange.onInternalError("exchange", error);
    }
  }

  /** The steps that the request has still to take are taken now: more of it has come. */
  hurry(): void {
    while (this.#due !== "" && this.#due !== "finish") this.take(this.#due);
  }

  clear(): void {
    this.#due = "";
  }
}
