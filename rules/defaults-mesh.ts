// Defaults of the settings of a whole mesh; those of other documents are in defaults.ts, where all of them are read.

export interface Default {
  readonly value: number | string | boolean | readonly (string | number)[];
  /** "ms", "requests", "percent", ...; empty for words and switches. */
  readonly unit: string;
  readonly reason: string;
}

/** By kind and field path. */
export const MESH_DEFAULTS = {
  "Mesh.spec.tracing.protocol": { value: "grpc", unit: "", reason: "OTLP's own first choice" },
  "Mesh.spec.tracing.sampling": { value: 1, unit: "percent", reason: "as Istio: enough to see, cheap enough for all" },
  "Mesh.spec.tracing.propagation": {
    value: ["tracecontext", "baggage"],
    unit: "",
    reason: "W3C, OpenTelemetry's default",
  },
  "Mesh.spec.tracing.tail.errors": { value: true, unit: "", reason: "the traces that people look for" },
  "Mesh.spec.tracing.tail.maxPerSecond": {
    value: 10,
    unit: "traces",
    reason: "an outage must not flood the collector",
  },
  "Mesh.spec.accessLog.enabled": {
    value: false,
    unit: "",
    reason: "a line per request is a cost that somebody should choose",
  },
  "Mesh.spec.accessLog.format": { value: "json", unit: "", reason: "log stores read it without a parser of ours" },
  "Mesh.spec.accessLog.file": { value: "", unit: "", reason: "standard output, where containers log" },
  "Mesh.spec.accessLog.filter.sampling": {
    value: 100,
    unit: "percent",
    reason: "every request; `0` where `errors` or `slowerThan` name what to log",
  },
  "Mesh.spec.metrics.maxSeries": {
    value: 10_000,
    unit: "series",
    reason: "a few megabytes, and what a Prometheus takes from one target with ease",
  },
  "Mesh.spec.metrics.otlp.interval": { value: 60_000, unit: "ms", reason: "OpenTelemetry's default" },
  "Mesh.spec.mtls.mode": {
    value: "off",
    unit: "",
    reason: "works without certificates; permissive is the way to strict",
  },
  "Mesh.spec.egress.allow": {
    value: [],
    unit: "hosts",
    reason: "a name that the mesh does not know is most often a typing error",
  },
  "Mesh.spec.headers.forwarded": { value: true, unit: "", reason: "services behind a proxy expect to know the caller" },
  "Mesh.spec.headers.via": {
    value: false,
    unit: "",
    reason: "RFC 9110 asks it of proxies, yet servers turn compression off when they see it",
  },
  "Mesh.spec.headers.requestId": { value: true, unit: "", reason: "one word to find a request by, in every log" },
  "Mesh.spec.headers.shadowHost": {
    value: false,
    unit: "",
    reason: "off, as Istio has it now: a service that knows its own hosts refuses the others",
  },
} as const satisfies Readonly<Record<string, Default>>;
