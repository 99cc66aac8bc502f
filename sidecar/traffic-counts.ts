// The figures of the data path in the form in which the control plane gets them: per version, and where a release is
// under way per rule and of copies too. Made of the metrics, whichever processes counted them.
import type { TrafficCount, TrafficReport } from "../proto/gen/weft/v1/discovery.ts";
import type { Resource } from "../rules/resource.ts";
import { CellFamily, type HistogramFamily } from "./observe/families.ts";
import type { Histogram } from "./observe/histogram.ts";
import { isFailure, isJudged } from "./observe/traffic-cell.ts";

type Counted = { -readonly [Field in keyof TrafficCount]: TrafficCount[Field] };

/** What this sidecar saw of the services that it called, since it started. */
export function countTraffic(families: readonly (CellFamily | HistogramFamily)[]): TrafficReport {
  const counts = new Map<string, Counted>();
  const routes = new Map<string, Counted>();
  const countOf = (service = "", backend = "", version = "", route = "", kind = "request"): Counted => {
    const into = kind === "rule" ? routes : counts;
    const mirror = kind === "mirror";
    const key = `${service} ${backend} ${version} ${route} ${mirror}`;
    let count = into.get(key);
    if (count === undefined) {
      count = { service, backend, version, route, mirror, requests: 0, failures: 0, latency: [] };
      into.set(key, count);
    }
    return count;
  };
  for (const family of families) {
    if (family instanceof CellFamily) addCells(family, countOf);
    else addHistograms(family, countOf);
  }
  return { counts: used(counts), routes: used(routes) };
}

function used(counts: ReadonlyMap<string, Counted>): TrafficCount[] {
  return [...counts.values()].filter(({ requests }) => requests > 0);
}

type CountOf = (service?: string, backend?: string, version?: string, route?: string, kind?: string) => Counted;

function addCells({ name, cells }: CellFamily, countOf: CountOf): void {
  if (name === "weft_requests_total" || name === "weft_expired_requests_total") {
    for (const { values, value } of cells.entries.values()) {
      const [direction, service, backend, version, status, reason = ""] = values;
      if (direction !== "outbound" || backend === "" || !isJudged(reason)) continue;
      add(countOf(service, backend, version), value.value, isFailure(Number(status), reason));
    }
  } else if (name === "weft_rollout_requests_total") {
    for (const { values, value } of cells.entries.values()) {
      const [service, backend, version, route, kind, outcome] = values;
      add(countOf(service, backend, version, route, kind), value.value, outcome === "failed");
    }
  }
}

function addHistograms({ name, histograms }: HistogramFamily, countOf: CountOf): void {
  if (name === "weft_request_duration_seconds" || name === "weft_expired_request_duration_seconds") {
    for (const { values, value } of histograms.entries.values()) {
      const [direction, service, backend, version] = values;
      if (direction === "outbound" && backend !== "") addLatency(countOf(service, backend, version), value);
    }
  } else if (name === "weft_rollout_request_duration_seconds") {
    for (const { values, value } of histograms.entries.values()) {
      const [service, backend, version, route, kind] = values;
      countOf(service, backend, version, route, kind).latency = latencyCounts(value);
    }
  }
}

function add(count: Counted, requests: number, haveFailed: boolean): void {
  count.requests += requests;
  if (haveFailed) count.failures += requests;
}

/** Its histograms differ in more than the control plane asks for. */
function addLatency(count: Counted, histogram: Histogram): void {
  const more = latencyCounts(histogram);
  const [longer, shorter] = count.latency.length > more.length ? [count.latency, more] : [more, count.latency];
  count.latency = longer.map((value, bucket) => value + (shorter[bucket] ?? 0));
}

/** Without the zeros at the end. */
function latencyCounts({ counts }: Histogram): number[] {
  let length = counts.length;
  while (length > 0 && counts[length - 1] === 0) length--;
  return Array.from(counts.subarray(0, length));
}

/** A release of a service that is called is under way. */
export function isReleaseLive(resources: Iterable<Resource>): boolean {
  for (const resource of resources)
    if (resource.type === "service" && resource.rules.some(({ split }) => split?.isLive === true)) return true;
  return false;
}
