// The Mesh document, or none, -> mesh-wide settings with every default filled in.
import { defaultOf } from "../defaults.ts";
import type { MeshResource } from "../resource.ts";
import type { MeshSpec } from "../schema/mesh.ts";

export function compileMeshSpec(spec: MeshSpec): MeshResource {
  return {
    type: "mesh",
    egress: { allow: spec.egress?.allow ?? defaultOf("Mesh.spec.egress.allow") },
    tracing: compileTracing(spec.tracing),
    accessLog: {
      enabled: spec.accessLog?.enabled ?? defaultOf("Mesh.spec.accessLog.enabled"),
      format: spec.accessLog?.format ?? defaultOf("Mesh.spec.accessLog.format"),
      file: spec.accessLog?.file ?? defaultOf("Mesh.spec.accessLog.file"),
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
  return {
    endpoint: spec.endpoint,
    protocol: spec.protocol ?? defaultOf("Mesh.spec.tracing.protocol"),
    samplingPercent: spec.sampling ?? defaultOf("Mesh.spec.tracing.sampling"),
  };
}
