// How many requests a second each service gets, over the last half minute: a ring of seconds per service and backend.
import type { Clock } from "../../runtime/clock.ts";
import type { TrafficDelta, TrafficLedger } from "./traffic-ledger.ts";

const WINDOW_SECONDS = 30;
/** Services, and services with backends, that are followed at a time. */
export const WINDOWS_MAX = 10_000;
/** At the bound, those without requests are looked for this often. */
const SWEEP_SECONDS = 10;

class Ring {
  readonly #counts = new Float64Array(WINDOW_SECONDS);
  #newest = -1;
  #added = -1;

  add(second: number, requests: number): void {
    this.#moveTo(second);
    const slot = second % WINDOW_SECONDS;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + requests;
    this.#added = second;
  }

  /** Nothing was added in the window that ends with `second`. */
  isSilent(second: number): boolean {
    return second - this.#added >= WINDOW_SECONDS;
  }

  sum(second: number): number {
    this.#moveTo(second);
    return this.#counts.reduce((total, count) => total + count, 0);
  }

  #moveTo(second: number): void {
    const from = Math.max(this.#newest + 1, second - WINDOW_SECONDS + 1);
    for (let next = from; next <= second; next++) this.#counts[next % WINDOW_SECONDS] = 0;
    this.#newest = Math.max(this.#newest, second);
  }
}

export class RateWindow {
  readonly #clock: Clock;
  readonly #rings = new Map<string, Ring>();
  readonly #startedMs: number;
  #sweptSecond = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, ledger: TrafficLedger) {
    this.#clock = clock;
    this.#startedMs = clock.now();
    ledger.onDelta((delta) => this.#add(delta));
  }

  /** Requests a second to `service` (qualified), by callers that report. */
  perSecond(service: string): number {
    return this.#rate(service);
  }

  /** The part of them that went to `backend`. */
  perSecondTo(service: string, backend: string): number {
    return this.#rate(`${service} ${backend}`);
  }

  #rate(key: string): number {
    const nowMs = this.#clock.now();
    const seconds = Math.max(1, Math.min(WINDOW_SECONDS, (nowMs - this.#startedMs) / 1_000));
    return (this.#rings.get(key)?.sum(Math.floor(nowMs / 1_000)) ?? 0) / seconds;
  }

  #add({ atMs, counts }: TrafficDelta): void {
    for (const { service, backend, route, mirror, requests } of counts) {
      if (route !== "" || mirror) continue;
      this.#addTo(service, atMs, requests);
      this.#addTo(`${service} ${backend}`, atMs, requests);
    }
  }

  #addTo(key: string, atMs: number, requests: number): void {
    const second = Math.floor(atMs / 1_000);
    let ring = this.#rings.get(key);
    if (ring === undefined) {
      if (this.#rings.size >= WINDOWS_MAX) this.#forgetSilent(second);
      if (this.#rings.size >= WINDOWS_MAX) return;
      ring = new Ring();
      this.#rings.set(key, ring);
    }
    ring.add(second, requests);
  }

  /** Not for every count of a mesh that is at the bound. */
  #forgetSilent(second: number): void {
    if (second < this.#sweptSecond + SWEEP_SECONDS) return;
    this.#sweptSecond = second;
    for (const [key, ring] of this.#rings) if (ring.isSilent(second)) this.#rings.delete(key);
  }
}
