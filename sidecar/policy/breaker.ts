// The circuit breaker of one destination. opossum keeps the state: it opens, waits its reset timeout, half-opens and
// closes. What it is told comes from here: own counters, fed by attempts as they end, because `fire()` would cost a
// promise per request, and because half-open lets `halfOpenProbes` requests through instead of one.
import { EventEmitter } from "node:events";
import Circuit from "opossum";
import { RollingWindow } from "./rolling-window.ts";

export interface BreakerSettings {
  readonly errorThresholdPercentage: number;
  readonly volumeThreshold: number;
  readonly rollingWindowMs: number;
  readonly resetTimeoutMs: number;
  readonly halfOpenProbes: number;
}

export type BreakerState = "closed" | "open" | "half-open";
/** How an attempt ended: "none" when it says nothing about the destination (the client went away). */
export type Verdict = "success" | "failure" | "none";
/** Told of every change of state. */
export type BreakerListener = (state: BreakerState, why: string) => void;

/** A ticket that is no admission. */
export const REFUSED = 0;

/** opossum rotates its statistics by timers of its own unless something else does: nothing does, for none are kept. */
const silentRotation = new EventEmitter().setMaxListeners(0);
const sharedStatus = Circuit.newStatus({
  rollingCountBuckets: 1,
  rollingCountTimeout: 1_000,
  rollingPercentilesEnabled: false,
  enableSnapshots: false,
  rotateBucketController: silentRotation,
});

export class Breaker {
  #settings: BreakerSettings;
  #circuit: Circuit;
  #window: RollingWindow;
  readonly #listener: BreakerListener;
  /** Changes with the state, so that attempts admitted before are told from those that count now. Never REFUSED. */
  #generation = 1;
  #probesInFlight = 0;
  #probesPassed = 0;
  #openedMs = 0;
  #why = "";

  constructor(settings: BreakerSettings, listener: BreakerListener) {
    this.#settings = settings;
    this.#listener = listener;
    this.#window = new RollingWindow(settings.rollingWindowMs);
    this.#circuit = this.#buildCircuit();
  }

  get state(): BreakerState {
    if (this.#circuit.closed) return "closed";
    return this.#circuit.halfOpen ? "half-open" : "open";
  }

  /** Would `admit` let a request through? */
  get isAdmitting(): boolean {
    if (this.#circuit.closed) return true;
    return this.#circuit.halfOpen && this.#probesInFlight + this.#probesPassed < this.#settings.halfOpenProbes;
  }

  /** @returns a ticket for `settle`, which must follow exactly once; REFUSED when nothing is let through. */
  admit(): number {
    if (!this.isAdmitting) return REFUSED;
    if (!this.#circuit.closed) this.#probesInFlight++;
    return this.#generation;
  }

  /** The attempt with this ticket ended. Tickets of an earlier state change nothing. */
  settle(ticket: number, verdict: Verdict, nowMs: number): void {
    if (ticket !== this.#generation) return;
    if (this.#circuit.closed) this.#count(verdict, nowMs);
    else this.#judgeProbe(verdict, nowMs);
  }

  /** Until requests are let through again; 0 when they are, or may be at any moment. */
  retryAfterMs(nowMs: number): number {
    if (!this.#circuit.opened) return 0;
    return Math.max(0, this.#openedMs + this.#settings.resetTimeoutMs - nowMs);
  }

  /** New settings act at once; an open circuit stays open, for its new reset timeout. */
  configure(settings: BreakerSettings): void {
    const isOpen = !this.#circuit.closed;
    if (settings.rollingWindowMs !== this.#settings.rollingWindowMs)
      this.#window = new RollingWindow(settings.rollingWindowMs);
    const isSameTimer = settings.resetTimeoutMs === this.#settings.resetTimeoutMs;
    this.#settings = settings;
    if (isSameTimer) return;
    this.#circuit.shutdown();
    this.#circuit = this.#buildCircuit();
    if (isOpen) this.#circuit.open();
  }

  /** Lets go of opossum's timer; the breaker is of no use any more. */
  close(): void {
    this.#circuit.shutdown();
  }

  #count(verdict: Verdict, nowMs: number): void {
    if (verdict === "none") return;
    const window = this.#window;
    window.add(verdict === "success", nowMs);
    if (verdict === "success") return;
    const { errorThresholdPercentage, volumeThreshold } = this.#settings;
    const total = window.total(nowMs);
    const failures = window.failures(nowMs);
    // A threshold of 0 would open on the first failure of a quiet service; opossum's own default does.
    if (total < Math.max(1, volumeThreshold)) return;
    if (failures * 100 < errorThresholdPercentage * total) return;
    this.#open(`${failures} of ${total} failed`, nowMs);
  }

  #judgeProbe(verdict: Verdict, nowMs: number): void {
    this.#probesInFlight--;
    if (verdict === "failure") this.#open("a probe failed", nowMs);
    if (verdict !== "success") return;
    this.#probesPassed++;
    if (this.#probesPassed < this.#settings.halfOpenProbes) return;
    this.#why = `${this.#probesPassed} of ${this.#probesPassed} probes passed`;
    this.#circuit.close();
  }

  #open(why: string, nowMs: number): void {
    this.#openedMs = nowMs;
    this.#why = why;
    this.#circuit.open();
  }

  #buildCircuit(): Circuit {
    const circuit = new Circuit(unused, {
      timeout: false,
      resetTimeout: this.#settings.resetTimeoutMs,
      volumeThreshold: Math.max(1, this.#settings.volumeThreshold),
      status: sharedStatus,
      rotateBucketController: silentRotation,
      enableSnapshots: false,
      rollingPercentilesEnabled: false,
    });
    circuit.on("open", () => this.#onChange("open"));
    circuit.on("halfOpen", () => {
      this.#why = "the reset timeout passed";
      this.#onChange("half-open");
    });
    circuit.on("close", () => this.#onChange("closed"));
    return circuit;
  }

  #onChange(state: BreakerState): void {
    this.#generation++;
    this.#probesInFlight = 0;
    this.#probesPassed = 0;
    this.#window.clear();
    this.#listener(state, this.#why);
  }
}

/** opossum wants an action to fire; nothing is fired. */
function unused(): Promise<void> {
  return Promise.resolve();
}
