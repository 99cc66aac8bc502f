// Everything counted per request of one service version in one direction: one lookup per request where neighbours are
// alike, then field adds. Which services there are is bounded by the configuration, what is below them by the budget.
import type { Cell, CellFamily, HistogramFamily } from "./families.ts";
import type { Exemplar, Histogram } from "./histogram.ts";
import type { SeriesBudget } from "./series-budget.ts";

/** Methods that are label values; callers may invent others, which are `_OTHER` (as in OpenTelemetry's conventions). */
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER"];
const METHOD_INDEX = new Map(METHODS.map((method, index) => [method, index]));
const OTHER_METHOD = METHODS.length - 1;

let lastMethod = "GET";
let lastIndex = 0;

/** Neighbours are mostly alike. */
function indexOfMethod(method: string): number {
  if (method === lastMethod) return lastIndex;
  lastIndex = METHOD_INDEX.get(method) ?? OTHER_METHOD;
  // Not a text that a request brought, which would be kept with all of its head.
  lastMethod = lastIndex === OTHER_METHOD ? "" : (METHODS[lastIndex] ?? "");
  return lastIndex;
}

/** The families that a request is counted in. */
export interface RequestFamilies {
  readonly requests: CellFamily;
  readonly grpcRequests: CellFamily;
  readonly duration: HistogramFamily;
  readonly requestSize: HistogramFamily;
  readonly responseSize: HistogramFamily;
  readonly budget: SeriesBudget;
}

/** What a request was, besides which service version it went to. */
export interface RequestDetails {
  readonly method: string;
  /** As the decision record names it; "" without a route. */
  readonly route: string;
  /** `namespace/name` of the service that called; "" when it is not known. */
  readonly source: string;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

/** Codes of gRPC are below this. */
const CODES_MAX = 17;

const NO_DETAILS: RequestDetails = { method: "_OTHER", route: "", source: "", requestBytes: 0, responseBytes: 0 };

/** Cells of requests that are alike but for their status. */
class Detail {
  readonly route: string;
  readonly source: string;
  readonly requestSize: Histogram;
  readonly responseSize: Histogram;
  /** Of statuses 2xx, and of answers 200 that came from the endpoint: most are, and lists are further places to look. */
  successes: Histogram | undefined = undefined;
  ok: Cell | undefined = undefined;
  /** By hundreds of the status. */
  readonly durations: (Histogram | undefined)[] = [];
  /** Of answers that came from the endpoint, by status - 100. */
  readonly statuses: (Cell | undefined)[] = [];

  constructor(families: RequestFamilies, labels: readonly string[], route: string, source: string) {
    this.route = route;
    this.source = source;
    this.requestSize = families.requestSize.histograms.get(labels);
    this.responseSize = families.responseSize.histograms.get(labels);
  }
}

export class RequestSeries {
  readonly direction: string;
  /** `namespace/name` as the caller named it. */
  readonly service: string;
  /** `namespace/name` of the backend that a route chose; the service itself without a route. */
  readonly backend: string;
  /** The endpoint's version; empty when none was chosen. */
  readonly version: string;
  readonly #families: RequestFamilies;
  /** The newest of each method, and the others. */
  readonly #last: (Detail | undefined)[] = [];
  /** By code of gRPC. */
  readonly #byCode: (Cell | undefined)[] = [];
  /** By method, source and route: looking up a text that is there costs less than joining one. */
  readonly #details: Map<string, Map<string, Detail>>[] = METHODS.map(() => new Map());
  /** Of those the ones of the method and source that came last. */
  #routes: Map<string, Detail> | undefined = undefined;
  #routesMethod = -1;
  #routesSource = "";
  #generation = 0;

  constructor(families: RequestFamilies, direction: string, service: string, backend: string, version: string) {
    this.direction = direction;
    this.service = service;
    this.backend = backend;
    this.version = version;
    this.#families = families;
    for (const _ of METHODS) this.#last.push(undefined);
  }

  /**
   * One finished exchange. `reason` is empty when the answer is the endpoint's own.
   * @param exemplar of a request that was traced
   */
  record(
    status: number,
    reason: string,
    durationMs: number,
    details: RequestDetails = NO_DETAILS,
    exemplar?: Exemplar,
  ): void {
    const method = indexOfMethod(details.method);
    const detail = this.#detailOf(method, details.route, details.source);
    const duration = this.#duration(detail, method, status);
    duration.record(durationMs);
    if (exemplar !== undefined) duration.mark(exemplar);
    detail.requestSize.record(details.requestBytes);
    detail.responseSize.record(details.responseBytes);
    const cell = reason === "" ? this.#status(detail, method, status) : this.#cell(detail, method, status, reason);
    cell.value++;
  }

  /** The same, of a call of gRPC that ended with this code. */
  recordCode(code: number, name: string): void {
    let cell = this.#byCode[code];
    if (cell === undefined) {
      cell = this.#families.grpcRequests.cell(this.direction, this.service, this.backend, this.version, name);
      if (code < CODES_MAX) this.#byCode[code] = cell;
    }
    cell.value++;
  }

  #detailOf(method: number, route: string, source: string): Detail {
    const last = this.#last[method];
    const { budget } = this.#families;
    if (this.#generation !== budget.generation) this.#forget(budget.generation);
    else if (last?.route === route && last.source === source) return last;
    let byRoute = this.#routesOf(method, source);
    let detail = byRoute?.get(route);
    if (detail === undefined) {
      detail = new Detail(this.#families, this.#labels(method, route, source), route, source);
      // What has no series of its own is asked for again each time, so that it is seen how busy it is; callers can
      // invent any number of such.
      if (budget.isOther) return detail;
      if (byRoute === undefined) {
        byRoute = new Map();
        this.#details[method]?.set(source, byRoute);
      }
      byRoute.set(route, detail);
    }
    this.#last[method] = detail;
    return detail;
  }

  #routesOf(method: number, source: string): Map<string, Detail> | undefined {
    if (method === this.#routesMethod && source === this.#routesSource && this.#routes !== undefined)
      return this.#routes;
    this.#routes = this.#details[method]?.get(source);
    this.#routesMethod = method;
    this.#routesSource = source;
    return this.#routes;
  }

  /** Series went: those that are known may be among them. */
  #forget(generation: number): void {
    this.#generation = generation;
    this.#routes = undefined;
    for (const bySource of this.#details) bySource.clear();
    this.#last.fill(undefined);
  }

  #labels(method: number, route: string, source: string): string[] {
    return [this.direction, this.service, this.backend, this.version, source, route, METHODS[method] ?? "_OTHER"];
  }

  #duration(detail: Detail, method: number, status: number): Histogram {
    const hundreds = (status / 100) | 0;
    const known = hundreds === 2 ? detail.successes : detail.durations[hundreds];
    if (known !== undefined) return known;
    const labels = this.#labels(method, detail.route, detail.source);
    const histogram = this.#families.duration.histograms.get([...labels, `${hundreds}xx`]);
    if (hundreds === 2) detail.successes = histogram;
    else {
      while (detail.durations.length <= hundreds) detail.durations.push(undefined);
      detail.durations[hundreds] = histogram;
    }
    return histogram;
  }

  #status(detail: Detail, method: number, status: number): Cell {
    const index = status - 100;
    const known = status === 200 ? detail.ok : detail.statuses[index];
    if (known !== undefined) return known;
    const cell = this.#cell(detail, method, status, "");
    if (status === 200) detail.ok = cell;
    else {
      while (detail.statuses.length <= index) detail.statuses.push(undefined);
      detail.statuses[index] = cell;
    }
    return cell;
  }

  #cell({ route, source }: Detail, method: number, status: number, reason: string): Cell {
    const { direction, service, backend, version } = this;
    const code = String(status);
    const name = METHODS[method] ?? "_OTHER";
    return this.#families.requests.cell(direction, service, backend, version, code, reason, source, route, name);
  }
}
