// TrafficPolicy of weft.mesh/v1: how callers treat a service. Defaults of absent fields are in defaults.ts.
import { z } from "zod";
import { parseDuration } from "../durations.ts";
import {
  atLeastZero,
  checked,
  cookieName,
  dnsLabel,
  duration,
  exactlyOne,
  flag,
  freeText,
  headerName,
  headerValue,
  hostname,
  integer,
  list,
  oneOf,
  type Problem,
  percent,
  port,
  positiveDuration,
  quote,
  subdomain,
  textMap,
} from "./field.ts";
import { ATTEMPTS_MAX, BODY_CHARACTERS_MAX, COUNT_MAX, REPLAY_BYTES_MAX } from "./limits.ts";
import { pathProblem } from "./match.ts";
import { targetRef } from "./reference.ts";

const ALGORITHMS = ["round-robin", "random", "least-request", "peak-ewma", "ring-hash", "maglev"] as const;

/** Conditions of a retry: Envoy's words, and the gRPC statuses that its `x-envoy-retry-grpc-on` knows. */
const RETRY_CONDITIONS = [
  "connect-failure",
  "reset",
  "refused-stream",
  "retriable-4xx",
  "gateway-error",
  "5xx",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
] as const;

const count = (description: string) => integer(0, COUNT_MAX, description).optional();
const atLeastOne = (description: string) => integer(1, COUNT_MAX, description).optional();

/** One duration must not be longer than another of the same section. */
function ordered(section: Readonly<Record<string, unknown>>, smaller: string, larger: string): Problem[] {
  const [low, high] = [section[smaller], section[larger]];
  if (typeof low !== "string" || typeof high !== "string") return [];
  const [lowMs, highMs] = [parseDuration(low) ?? 0, parseDuration(high) ?? 0];
  return lowMs <= highMs
    ? []
    : [{ message: `${low} is longer than ${larger} (${high})`, expected: `at most ${larger}`, path: [smaller] }];
}

const hashOn = checked(
  z.strictObject({
    header: headerName("Hash this request header.").optional(),
    cookie: cookieName("Hash this cookie; set when a request lacks it.").optional(),
    query: freeText("Hash this query parameter.", 256).optional(),
    sourceIP: z.literal(true).optional().meta({ description: "Hash the caller's address." }),
  }),
  (value) => exactlyOne(value, ["header", "cookie", "query", "sourceIP"]),
).meta({ description: "What a hashing algorithm hashes." });

const loadBalancer = checked(
  z.strictObject({
    algorithm: oneOf(ALGORITHMS, "How an endpoint is picked.").optional(),
    hashOn: hashOn.optional(),
    slowStart: duration("Time in which a new endpoint's share grows to its full one.").optional(),
    hashBalanceFactor: integer(
      100,
      10_000,
      "Percent of the mean load that one endpoint may carry before hashing passes it over (default: no bound).",
    ).optional(),
    adaptive: flag("Weights follow observed latency and reported load.").optional(),
    zonePreference: z
      .strictObject({
        enabled: flag("Prefer endpoints in the caller's own zone."),
        minHealthyPercent: percent("Below this share of healthy endpoints the own zone spills over.").optional(),
      })
      .optional()
      .meta({ description: "Prefers near endpoints." }),
  }),
  ({ algorithm, hashOn: hash, hashBalanceFactor }) => {
    const hashing = algorithm === "ring-hash" || algorithm === "maglev";
    if (hashing && hash === undefined) {
      return {
        message: `${algorithm} without hashOn`,
        expected: "hashOn: {header: NAME}, {cookie: NAME}, {query: NAME} or {sourceIP: true}",
      };
    }
    if (!hashing && hash !== undefined) {
      return {
        message: "hashOn has no effect on this algorithm",
        expected: "algorithm ring-hash or maglev",
        path: ["hashOn"],
      };
    }
    if (!hashing && hashBalanceFactor !== undefined) {
      return {
        message: "hashBalanceFactor has no effect on this algorithm",
        expected: "algorithm ring-hash or maglev",
        path: ["hashBalanceFactor"],
      };
    }
    return undefined;
  },
).meta({ description: "How requests are spread over endpoints." });

const keepAlive = z
  .strictObject({
    interval: duration(
      "Requests are open and nothing has come for so long: the endpoint is asked; 0s: never.",
    ).optional(),
    timeout: positiveDuration("Time for the endpoint to answer that, or a new connection.").optional(),
  })
  .meta({ description: "PING to endpoints of HTTP/2: finds those that are frozen." });

const connectionPool = z
  .strictObject({
    maxConnections: atLeastOne("Connections to one endpoint."),
    maxPendingRequests: count("Requests that wait for a connection."),
    maxRequests: atLeastOne("Requests in flight."),
    maxRetries: count("Retries in flight."),
    maxRequestsPerConnection: count("Requests on one connection before it is closed; 0 for no bound."),
    connectTimeout: positiveDuration("Time to connect.").optional(),
    idleTimeout: positiveDuration("Life of an unused connection.").optional(),
    keepAlive: keepAlive.optional(),
  })
  .meta({ description: "Bounds of connections and requests." });

const timeout = checked(
  z.strictObject({
    request: duration("Whole request, retries included; 0s disables.").optional(),
    perTry: duration("One try; 0s disables.").optional(),
    idle: duration("No byte in either direction; 0s disables.").optional(),
  }),
  (section) => (parseDuration(section.request ?? "") === 0 ? undefined : ordered(section, "perTry", "request")),
).meta({ description: "Timeouts of requests." });

const retryCondition = z
  .union([z.enum(RETRY_CONDITIONS), integer(400, 599, "Response status.")], {
    error: `one of ${RETRY_CONDITIONS.join(", ")}, or a status from 400 to 599`,
  })
  .meta({ description: `One of ${RETRY_CONDITIONS.join(", ")}, or a response status.` });

const hedge = z
  .strictObject({
    after: checked(z.string(), (value) =>
      /^p(50|75|90|95|99)$/.test(value) || (parseDuration(value) ?? 0) > 0
        ? undefined
        : {
            message: `${quote(value)} is not a delay`,
            expected: "a duration as in 50ms, or p50, p75, p90, p95 or p99",
          },
    ).meta({ description: "Delay before the second request: a duration, or an observed percentile of latency." }),
    max: integer(1, 3, "Extra requests at once (default 1).").optional(),
  })
  .meta({ description: "Sends a request again, elsewhere, when the answer is late." });

const retry = z
  .strictObject({
    attempts: integer(0, ATTEMPTS_MAX, "Retries after the first try; 0 for none.").optional(),
    on: list(retryCondition, { max: 64 }, "What is retried.").optional(),
    methods: list(
      checked(headerName("Request method."), (value) =>
        value === value.toUpperCase()
          ? undefined
          : {
              message: `${quote(value)} is not upper case`,
              expected: `${value.toUpperCase()}, as methods are case-sensitive`,
            },
      ),
      { max: 64 },
      "Methods that are safe to send twice.",
    ).optional(),
    backoff: checked(
      z.strictObject({
        base: positiveDuration("Wait before the first retry, jittered.").optional(),
        max: positiveDuration("Longest wait.").optional(),
      }),
      (section) => ordered(section, "base", "max"),
    )
      .optional()
      .meta({ description: "Waits between tries." }),
    budget: z
      .strictObject({
        percent: percent("Retries as a share of requests.").optional(),
        minPerSecond: atLeastZero("Retries per second that are always allowed.").optional(),
      })
      .optional()
      .meta({ description: "Bounds retries as a share of requests." }),
    maxBodyBytes: integer(0, REPLAY_BYTES_MAX, "Largest request body that is kept for a retry.").optional(),
    hops: oneOf(["nearest", "every"], "Who tries a failure again: the hop nearest to it, or every hop.").optional(),
    hedge: hedge.optional(),
  })
  .meta({ description: "Retries." });

const circuitBreaker = z
  .strictObject({
    errorThresholdPercentage: checked(percent("Share of failures that opens the circuit."), (value) =>
      value > 0 ? undefined : { message: "is 0", expected: "more than 0" },
    ).optional(),
    volumeThreshold: atLeastOne("Requests in the window before the circuit may open."),
    rollingWindow: positiveDuration("Time over which failures are counted.").optional(),
    resetTimeout: positiveDuration("Time the circuit stays open before it is tried.").optional(),
    halfOpenProbes: integer(1, 1000, "Requests let through while it is tried.").optional(),
    scope: oneOf(
      ["service", "endpoint"],
      "One circuit for the service, or one per endpoint, in each sidecar.",
    ).optional(),
  })
  .meta({ description: "Answers at once while a service fails." });

const outlierDetection = checked(
  z.strictObject({
    consecutiveErrors: count("5xx answers and failures in a row; 0 disables."),
    consecutiveGatewayErrors: count("502, 503, 504 and failures in a row; 0 disables."),
    consecutiveConnectFailures: count("Failed connections in a row; 0 disables."),
    interval: positiveDuration("Time between sweeps.").optional(),
    baseEjectionTime: positiveDuration("First ejection; it grows with each.").optional(),
    maxEjectionTime: positiveDuration("Longest ejection.").optional(),
    keepAtLeast: count("Endpoints that are never ejected, in hosts."),
    successRate: z
      .strictObject({
        stdevFactor: atLeastZero("Standard deviations below the mean that eject.").optional(),
        minHosts: atLeastOne("Endpoints needed."),
        minRequests: atLeastOne("Requests per endpoint needed."),
      })
      .optional()
      .meta({ description: "Ejects endpoints whose success rate is far below the mean." }),
    failurePercentage: z
      .strictObject({
        threshold: percent("Share of failures that ejects.").optional(),
        minHosts: atLeastOne("Endpoints needed."),
        minRequests: atLeastOne("Requests per endpoint needed."),
      })
      .optional()
      .meta({ description: "Ejects endpoints that fail too large a share." }),
    panicThreshold: percent("Below this share of healthy endpoints all are used; 0 disables.").optional(),
  }),
  (section) => ordered(section, "baseEjectionTime", "maxEjectionTime"),
).meta({ description: "Takes failing endpoints out for a while." });

const healthCheck = checked(
  z.strictObject({
    http: z
      .strictObject({
        path: checked(z.string(), (value) => pathProblem(value.split("?")[0] ?? "")).meta({
          description: "Path to GET.",
        }),
        host: hostname("Host header.").optional(),
        port: port("Port to probe (default: the endpoint's).").optional(),
        expectedStatuses: list(
          integer(100, 599, "Status."),
          { min: 1, max: 64 },
          "Healthy answers (default 200 to 299).",
        ).optional(),
      })
      .optional()
      .meta({ description: "Probe by an HTTP GET." }),
    tcp: z
      .strictObject({ port: port("Port to probe (default: the endpoint's).").optional() })
      .optional()
      .meta({ description: "Probe by a connection." }),
    grpc: z
      .strictObject({ service: freeText("Name to ask for.", 1024).optional(), port: port("Port to probe.").optional() })
      .optional()
      .meta({ description: "Probe by grpc.health.v1." }),
    interval: positiveDuration("Time between probes.").optional(),
    timeout: positiveDuration("Time for one probe.").optional(),
    unhealthyThreshold: atLeastOne("Failures in a row until unhealthy."),
    healthyThreshold: atLeastOne("Successes in a row until healthy."),
    jitterPercent: percent("Spread of the interval.").optional(),
  }),
  (section) => exactlyOne(section, ["http", "tcp", "grpc"]),
).meta({ description: "Probes of endpoints." });

const fallback = checked(
  z.strictObject({
    status: integer(200, 599, "Status of the answer (default 200).").optional(),
    headers: textMap(headerName("Header name."), headerValue("Header value."), "Headers of the answer.").optional(),
    body: z.string().max(BODY_CHARACTERS_MAX).optional().meta({ description: "Body of the answer." }),
    service: subdomain("Service that answers instead.").optional(),
    namespace: dnsLabel("Namespace of that service (default: the document's own).").optional(),
    staleFor: positiveDuration("Answer with the last good response, if it is no older.").optional(),
  }),
  (section): Problem | undefined => {
    const isStatic = section.status !== undefined || section.headers !== undefined || section.body !== undefined;
    if (isStatic && section.service !== undefined) {
      return {
        message: "has both a service and an answer of its own",
        expected: "service, or status, headers and body",
      };
    }
    if (section.namespace !== undefined && section.service === undefined) {
      return { message: "namespace without service", expected: "service", path: ["namespace"] };
    }
    if (isStatic || section.service !== undefined || section.staleFor !== undefined) return undefined;
    return { message: "says nothing", expected: "status, headers or body, or service, or staleFor" };
  },
).meta({ description: "What is answered when the service cannot." });

export const trafficPolicySpec = z
  .strictObject({
    targetRef,
    loadBalancer: loadBalancer.optional(),
    connectionPool: connectionPool.optional(),
    timeout: timeout.optional(),
    retry: retry.optional(),
    circuitBreaker: circuitBreaker.optional(),
    outlierDetection: outlierDetection.optional(),
    healthCheck: healthCheck.optional(),
    fallback: fallback.optional(),
  })
  .meta({ description: "How callers treat a service." });

export type TrafficPolicySpec = z.infer<typeof trafficPolicySpec>;
