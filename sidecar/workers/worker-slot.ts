// One slot of a fleet: keeps a worker process in it, and puts a new one there after a pause when it has ended
// by itself. Also keeps what is known of its figures. What a worker is told when it comes is the fleet's business.
import { equalJitter } from "../../runtime/backoff.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { Random } from "../../runtime/random.ts";
import type { WorkerReport } from "./protocol.ts";
import type { WorkerExit, WorkerHandle } from "./worker-process.ts";

const RESTART_BASE_MS = 100;
export const RESTART_MAX_MS = 10_000;
/** A worker that ran this long was a good one: the next failure starts from the shortest pause again. */
const STABLE_AFTER_MS = 10_000;
/** How often figures are asked for, so that little is lost of what a worker counted when it ends. */
export const REPORT_EVERY_MS = 1_000;
/** Turns (not a time: this process may have been stopped meanwhile) that a report may be late before the worker counts as stuck. */
const REPORTS_MISSED_MAX = 30;

export interface WorkerSlotOptions {
  /** From 1. */
  readonly number: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly createWorker: () => WorkerHandle;
  /** Tells a new worker everything, and calls `serves` when it has it, before anything else is told to the others. */
  readonly welcome: (worker: WorkerHandle, serves: () => void) => Promise<void>;
  /** A worker that served, or came to, has ended by itself; `last` is the newest of its reports. */
  readonly onLost: (last: WorkerReport | undefined) => void;
}

type SlotState =
  | { readonly name: "empty" }
  /** There is a process that does not serve yet. */
  | { readonly name: "starting"; readonly worker: WorkerHandle }
  | { readonly name: "running"; readonly worker: WorkerHandle; readonly sinceMs: number }
  | { readonly name: "waiting"; readonly timer: Timer }
  | { readonly name: "stopped"; readonly worker: WorkerHandle | undefined };

export class WorkerSlot {
  readonly number: number;
  readonly #options: WorkerSlotOptions;
  #state: SlotState = { name: "empty" };
  #failures = 0;
  #restarts = 0;
  #lastReport: WorkerReport | undefined;
  #isReporting = false;
  #reportsMissed = 0;

  constructor(options: WorkerSlotOptions) {
    this.number = options.number;
    this.#options = options;
  }

  /** The worker that serves. */
  get worker(): WorkerHandle | undefined {
    return this.#state.name === "running" ? this.#state.worker : undefined;
  }

  get stateName(): SlotState["name"] {
    return this.#state.name;
  }

  get pid(): number {
    return "worker" in this.#state ? (this.#state.worker?.pid ?? 0) : 0;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Of the worker that serves, at most about a second old. */
  get lastReport(): WorkerReport | undefined {
    return this.#lastReport;
  }

  /** Puts a worker there. Rejects when it could not be made to serve. */
  async start(): Promise<void> {
    const { createWorker, welcome, clock } = this.#options;
    const worker = createWorker();
    this.#state = { name: "starting", worker };
    void worker.exited.then((exit) => this.#onExit(worker, exit));
    try {
      await welcome(worker, () => {
        if (this.#isIn("starting", worker)) this.#state = { name: "running", worker, sinceMs: clock.now() };
      });
    } catch (error) {
      worker.kill();
      throw error;
    }
  }

  /** Once per REPORT_EVERY_MS. A worker that does not serve yet has no figures, but an answer, or it hangs. */
  tick(): void {
    const worker = this.#present;
    if (worker === undefined) return;
    if (!this.#isReporting) {
      void this.#ask(worker);
      return;
    }
    if (++this.#reportsMissed < REPORTS_MISSED_MAX) return;
    this.#options.log.error({ worker: this.number, pid: worker.pid }, "a worker process answers no more; killing it");
    this.#reportsMissed = 0;
    worker.kill();
  }

  /** Asks for the figures as they are now; what is known stays when they do not come. */
  async report(): Promise<void> {
    if (this.worker !== undefined) await this.#ask(this.worker);
  }

  /** The worker that serves, or comes to. */
  get #present(): WorkerHandle | undefined {
    const { name } = this.#state;
    return name === "starting" || name === "running" ? this.#state.worker : undefined;
  }

  async #ask(worker: WorkerHandle): Promise<void> {
    this.#isReporting = true;
    try {
      const report = await worker.ask("report", undefined);
      if (this.#isIn("running", worker)) this.#lastReport = report;
    } catch {
      // It has ended, which its exit says louder, or has nothing to report yet.
    }
    this.#isReporting = false;
    this.#reportsMissed = 0;
  }

  /** From now on a worker that ends is not replaced. Returns the one that is there. */
  stop(): WorkerHandle | undefined {
    const state = this.#state;
    if (state.name === "waiting") state.timer.cancel();
    const worker = "worker" in state ? state.worker : undefined;
    this.#state = { name: "stopped", worker };
    return worker;
  }

  #isIn(name: SlotState["name"], worker: WorkerHandle): boolean {
    return this.#state.name === name && "worker" in this.#state && this.#state.worker === worker;
  }

  #onExit(worker: WorkerHandle, exit: WorkerExit): void {
    const state = this.#state;
    if (state.name !== "starting" && state.name !== "running") return;
    const { clock, random, log, onLost } = this.#options;
    if (state.name === "running" && clock.now() - state.sinceMs >= STABLE_AFTER_MS) this.#failures = 0;
    this.#failures++;
    const delayMs = equalJitter(random, this.#failures, RESTART_BASE_MS, RESTART_MAX_MS);
    this.#state = { name: "waiting", timer: clock.after(delayMs, () => void this.#restart()) };
    const last = this.#lastReport;
    this.#lastReport = undefined;
    const facts = { worker: this.number, pid: worker.pid, ...exit, retryInMs: Math.round(delayMs) };
    log.error(facts, "a worker process has ended, and its connections with it; starting another");
    onLost(last);
  }

  async #restart(): Promise<void> {
    this.#restarts++;
    try {
      await this.start();
      this.#options.log.info({ worker: this.number, pid: this.pid }, "a worker process serves again");
    } catch (error) {
      // The process has been ended, which begins the next pause.
      this.#options.log.error({ worker: this.number, err: error }, "a worker process did not come to serve");
    }
  }
}
