// Every policy that would act on a request is named, with the document that says so.
import { expect, test } from "vitest";
import { document, IMPLIED } from "../compile/fixtures.ts";
import { compileService, indexDocuments } from "../compile.ts";
import { explainPolicies } from "./policy.ts";

test("resilience of the callers and limits of the service are explained in words", () => {
  const targetRef = { kind: "Service", name: "orders" };
  const index = indexDocuments(
    [
      document("TrafficPolicy", "orders", {
        targetRef,
        loadBalancer: { algorithm: "maglev", hashOn: { cookie: "sid" }, zonePreference: { enabled: true } },
        retry: { hedge: { after: "p95" } },
        circuitBreaker: { scope: "endpoint" },
        outlierDetection: { consecutiveConnectFailures: 2, panicThreshold: 30 },
        healthCheck: { grpc: { service: "shop.Orders" } },
        fallback: { staleFor: "1m", body: "{}" },
      }),
      document("RateLimit", "orders", {
        targetRef,
        limits: [{ requests: 100, per: "1s", burst: 50, key: { header: "x-user" }, mode: "report-only" }],
        concurrency: { adaptive: true },
        shedding: { heapPercent: 90 },
      }),
      document("Fault", "slow", { targetRef, delay: { percent: 10, duration: "400ms" } }),
    ],
    IMPLIED,
  );
  const service = compileService(index, "default/orders");
  const enforcers = [{ service: "default/orders", isCertain: true }];
  const policies = explainPolicies(index, undefined, service === undefined ? [] : [service], enforcers);
  const words = new Map(policies.map(({ field, value, origin }) => [field, `${value} [${origin}]`]));
  expect(words.get("loadBalancer")).toBe(
    "maglev on cookie sid, own zone while 70 % of it is healthy [TrafficPolicy default/orders]",
  );
  expect(words.get("retry")).toContain("; hedge after p95, at most 1 ");
  expect(words.get("circuitBreaker")).toBe(
    "per endpoint, opens at 50 % of 20 or more in 10s, for 5s, then lets 1 through [TrafficPolicy default/orders]",
  );
  expect(words.get("outlierDetection")).toBe(
    "ejects after 5 errors or 2 connect failures for 30s, keeps at least 1; uses all below 30 % healthy " +
      "[TrafficPolicy default/orders]",
  );
  expect(words.get("healthCheck")).toContain('gRPC health of "shop.Orders" every 10s');
  expect(words.get("fallback")).toContain("the last good response of up to 1m, then answer 200");
  expect(words.get("rateLimit")).toBe(
    "100 requests per 1s, burst 50 per header x-user (report only) [RateLimit default/orders]",
  );
  expect(words.get("concurrency")).toBe("at most 1000 at once, adaptive [RateLimit default/orders]");
  expect(words.get("shedding")).toBe("from a heap 90 % full [RateLimit default/orders]");
  expect(words.get("fault")).toBe("delay 10 % by 400ms [Fault default/slow]");
});
