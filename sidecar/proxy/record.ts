// What is written down of an exchange: its record, and at its end its series in the metrics and what observers make of
// the record (access log, traces, taps).
import type { EndpointMember } from "../cluster-endpoint.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import { decisionLine, isLoopback } from "../observe/decision-field.ts";
import { type AttemptKind, type AttemptRecord, ExchangeRecord } from "../observe/exchange-record.ts";
import { type Direction, UNKNOWN_SERVICE } from "../observe/metrics.ts";
import type { RequestSeries } from "../observe/request-series.ts";
import { isTraceparent } from "../observe/tracing/propagation.ts";
import type { TrafficCell } from "../observe/traffic-cell.ts";
import type { RulePlan } from "../route/rule-plan.ts";
import type { RoutedExchange } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import type { SeriesSource } from "./destination.ts";
import { grpcCodeName, grpcCodeOf, httpStatusOf, isGrpc } from "./grpc.ts";
import { isOwnLack, judgementBefore } from "./outcome.ts";
import type { Failure } from "./reasons.ts";
import { countTimes, detailsOf, exemplarOf } from "./request-figures.ts";
import { statusOf } from "./respond.ts";

/** Requests whose host the mesh does not know are counted together, by direction: callers choose hosts. */
const unknownSources: Readonly<Record<Direction, WeakMap<DataPath, SeriesSource>>> = {
  inbound: new WeakMap(),
  outbound: new WeakMap(),
};
/** Cells of rules, by endpoint, or by cluster where none was chosen: of those that a release splits, and of any. */
const routeCells = {
  request: new WeakMap<RulePlan, Map<object, TrafficCell>>(),
  rule: new WeakMap<RulePlan, Map<object, TrafficCell>>(),
};

/** Endpoints come and go while the service that calls them does not change: its memo is begun anew past this. */
const SERIES_MEMO_MAX = 4_096;

interface RecordedExchange extends RoutedExchange {
  readonly direction: Direction;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly attempt: {
    readonly member: EndpointMember | undefined;
    readonly grpcStatus: number;
    readonly hasAnswered: boolean;
  };
  readonly retry: { readonly tries: number };
}

/** The head of a request is complete: forgets the one before. */
export function beginRecord(path: DataPath, { record, head, remoteAddress, snapshot }: RecordedExchange): void {
  record.begin(head, remoteAddress, snapshot.revision, path.clock.now());
  if (head.has(FIELD.xWeftDebug)) record.isDebugged = head.known(FIELD.xWeftDebug) === "1" && isLoopback(remoteAddress);
  const { trace } = record;
  if (path.tracing === undefined && trace.source === undefined) return;
  if (trace.begin(path.tracing, head)) takeTrace(record);
}

/**
 * The answer's field line that tells of the record, for who asked for it; "" for everybody else.
 * @param cause of an answer that the mesh makes itself
 */
export function debugLine({ record, head, destination }: RecordedExchange, path: DataPath, cause?: Failure): string {
  if (!record.isDebugged) return "";
  readIds(record, head);
  const { source, cluster, rule } = destination;
  const decided = {
    service: source?.service ?? "",
    backend: cluster?.service ?? "",
    route: rule?.rule.route ?? "",
    ruleIndex: rule?.rule.ruleIndex ?? 0,
  };
  return decisionLine(record, decided, cause?.reason ?? "", path.clock.now());
}

/** Begins the record of the attempt that goes to `member`. */
export function recordAttempt(
  { record, destination }: Pick<RecordedExchange, "record" | "destination">,
  member: EndpointMember,
  kind: AttemptKind,
  nowMs: number,
): AttemptRecord {
  const backend = destination.cluster?.service ?? "";
  const attempt = record.addAttempt(kind, backend, member.address, member.endpoint.version, nowMs);
  const { trace } = record;
  if (trace.source === undefined) return attempt;
  // Each of the app's calls is a span of its own per attempt; what comes in is one, whatever becomes of it.
  attempt.spanId = record.direction === "outbound" ? trace.nextAttempt() : trace.spanId;
  record.spanId = attempt.spanId;
  return attempt;
}

/** Never throws: the exchange is over, and what could not be written down must not take its answer back. */
export function recordExchange(path: DataPath, exchange: RecordedExchange, status: number, cause?: Failure): void {
  const reason = cause?.reason ?? "";
  const durationMs = exchange.endedMs - exchange.startedMs;
  try {
    const series = seriesOf(path, exchange);
    series.record(status, reason, durationMs, detailsOf(path, exchange), exemplarOf(path, exchange, durationMs));
    countTimes(path, exchange);
    const code = codeOf(exchange, cause);
    exchange.record.grpcStatus = code < 0 ? "" : grpcCodeName(code);
    if (code >= 0) series.recordCode(code, exchange.record.grpcStatus);
    const { rule } = exchange.destination;
    // A release judges a call by its code.
    const judged = code < 0 ? status : Math.max(status, httpStatusOf(code));
    if (rule?.split !== undefined) {
      if (isOwnLack(cause, exchange.attempt)) recordBefore(path, rule, exchange, durationMs);
      else routeCellOf(path, rule, exchange, "request")?.record(judged, reason, durationMs);
    }
    if (rule !== undefined && path.metrics.countsRoutes)
      routeCellOf(path, rule, exchange, "rule")?.record(judged, reason, durationMs);
    if (path.observers.length > 0) tellObservers(path, exchange, status, cause);
  } catch (error) {
    path.metrics.internalErrors.cell("record").value++;
    path.log.error({ err: error }, "an exchange could not be written down");
  }
}

/** What the sidecar lacks says nothing about a version. What an endpoint of it said before, does. */
function recordBefore(path: DataPath, rule: RulePlan, exchange: RecordedExchange, durationMs: number): void {
  const { source, cluster } = exchange.destination;
  if (source === undefined || cluster === undefined) return;
  const before = judgementBefore(exchange.record, cluster.service);
  if (before === undefined) return;
  const versions = { service: source.service, backend: cluster.service, version: before.version };
  const cell = path.metrics.trafficCell({ ...versions, route: nameOf(rule), kind: "request" });
  cell.record(before.status, before.reason, durationMs);
}

/** Of a rule, as releases know it. */
function nameOf({ rule }: RulePlan): string {
  return `${rule.route} ${rule.ruleIndex}`;
}

/** The code of gRPC that the caller got; -1: it is no call, or nothing was said. */
function codeOf({ destination, attempt, head }: RecordedExchange, cause: Failure | undefined): number {
  if (cause === undefined) return destination.isGrpc ? attempt.grpcStatus : -1;
  // One that got nowhere has no destination.
  return destination.isGrpc || isGrpc(head) ? grpcCodeOf({ ...cause, status: statusOf(cause) }) : -1;
}

/** An error in the sidecar itself. */
export function countBug({ metrics, log }: DataPath, where: string, error: unknown): void {
  metrics.internalErrors.cell(where).value++;
  log.error({ err: error, where }, "an error in the sidecar ended one exchange");
}

/** A request that was refused before it became an exchange: nothing of it is known but that, and of a call its code. */
export function recordRefusal(path: DataPath, direction: Direction, remoteAddress: string, cause: Failure): void {
  const source = unknownSource(path, direction);
  let series = source.series.get(source);
  if (series === undefined) {
    series = path.metrics.series(direction, source.service, "", "");
    source.series.set(source, series);
  }
  series.record(statusOf(cause), cause.reason, 0);
  const code = cause.grpcStatus ?? -1;
  const codeName = code < 0 ? "" : grpcCodeName(code);
  if (code >= 0) series.recordCode(code, codeName);
  if (path.observers.length === 0) return;
  const record = new ExchangeRecord(direction);
  record.remoteAddress = remoteAddress;
  record.startedMs = path.clock.now();
  record.endedMs = record.startedMs;
  record.status = statusOf(cause);
  record.grpcStatus = codeName;
  record.reason = cause.reason;
  record.detail = cause.detail;
  // Of whose trace it is nothing is known: it has one of its own.
  if (record.trace.begin(path.tracing, record.head)) takeTrace(record);
  for (const observer of path.observers) observer.onExchange(record);
}

function takeTrace(record: ExchangeRecord): void {
  const { trace } = record;
  record.traceId = trace.traceId;
  record.spanId = trace.spanId;
  record.isSampled = trace.isSampled;
}

/** Completes the record with what routing and the end of the exchange left elsewhere, and shows it. */
function tellObservers({ observers }: DataPath, exchange: RecordedExchange, status: number, cause?: Failure): void {
  const { record, destination, head } = exchange;
  record.status = status;
  record.reason = cause?.reason ?? "";
  record.detail = cause?.detail ?? "";
  record.service = destination.source?.service ?? "";
  record.rule = destination.rule?.rule;
  record.match = destination.match;
  record.backend = destination.cluster?.service ?? "";
  record.requestTimeoutMs = destination.requestTimeoutMs;
  record.perTryTimeoutMs = destination.perTryTimeoutMs;
  record.idleTimeoutMs = destination.idleTimeoutMs;
  readIds(record, head);
  for (const observer of observers) observer.onExchange(record);
}

/** What came with the request, as far as this sidecar made no ids itself. */
function readIds(record: ExchangeRecord, head: MessageHead): void {
  if (!record.hasOwnId && record.requestId === "") record.requestId = head.known(FIELD.xRequestId) ?? "";
  if (record.traceId === "" && head.has(FIELD.traceparent))
    readTraceParent(record, head.known(FIELD.traceparent) ?? "");
}

/** `00-TRACE-SPAN-FLAGS` (W3C Trace Context section 3.2); what is not of this form names no trace. */
function readTraceParent(record: ExchangeRecord, text: string): void {
  if (!isTraceparent(text)) return;
  record.traceId = text.slice(3, 35);
  record.spanId = text.slice(36, 52);
  record.isSampled = (text.charCodeAt(54) & 1) === 1;
}

function seriesOf(path: DataPath, exchange: RecordedExchange): RequestSeries {
  const source = exchange.destination.source ?? unknownSource(path, exchange.direction);
  const cluster = exchange.destination.cluster;
  const member = exchange.attempt.member;
  const key = member ?? cluster ?? source;
  let series = source.series.get(key);
  if (series === undefined) {
    series = path.metrics.series(
      exchange.direction,
      source.service,
      cluster?.service ?? "",
      member?.endpoint.version ?? "",
    );
    // Endpoints that have left stay keys here until then.
    if (source.series.size >= SERIES_MEMO_MAX) source.series.clear();
    source.series.set(key, series);
  }
  return series;
}

function routeCellOf(
  path: DataPath,
  rule: RulePlan,
  exchange: RecordedExchange,
  kind: keyof typeof routeCells,
): TrafficCell | undefined {
  const { source, cluster } = exchange.destination;
  if (source === undefined || cluster === undefined) return undefined;
  const { member } = exchange.attempt;
  let cells = routeCells[kind].get(rule);
  if (cells === undefined || cells.size >= SERIES_MEMO_MAX) {
    cells = new Map();
    routeCells[kind].set(rule, cells);
  }
  let cell = cells.get(member ?? cluster);
  if (cell === undefined) {
    cell = path.metrics.trafficCell({
      service: source.service,
      backend: cluster.service,
      version: member?.endpoint.version ?? "",
      route: nameOf(rule),
      kind,
    });
    cells.set(member ?? cluster, cell);
  }
  return cell;
}

function unknownSource(path: DataPath, direction: Direction): SeriesSource {
  const sources = unknownSources[direction];
  let source = sources.get(path);
  if (source === undefined) {
    source = { service: UNKNOWN_SERVICE, series: new Map() };
    sources.set(path, source);
  }
  return source;
}
