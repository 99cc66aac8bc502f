// What the collector of the tests got, as tests want to look at it: attributes as plain objects, spans in one list.
import { join } from "node:path";
import { REPOSITORY, type RunningProgram, startProgram } from "../harness.ts";

interface AnyValue {
  readonly string_value?: string;
  readonly int_value?: string;
  readonly double_value?: number;
  readonly bool_value?: boolean;
  readonly array_value?: { readonly values: readonly AnyValue[] };
}

type KeyValues = readonly { readonly key: string; readonly value: AnyValue }[];
export type Attributes = Readonly<Record<string, unknown>>;

interface RawLink {
  readonly trace_id: string;
  readonly span_id: string;
}

export interface CollectedSpan {
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly traceState: string;
  readonly durationMs: number;
  readonly error: boolean;
  readonly message: string;
  readonly attributes: Attributes;
  readonly resource: Attributes;
  readonly links: readonly string[];
}

export interface Received {
  readonly traces: readonly {
    readonly resource: { readonly attributes: KeyValues };
    readonly scope_spans: readonly { readonly spans: readonly RawSpan[] }[];
  }[];
  readonly metrics: readonly {
    readonly resource: { readonly attributes: KeyValues };
    readonly scope_metrics: readonly { readonly metrics: readonly RawMetric[] }[];
  }[];
  readonly logs: readonly {
    readonly resource: { readonly attributes: KeyValues };
    readonly scope_logs: readonly {
      readonly log_records: readonly {
        readonly body: AnyValue;
        readonly severity_number: string;
        readonly severity_text: string;
        readonly attributes: KeyValues;
        readonly trace_id: string;
      }[];
    }[];
  }[];
  readonly exportsSeen: number;
  readonly lastHeaders: Readonly<Record<string, unknown>>;
}

interface RawSpan {
  readonly name: string;
  readonly kind: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly parent_span_id?: string;
  readonly trace_state?: string;
  readonly start_time_unix_nano: string;
  readonly end_time_unix_nano: string;
  readonly status?: { readonly code: string; readonly message: string };
  readonly attributes: KeyValues;
  readonly links?: readonly RawLink[];
}

export interface RawMetric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { readonly data_points: readonly RawPoint[]; readonly is_monotonic: boolean };
  readonly gauge?: { readonly data_points: readonly RawPoint[] };
  readonly histogram?: { readonly data_points: readonly RawPoint[] };
}

interface RawPoint {
  readonly attributes: KeyValues;
  readonly as_double?: number;
  readonly as_int?: string;
  readonly count?: string;
  readonly sum?: number;
  readonly bucket_counts?: readonly string[];
  readonly explicit_bounds?: readonly number[];
}

export class Collector {
  readonly #program: RunningProgram;
  readonly grpc: string;
  readonly http: string;

  constructor(program: RunningProgram) {
    this.#program = program;
    this.grpc = program.address("grpc");
    this.http = program.address("http");
  }

  /** @param ports for `--grpc` and `--http`; any without them */
  static async start(ports?: { readonly grpc: number; readonly http: number }): Promise<Collector> {
    const args = ports === undefined ? [] : ["--grpc", String(ports.grpc), "--http", String(ports.http)];
    return new Collector(await startProgram(join(REPOSITORY, "test/otlp/collector.ts"), args));
  }

  async received(): Promise<Received> {
    return (await (await fetch(`${this.http}/received`)).json()) as Received;
  }

  async hang(isHanging: boolean): Promise<void> {
    await this.mode(isHanging ? "hang" : "serve");
  }

  async mode(is: "serve" | "hang" | "refuse"): Promise<void> {
    await fetch(`${this.http}/mode?is=${is}`);
  }

  async spans(): Promise<CollectedSpan[]> {
    const { traces } = await this.received();
    return traces.flatMap(({ resource, scope_spans }) =>
      scope_spans.flatMap(({ spans }) => spans.map((span) => collected(span, plain(resource.attributes)))),
    );
  }

  kill(): Promise<unknown> {
    return this.#program.kill();
  }
}

export function plain(attributes: KeyValues): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]));
}

function plainValue(value: AnyValue): unknown {
  if (value.array_value) return value.array_value.values.map(plainValue);
  if (value.int_value !== undefined && value.int_value !== "0") return Number(value.int_value);
  return value.string_value || value.double_value || value.bool_value || Number(value.int_value ?? 0);
}

const hex = (base64 = "") => Buffer.from(base64, "base64").toString("hex");

function collected(span: RawSpan, resource: Attributes): CollectedSpan {
  const nanos = BigInt(span.end_time_unix_nano) - BigInt(span.start_time_unix_nano);
  return {
    name: span.name,
    kind: span.kind.replace("SPAN_KIND_", "").toLowerCase(),
    traceId: hex(span.trace_id),
    spanId: hex(span.span_id),
    parentId: hex(span.parent_span_id),
    traceState: span.trace_state ?? "",
    durationMs: Number(nanos) / 1e6,
    error: span.status?.code === "STATUS_CODE_ERROR",
    message: span.status?.message ?? "",
    attributes: plain(span.attributes),
    resource,
    links: (span.links ?? []).map((link) => hex(link.span_id)),
  };
}
