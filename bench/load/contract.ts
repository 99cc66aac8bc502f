// What a bench and its load process say to each other over the channel between parent and child. The load process is
// both ends of the traffic, clients and endpoint, on one core; the proxy that is measured stands on another.

/** How a message says where its body ends; "none": it has none. */
export type BodyFraming = "none" | "length" | "chunked";

/** One kind of request and its answer. Requests are built before the clock starts. */
export interface Workload {
  readonly request: BodyFraming;
  readonly requestBytes: number;
  readonly response: Exclude<BodyFraming, "none">;
  readonly responseBytes: number;
}

/** The answer to one call: so many messages of so many bytes. Of more than one the messages are counted, not the calls. */
export interface Calls {
  readonly messages: number;
  readonly messageBytes: number;
}

/** What is put under load. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** Processes whose CPU time is taken at both ends of the measured window. */
  readonly pids: readonly number[];
}

export type Command =
  /** The next requests, and the endpoint's answers, are of this kind. */
  | { readonly kind: "use"; readonly workload: Workload }
  /** Every connection sends its next request when it has its answer. */
  | { readonly kind: "closed-loop"; readonly target: Target; readonly connections: number; readonly durationMs: number }
  /** Requests leave by the clock; latency counts from the time at which they should have left. */
  | {
      readonly kind: "constant-rate";
      readonly target: Target;
      readonly connections: number;
      readonly perSecond: number;
      readonly durationMs: number;
    }
  /** Calls of gRPC, `streams` at a time on each connection; by the clock where `perSecond` is above 0. */
  | {
      readonly kind: "calls";
      readonly target: Target;
      readonly calls: Calls;
      readonly connections: number;
      readonly streams: number;
      readonly perSecond: number;
      readonly durationMs: number;
    }
  /** Opens so many connections besides those of loads, sends one request on each, and keeps them open. */
  | { readonly kind: "hold"; readonly target: Target; readonly connections: number }
  /** Closes what `hold` opened. */
  | { readonly kind: "let-go" };

export interface CpuTime {
  readonly userUs: number;
  readonly systemUs: number;
}

export interface LoadReport {
  readonly requests: number;
  /** Answers that were not 200, and connections that ended before their answer. */
  readonly errors: number;
  readonly firstError: string;
  readonly seconds: number;
  /** Body bytes of requests and answers together. */
  readonly bodyBytes: number;
  /** Of the processes named in the target, together. */
  readonly cpu: CpuTime;
  /** The same of each, in their order. */
  readonly cpuOfEach: readonly CpuTime[];
  /** Of the load process itself. */
  readonly loadCpu: CpuTime;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number };
}

/** What the load process says when a command is done. */
export type Reply =
  | { readonly kind: "listening"; readonly ports: readonly number[] }
  | { readonly kind: "done" }
  | { readonly kind: "report"; readonly report: LoadReport }
  | { readonly kind: "failed"; readonly message: string };
