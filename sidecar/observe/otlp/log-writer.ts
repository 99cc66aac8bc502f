// Access log records by OTLP: each request a log record that says what its span would, through the same bounded queue.
// Loaded only while the access log goes to a collector.
import { type Attributes, type HrTime, SeverityNumber, TraceFlags } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import type { LogRecordExporter, ReadableLogRecord } from "@opentelemetry/sdk-logs";
import type { OtlpTarget } from "../../../rules/telemetry-resource.ts";
import type { Clock } from "../../../runtime/clock.ts";
import type { ExchangeRecord } from "../exchange-record.ts";
import { hasServiceFailed } from "../failed-exchange.ts";
import { isSecretField, REDACTED, safeTarget } from "../redaction.ts";
import { BatchQueue, type BatchQueueOptions } from "./batch-queue.ts";
import * as say from "./span-attributes.ts";
import { exporterUrl } from "./targets.ts";

/** Sends records of requests. Never waits, never throws for a collector. */
export interface LogWriter {
  write(record: ExchangeRecord, wallMs: number): void;
  close(): Promise<void>;
}

export interface LogWriterOptions extends Pick<BatchQueueOptions<ReadableLogRecord>, "count" | "onChange"> {
  readonly target: OtlpTarget;
  /** Of the resource. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Request fields that are sent, lower case. */
  readonly headers: readonly string[];
  readonly clock: Clock;
}

export async function startLogWriter(options: LogWriterOptions): Promise<LogWriter> {
  return new OtlpLogWriter(options, await createExporter(options.target));
}

async function createExporter(target: OtlpTarget): Promise<LogRecordExporter> {
  const url = exporterUrl(target, "logs");
  if (target.protocol === "grpc") {
    const { OTLPLogExporter } = await import("@opentelemetry/exporter-logs-otlp-grpc");
    return new OTLPLogExporter({ url });
  }
  const { OTLPLogExporter } = await import("@opentelemetry/exporter-logs-otlp-proto");
  return new OTLPLogExporter({ url });
}

const SCOPE = { name: "weft-sidecar" };

class OtlpLogWriter implements LogWriter {
  readonly #resource: ReadableLogRecord["resource"];
  readonly #headers: readonly string[];
  readonly #count: LogWriterOptions["count"];
  readonly #queue: BatchQueue<ReadableLogRecord>;
  readonly #exporter: LogRecordExporter;

  constructor({ attributes, headers, clock, count, onChange }: LogWriterOptions, exporter: LogRecordExporter) {
    this.#resource = resourceFromAttributes(attributes);
    this.#headers = headers;
    this.#count = count;
    this.#exporter = exporter;
    this.#queue = new BatchQueue({
      clock,
      count,
      onChange,
      send: (batch, done) =>
        exporter.export(batch, ({ code, error }) => done(code === 0 ? "" : (error?.message ?? "refused"))),
    });
  }

  write(record: ExchangeRecord, wallMs: number): void {
    if (this.#queue.isFull) return this.#count("dropped", 1);
    const { head, status, traceId, spanId, isSampled } = record;
    const time: HrTime = [Math.floor(wallMs / 1_000), Math.round((wallMs % 1_000) * 1e6)];
    const traceFlags = isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
    // As its span: an answer that was cut off has the status that it began with, a call has its code.
    const severity = hasServiceFailed(record) ? "ERROR" : "INFO";
    this.#queue.add({
      hrTime: time,
      hrTimeObserved: time,
      ...(traceId === "" ? {} : { spanContext: { traceId, spanId, traceFlags } }),
      severityNumber: SeverityNumber[severity],
      severityText: severity,
      body: `${say.cut(`${head.method} ${head.authority} ${safeTarget(head.target)}`)} ${status}`,
      eventName: "weft.access",
      resource: this.#resource,
      instrumentationScope: SCOPE,
      attributes: this.#attributesOf(record),
      droppedAttributesCount: 0,
    });
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#exporter.shutdown();
  }

  #attributesOf(record: ExchangeRecord): Attributes {
    const { head } = record;
    const attributes: Attributes = {};
    say.method(attributes, head, false);
    say.url(attributes, head);
    say.server(attributes, head.authority);
    say.rpcOutcome(attributes, record.grpcStatus, true);
    say.outcome(attributes, record.status, record.reason, 500);
    say.mesh(attributes, record);
    attributes["client.address"] = record.remoteAddress;
    say.sizes(attributes, record);
    attributes["weft.request_id"] = record.requestId;
    attributes["weft.tries"] = record.attemptCount;
    attributes["weft.duration_ms"] = record.durationMs;
    if (record.lastAttempt !== undefined) say.peer(attributes, record.lastAttempt.address);
    for (const name of this.#headers) {
      const value = head.value(name);
      if (value !== undefined) attributes[`http.request.header.${name}`] = isSecretField(name) ? REDACTED : value;
    }
    say.cutLong(attributes);
    return attributes;
  }
}
