// Who keeps decision records in one process that carries traffic: the ring, always, and taps, while there are any.
import type { Clock } from "../runtime/clock.ts";
import type { Decision } from "./observe/decision.ts";
import { DecisionRing } from "./observe/decision-ring.ts";
import type { ExchangeObserver } from "./observe/exchange-record.ts";
import { type OnTapReport, type TapOrder, TapSet } from "./observe/tap.ts";

/** What may be asked about requests that have ended, and told of those that end; of one process or of several. */
export interface DecisionKeeper {
  /** What is remembered of a trace id or request id, in the order of time. */
  findDecisions(id: string): Promise<readonly Decision[]>;
  openTap(order: TapOrder): void;
  closeTap(tap: number): void;
  /** Who is told what open taps see. */
  setTapListener(onReport: OnTapReport): void;
}

export class LocalDecisions implements DecisionKeeper {
  readonly #observers: ExchangeObserver[];
  readonly #ring: DecisionRing;
  readonly #taps: TapSet;
  #onReport: OnTapReport = () => {};

  /** @param observers of the data path; this adds itself */
  constructor(observers: ExchangeObserver[], clock: Clock) {
    this.#observers = observers;
    this.#ring = new DecisionRing(clock);
    this.#taps = new TapSet(clock, (report) => this.#onReport(report));
    observers.push(this.#ring);
  }

  findDecisions(id: string): Promise<readonly Decision[]> {
    return Promise.resolve(this.#ring.find(id));
  }

  openTap(order: TapOrder): void {
    if (this.#taps.isEmpty) this.#observers.push(this.#taps);
    this.#taps.open(order);
  }

  closeTap(tap: number): void {
    this.#taps.close(tap);
    const at = this.#observers.indexOf(this.#taps);
    if (this.#taps.isEmpty && at >= 0) this.#observers.splice(at, 1);
  }

  setTapListener(onReport: OnTapReport): void {
    this.#onReport = onReport;
  }

  close(): void {
    this.#taps.closeAll();
  }
}
