// What the figures of a finished request say besides its service and status: details that are labels, times that attempts
// and limits took, the trace that stands for it. Which series they go to is record.ts and observe/request-series.ts.
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Exemplar } from "../observe/histogram.ts";
import type { Direction } from "../observe/metrics.ts";
import { keptId } from "../observe/tracing/trace-ids.ts";
import type { DataPath } from "./data-path.ts";
import type { Destination } from "./destination.ts";

interface FinishedExchange {
  readonly record: ExchangeRecord;
  readonly head: MessageHead;
  readonly direction: Direction;
  readonly destination: Destination;
  readonly endedMs: number;
}

/** What attempts and policies took of a request's time. */
export function countTimes({ metrics }: DataPath, { record, endedMs }: FinishedExchange): void {
  if (record.direction === "outbound") {
    for (let index = 0; index < record.attemptsKept; index++) {
      const attempt = record.attemptAt(index);
      if (attempt === undefined) continue;
      const { backend, startedMs, connectedMs } = attempt;
      const attemptMs = (attempt.endedMs === 0 ? endedMs : attempt.endedMs) - startedMs;
      metrics.attemptDuration.histograms.getOne(backend).record(attemptMs);
      if (connectedMs > 0) metrics.poolWait.histogram(backend).record(connectedMs - startedMs);
    }
    return;
  }
  for (let index = 0; index < record.actsKept; index++) {
    const act = record.acts[index];
    if (act?.name === "concurrency-queue") metrics.queueWait.histogram(act.subject).record(act.value);
  }
}

/** Filled for each request and read at once. */
const details = { method: "", route: "", source: "", requestBytes: 0, responseBytes: 0 };

/** Labels of its series. Read them at once. */
export function detailsOf(
  { service }: DataPath,
  { record, head, direction, destination }: FinishedExchange,
): typeof details {
  details.method = head.method;
  details.route = destination.rule?.route ?? "";
  details.source = direction === "outbound" ? service : sourceOf(head);
  details.requestBytes = record.requestBytes;
  details.responseBytes = record.responseBytes;
  return details;
}

const SOURCE = /^[a-z0-9]([-a-z0-9]{0,62})\/[a-z0-9]([-a-z0-9]{0,62})$/;
let lastSource = "";

/** The service that calls, as its sidecar says; it is believed for figures only. */
function sourceOf({ fields }: MessageHead): string {
  // The text that is kept and not the one that came, which is a piece of its head and would keep all of it.
  if (fields.isKnown(FIELD.xWeftSource, lastSource)) return lastSource;
  const said = fields.known(FIELD.xWeftSource);
  if (said === undefined || !SOURCE.test(said)) return "";
  lastSource = keptId(said);
  return lastSource;
}

/** A request that was traced stands for others like it. */
export function exemplarOf({ clock }: DataPath, { record }: FinishedExchange, value: number): Exemplar | undefined {
  if (record.trace.source === undefined || !record.isSampled) return undefined;
  return { traceId: keptId(record.traceId), spanId: keptId(record.spanId), value, wallMs: clock.wall() };
}
