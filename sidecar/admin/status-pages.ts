// The status server's pages, for probes and for scraping: is it alive, is it ready and if not why, its metrics.
import { CONTENT_TYPES, type ExpositionFormat, negotiateFormat } from "../../runtime/metrics-format.ts";
import { type Route, textPage } from "./http-server.ts";

export interface ReadinessReport {
  readonly isReady: boolean;
  /** One line each: what is so, and what is missing. */
  readonly lines: readonly string[];
}

export interface StatusSources {
  readonly readiness: () => ReadinessReport;
  readonly metrics: (format: ExpositionFormat) => string | Promise<string>;
}

export function statusRoutes({ readiness, metrics }: StatusSources): Route[] {
  return [
    { path: "/healthz/live", method: "get", does: "200 while the process serves", answer: () => textPage("live") },
    {
      path: "/healthz/ready",
      method: "get",
      does: "200 when the configuration is loaded, else 503 with the reason",
      answer: () => {
        const { isReady, lines } = readiness();
        return textPage([isReady ? "ready" : "not ready", ...lines].join("\n"), isReady ? 200 : 503);
      },
    },
    {
      path: "/metrics",
      method: "get",
      does: "metrics as Prometheus text, or OpenMetrics for who accepts it",
      answer: async ({ accept }) => {
        const format = negotiateFormat(accept);
        return { status: 200, contentType: CONTENT_TYPES[format], body: await metrics(format) };
      },
    },
  ];
}
