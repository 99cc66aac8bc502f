// Metrics by OTLP, beside /metrics: every so often all families as they are, cumulative, in one push. At most one push is
// under way; one that fails is counted, and the next brings the same sums. Loaded only while it is on.
import { type Attributes, type HrTime, ValueType } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  DataPointType,
  type MetricData,
  type PushMetricExporter,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import type { OtlpTarget } from "../../../rules/telemetry-resource.ts";
import { type Clock, every, type Timer } from "../../../runtime/clock.ts";
import { CellFamily, type HistogramFamily } from "../families.ts";
import type { ItemOutcome } from "./batch-queue.ts";
import { exporterUrl } from "./targets.ts";

export interface MetricsPushOptions {
  readonly target: OtlpTarget;
  readonly intervalMs: number;
  /** Of the resource. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly families: () => Promise<readonly (CellFamily | HistogramFamily)[]>;
  readonly count: (outcome: ItemOutcome, pushes: number) => void;
  /** The collector failed after it had worked, or works again (`error` is ""). */
  readonly onChange: (error: string) => void;
}

/** Pushes until it is closed. */
export interface MetricsPush {
  /** Pushes once more, and waits for that a short while. */
  close(): Promise<void>;
}

export async function startMetricsPush(options: MetricsPushOptions): Promise<MetricsPush> {
  return new OtlpMetricsPush(options, await createExporter(options.target));
}

async function createExporter(target: OtlpTarget): Promise<PushMetricExporter> {
  const url = exporterUrl(target, "metrics");
  if (target.protocol === "grpc") {
    const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-grpc");
    return new OTLPMetricExporter({ url });
  }
  const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-proto");
  return new OTLPMetricExporter({ url });
}

const CLOSE_MS = 2_000;

class OtlpMetricsPush implements MetricsPush {
  readonly #options: MetricsPushOptions;
  readonly #exporter: PushMetricExporter;
  readonly #resource: ResourceMetrics["resource"];
  readonly #startTime: HrTime;
  readonly #ticks: Timer;
  #isUnderWay = false;
  #isFailing = false;

  constructor(options: MetricsPushOptions, exporter: PushMetricExporter) {
    this.#options = options;
    this.#exporter = exporter;
    this.#resource = resourceFromAttributes(options.attributes);
    this.#startTime = hrTime(options.clock.wall());
    this.#ticks = every(options.clock, options.intervalMs, () => void this.#push());
  }

  async close(): Promise<void> {
    this.#ticks.cancel();
    const { promise, resolve } = Promise.withResolvers<void>();
    const deadline = this.#options.clock.after(CLOSE_MS, resolve);
    void this.#push().then(resolve);
    await promise;
    deadline.cancel();
    void this.#exporter.shutdown().catch(() => {});
  }

  async #push(): Promise<void> {
    const { clock, families, count } = this.#options;
    if (this.#isUnderWay) return count("dropped", 1);
    this.#isUnderWay = true;
    let error = "";
    try {
      const endTime = hrTime(clock.wall());
      const metrics = (await families()).map((family) => metricData(family, this.#startTime, endTime));
      error = await this.#export({
        resource: this.#resource,
        scopeMetrics: [{ scope: { name: "weft-sidecar" }, metrics }],
      });
    } catch (cause) {
      error = cause instanceof Error ? cause.message : String(cause);
    }
    this.#isUnderWay = false;
    count(error === "" ? "exported" : "failed", 1);
    if ((error !== "") === this.#isFailing) return;
    this.#isFailing = error !== "";
    this.#options.onChange(error);
  }

  #export(metrics: ResourceMetrics): Promise<string> {
    return new Promise((resolve) => {
      this.#exporter.export(metrics, ({ code, error }) => resolve(code === 0 ? "" : (error?.message ?? "refused")));
    });
  }
}

function hrTime(wallMs: number): HrTime {
  return [Math.floor(wallMs / 1_000), Math.round((wallMs % 1_000) * 1e6)];
}

function metricData(family: CellFamily | HistogramFamily, startTime: HrTime, endTime: HrTime): MetricData {
  const { name, help, type, labels } = family;
  const unit = unitOf(name);
  const descriptor = { name, description: help, unit, valueType: ValueType.DOUBLE };
  const base = { descriptor, aggregationTemporality: AggregationTemporality.CUMULATIVE };
  const point = (values: readonly string[]) => ({ startTime, endTime, attributes: attributesOf(labels, values) });
  if (!(family instanceof CellFamily)) {
    const dataPoints = [...family.histograms.entries.values()].map(({ values, value }) => ({
      ...point(values),
      value: {
        buckets: {
          boundaries: Array.from(value.buckets.bounds, (bound) => bound / value.buckets.perUnit),
          counts: [...value.counts],
        },
        sum: value.sum / value.buckets.perUnit,
        count: value.count,
      },
    }));
    return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints = [...family.cells.entries.values()].map(({ values, value }) => ({
    ...point(values),
    value: value.value,
  }));
  if (type === "gauge") return { ...base, dataPointType: DataPointType.GAUGE, dataPoints };
  return { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints };
}

/** In the Unified Code for Units of Measure, as OpenTelemetry asks. */
function unitOf(name: string): string {
  if (/_seconds(_total)?$/.test(name)) return "s";
  return /_bytes$/.test(name) ? "By" : "1";
}

function attributesOf(labels: readonly string[], values: readonly string[]): Attributes {
  return Object.fromEntries(labels.map((label, index) => [label, values[index] ?? ""]));
}
