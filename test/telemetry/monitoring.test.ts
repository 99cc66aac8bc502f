// The monitoring example against real processes: every metric and label that its dashboard and alerts name is one that
// a sidecar or the control plane exposes, and what they expose is documented, and what a strict reader takes, in both formats.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { ExpositionFormat } from "../../runtime/metrics-format.ts";
import { ask } from "../ask.ts";
import { cleanUp, eventually, REPOSITORY } from "../harness.ts";
import { RulesClient, startMesh, startService } from "../mesh.ts";
import { Collector } from "../otlp/collected.ts";
import { type ReadFamily, readExposition } from "./exposition.ts";
import { SPAN } from "./pair.ts";

const FOLDER = join(REPOSITORY, "examples/monitoring");
const ACCEPT: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: "text/plain;version=0.0.4",
  // What Prometheus 2 sends.
  openmetrics:
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
};
const TRACE = "abcdef0123456789abcdef0123456789";
/** Sample name -> label names, of all pages in the Prometheus format; of families without a sample as documented. */
const exposed = new Map<string, Set<string>>();
const pages: { readonly address: string; readonly texts: Readonly<Record<ExpositionFormat, string>> }[] = [];

interface Target {
  readonly expr: string;
  readonly legendFormat?: string;
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly Target[] }[];
  readonly templating: { readonly list: readonly { readonly query: unknown }[] };
}

interface Alerts {
  readonly groups: readonly { readonly rules: readonly Alert[] }[];
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const rulesWith = (collector: string) => `
apiVersion: weft.mesh/v1
kind: Mesh
metadata: { name: mesh }
spec: { tracing: { endpoint: "${collector}", sampling: 0 } }
---
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  circuitBreaker: { volumeThreshold: 1000 }
  retry: { attempts: 1 }
---
apiVersion: weft.mesh/v1
kind: RateLimit
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  concurrency: { max: 100, queue: 10, queueTimeout: 1s }
`;

beforeAll(async () => {
  const collector = await Collector.start();
  const mesh = await startMesh();
  const rules = new RulesClient(mesh);
  const orders = await startService(mesh, "orders", "v1");
  const web = await startService(mesh, "web", "v1", ["--concurrency", "2"]);
  const { revision } = await rules.apply(rulesWith(collector.grpc));
  await rules.wait(revision);
  rules.close();
  const sampled = { host: "orders", traceparent: `00-${TRACE}-${SPAN}-01` };
  await eventually("a trace of both", async () => {
    await ask({ address: web.outbound, headers: sampled });
    const spans = await collector.spans();
    return new Set(spans.map(({ resource }) => resource["service.name"])).size === 2;
  });
  await ask({ address: web.outbound, headers: { host: "nobody" } });
  for (const address of [
    mesh.controlPlane.address("http"),
    orders.sidecar.address("status"),
    web.sidecar.address("status"),
  ]) {
    const [prometheus, openmetrics] = [await fetchText(address, "prometheus"), await fetchText(address, "openmetrics")];
    pages.push({ address, texts: { prometheus, openmetrics } });
    for (const family of readExposition(prometheus, "prometheus").values()) note(family);
  }
  for (const [name, labels] of documentedLabels())
    for (const suffix of ["", "_bucket", "_sum", "_count"])
      if (exposed.get(name + suffix)?.size === 0) exposed.set(name + suffix, new Set(labels));
}, 90_000);
afterAll(cleanUp);

async function fetchText(address: string, format: ExpositionFormat): Promise<string> {
  const answer = await fetch(`http://${address}/metrics`, { headers: { accept: ACCEPT[format] } });
  expect(answer.headers.get("content-type")).toMatch(
    format === "prometheus" ? /^text\/plain; version=0\.0\.4/ : /^application\/openmetrics-text; version=1\.0\.0/,
  );
  return answer.text();
}

function note({ name, type, samples }: ReadFamily): void {
  for (const suffix of type === "histogram" ? ["_bucket", "_sum", "_count"] : [""])
    if (!exposed.has(name + suffix)) exposed.set(name + suffix, new Set());
  for (const sample of samples) for (const label of Object.keys(sample.labels)) exposed.get(sample.name)?.add(label);
}

/** Rows of docs/metrics.md: family -> labels. */
function documentedLabels(): Map<string, string[]> {
  const rows = readFileSync(join(REPOSITORY, "docs/metrics.md"), "utf8").matchAll(
    /^\| `(weft_\w+)` \| (?:counter|gauge|histogram) \| ?(.*?) ?\| .*\|$/gm,
  );
  const found = new Map<string, string[]>();
  let last: string[] = [];
  for (const [, name = "", text = ""] of rows) {
    if (text !== "the same") last = [...text.replace(/\([^)]*\)/g, "").matchAll(/[a-z_]+/g)].map(([label]) => label);
    found.set(name, last);
  }
  return found;
}

const METRIC = /\b((?:weft|process|nodejs)_[a-z_]+)(?:\{([^}]*)\})?/g;
/** Put there by who scrapes, and by buckets. */
const ALWAYS = ["instance", "job", "le"];

/** What is wrong with the metrics of an expression, and with labels that it or its `texts` name. */
function findings(where: string, expr: string, texts: readonly string[] = []): string[] {
  const metrics = [...expr.matchAll(METRIC)];
  if (metrics.length === 0) return [`${where}: names no metric`];
  const known = new Set(ALWAYS);
  const wrong: string[] = [];
  for (const [, name = "", matchers = ""] of metrics) {
    const labels = exposed.get(name);
    if (labels === undefined) wrong.push(`${where}: ${name} does not exist`);
    for (const label of labels ?? []) known.add(label);
    for (const [, label = ""] of matchers.matchAll(/([a-z_]+)(?:=~|!~|!=|=)/g))
      if (labels?.has(label) === false && !ALWAYS.includes(label))
        wrong.push(`${where}: ${name} has no label ${label}`);
  }
  const grouped = [...expr.matchAll(/\b(?:by|on) ?\(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(/, */));
  for (const label of grouped) if (!known.has(label)) wrong.push(`${where}: groups by ${label}, which nothing has`);
  const isGrouped = /\b(sum|max|min|avg|count)\b/.test(expr);
  for (const text of texts)
    for (const [, label = ""] of text.matchAll(/\{\{ *(?:\$labels\.)?([a-z_]+) *\}\}/g))
      if (!(isGrouped ? grouped.includes(label) : known.has(label)))
        wrong.push(`${where}: says ${label}, which is not there`);
  return wrong;
}

test("the dashboard shows metrics and labels that exist", () => {
  const dashboard = JSON.parse(readFileSync(join(FOLDER, "dashboard.json"), "utf8")) as Dashboard;
  const shown = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));
  expect(shown.length).toBeGreaterThan(20);
  expect(shown.flatMap(({ title, expr, legendFormat = "" }) => findings(title, expr, [legendFormat]))).toEqual([]);
  for (const { query } of dashboard.templating.list) {
    const [, name = "", label = ""] = /label_values\((\w+), (\w+)\)/.exec(JSON.stringify(query)) ?? [];
    if (name !== "") expect([...(exposed.get(name) ?? [])]).toContain(label);
  }
});

test("the alerts watch metrics and labels that exist, and say what to do", () => {
  const { groups } = parse(readFileSync(join(FOLDER, "alerts.yaml"), "utf8")) as Alerts;
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(8);
  expect(rules.flatMap(({ alert, expr, annotations }) => findings(alert, expr, Object.values(annotations)))).toEqual(
    [],
  );
  for (const rule of rules) expect(rule, rule.alert).toMatchObject({ annotations: { action: expect.any(String) } });
});

test("what is wrong with an expression is found", () => {
  expect(findings("x", "sum(weft_nothing_total)")).toEqual(["x: weft_nothing_total does not exist"]);
  expect(findings("x", 'weft_requests_total{statuz="200"}')).toEqual(["x: weft_requests_total has no label statuz"]);
  expect(findings("x", "sum by (statuz) (weft_requests_total)")).toEqual(["x: groups by statuz, which nothing has"]);
  expect(findings("x", "sum by (route) (weft_requests_total)", ["{{service}}"])).toHaveLength(1);
});

describe("what is exposed", () => {
  test("is documented with its labels, and nothing else is", () => {
    const documented = documentedLabels();
    const names = new Set<string>();
    for (const { texts } of pages)
      for (const { name, samples } of readExposition(texts.prometheus, "prometheus").values()) {
        names.add(name);
        if (!name.startsWith("weft_")) {
          expect(readFileSync(join(REPOSITORY, "docs/metrics.md"), "utf8")).toContain(`\`${name}\``);
          continue;
        }
        expect(documented.has(name), name).toBe(true);
        for (const { labels } of samples) {
          const { le: _, ...own } = labels;
          expect(Object.keys(own).sort(), name).toEqual([...(documented.get(name) ?? [])].sort());
        }
      }
    // Those that are there only at times: stand-alone, while metrics are pushed.
    const absent = [...documented.keys()].filter((name) => !names.has(name));
    expect(absent).toEqual(["weft_rules_valid", "weft_metrics_pushes_total"]);
  });

  test.each(["prometheus", "openmetrics"] as const)("is what a strict reader takes (%s)", (format) => {
    for (const { texts } of pages) expect(readExposition(texts[format], format).size).toBeGreaterThan(10);
  });

  test("says in both formats the same but for what time changed", () => {
    for (const { texts } of pages) {
      const [one, other] = [
        readExposition(texts.prometheus, "prometheus"),
        readExposition(texts.openmetrics, "openmetrics"),
      ];
      const namesOf = (families: ReadonlyMap<string, ReadFamily>) =>
        [...families.values()].flatMap(({ samples }) => samples.map(({ name }) => name));
      expect(new Set(namesOf(other))).toEqual(new Set(namesOf(one)));
      expect([...other.values()].filter(({ unit }) => unit === "seconds").length).toBeGreaterThan(2);
    }
  });

  test("has exemplars in OpenMetrics: the traces of requests that were sampled", () => {
    const [, ...sidecars] = pages;
    for (const { texts } of sidecars) {
      const family = readExposition(texts.openmetrics, "openmetrics").get("weft_request_duration_seconds");
      const exemplars = (family?.samples ?? []).flatMap(({ exemplar }) => exemplar ?? []);
      expect(exemplars.length).toBeGreaterThan(0);
      for (const { labels, timestamp } of exemplars) {
        expect(labels).toMatchObject({ trace_id: TRACE, span_id: expect.stringMatching(/^[0-9a-f]{16}$/) });
        expect(Math.abs(timestamp - Date.now() / 1_000)).toBeLessThan(120);
      }
      expect(texts.prometheus).not.toContain(TRACE);
    }
  });
});
