// Where OTLP data goes: the endpoint of the Mesh document as an exporter wants it.
import type { OtlpTarget } from "../../../rules/telemetry-resource.ts";

export type Signal = "traces" | "metrics" | "logs";

/** `HOST:PORT` means plain text. Over HTTP each signal has a path of its own, unless the endpoint names one. */
export function exporterUrl({ endpoint, protocol }: OtlpTarget, signal: Signal): string {
  const url = new URL(/^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`);
  if (protocol === "http" && url.pathname === "/") url.pathname = `/v1/${signal}`;
  return protocol === "grpc" ? url.origin : url.href;
}
