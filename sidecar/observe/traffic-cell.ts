// Counts of the requests that a release is judged by: those of one rule that go to one version, or copies of requests.
// One object over the cells of the metrics, so that a request costs no lookup by labels.
import type { Cell, CellFamily, HistogramFamily } from "./families.ts";
import type { Histogram } from "./histogram.ts";

export interface TrafficKey {
  /** `namespace/name` of the service that was called, and of the one that the request went to. */
  readonly service: string;
  readonly backend: string;
  readonly version: string;
  /** Route and index of the rule; empty: of no rule in particular. */
  readonly route: string;
  /** "rule": of any rule, counted only while somebody watches. */
  readonly kind: "request" | "mirror" | "rule";
}

/** A client that went away says nothing about the backend. */
export function isJudged(reason: string): boolean {
  return reason !== "client-closed";
}

/** Failures of the backend, whatever the client was told: by a fallback's 200, or by an answer that was cut off. */
const BACKEND_FAILURES: ReadonlySet<string> = new Set([
  "circuit-open",
  "no-healthy-endpoint",
  "connect-failure",
  "upstream-reset",
  "refused-stream",
  "bad-response",
  "per-try-timeout",
  "request-timeout",
  "pool-overflow",
  "overloaded",
  "retry-budget-exhausted",
]);

export function isFailure(status: number, reason: string): boolean {
  return status >= 500 || (reason !== "" && BACKEND_FAILURES.has(reason));
}

export class TrafficCell {
  readonly #ok: Cell;
  readonly #failed: Cell;
  readonly #duration: Histogram;

  constructor(
    { service, backend, version, route, kind }: TrafficKey,
    requests: CellFamily,
    durations: HistogramFamily,
  ) {
    this.#ok = requests.cell(service, backend, version, route, kind, "ok");
    this.#failed = requests.cell(service, backend, version, route, kind, "failed");
    this.#duration = durations.histogram(service, backend, version, route, kind);
  }

  /** One finished request. `reason` is empty when the answer is the endpoint's own. */
  record(status: number, reason: string, durationMs: number): void {
    if (!isJudged(reason)) return;
    if (isFailure(status, reason)) this.#failed.value++;
    else this.#ok.value++;
    this.#duration.record(durationMs);
  }

  /** A request that this backend failed and another service answers, which is recorded of that one. */
  recordAbandoned(): void {
    this.#failed.value++;
  }
}
