// What of the Mesh document is about telemetry, compiled: traces and the access log. Part of MeshResource (resource.ts).

/** Where OpenTelemetry data goes. */
export interface OtlpTarget {
  /** `http://HOST:PORT[/PATH]`, `https://...` or `HOST:PORT`. */
  readonly endpoint: string;
  readonly protocol: "grpc" | "http";
}

/** Propagators, by OpenTelemetry's names. */
export type TraceFormat = "tracecontext" | "baggage" | "b3" | "b3multi";

export interface TracingResource extends OtlpTarget {
  readonly samplingPercent: number;
  /** Trace headers that are read, in this order, and written. */
  readonly propagation: readonly TraceFormat[];
  /** What is kept though the sampling left it out. */
  readonly tail: {
    readonly errors: boolean;
    /** 0: however slow, it is not kept for that. */
    readonly slowerThanMs: number;
    readonly maxPerSecond: number;
  };
  /** Attributes of the resource that spans are of. */
  readonly attributes: Readonly<Record<string, string>>;
}

export interface AccessLogResource {
  readonly enabled: boolean;
  readonly format: "json" | "text";
  /** Of a text line; "": the built-in one. */
  readonly template: string;
  /** "": standard output. */
  readonly file: string;
  readonly otlp: OtlpTarget | undefined;
  readonly filter: {
    readonly errors: boolean;
    /** 0: not chosen by its duration. */
    readonly slowerThanMs: number;
    /** Share of what the two above did not choose. */
    readonly samplingPercent: number;
  };
  /** Request headers that are written, lower case. */
  readonly headers: readonly string[];
}
