// Taps: somebody watches requests as they end. Told only of those that a filter lets through, and only so many per
// second; the rest is counted. While no tap is open there is no observer, so traffic pays nothing.
import type { Clock, Timer } from "../../runtime/clock.ts";
import { type Decision, decisionOf } from "./decision.ts";
import type { ExchangeObserver, ExchangeRecord } from "./exchange-record.ts";

/** Every field narrows; the empty filter lets everything through. Its shape is that of the wire. */
export interface TapFilter {
  readonly service: string;
  readonly direction: string;
  /** `namespace/name` of the route, whatever its kind. */
  readonly route: string;
  readonly statuses: readonly { readonly from: number; readonly to: number }[];
  /** "any": every answer that the mesh made itself. */
  readonly reason: string;
  readonly slowerMs: number;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

export interface TapOrder {
  readonly tap: number;
  readonly filter: TapFilter;
  /** Decisions per second. */
  readonly maxPerSecond: number;
}

/** What one tap saw since its report before. */
export interface TapReport {
  tap: number;
  decisions: Decision[];
  /** Requests that the filter let through, and those of them that are not told. */
  matched: number;
  dropped: number;
}

export type OnTapReport = (report: TapReport) => void;

export const TAPS_MAX = 16;
export const TAP_PER_SECOND_MAX = 1_000;
/** Reports go out this often while there is something to tell. */
export const TAP_REPORT_EVERY_MS = 100;

/** Does this request concern the tap? Cheapest questions first. */
export function passes(filter: TapFilter, record: ExchangeRecord): boolean {
  const { service, direction, route, statuses, reason, slowerMs, headers } = filter;
  if (service !== "" && record.service !== service && record.backend !== service) return false;
  if (direction !== "" && record.direction !== direction) return false;
  if (slowerMs > 0 && record.durationMs < slowerMs) return false;
  if (reason !== "" && (reason === "any" ? record.reason === "" : record.reason !== reason)) return false;
  if (statuses.length > 0 && !statuses.some(({ from, to }) => record.status >= from && record.status <= to))
    return false;
  if (route !== "" && record.rule?.route.endsWith(` ${route}`) !== true) return false;
  return headers.every(({ name, value }) => {
    const found = record.head.value(name);
    return found !== undefined && (value === "" || found === value);
  });
}

/** The open taps of one process. */
export class TapSet implements ExchangeObserver {
  readonly #clock: Clock;
  readonly #taps = new Map<number, OpenTap>();
  readonly #onReport: OnTapReport;

  constructor(clock: Clock, onReport: OnTapReport) {
    this.#clock = clock;
    this.#onReport = onReport;
  }

  get isEmpty(): boolean {
    return this.#taps.size === 0;
  }

  /** Opens it, or replaces the one of this number. More than TAPS_MAX are not opened. */
  open(order: TapOrder): void {
    this.close(order.tap);
    if (this.#taps.size < TAPS_MAX) this.#taps.set(order.tap, new OpenTap(order, this.#clock, this.#onReport));
  }

  /** What was not reported yet is dropped. */
  close(tap: number): void {
    this.#taps.get(tap)?.close();
    this.#taps.delete(tap);
  }

  closeAll(): void {
    for (const tap of [...this.#taps.keys()]) this.close(tap);
  }

  onExchange(record: ExchangeRecord): void {
    for (const tap of this.#taps.values()) tap.see(record);
  }
}

class OpenTap {
  readonly #order: TapOrder;
  readonly #clock: Clock;
  readonly #onReport: OnTapReport;
  readonly #perSecond: number;
  /** Places for decisions; filled again with time, up to those of one report. */
  #places = 0;
  #filledMs = 0;
  #report: TapReport;
  #timer: Timer | undefined;

  constructor(order: TapOrder, clock: Clock, onReport: OnTapReport) {
    this.#order = order;
    this.#clock = clock;
    this.#onReport = onReport;
    this.#perSecond = Math.min(Math.max(1, order.maxPerSecond), TAP_PER_SECOND_MAX);
    this.#places = this.#perSecond;
    this.#filledMs = clock.now();
    this.#report = emptyReport(order.tap);
  }

  see(record: ExchangeRecord): void {
    if (!passes(this.#order.filter, record)) return;
    this.#report.matched++;
    this.#timer ??= this.#clock.after(TAP_REPORT_EVERY_MS, () => this.#send());
    this.#places = Math.min(
      this.#perSecond,
      this.#places + ((record.endedMs - this.#filledMs) * this.#perSecond) / 1_000,
    );
    this.#filledMs = record.endedMs;
    if (this.#places < 1) {
      this.#report.dropped++;
      return;
    }
    this.#places--;
    const atMs = this.#clock.wall() - (this.#clock.now() - record.startedMs);
    this.#report.decisions.push(decisionOf(record, atMs));
  }

  close(): void {
    this.#timer?.cancel();
  }

  #send(): void {
    this.#timer = undefined;
    const report = this.#report;
    this.#report = emptyReport(this.#order.tap);
    this.#onReport(report);
  }
}

function emptyReport(tap: number): TapReport {
  return { tap, decisions: [], matched: 0, dropped: 0 };
}
