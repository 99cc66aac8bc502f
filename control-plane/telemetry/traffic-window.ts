// What the mesh's traffic was in the last minute: requests and failures by second, durations by ten seconds, per caller,
// service, version and rule. Fed with what the ledger finds new in each report; asked by whoever shows it.
import type { TrafficCount } from "../../proto/gen/weft/v1/discovery.ts";
import { LATENCY_BUCKETS, quantileMs } from "../../rules/latency-buckets.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { TrafficDelta, TrafficLedger } from "./traffic-ledger.ts";

export const DIMENSIONS = ["service", "route", "version", "source"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export interface TrafficQuestion {
  readonly by: Dimension;
  /** Of the service that is called; "" for all. */
  readonly namespace: string;
  /** `namespace/name`; "" for all. */
  readonly service: string;
}

export interface TrafficRow {
  name: string;
  /** Means over WINDOW_SECONDS, or since it was first seen. */
  requestsPerSecond: number;
  failuresPerSecond: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  /** Requests of each of the last HISTORY_SECONDS, oldest first. */
  history: number[];
}

export const WINDOW_SECONDS = 10;
export const HISTORY_SECONDS = 30;
/** Combinations of caller, service, version and rule that are followed. */
export const KEYS_MAX = 5_000;
const SECONDS = 60;
/** Durations are added up over so long; the last two are asked. */
const LATENCY_SECONDS = 10;
const LATENCY_SLOTS = 3;
/** At the bound, silent combinations are looked for this often. */
const SWEEP_SECONDS = 10;

interface Key {
  /** `namespace/name` of the calling service. */
  readonly source: string;
  readonly service: string;
  readonly backend: string;
  readonly version: string;
  /** Route and rule; "" for all requests whatever their rule. */
  readonly route: string;
}

class Series {
  readonly key: Key;
  readonly requests = new Float64Array(SECONDS);
  readonly failures = new Float64Array(SECONDS);
  readonly #latency: Float64Array[] = Array.from({ length: LATENCY_SLOTS }, () => new Float64Array(LATENCY_BUCKETS));
  readonly since: number;
  newest: number;
  #newestLatency: number;

  /** @param since the second from which on it was counted */
  constructor(key: Key, since: number, second: number) {
    this.key = key;
    this.since = since;
    this.newest = second;
    this.#newestLatency = Math.floor(second / LATENCY_SECONDS);
  }

  /** Spread over the seconds in which they happened. */
  add(count: TrafficCount, fromSecond: number, toSecond: number): void {
    this.moveTo(toSecond);
    const first = Math.max(fromSecond, this.newest - SECONDS + 1);
    const seconds = toSecond - first + 1;
    for (let second = first; second <= toSecond; second++) {
      const slot = second % SECONDS;
      this.requests[slot] = (this.requests[slot] ?? 0) + count.requests / seconds;
      this.failures[slot] = (this.failures[slot] ?? 0) + count.failures / seconds;
    }
    const latency = this.#latency[this.#newestLatency % LATENCY_SLOTS];
    for (const [bucket, number] of count.latency.entries())
      if (latency !== undefined) latency[bucket] = (latency[bucket] ?? 0) + number;
  }

  moveTo(second: number): void {
    for (let next = Math.max(this.newest + 1, second - SECONDS + 1); next <= second; next++) {
      this.requests[next % SECONDS] = 0;
      this.failures[next % SECONDS] = 0;
    }
    this.newest = Math.max(this.newest, second);
    const latest = Math.floor(this.newest / LATENCY_SECONDS);
    for (let next = Math.max(this.#newestLatency + 1, latest - LATENCY_SLOTS + 1); next <= latest; next++)
      this.#latency[next % LATENCY_SLOTS]?.fill(0);
    this.#newestLatency = latest;
  }

  /** Adds the last two periods' durations to `into`. */
  addLatency(into: number[]): void {
    for (const period of [this.#newestLatency, this.#newestLatency - 1]) {
      const counts = this.#latency[(period + LATENCY_SLOTS) % LATENCY_SLOTS];
      for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++)
        into[bucket] = (into[bucket] ?? 0) + (counts?.[bucket] ?? 0);
    }
  }

  get isSilent(): boolean {
    return this.requests.every((count) => count === 0);
  }
}

export class TrafficWindow {
  readonly #clock: Clock;
  readonly #serviceOf: (workload: string) => string;
  readonly #series = new Map<string, Series>();
  #sweptSecond = Number.NEGATIVE_INFINITY;

  /** @param serviceOf `namespace/name` of a workload's service; "" when it is not known */
  constructor(clock: Clock, ledger: TrafficLedger, serviceOf: (workload: string) => string) {
    this.#clock = clock;
    this.#serviceOf = serviceOf;
    ledger.onDelta((delta) => this.#add(delta));
  }

  /** Rows with traffic in the last minute, most requests first. */
  rows({ by, namespace, service }: TrafficQuestion): TrafficRow[] {
    const groups = new Map<string, Series[]>();
    const second = Math.floor(this.#clock.now() / 1_000);
    for (const [name, series] of this.#series) {
      series.moveTo(second);
      if (series.isSilent) {
        this.#series.delete(name);
        continue;
      }
      const { key } = series;
      if ((by === "route") !== (key.route !== "")) continue;
      if (service !== "" && key.service !== service && key.backend !== service) continue;
      if (namespace !== "" && !key.service.startsWith(`${namespace}/`)) continue;
      const group = groups.get(nameOf(by, key));
      if (group === undefined) groups.set(nameOf(by, key), [series]);
      else group.push(series);
    }
    const rows = Array.from(groups, ([name, group]) => this.#row(name, group, second));
    return rows.sort((a, b) => b.requestsPerSecond - a.requestsPerSecond || (a.name < b.name ? -1 : 1));
  }

  #row(name: string, group: readonly Series[], second: number): TrafficRow {
    const latency: number[] = [];
    for (const series of group) series.addLatency(latency);
    // The second of now has only begun.
    const at = (values: "requests" | "failures", ago: number) =>
      group.reduce((sum, series) => sum + (series[values][(second - ago) % SECONDS] ?? 0), 0);
    // What was counted for less than the window would look like less than it is.
    const since = group.reduce((oldest, series) => Math.min(oldest, series.since), second);
    const window = Math.max(1, Math.min(WINDOW_SECONDS, second - since));
    const mean = (values: "requests" | "failures") => {
      let sum = 0;
      for (let ago = 1; ago <= window; ago++) sum += at(values, ago);
      return sum / window;
    };
    return {
      name,
      requestsPerSecond: mean("requests"),
      failuresPerSecond: mean("failures"),
      p50Ms: quantileMs(latency, 0.5),
      p95Ms: quantileMs(latency, 0.95),
      p99Ms: quantileMs(latency, 0.99),
      history: Array.from({ length: HISTORY_SECONDS }, (_, index) => at("requests", HISTORY_SECONDS - index)),
    };
  }

  #add({ workload, fromMs, atMs, counts, routes }: TrafficDelta): void {
    const source = this.#serviceOf(workload);
    const toSecond = Math.floor(atMs / 1_000);
    // A second in which the report before came has had its share.
    const fromSecond = Math.min(toSecond, Math.floor(fromMs / 1_000) + 1);
    for (const count of counts)
      if (!count.mirror && count.route === "")
        this.#seriesOf(source, count, fromSecond, toSecond)?.add(count, fromSecond, toSecond);
    for (const count of routes) this.#seriesOf(source, count, fromSecond, toSecond)?.add(count, fromSecond, toSecond);
  }

  #seriesOf(
    source: string,
    { service, backend, version, route }: TrafficCount,
    since: number,
    second: number,
  ): Series | undefined {
    const name = [source, service, backend, version, route].join("\u0000");
    let series = this.#series.get(name);
    if (series === undefined) {
      if (this.#series.size >= KEYS_MAX) this.#forgetSilent(second);
      if (this.#series.size >= KEYS_MAX) return undefined;
      series = new Series({ source, service, backend, version, route }, since, second);
      this.#series.set(name, series);
    }
    return series;
  }

  /** Not for every count of a mesh that is at the bound. */
  #forgetSilent(second: number): void {
    if (second < this.#sweptSecond + SWEEP_SECONDS) return;
    this.#sweptSecond = second;
    for (const [name, series] of this.#series) {
      series.moveTo(second);
      if (series.isSilent) this.#series.delete(name);
    }
  }
}

function nameOf(by: Dimension, { source, service, backend, version, route }: Key): string {
  switch (by) {
    case "service":
      return service;
    case "route":
      return `${service} ${route}`;
    case "version":
      return version === "" ? backend : `${backend} ${version}`;
    case "source":
      return source === "" ? "unknown" : source;
  }
}
