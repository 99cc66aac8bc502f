// What is written down of a finished exchange: its series in the metrics, and a line of the access log if there is one.
import type { EndpointMember } from "../cluster.ts";
import { FIELD } from "../http1/field.ts";
import { type Direction, type RequestSeries, UNKNOWN_SERVICE } from "../observe/metrics.ts";
import type { TrafficCell } from "../observe/traffic-figures.ts";
import type { RulePlan } from "../route/rule-plan.ts";
import type { RoutedExchange } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import type { SeriesSource } from "./destination.ts";
import type { Failure } from "./reasons.ts";
import { statusOf } from "./respond.ts";

/** Requests whose host the mesh does not know are counted together: callers choose hosts. */
const unknownSources = new WeakMap<DataPath, SeriesSource>();
/** Cells of rules that a release splits, by endpoint, or by cluster where none was chosen. */
const routeCells = new WeakMap<RulePlan, Map<object, TrafficCell>>();

interface RecordedExchange extends RoutedExchange {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly attempt: { readonly member: EndpointMember | undefined };
  readonly retry: { readonly tries: number };
}

export function recordExchange(
  path: DataPath,
  direction: Direction,
  exchange: RecordedExchange,
  status: number,
  reason: string,
): void {
  const durationMs = exchange.endedMs - exchange.startedMs;
  seriesOf(path, direction, exchange).record(status, reason, durationMs);
  const { rule } = exchange.destination;
  if (rule?.rule.split !== undefined) routeCellOf(path, rule, exchange)?.record(status, reason, durationMs);
  if (path.accessLog !== undefined) logAccess(path.accessLog, direction, exchange, status, reason, durationMs);
}

/** A request that was refused before it became an exchange. */
export function recordRefusal(path: DataPath, direction: Direction, cause: Failure): void {
  const source = unknownSource(path);
  let series = source.series.get(source);
  if (series === undefined || series.direction !== direction) {
    series = path.metrics.series(direction, source.service, "", "");
    source.series.set(source, series);
  }
  series.record(statusOf(cause), cause.reason, 0);
}

function seriesOf(path: DataPath, direction: Direction, exchange: RecordedExchange): RequestSeries {
  const source = exchange.destination.source ?? unknownSource(path);
  const cluster = exchange.destination.cluster;
  const member = exchange.attempt.member;
  const key = member ?? cluster ?? source;
  let series = source.series.get(key);
  if (series === undefined) {
    series = path.metrics.series(direction, source.service, cluster?.service ?? "", member?.endpoint.version ?? "");
    source.series.set(key, series);
  }
  return series;
}

function routeCellOf(path: DataPath, rule: RulePlan, exchange: RecordedExchange): TrafficCell | undefined {
  const { source, cluster } = exchange.destination;
  if (source === undefined || cluster === undefined) return undefined;
  const { member } = exchange.attempt;
  let cells = routeCells.get(rule);
  if (cells === undefined) {
    cells = new Map();
    routeCells.set(rule, cells);
  }
  let cell = cells.get(member ?? cluster);
  if (cell === undefined) {
    cell = path.metrics.traffic.cell({
      service: source.service,
      backend: cluster.service,
      version: member?.endpoint.version ?? "",
      route: `${rule.rule.route} ${rule.rule.ruleIndex}`,
      isMirror: false,
    });
    cells.set(member ?? cluster, cell);
  }
  return cell;
}

function unknownSource(path: DataPath): SeriesSource {
  let source = unknownSources.get(path);
  if (source === undefined) {
    source = { service: UNKNOWN_SERVICE, series: new Map() };
    unknownSources.set(path, source);
  }
  return source;
}

function logAccess(
  log: NonNullable<DataPath["accessLog"]>,
  direction: Direction,
  exchange: RecordedExchange,
  status: number,
  reason: string,
  durationMs: number,
): void {
  const { head, destination } = exchange;
  log({
    direction,
    method: head.method,
    target: head.target,
    authority: head.authority,
    status,
    reason,
    service: destination.source?.service ?? "",
    backend: destination.cluster?.service ?? "",
    endpoint: exchange.attempt.member?.address ?? "",
    route: destination.rule?.rule.route ?? "",
    tries: exchange.retry.tries,
    durationMs,
    requestId: head.known(FIELD.xRequestId) ?? "",
  });
}
