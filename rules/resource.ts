// Compiled resources: what the control plane pushes and a sidecar acts on. Plain JSON data with every default
// filled in, times in milliseconds and names fully qualified, so that a sidecar decides nothing about meaning.
// Not the documents that people write (document.ts), and not the tables that the data path reads (routing/).
import type { AccessLogResource, OtlpTarget, TracingResource } from "./telemetry-resource.ts";

export type Protocol = "http" | "h2c" | "grpc" | "tcp";

/** Resource names on the wire: `service:ns/name`, `endpoints:ns/name`, `inbound:ns/name`, `mesh`. */
export type Resource = ServiceResource | EndpointsResource | InboundResource | MeshResource;

/** Everything a caller needs to send requests to one service, but its endpoints. */
export interface ServiceResource {
  readonly type: "service";
  /** `namespace/name`. */
  readonly service: string;
  readonly ports: readonly ServicePort[];
  /** True when no Service document defines it; then any port number is accepted, with the protocol of ports[0]. */
  readonly implied: boolean;
  /** Attached rules of all routes, in no particular order of precedence; routing/ orders their matches. */
  readonly rules: readonly RouteRule[];
  readonly policy: TrafficPolicyResource;
}

export interface ServicePort {
  readonly port: number;
  readonly protocol: Protocol;
  /** The document says `http` in so many words: between sidecars, too, it is HTTP/1.1. */
  readonly keepsHttp1?: boolean | undefined;
}

/** One rule of one route, attached to one service. */
export interface RouteRule {
  /** `HTTPRoute default/orders`. */
  readonly route: string;
  readonly ruleIndex: number;
  readonly ruleName: string;
  /** Milliseconds since the epoch; the Gateway API breaks ties by age, then by name. */
  readonly createdAtMs: number;
  /** Ports of the service that the rule is for; empty means all (parentRef without a port). */
  readonly ports: readonly number[];
  /** A consumer route (another namespace than the service) acts for callers of this namespace only; empty means all. */
  readonly fromNamespace: string;
  /** Never empty: a rule without matches gets the one that matches everything. */
  readonly matches: readonly RouteMatch[];
  readonly filters: readonly RouteFilter[];
  readonly backends: readonly RouteBackend[];
  readonly timeouts: RouteTimeouts;
  /** Undefined means: the destination's policy. */
  readonly retry: RouteRetry | undefined;
  /** Who goes to which version, where a Rollout shifts this rule's traffic; absent elsewhere. */
  readonly split?: RolloutSplit | undefined;
}

/** How a Rollout splits a rule: its first backend is the canary, the second the stable version. */
export interface RolloutSplit {
  /** `Rollout default/orders`. */
  readonly rollout: string;
  /** What names the user; undefined: every request is split by itself. */
  readonly key: { readonly type: "header" | "cookie" | "claim" | "query"; readonly name: string } | undefined;
  /** Mixed into the hash of the key, so that not every release begins with the same users. */
  readonly salt: string;
  /** The release is under way: callers report what they see of it often. */
  readonly isLive: boolean;
}

export interface RouteMatch {
  readonly path: PathMatch;
  /** Upper-case method, or empty for any. */
  readonly method: string;
  /** Names are lower case. */
  readonly headers: readonly ValueMatch[];
  readonly query: readonly ValueMatch[];
}

export interface PathMatch {
  readonly type: "Exact" | "PathPrefix" | "RegularExpression";
  readonly value: string;
}

export interface ValueMatch {
  readonly name: string;
  readonly type: "Exact" | "RegularExpression";
  readonly value: string;
}

export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

export interface HeaderModifier {
  readonly set: readonly HeaderField[];
  readonly add: readonly HeaderField[];
  /** Lower case. */
  readonly remove: readonly string[];
}

export type PathModifier =
  | { readonly type: "ReplaceFullPath"; readonly value: string }
  | { readonly type: "ReplacePrefixMatch"; readonly value: string };

export type RouteFilter =
  | { readonly type: "RequestHeaderModifier"; readonly modifier: HeaderModifier }
  | { readonly type: "ResponseHeaderModifier"; readonly modifier: HeaderModifier }
  | {
      readonly type: "RequestRedirect";
      /** Empty means: as in the request. */
      readonly scheme: string;
      readonly hostname: string;
      readonly path: PathModifier | undefined;
      /** 0 means: as in the request (or the well-known port of a new scheme). */
      readonly port: number;
      readonly status: number;
    }
  | { readonly type: "URLRewrite"; readonly hostname: string; readonly path: PathModifier | undefined }
  | {
      readonly type: "RequestMirror";
      readonly service: string;
      readonly port: number;
      readonly numerator: number;
      readonly denominator: number;
      /** Only requests of these methods are copied; absent: all. */
      readonly methods?: readonly string[] | undefined;
    }
  | {
      readonly type: "CORS";
      readonly allowOrigins: readonly string[];
      readonly allowMethods: readonly string[];
      readonly allowHeaders: readonly string[];
      readonly exposeHeaders: readonly string[];
      readonly allowCredentials: boolean;
      readonly maxAgeSeconds: number;
    };

export interface RouteBackend {
  /** `namespace/name`. */
  readonly service: string;
  /** 0 means the service's first port. */
  readonly port: number;
  readonly weight: number;
  readonly filters: readonly RouteFilter[];
  /** Why its share is answered 500 whatever endpoints exist (a kind that is no service, say); empty when fine. */
  readonly invalid: string;
}

/** Milliseconds; 0 disables; undefined means: the destination's policy. */
export interface RouteTimeouts {
  readonly requestMs: number | undefined;
  readonly backendRequestMs: number | undefined;
}

export interface RouteRetry {
  readonly attempts: number;
  readonly codes: readonly number[];
  readonly backoffMs: number;
}

export type LoadBalancerAlgorithm = "round-robin" | "random" | "least-request" | "peak-ewma" | "ring-hash" | "maglev";

/** A TrafficPolicy with every default filled in. Undefined sections are off. */
export interface TrafficPolicyResource {
  /** `TrafficPolicy default/orders`, or empty when all of it is defaults. */
  readonly origin: string;
  readonly loadBalancer: {
    readonly algorithm: LoadBalancerAlgorithm;
    readonly hashOn:
      | { readonly type: "header" | "cookie" | "query"; readonly name: string }
      | { readonly type: "sourceIP" }
      | undefined;
    readonly slowStartMs: number;
    /** Shares follow observed latency and reported load. */
    readonly adaptive: boolean;
    /** Percent of the mean load that an endpoint may carry before hashing passes it over; 0: no bound. */
    readonly hashBalanceFactor: number;
    readonly zonePreference: { readonly minHealthyPercent: number } | undefined;
  };
  readonly connectionPool: {
    readonly maxConnections: number;
    readonly maxPendingRequests: number;
    readonly maxRequests: number;
    readonly maxRetries: number;
    /** 0 means no bound. */
    readonly maxRequestsPerConnection: number;
    readonly connectTimeoutMs: number;
    readonly idleTimeoutMs: number;
    /** PING to endpoints of HTTP/2, where it is written; `intervalMs` 0: never. */
    readonly keepAlive: { readonly intervalMs: number; readonly timeoutMs: number } | undefined;
  };
  readonly timeout: {
    readonly requestMs: number;
    /** The same for calls of gRPC, which have none unless it is written. */
    readonly grpcRequestMs: number;
    readonly perTryMs: number;
    readonly idleMs: number;
  };
  readonly retry: {
    readonly attempts: number;
    readonly on: readonly (string | number)[];
    readonly methods: readonly string[];
    readonly backoff: { readonly baseMs: number; readonly maxMs: number };
    readonly budget: { readonly percent: number; readonly minPerSecond: number };
    readonly maxBodyBytes: number;
    /** Who tries a failure again: the hop nearest to it, or every hop on the way. */
    readonly hops: "nearest" | "every";
    /** `after`: milliseconds, or an observed percentile such as `p95`. */
    readonly hedge: { readonly after: number | string; readonly max: number } | undefined;
  };
  readonly circuitBreaker:
    | {
        readonly errorThresholdPercentage: number;
        readonly volumeThreshold: number;
        readonly rollingWindowMs: number;
        readonly resetTimeoutMs: number;
        readonly halfOpenProbes: number;
        readonly scope: "service" | "endpoint";
      }
    | undefined;
  readonly outlierDetection:
    | {
        /** 0: off; so of the next two. */
        readonly consecutiveErrors: number;
        readonly consecutiveGatewayErrors: number;
        readonly consecutiveConnectFailures: number;
        readonly intervalMs: number;
        readonly baseEjectionTimeMs: number;
        readonly maxEjectionTimeMs: number;
        readonly keepAtLeast: number;
        readonly successRate:
          | { readonly stdevFactor: number; readonly minHosts: number; readonly minRequests: number }
          | undefined;
        readonly failurePercentage:
          | { readonly threshold: number; readonly minHosts: number; readonly minRequests: number }
          | undefined;
        /** Below this percentage of healthy endpoints all are used; 0: never. */
        readonly panicThreshold: number;
      }
    | undefined;
  readonly healthCheck:
    | {
        readonly probe: HealthProbe;
        /** 0: the endpoint's own. */
        readonly port: number;
        readonly intervalMs: number;
        readonly timeoutMs: number;
        readonly unhealthyThreshold: number;
        readonly healthyThreshold: number;
        readonly jitterPercent: number;
      }
    | undefined;
  readonly fallback: FallbackResource | undefined;
}

export type HealthProbe =
  | {
      readonly type: "http";
      readonly path: string;
      /** Host field; empty: the endpoint's address. */
      readonly host: string;
      /** Empty: 200 to 299. */
      readonly expectedStatuses: readonly number[];
    }
  | { readonly type: "tcp" }
  | { readonly type: "grpc"; readonly service: string };

/** What is answered when the service cannot: the first of these that is there. */
export interface FallbackResource {
  /** The last good response, if it is no older; 0: none. */
  readonly staleForMs: number;
  /** Another service, or empty. */
  readonly service: string;
  readonly answer:
    | { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }
    | undefined;
}

/** Where a service's instances are; pushed at once, apart from the rules. */
export interface EndpointsResource {
  readonly type: "endpoints";
  readonly service: string;
  /** Sorted by id, so that equal sets are equal bytes. Only endpoints that should receive traffic. */
  readonly endpoints: readonly Endpoint[];
}

export interface Endpoint {
  /** Workload id, or the address of a static endpoint. */
  readonly id: string;
  /** HOST:PORT for every port of the service, or per port number (as text) where they differ. */
  readonly address: string;
  readonly addresses: Readonly<Record<string, string>>;
  readonly weight: number;
  readonly zone: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  /** True when a sidecar's inbound listener stands there, so that hop headers are understood and trusted. */
  readonly mesh: boolean;
}

/** What a service's own sidecars enforce on the way in. */
export interface InboundResource {
  readonly type: "inbound";
  readonly service: string;
  /** Of the service's first port: what the app speaks. */
  readonly protocol: Protocol;
  readonly rateLimits: readonly RateLimitResource[];
  readonly faults: readonly FaultResource[];
  /** Authorization and Authentication specs that target the service, as validated. */
  readonly documents: readonly { readonly kind: string; readonly name: string; readonly spec: unknown }[];
}

/** A RateLimit document. */
export interface RateLimitResource {
  /** `RateLimit default/orders`. */
  readonly origin: string;
  readonly limits: readonly RateRule[];
  readonly concurrency:
    | {
        readonly max: number;
        readonly queue: number;
        readonly queueTimeoutMs: number;
        readonly adaptive: boolean;
        readonly reportOnly: boolean;
      }
    | undefined;
  /** 0: not looked at. */
  readonly shedding: { readonly eventLoopDelayMs: number; readonly heapPercent: number } | undefined;
}

/** One token bucket, or one per key. */
export interface RateRule {
  readonly name: string;
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
  readonly key:
    | { readonly type: "header"; readonly name: string }
    | { readonly type: "all" | "sourceIP" | "identity" | "path" };
  /** Requests that it is about. */
  readonly matches: readonly RouteMatch[];
  readonly maxKeys: number;
  readonly reportOnly: boolean;
}

/** A Fault document. */
export interface FaultResource {
  readonly origin: string;
  readonly matches: readonly RouteMatch[];
  readonly delay: { readonly percent: number; readonly durationMs: number } | undefined;
  readonly abort:
    | { readonly percent: number; readonly status: number /** -1: none. */; readonly grpcStatus: number }
    | undefined;
}

/** Mesh-wide settings with every default filled in. */
export interface MeshResource {
  readonly type: "mesh";
  readonly egress: { readonly allow: readonly string[] };
  readonly tracing: TracingResource | undefined;
  readonly accessLog: AccessLogResource;
  readonly metrics: {
    readonly maxSeries: number;
    readonly otlp: (OtlpTarget & { readonly intervalMs: number }) | undefined;
  };
  readonly mtls: { readonly mode: "off" | "permissive" | "strict" };
  readonly headers: {
    readonly forwarded: boolean;
    readonly via: boolean;
    readonly requestId: boolean;
    /** Copies by RequestMirror say `orders-shadow` where the request says `orders`. */
    readonly shadowHost: boolean;
  };
}

/** The name a resource travels under. */
export function resourceName(resource: Resource): string {
  return resource.type === "mesh" ? "mesh" : `${resource.type}:${resource.service}`;
}
