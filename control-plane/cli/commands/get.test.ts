// weft get against a control plane with a few documents.
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { canonicalJson } from "../../../rules/canonical.ts";
import { loadDocuments } from "../../../rules/load.ts";
import { type FakeControlPlane, startFakeControlPlane } from "../../../test/cli/fake-control-plane.ts";
import { runInMemory } from "../../../test/cli/memory-shell.ts";

const HOUR_MS = 3_600_000;

const ROUTE = {
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "HTTPRoute",
  metadata: { name: "orders", namespace: "default", labels: { team: "on", size: "012" } },
  spec: {
    parentRefs: [{ group: "", kind: "Service", name: "orders" }],
    rules: [{ matches: [{ headers: [{ name: "x-tester", value: "1" }] }], backendRefs: [{ name: "orders-v2" }] }],
  },
};
const SERVICE = {
  apiVersion: "weft.mesh/v1",
  kind: "Service",
  metadata: { name: "orders", namespace: "default" },
  spec: { ports: [{ port: 80, protocol: "http" }, { port: 9090 }] },
};
const OTHER = { ...SERVICE, metadata: { name: "cart", namespace: "shop" }, spec: {} };

let controlPlane: FakeControlPlane;

beforeAll(async () => {
  controlPlane = await startFakeControlPlane({
    list: ({ kind, namespace }: { kind: string; namespace: string }) => ({
      revision: 9,
      documents: [SERVICE, ROUTE, OTHER]
        .filter(
          (body) => (kind === "" || body.kind === kind) && (namespace === "" || body.metadata.namespace === namespace),
        )
        .map((body) => ({
          key: { kind: body.kind, namespace: body.metadata.namespace, name: body.metadata.name },
          apiVersion: body.apiVersion,
          body: Buffer.from(canonicalJson(body)),
          revision: 5,
          createdAtMs: Date.now() - 26 * HOUR_MS,
          updatedAtMs: Date.now() - HOUR_MS,
        })),
    }),
  });
});

afterAll(() => controlPlane.stop());

const get = (...argv: string[]) => runInMemory(["get", "--server", controlPlane.address, ...argv]);

test("lists the documents of the namespace by kind", async () => {
  const { code, stdout } = await get();
  expect(code).toBe(0);
  expect(stdout.split("\n")).toEqual([
    "KIND        NAME     TARGET              REVISION   AGE",
    "HTTPRoute   orders   orders              5          26h",
    "Service     orders   80/http,9090/http   5          26h",
    "",
  ]);
});

test.each([
  [["svc"]],
  [["Services"]],
  [["SERVICE"]],
  [["service", "orders"]],
  [["service/orders"]],
  [["svc", "-n", "default"]],
])("get %j shows the service without a kind column", async (argv) => {
  const { stdout } = await get(...argv);
  const [header, row, ...rest] = stdout.split("\n");
  expect(header).toMatch(/NAME +TARGET +REVISION +AGE$/);
  expect(row).toMatch(/orders +80\/http,9090\/http +5 +26h$/);
  expect(rest).toEqual([""]);
});

test("-A shows every namespace and names it", async () => {
  const { stdout } = await get("service", "-A");
  expect(stdout).toMatch(/^NAMESPACE +NAME/);
  expect(stdout).toMatch(/^shop +cart +80\/http /m);
  expect(stdout).toMatch(/^default +orders /m);
});

test("-o wide adds when it was updated and the API version", async () => {
  const { stdout } = await get("httproute", "-o", "wide");
  expect(stdout).toMatch(/AGE +UPDATED +APIVERSION\n/);
  expect(stdout).toMatch(/26h +1h +gateway\.networking\.k8s\.io\/v1\n/);
});

test("-o yaml is text that loads again as the very same documents", async () => {
  const { stdout } = await get("-o", "yaml");
  const loaded = loadDocuments([{ name: "-", content: stdout }], { defaultNamespace: "elsewhere" });
  expect(loaded.diagnostics).toEqual([]);
  expect(loaded.documents.map(({ document }) => document)).toEqual([ROUTE, SERVICE]);
  expect(stdout.startsWith("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n")).toBe(true);
});

test("-o yaml means the same to readers of YAML 1.1", async () => {
  const { stdout } = await get("httproute", "orders", "-o", "yaml");
  const [document] = parseAllDocuments(stdout, { version: "1.1" });
  expect(document?.toJS()).toEqual(ROUTE);
});

test("-o json is the document for one name, and a List otherwise", async () => {
  expect(JSON.parse((await get("httproute", "orders", "-o", "json")).stdout)).toEqual(ROUTE);
  expect(JSON.parse((await get("-o", "json")).stdout)).toEqual({
    apiVersion: "v1",
    kind: "List",
    items: [ROUTE, SERVICE],
  });
  expect(JSON.parse((await get("fault", "-o", "json")).stdout)).toMatchObject({ kind: "List", items: [] });
});

test("an empty listing says so on stderr and points at -A", async () => {
  const result = await get("faults");
  expect(result).toEqual({
    code: 0,
    stdout: "",
    stderr: "No documents found in namespace default (-A looks into every namespace).\n",
  });
});

test("a name that does not exist ends with 1 and the nearest one", async () => {
  const result = await get("service", "ordres");
  expect(result.code).toBe(1);
  expect(result.stderr).toBe("error: no Service named ordres in namespace default (did you mean orders?)\n");
});

test.each([
  [["serivce"], 'unknown kind "serivce" (did you mean service?)'],
  [["service,fault", "orders"], "names need exactly one kind"],
  [["service/"], "names no document"],
  [["service/orders", "fault"], "names no document"],
])("get %j is bad usage", async (argv, message) => {
  const result = await get(...argv);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain(message);
});

test("asks for documents as they were at a revision, and now without one", async () => {
  const before = controlPlane.requests.length;
  expect((await get("--revision", "7")).code).toBe(0);
  expect((await get()).code).toBe(0);
  const asked = controlPlane.requests.slice(before).map(({ request }) => (request as { revision: number }).revision);
  expect(asked).toEqual([7, 0]);
  expect((await get("--revision", "0")).stderr).toContain('--revision: "0" is not valid');
  const { code, stderr } = await get("--revision", "7", "httproute", "not-yet");
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining("no HTTPRoute named not-yet in namespace default at revision 7"),
  ]);
});
