// The status server's pages, for probes and for scraping: is it alive, is it ready and if not why, its metrics.
import { type Route, textPage } from "./http-server.ts";

/** The content type of the Prometheus text format, version 0.0.4. */
export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export interface ReadinessReport {
  readonly isReady: boolean;
  /** One line each: what is so, and what is missing. */
  readonly lines: readonly string[];
}

export interface StatusSources {
  readonly readiness: () => ReadinessReport;
  readonly prometheus: () => string | Promise<string>;
}

export function statusRoutes({ readiness, prometheus }: StatusSources): Route[] {
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
      does: "metrics in the Prometheus text format",
      answer: async () => ({ status: 200, contentType: PROMETHEUS_CONTENT_TYPE, body: await prometheus() }),
    },
  ];
}
