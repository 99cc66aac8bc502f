// What the tests of traces share: a service that calls another, each with its sidecar, and what a collector got of them.
// Not tests.
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { ask } from "../ask.ts";
import { type RunningProgram, temporaryFolder } from "../harness.ts";
import type { CollectedSpan, Collector } from "../otlp/collected.ts";
import { type App, page, serviceDocument, startHttpApp, startSidecar } from "../sidecar/sidecar-process.ts";

export const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
export const SPAN = "00f067aa0ba902b7";

/** @returns the id of a trace of its own, and what a caller in it says that samples it */
export function newTrace(): { trace: string; parent: string } {
  const trace = randomBytes(16).toString("hex");
  return { trace, parent: `00-${trace}-${SPAN}-01` };
}

/** Asks again until nothing in `check` fails. */
export const settles = (check: () => Promise<void>, timeout = 20_000) => vi.waitFor(check, { timeout, interval: 20 });

export function meshDocument(tracing: object | undefined): string {
  const spec = tracing === undefined ? {} : { tracing };
  return `${JSON.stringify({ apiVersion: "weft.mesh/v1", kind: "Mesh", metadata: { name: "mesh" }, spec })}\n---\n`;
}

const RETRY = `apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  retry: { attempts: 2, backoff: { base: 1ms, max: 2ms } }
---
`;

const ROUTE = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - matches: [{ path: { type: PathPrefix, value: /routed } }]
      backendRefs: [{ name: orders }]
    - matches: [{ path: { type: PathPrefix, value: /mirrored } }]
      filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: orders } } }]
      backendRefs: [{ name: orders }]
    - backendRefs: [{ name: orders }]
---
`;

export interface PairOptions {
  /** Of the calling sidecar. */
  readonly flags?: readonly string[];
  readonly closing: (() => unknown)[];
}

export interface Pair {
  readonly web: RunningProgram;
  readonly orders: RunningProgram;
  readonly app: App;
  readonly rules: (tracing: object | undefined) => void;
}

/**
 * `web` calls `orders`, each with its sidecar. The app of `orders` answers with the fields that it was sent, as JSON:
 * 500 to /broken, every other time 503 to /flaky, late to /slow.
 */
export async function startPair(tracing: object | undefined, { flags = [], closing }: PairOptions): Promise<Pair> {
  let calls = 0;
  const app = await startHttpApp((incoming, answer) => {
    const { url = "/" } = incoming;
    if (url.startsWith("/flaky") && calls++ % 2 === 0) answer.statusCode = 503;
    if (url.startsWith("/broken")) answer.statusCode = 500;
    const body = JSON.stringify(incoming.headers);
    if (url.startsWith("/slow")) setTimeout(() => answer.end(body), 150);
    else answer.end(body);
  });
  closing.push(() => app.close());
  const folder = temporaryFolder();
  const file = join(folder, "rules.yaml");
  const ordersFile = join(folder, "orders.yaml");
  writeFileSync(ordersFile, meshDocument(tracing));
  const orders = await startSidecar("orders", { app: app.address, flags: ["--rules", ordersFile, "--version", "v2"] });
  const write = (settings: object | undefined) =>
    writeFileSync(file, serviceDocument("orders", orders.address("inbound")) + RETRY + ROUTE + meshDocument(settings));
  write(tracing);
  const web = await startSidecar("web", { flags: ["--rules", file, ...flags] });
  return { web, orders, app, rules: write };
}

export interface Told {
  readonly status: number;
  /** Fields that the app was sent. */
  readonly sent: Readonly<Record<string, string | undefined>>;
}

export async function get(web: RunningProgram, path: string, headers: Record<string, string> = {}): Promise<Told> {
  const { status, body } = await ask({
    address: web.address("outbound"),
    path,
    headers: { host: "orders", ...headers },
  });
  return { status, sent: body.startsWith("{") ? JSON.parse(body) : {} };
}

/** Asks until a trace of both arrives: tracing begins when its SDK is loaded. */
export async function untilTraced(
  collector: Collector,
  web: RunningProgram,
  headers: Record<string, string> = {},
): Promise<void> {
  await settles(async () => {
    await get(web, "/warm", headers);
    const services = new Set((await collector.spans()).map(({ resource }) => resource["service.name"]));
    expect([...services].sort()).toEqual(["orders", "web"]);
  }, 30_000);
}

/** The spans of one trace, once there are so many. */
export async function traceOf(collector: Collector, traceId: string, count: number): Promise<CollectedSpan[]> {
  let spans: CollectedSpan[] = [];
  await settles(async () => {
    spans = (await collector.spans()).filter((span) => span.traceId === traceId);
    expect(spans).toHaveLength(count);
  }, 20_000);
  return spans;
}

export async function metric(program: RunningProgram, name: string, labels = ""): Promise<number> {
  const text = await (await page(program, "status", "/metrics")).text();
  const lines = text.split("\n").filter((line) => line.startsWith(name) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}
