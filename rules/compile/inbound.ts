// RateLimit and Fault documents -> what a service's own sidecars enforce, with every default filled in. The kinds that say
// who may call (Authorization, Authentication) travel as they were validated.
import { type DefaultedField, defaultOf } from "../defaults.ts";
import { qualifiedName } from "../diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../document.ts";
import { parseDuration } from "../durations.ts";
import type { FaultResource, InboundResource, Protocol, RateLimitResource, RateRule } from "../resource.ts";
import type { FaultSpec, RateLimitSpec } from "../schema/inbound.ts";
import { compileHttpMatches } from "./match.ts";

type LimitSpec = NonNullable<RateLimitSpec["limits"]>[number];
type NumberField = {
  [F in DefaultedField]: ReturnType<typeof defaultOf<F>> extends number ? F : never;
}[DefaultedField];

/** @param documents that target the service, in the order in which they act */
export function compileInboundDocuments(
  service: string,
  protocol: Protocol,
  documents: readonly Document[],
): InboundResource {
  const rateLimits: RateLimitResource[] = [];
  const faults: FaultResource[] = [];
  const others: InboundResource["documents"][number][] = [];
  for (const document of documents) {
    const { kind, metadata, spec } = document;
    if (kind === "RateLimit") rateLimits.push(compileRateLimit(document as Document<RateLimitSpec>));
    else if (kind === "Fault") faults.push(compileFault(document as Document<FaultSpec>));
    else others.push({ kind, name: qualifiedName(metadata.namespace, metadata.name), spec });
  }
  return { type: "inbound", service, protocol, rateLimits, faults, documents: others };
}

function compileRateLimit(document: Document<RateLimitSpec>): RateLimitResource {
  const { limits, concurrency, shedding } = document.spec;
  const field = "RateLimit.spec.concurrency";
  return {
    origin: documentTitle(documentKey(document)),
    limits: (limits ?? []).map((limit, index) => compileLimit(limit, index, document)),
    concurrency: concurrency && {
      max: concurrency.max ?? defaultOf(`${field}.max`),
      queue: concurrency.queue ?? defaultOf(`${field}.queue`),
      queueTimeoutMs: timeOr(concurrency.queueTimeout, `${field}.queueTimeout`),
      adaptive: concurrency.adaptive ?? defaultOf(`${field}.adaptive`),
      reportOnly: isReportOnly(concurrency.mode),
    },
    shedding: shedding && {
      eventLoopDelayMs: milliseconds(shedding.eventLoopDelay),
      heapPercent: shedding.heapPercent ?? 0,
    },
  };
}

function compileLimit(limit: LimitSpec, index: number, { metadata }: Document): RateRule {
  return {
    name: limit.name ?? `${metadata.name}-${index}`,
    requests: limit.requests,
    perMs: milliseconds(limit.per),
    burst: limit.burst ?? limit.requests,
    key: compileKey(limit.key),
    matches: limit.match === undefined ? [] : compileHttpMatches([limit.match]),
    maxKeys: limit.maxKeys ?? defaultOf("RateLimit.spec.limits[].maxKeys"),
    reportOnly: isReportOnly(limit.mode),
  };
}

function compileKey(key: LimitSpec["key"]): RateRule["key"] {
  if (key?.header !== undefined) return { type: "header", name: key.header.toLowerCase() };
  if (key?.sourceIP === true) return { type: "sourceIP" };
  if (key?.identity === true) return { type: "identity" };
  return { type: key?.path === true ? "path" : "all" };
}

function compileFault(document: Document<FaultSpec>): FaultResource {
  const { match, delay, abort } = document.spec;
  return {
    origin: documentTitle(documentKey(document)),
    matches: match === undefined ? [] : compileHttpMatches([match]),
    delay: delay && { percent: delay.percent, durationMs: milliseconds(delay.duration) },
    // A gRPC answer has status 200; what went wrong is in its trailers (gRPC over HTTP/2, "Responses").
    abort: abort && { percent: abort.percent, status: abort.status ?? 200, grpcStatus: abort.grpcStatus ?? -1 },
  };
}

function isReportOnly(mode: "enforce" | "report-only" | undefined): boolean {
  return mode === "report-only";
}

function milliseconds(duration: string | undefined): number {
  return duration === undefined ? 0 : (parseDuration(duration) ?? 0);
}

function timeOr(duration: string | undefined, field: NumberField): number {
  return (duration === undefined ? undefined : parseDuration(duration)) ?? defaultOf(field);
}
