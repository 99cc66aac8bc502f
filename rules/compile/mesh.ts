// The Mesh document, or none, -> mesh-wide settings with every default filled in.
import { defaultOf } from "../defaults.ts";
import { parseDuration } from "../durations.ts";
import type { MeshResource } from "../resource.ts";
import type { MeshSpec } from "../schema/mesh.ts";
import type { AccessLogResource, OtlpTarget } from "../telemetry-resource.ts";

export function compileMeshSpec(spec: MeshSpec): MeshResource {
  return {
    type: "mesh",
    egress: { allow: spec.egress?.allow ?? defaultOf("Mesh.spec.egress.allow") },
    tracing: compileTracing(spec.tracing),
    accessLog: compileAccessLog(spec.accessLog ?? {}),
    metrics: {
      maxSeries: spec.metrics?.maxSeries ?? defaultOf("Mesh.spec.metrics.maxSeries"),
      otlp: compileMetricsPush(spec.metrics?.otlp),
    },
    mtls: { mode: spec.mtls?.mode ?? defaultOf("Mesh.spec.mtls.mode") },
    headers: {
      forwarded: spec.headers?.forwarded ?? defaultOf("Mesh.spec.headers.forwarded"),
      via: spec.headers?.via ?? defaultOf("Mesh.spec.headers.via"),
      requestId: spec.headers?.requestId ?? defaultOf("Mesh.spec.headers.requestId"),
      shadowHost: spec.headers?.shadowHost ?? defaultOf("Mesh.spec.headers.shadowHost"),
    },
  };
}

function compileTracing(spec: MeshSpec["tracing"]): MeshResource["tracing"] {
  if (spec === undefined) return undefined;
  const { tail } = spec;
  return {
    endpoint: spec.endpoint,
    protocol: spec.protocol ?? defaultOf("Mesh.spec.tracing.protocol"),
    samplingPercent: spec.sampling ?? defaultOf("Mesh.spec.tracing.sampling"),
    // A format that is named twice is still written once.
    propagation: [...new Set(spec.propagation ?? defaultOf("Mesh.spec.tracing.propagation"))],
    tail: {
      errors: tail?.errors ?? defaultOf("Mesh.spec.tracing.tail.errors"),
      slowerThanMs: msOf(tail?.slowerThan),
      maxPerSecond: tail?.maxPerSecond ?? defaultOf("Mesh.spec.tracing.tail.maxPerSecond"),
    },
    attributes: spec.resourceAttributes ?? {},
  };
}

function compileAccessLog(spec: NonNullable<MeshSpec["accessLog"]>): AccessLogResource {
  const { filter, otlp } = spec;
  const isChosen = filter?.errors !== undefined || filter?.slowerThan !== undefined;
  return {
    enabled: spec.enabled ?? defaultOf("Mesh.spec.accessLog.enabled"),
    format: spec.format ?? defaultOf("Mesh.spec.accessLog.format"),
    template: spec.template ?? "",
    file: spec.file ?? defaultOf("Mesh.spec.accessLog.file"),
    otlp: otlp === undefined ? undefined : targetOf(otlp),
    filter: {
      errors: filter?.errors ?? false,
      slowerThanMs: msOf(filter?.slowerThan),
      // Who names what to log does not mean the rest as well.
      samplingPercent: filter?.sampling ?? (isChosen ? 0 : defaultOf("Mesh.spec.accessLog.filter.sampling")),
    },
    headers: (spec.headers ?? []).map((name) => name.toLowerCase()),
  };
}

type MetricsPush = NonNullable<NonNullable<MeshSpec["metrics"]>["otlp"]>;

function compileMetricsPush(spec: MetricsPush | undefined): MeshResource["metrics"]["otlp"] {
  if (spec === undefined) return undefined;
  const { interval } = spec;
  const byDefault = defaultOf("Mesh.spec.metrics.otlp.interval");
  return { ...targetOf(spec), intervalMs: interval === undefined ? byDefault : msOf(interval) };
}

function targetOf({ endpoint, protocol }: Pick<MetricsPush, "endpoint" | "protocol">): OtlpTarget {
  return { endpoint, protocol: protocol ?? defaultOf("Mesh.spec.tracing.protocol") };
}

/** 0 where there is none; the schema has refused what is no duration. */
function msOf(duration: string | undefined): number {
  return duration === undefined ? 0 : (parseDuration(duration) ?? 0);
}
