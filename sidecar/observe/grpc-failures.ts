// Codes of gRPC that are the server's fault (OpenTelemetry's semantic conventions for gRPC, server spans).

export const GRPC_FAILURES: ReadonlySet<string> = new Set([
  ...["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"],
]);
