// The figures of one sidecar: created once, passed around. Names follow the Prometheus conventions; docs/metrics.md
// lists them. Label values come from the snapshot (services, versions) and from closed lists, so their number is
// bounded by construction; those of requests share a budget (series-budget.ts). Not the exposition (exposition.ts).
import { defaultOf } from "../../rules/defaults.ts";
import type { HistogramUnit } from "./buckets.ts";
import { CellFamily, type FamilyBudget, HistogramFamily } from "./families.ts";
import { RequestSeries } from "./request-series.ts";
import { SeriesBudget } from "./series-budget.ts";
import { TrafficCell, type TrafficKey } from "./traffic-cell.ts";

export type Direction = "inbound" | "outbound";

/** Service label of requests whose host the mesh does not know: callers choose hosts, so they cannot be labels. */
export const UNKNOWN_SERVICE = "other";
/** Service label of all hosts outside of the mesh. */
export const EGRESS_SERVICE = "egress";
/** Who asks for a series keeps it, so what is remembered of those of versions that are long gone may go. */
export const SERIES_MAX = 4_096;

const SERIES_LABELS = ["direction", "service", "backend", "version"];
const DETAIL_LABELS = ["source", "route", "method"];
const TUNNEL_LABELS = ["direction", "service", "backend"];

export class Metrics {
  /** Of the families of requests, whose labels callers have a say in. */
  readonly budget = new SeriesBudget(defaultOf("Mesh.spec.metrics.maxSeries"));
  readonly expiredRequests = new CellFamily(
    "counter",
    "weft_expired_requests_total",
    "Requests that were counted in series of weft_requests_total which are gone: the sum of both is every request.",
    [...SERIES_LABELS, "status", "reason"],
  );
  readonly expiredDuration = new HistogramFamily(
    "weft_expired_request_duration_seconds",
    "The same of weft_request_duration_seconds.",
    SERIES_LABELS,
  );
  readonly requests = new CellFamily(
    "counter",
    "weft_requests_total",
    "Requests finished, by status and by the reason of answers that the mesh made itself.",
    [...SERIES_LABELS, "status", "reason", ...DETAIL_LABELS],
    "sum",
    {
      budget: this.budget,
      detailsFrom: SERIES_LABELS.length + 2,
      onExpired: (values, value) => {
        if ("value" in value)
          this.expiredRequests.cell(...values.slice(0, SERIES_LABELS.length + 2)).value += value.value;
      },
    },
  );
  readonly requestDuration = this.#histogram(
    "weft_request_duration_seconds",
    "From the last byte of the request head to the last byte of the answer.",
    "seconds",
    ["status_class"],
    (values, value) => {
      const into = this.expiredDuration.histogram(...values.slice(0, SERIES_LABELS.length));
      if ("counts" in value) into.add(value.counts, value.sum);
    },
  );
  readonly requestSize = this.#histogram("weft_request_size_bytes", "Bodies of requests as they came.", "bytes");
  readonly responseSize = this.#histogram("weft_response_size_bytes", "Bodies of answers as they went out.", "bytes");
  readonly attempts = new CellFamily(
    "counter",
    "weft_attempts_total",
    "Tries of requests at endpoints, by outcome: answered, or the reason of the failure.",
    ["service", "outcome"],
  );
  readonly retries = new CellFamily("counter", "weft_retries_total", "Tries after the first, by what made them.", [
    "service",
    "cause",
  ]);
  readonly retriesSkipped = new CellFamily(
    "counter",
    "weft_retries_skipped_total",
    "Retries that a policy asked for and that were not made, by why.",
    ["service", "why"],
  );
  readonly hedges = new CellFamily(
    "counter",
    "weft_hedges_total",
    "Copies of requests whose answer was late, by what became of them.",
    ["service", "outcome"],
  );
  readonly mirrored = new CellFamily(
    "counter",
    "weft_mirrored_requests_total",
    "Copies of requests sent by RequestMirror, by outcome.",
    ["service", "outcome"],
  );
  readonly rolloutRequests = new CellFamily(
    "counter",
    "weft_rollout_requests_total",
    "Requests to the versions of a release, by rule, and copies of requests; ok, or failed with a 5xx.",
    ["service", "backend", "version", "route", "kind", "outcome"],
  );
  readonly rolloutDuration = new HistogramFamily(
    "weft_rollout_request_duration_seconds",
    "Durations of the requests counted in weft_rollout_requests_total.",
    ["service", "backend", "version", "route", "kind"],
  );
  readonly fallbacks = new CellFamily(
    "counter",
    "weft_fallbacks_total",
    "Requests that a policy's fallback answered, by what it was.",
    ["service", "kind"],
  );
  readonly circuitTransitions = new CellFamily(
    "counter",
    "weft_circuit_breaker_transitions_total",
    "Changes of state of circuit breakers, by the new state.",
    ["service", "state"],
  );
  readonly circuits = new CellFamily("gauge", "weft_circuit_breakers", "Circuit breakers, by state.", [
    "service",
    "state",
  ]);
  readonly ejections = new CellFamily(
    "counter",
    "weft_outlier_ejections_total",
    "Endpoints taken out by outlier detection, by cause.",
    ["service", "cause"],
  );
  readonly ejectionsRefused = new CellFamily(
    "counter",
    "weft_outlier_ejections_refused_total",
    "Ejections that would have left fewer endpoints than keepAtLeast.",
    ["service", "cause"],
  );
  readonly probes = new CellFamily(
    "counter",
    "weft_health_check_probes_total",
    "Active health checks of endpoints, by outcome.",
    ["service", "outcome"],
  );
  readonly limited = new CellFamily(
    "counter",
    "weft_limited_requests_total",
    "Requests that an inbound limit refused, or would have refused in report-only mode.",
    ["limit", "decision"],
  );
  readonly concurrency = new CellFamily(
    "gauge",
    "weft_concurrency",
    "Inbound concurrency: the limit now, requests in flight, requests that wait.",
    ["limit", "what"],
  );
  readonly faults = new CellFamily("counter", "weft_faults_injected_total", "Faults injected on the way in.", [
    "fault",
    "kind",
  ]);
  readonly clientConnections = new CellFamily(
    "counter",
    "weft_client_connections_total",
    "Connections accepted, or refused at the bound.",
    ["direction", "outcome"],
  );
  readonly clientConnectionsActive = new CellFamily(
    "gauge",
    "weft_client_connections_active",
    "Connections open now.",
    ["direction"],
  );
  readonly grpcRequests = new CellFamily(
    "counter",
    "weft_grpc_requests_total",
    "Calls of gRPC that ended, by the code that the caller got.",
    [...SERIES_LABELS, "grpc_code"],
  );
  readonly http2Refusals = new CellFamily(
    "counter",
    "weft_http2_refusals_total",
    "Rules of HTTP/2 that were broken, and bounds that were gone past.",
    ["side", "rule"],
  );
  readonly requestsActive = new CellFamily("gauge", "weft_requests_active", "Exchanges in progress.", ["direction"]);
  readonly tunnelsOpened = new CellFamily(
    "counter",
    "weft_tunnels_opened_total",
    "Tunnels that stood: connections to services of bytes, CONNECT and upgrades.",
    TUNNEL_LABELS,
  );
  readonly tunnels = new CellFamily("gauge", "weft_tunnels", "Tunnels open now.", TUNNEL_LABELS);
  readonly tunnelBytes = new CellFamily(
    "counter",
    "weft_tunnel_bytes_total",
    "Bytes that tunnels sent to endpoints and received from them, as they move.",
    [...TUNNEL_LABELS, "flow"],
  );
  readonly poolConnections = new CellFamily("gauge", "weft_pool_connections", "Connections to endpoints, by state.", [
    "service",
    "state",
  ]);
  readonly poolPending = new CellFamily(
    "gauge",
    "weft_pool_pending_requests",
    "Requests waiting for a connection to an endpoint.",
    ["service"],
  );
  readonly endpoints = new CellFamily(
    "gauge",
    "weft_endpoints",
    "Endpoints of a service, by health.",
    ["service", "health"],
    "max",
  );
  readonly snapshotRevision = new CellFamily(
    "gauge",
    "weft_snapshot_revision",
    "Revision that is acted on.",
    [],
    "min",
  );
  readonly attemptDuration = new HistogramFamily(
    "weft_attempt_duration_seconds",
    "Attempts of outbound requests, each by itself, from its choice of an endpoint to its end.",
    ["service"],
  );
  readonly poolWait = new HistogramFamily(
    "weft_pool_wait_seconds",
    "How long outbound attempts waited for a connection; those that found one idle are not among them.",
    ["service"],
  );
  readonly queueWait = new HistogramFamily(
    "weft_concurrency_queue_seconds",
    "How long inbound requests waited for a place under a concurrency limit.",
    ["limit"],
  );
  readonly retryBudget = new CellFamily(
    "gauge",
    "weft_retry_budget_available",
    "Retries that the budget of a service would allow now.",
    ["service"],
  );
  readonly tracedRequests = new CellFamily(
    "counter",
    "weft_traced_requests_total",
    "Requests written down as spans: sampled, or kept by the tail rule, or beyond its rate.",
    ["why"],
  );
  readonly telemetry = new CellFamily(
    "counter",
    "weft_telemetry_items_total",
    "Spans and access log lines on their way out, by what became of them.",
    ["signal", "outcome"],
  );
  readonly internalErrors = new CellFamily(
    "counter",
    "weft_internal_errors_total",
    "Errors in the sidecar itself, each of which ended one exchange.",
    ["where"],
  );

  readonly #series = new Map<string, RequestSeries>();
  readonly #refreshers: (() => void)[] = [];

  /** `refresh` brings gauges up to date; called whenever the figures are read. */
  onRead(refresh: () => void): void {
    this.#refreshers.push(refresh);
  }

  /** The series of these labels. Keep it where it is used often. */
  series(direction: Direction, service: string, backend: string, version: string): RequestSeries {
    const key = `${direction} ${service} ${backend} ${version}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      const { requests, grpcRequests, requestDuration: duration, requestSize, responseSize, budget } = this;
      const families = { requests, grpcRequests, duration, requestSize, responseSize, budget };
      series = new RequestSeries(families, direction, service, backend, version);
      if (this.#series.size >= SERIES_MAX) this.#series.clear();
      this.#series.set(key, series);
    }
    return series;
  }

  /** Requests are counted by rule too, whatever the rule: somebody watches. */
  countsRoutes = false;

  /** Counts of one rule of a release, or of copies. Keep it where it is used often. */
  trafficCell(key: TrafficKey): TrafficCell {
    return new TrafficCell(key, this.rolloutRequests, this.rolloutDuration);
  }

  /** Every family, in the order of the exposition, with gauges as they are now. */
  families(): (CellFamily | HistogramFamily)[] {
    for (const refresh of this.#refreshers) refresh();
    return [
      this.requests,
      this.expiredRequests,
      this.expiredDuration,
      this.requestDuration,
      this.requestSize,
      this.responseSize,
      this.requestsActive,
      this.attempts,
      this.attemptDuration,
      this.retries,
      this.retryBudget,
      this.retriesSkipped,
      this.hedges,
      this.mirrored,
      this.rolloutRequests,
      this.rolloutDuration,
      this.fallbacks,
      this.circuitTransitions,
      this.circuits,
      this.ejections,
      this.ejectionsRefused,
      this.probes,
      this.limited,
      this.concurrency,
      this.faults,
      this.clientConnections,
      this.clientConnectionsActive,
      this.http2Refusals,
      this.grpcRequests,
      this.tunnelsOpened,
      this.tunnels,
      this.tunnelBytes,
      this.poolConnections,
      this.poolPending,
      this.poolWait,
      this.queueWait,
      this.endpoints,
      this.snapshotRevision,
      this.tracedRequests,
      this.telemetry,
      this.internalErrors,
    ];
  }

  #histogram(
    name: string,
    help: string,
    unit: HistogramUnit,
    more: readonly string[] = [],
    onExpired: NonNullable<FamilyBudget["onExpired"]> = () => {},
  ): HistogramFamily {
    const labels = [...SERIES_LABELS, ...DETAIL_LABELS, ...more];
    const shared = { budget: this.budget, detailsFrom: SERIES_LABELS.length, onExpired };
    return new HistogramFamily(name, help, labels, unit, shared);
  }

  /** Families whose first label is a service that is called. */
  #byService(): CellFamily[] {
    const attempts = [this.attempts, this.retries, this.retriesSkipped, this.hedges, this.mirrored, this.fallbacks];
    return [...attempts, this.circuitTransitions, this.circuits, this.ejections, this.ejectionsRefused, this.probes];
  }

  /** What was counted of services that are gone stays in the sums, without their names. */
  #foldExpired(isStale: (values: readonly string[]) => boolean): void {
    const named = [...this.expiredRequests.cells.entries.values()].filter(({ values }) => isStale(values));
    this.expiredRequests.cells.drop(isStale);
    for (const { values, value } of named)
      this.expiredRequests.cell("outbound", UNKNOWN_SERVICE, "", "", values[4] ?? "", values[5] ?? "").value +=
        value.value;
    const timed = [...this.expiredDuration.histograms.entries.values()].filter(({ values }) => isStale(values));
    this.expiredDuration.histograms.drop(isStale);
    for (const { value } of timed)
      this.expiredDuration.histogram("outbound", UNKNOWN_SERVICE, "", "").add(value.counts, value.sum);
  }

  /** Forgets the series of services that `isKnown` denies; called after a swap removed some. */
  retain(isKnown: (service: string) => boolean): void {
    const isStale = (service: string): boolean =>
      service !== UNKNOWN_SERVICE && service !== EGRESS_SERVICE && !isKnown(service);
    // Versions of a service come and go by the release while the service stays.
    const isStalePair = (service = "", backend = ""): boolean =>
      isStale(service) || (backend !== "" && isStale(backend));
    for (const [key, { direction, service, backend }] of this.#series) {
      if (direction === "outbound" && isStalePair(service, backend)) this.#series.delete(key);
    }
    const isStaleRequest = (values: readonly string[]) => values[0] === "outbound" && isStale(values[1] ?? "");
    for (const family of [this.requests, this.requestDuration, this.requestSize, this.responseSize])
      (family instanceof CellFamily ? family.cells : family.histograms).drop(isStaleRequest);
    this.grpcRequests.cells.drop(
      ([direction, service, backend]) => direction === "outbound" && isStalePair(service, backend),
    );
    this.#foldExpired(isStaleRequest);
    for (const { cells } of [this.tunnelsOpened, this.tunnels, this.tunnelBytes]) cells.drop(isStaleRequest);
    for (const { histograms } of [this.attemptDuration, this.poolWait])
      histograms.drop((values) => isStale(values[0] ?? ""));
    for (const set of [this.rolloutRequests.cells, this.rolloutDuration.histograms])
      set.drop(([service, backend]) => isStalePair(service, backend));
    for (const family of this.#byService()) family.cells.drop((values) => isStale(values[0] ?? ""));
    for (const family of [this.poolConnections, this.poolPending, this.endpoints, this.retryBudget])
      family.cells.drop((values) => isStale(values[0] ?? ""));
  }
}
