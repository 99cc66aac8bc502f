// The monitoring example against real processes: every metric and label that its dashboard and alerts name is one that
// a sidecar or the control plane exposes, and what they expose is well-formed.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ask } from "../ask.ts";
import { cleanUp, eventually, REPOSITORY } from "../harness.ts";
import { RulesClient, startMesh, startService } from "../mesh.ts";

const FOLDER = join(REPOSITORY, "examples/monitoring");
/** Family name -> label names that its samples have; families without a sample yet have none. */
const exposed = new Map<string, Set<string>>();
const texts: string[] = [];

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
  readonly templating: { readonly list: readonly { readonly query: unknown }[] };
}

interface Alerts {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

const RULES = `
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
  const mesh = await startMesh();
  const rules = new RulesClient(mesh);
  const orders = await startService(mesh, "orders", "v1");
  const web = await startService(mesh, "web", "v1");
  await rules.apply(RULES);
  await eventually("an answer of orders", async () => {
    const { status } = await ask({ address: web.outbound, headers: { host: "orders" } });
    return status === 200;
  });
  await ask({ address: web.outbound, headers: { host: "nobody" } });
  const pages = [mesh.controlPlane.address("http"), orders.sidecar.address("status"), web.sidecar.address("status")];
  for (const address of pages) {
    const text = await (await fetch(`http://${address}/metrics`)).text();
    texts.push(text);
    read(text);
  }
}, 60_000);
afterAll(cleanUp);

function read(text: string): void {
  for (const [, name = "", type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    for (const suffix of type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]) {
      if (!exposed.has(name + suffix)) exposed.set(name + suffix, new Set());
    }
  }
  for (const [, name = "", labels = ""] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? \S+$/gm))
    for (const [, label = ""] of labels.matchAll(/([a-z_]+)="/g)) exposed.get(name)?.add(label);
}

const METRIC = /\b((?:weft|process|nodejs)_[a-z_]+)(?:\{([^}]*)\})?/g;

/** What is wrong with the metrics of an expression. */
function findings(where: string, expr: string): string[] {
  const found = [...expr.matchAll(METRIC)];
  if (found.length === 0) return [`${where}: names no metric`];
  return found.flatMap(([, name = "", matchers = ""]) => {
    const labels = exposed.get(name);
    if (labels === undefined) return [`${where}: ${name} does not exist`];
    const used = [...matchers.matchAll(/([a-z_]+)(?:=~|!=|=)/g)].map((match) => match[1] ?? "");
    return labels.size === 0
      ? []
      : used.filter((label) => !labels.has(label)).map((label) => `${where}: ${name} has no label ${label}`);
  });
}

test("the dashboard shows metrics that exist", () => {
  const dashboard = JSON.parse(readFileSync(join(FOLDER, "dashboard.json"), "utf8")) as Dashboard;
  const shown = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => [title, expr] as const),
  );
  expect(shown.length).toBeGreaterThan(20);
  expect(shown.flatMap(([title, expr]) => findings(title, expr))).toEqual([]);
  expect(findings("variables", JSON.stringify(dashboard.templating))).toEqual([]);
});

test("the alerts watch metrics that exist, and say what to do", () => {
  const { groups } = parse(readFileSync(join(FOLDER, "alerts.yaml"), "utf8")) as Alerts;
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(8);
  expect(rules.flatMap(({ alert, expr }) => findings(alert, expr))).toEqual([]);
  for (const rule of rules) expect(rule, rule.alert).toMatchObject({ annotations: { action: expect.any(String) } });
});

describe("what is exposed", () => {
  test("is documented with its labels", () => {
    const documented = readFileSync(join(REPOSITORY, "docs/metrics.md"), "utf8");
    for (const [name, labels] of exposed) {
      const family = name.replace(/_(bucket|sum|count)$/, "");
      expect(documented).toContain(`\`${exposed.has(`${family}_bucket`) ? family : name}\``);
      const row = documented.split("\n").find((line) => line.startsWith(`| \`${family}\` |`)) ?? "the same";
      if (row.includes("the same") || !/\| (histogram|counter|gauge) \|/.test(row)) continue;
      for (const label of labels) if (label !== "le") expect(row, `${name} ${label}`).toContain(label);
    }
  });

  test("is well-formed: each family once, each sample once, buckets that only grow", () => {
    for (const text of texts) {
      const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
      expect(new Set(types).size).toBe(types.length);
      const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      const names = samples.map((line) => line.slice(0, line.lastIndexOf(" ")));
      expect(new Set(names).size).toBe(names.length);
      let last = { series: "", count: 0 };
      for (const line of samples.filter((sample) => sample.includes("_bucket{"))) {
        const series = line.replace(/,?le="[^"]*"\}.*$/, "");
        const count = Number(line.slice(line.lastIndexOf(" ") + 1));
        if (series === last.series) expect(count, line).toBeGreaterThanOrEqual(last.count);
        last = { series, count };
      }
      expect(samples.length).toBeGreaterThan(20);
    }
  });
});
