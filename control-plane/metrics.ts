// The control plane's own figures, as Prometheus text and OpenMetrics (runtime/metrics-format.ts). A handful of them, read now and then: nothing
// here is on a hot path.
import {
  boundText,
  type ExpositionFormat,
  type Metadata,
  metadataLines,
  valueText,
} from "../runtime/metrics-format.ts";

export type Labels = Readonly<Record<string, string>>;

/** Upper bounds in seconds. */
const SECONDS_BUCKETS: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface Family extends Metadata {
  lines(format: ExpositionFormat): Iterable<string>;
}

export class Counter {
  readonly #values = new Map<string, number>();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  add(labels: Labels = {}, amount = 1): void {
    const series = seriesOf(this.#name, labels);
    this.#values.set(series, (this.#values.get(series) ?? 0) + amount);
  }

  *lines(): Iterable<string> {
    for (const [series, value] of this.#values) yield `${series} ${value}`;
  }
}

export class Histogram {
  readonly #series = new Map<string, { readonly labels: Labels; readonly counts: number[]; sum: number }>();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  observe(seconds: number, labels: Labels = {}): void {
    const key = seriesOf("", labels);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels, counts: new Array<number>(SECONDS_BUCKETS.length + 1).fill(0), sum: 0 };
      this.#series.set(key, series);
    }
    const found = SECONDS_BUCKETS.findIndex((bound) => seconds <= bound);
    const bucket = found < 0 ? SECONDS_BUCKETS.length : found;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += seconds;
  }

  *lines(format: ExpositionFormat): Iterable<string> {
    for (const { labels, counts, sum } of this.#series.values()) {
      let total = 0;
      for (const [index, count] of counts.entries()) {
        total += count;
        const bound = SECONDS_BUCKETS[index];
        const le = bound === undefined ? "+Inf" : boundText(bound, format);
        yield `${seriesOf(`${this.#name}_bucket`, { ...labels, le })} ${total}`;
      }
      yield `${seriesOf(`${this.#name}_sum`, labels)} ${sum}`;
      yield `${seriesOf(`${this.#name}_count`, labels)} ${total}`;
    }
  }
}

/** All metric families of this process, in the order they were added. */
export class MetricsRegistry {
  readonly #families: Family[] = [];

  counter(name: string, help: string): Counter {
    const counter = new Counter(name);
    this.#families.push({ name, help, type: "counter", lines: () => counter.lines() });
    return counter;
  }

  histogram(name: string, help: string): Histogram {
    const histogram = new Histogram(name);
    this.#families.push({ name, help, type: "histogram", lines: (format) => histogram.lines(format) });
    return histogram;
  }

  /** `read` is called when the metrics are rendered. */
  gauge(name: string, help: string, read: () => number | Iterable<readonly [Labels, number]>): void {
    this.#families.push({ name, help, type: "gauge", lines: () => gaugeLines(name, read()) });
  }

  /** As `gauge`, for what only grows and is counted elsewhere. */
  total(name: string, help: string, read: () => number | Iterable<readonly [Labels, number]>): void {
    this.#families.push({ name, help, type: "counter", lines: () => gaugeLines(name, read()) });
  }

  render(format: ExpositionFormat = "prometheus"): string {
    const text: string[] = [];
    for (const family of this.#families) text.push(...metadataLines(family, format), ...family.lines(format));
    if (format === "openmetrics") text.push("# EOF");
    return `${text.join("\n")}\n`;
  }
}

function gaugeLines(name: string, value: number | Iterable<readonly [Labels, number]>): string[] {
  if (typeof value === "number") return [`${name} ${valueText(value)}`];
  return Array.from(value, ([labels, amount]) => `${seriesOf(name, labels)} ${valueText(amount)}`);
}

function seriesOf(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeValue(value)}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
