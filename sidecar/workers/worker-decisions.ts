// The decision records of several worker processes as those of one sidecar: every worker is asked, and every tap is open
// in all of them, also in those that come later.
import type { DecisionKeeper } from "../decisions.ts";
import type { Decision } from "../observe/decision.ts";
import type { OnTapReport, TapOrder } from "../observe/tap.ts";
import type { WorkerHandle } from "./worker-process.ts";

export interface WorkerDecisionsOptions {
  readonly concurrency: number;
  readonly running: () => readonly WorkerHandle[];
  /** Resolves when the answers are there, or it takes too long. */
  readonly inTime: (answers: Promise<unknown>) => Promise<void>;
}

export class WorkerDecisions implements DecisionKeeper {
  readonly #options: WorkerDecisionsOptions;
  readonly #open = new Map<number, TapOrder>();
  #onReport: OnTapReport = () => {};

  constructor(options: WorkerDecisionsOptions) {
    this.#options = options;
  }

  async findDecisions(id: string): Promise<readonly Decision[]> {
    const found: Decision[] = [];
    const asked = this.#options.running().map(async (worker) => {
      found.push(...(await worker.ask("findDecisions", id)));
    });
    await this.#options.inTime(Promise.allSettled(asked));
    return found.sort((a, b) => a.atMs - b.atMs);
  }

  openTap(order: TapOrder): void {
    // Connections are spread, so each worker has its share of what may be told.
    const share = { ...order, maxPerSecond: Math.ceil(order.maxPerSecond / this.#options.concurrency) };
    this.#open.set(order.tap, share);
    for (const worker of this.#options.running()) worker.ask("openTap", share).catch(() => {});
  }

  closeTap(tap: number): void {
    this.#open.delete(tap);
    for (const worker of this.#options.running()) worker.ask("closeTap", tap).catch(() => {});
  }

  setTapListener(onReport: OnTapReport): void {
    this.#onReport = onReport;
  }

  /** Opens in a new worker what is open in the others. */
  async welcome(worker: WorkerHandle): Promise<void> {
    for (const order of this.#open.values()) await worker.ask("openTap", order);
  }

  /** What a worker tells. */
  readonly onReport: OnTapReport = (report) => {
    if (this.#open.has(report.tap)) this.#onReport(report);
  };
}
