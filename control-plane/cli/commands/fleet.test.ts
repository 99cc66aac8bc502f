// sidecars, services, endpoints, explain, describe and check.
import { afterEach, expect, test } from "vitest";
import { PROGRAM_VERSION } from "../../../runtime/version.ts";
import { type FakeControlPlane, startFakeControlPlane } from "../../../test/cli/fake-control-plane.ts";
import { runInMemory } from "../../../test/cli/memory-shell.ts";
import { ROUTE_YAML, scratchFiles } from "../../../test/cli/scratch.ts";

const file = scratchFiles();
let controlPlane: FakeControlPlane | undefined;

afterEach(async () => {
  await controlPlane?.stop();
  controlPlane = undefined;
});

type Answers = Parameters<typeof startFakeControlPlane>[0];

async function run(answers: Answers, argv: readonly string[]) {
  controlPlane = await startFakeControlPlane(answers);
  return runInMemory([...argv, "--server", controlPlane.address]);
}

const WEB = {
  workload: {
    id: "web-1",
    service: "web",
    namespace: "default",
    version: "v1",
    ready: true,
    address: "10.0.0.1:15006",
  },
  state: 1,
  revision: 12,
  connectedAtMs: Date.now() - 3_600_000,
  lastHeardAtMs: Date.now() - 2_000,
  subscriptions: ["default/orders"],
  programVersion: PROGRAM_VERSION,
  lastPushMs: 3.21,
};
const REFUSING = {
  ...WEB,
  workload: { ...WEB.workload, id: "cart-1", service: "cart", ready: false },
  state: 3,
  revision: 11,
  refusal: { nonce: 4, resource: "service:default/orders", fieldPath: "rules[0]", reason: "no such pattern" },
  refusedRevision: 12,
};
const ORDERS = {
  namespace: "default",
  name: "orders",
  ports: [{ port: 80, protocol: "http" }],
  implied: true,
  versions: ["v1", "v2"],
  endpoints: 3,
  readyEndpoints: 2,
  documents: ["HTTPRoute default/orders"],
};
const ENDPOINT = {
  service: "orders",
  namespace: "default",
  address: "10.0.0.2:15006",
  version: "v1",
  labels: { tier: "gold" },
  weight: 1,
  ready: true,
  origin: "sidecar",
  leaseRemainingMs: 12_000,
  workloadId: "orders-1",
};

test("sidecars lists who acts on what, and why one refused", async () => {
  const { code, stdout } = await run({ listSidecars: () => ({ revision: 12, sidecars: [WEB, REFUSING] }) }, [
    "sidecars",
  ]);
  expect(code).toBe(0);
  expect(stdout.split("\n")).toEqual([
    "NAMESPACE   SERVICE   VERSION   ID       STATE     REVISION   READY   AGE",
    "default     cart      v1        cart-1   refused   11         no      1h",
    "default     web       v1        web-1    synced    12         yes     1h",
    "",
    "refused cart-1, revision 12: service:default/orders rules[0]: no such pattern",
    "",
  ]);
  expect(controlPlane?.requests[0]?.request).toEqual({ namespace: "" });
});

test("sidecars -o wide adds push time, program and subscriptions; -o json everything", async () => {
  const answers = { listSidecars: () => ({ revision: 12, sidecars: [WEB] }) };
  const wide = await run(answers, ["sidecars", "-o", "wide", "-n", "default"]);
  expect(wide.stdout).toMatch(/PUSH +ADDRESS .*SUBSCRIPTIONS\n.* 3\.2ms +10\.0\.0\.1:15006 .*default\/orders\n$/);
  expect(controlPlane?.requests[0]?.request).toEqual({ namespace: "default" });
  await controlPlane?.stop();
  const json = JSON.parse((await run(answers, ["sidecars", "-o", "json"])).stdout);
  expect(json).toMatchObject({
    revision: 12,
    sidecars: [{ id: "web-1", state: "synced", subscriptions: ["default/orders"] }],
  });
});

test("services shows readiness and where a service comes from", async () => {
  const { stdout } = await run({ listServices: () => ({ revision: 12, services: [ORDERS] }) }, ["services"]);
  expect(stdout.split("\n")).toEqual([
    "NAMESPACE   NAME     PORTS     READY   VERSIONS   FROM      RULES",
    "default     orders   80/http   2/3     v1,v2      sidecar   1",
    "",
  ]);
});

test.each([
  ["orders", [], { namespace: "", service: "orders" }],
  ["orders.shop", [], { namespace: "shop", service: "orders" }],
  ["orders", ["-n", "shop"], { namespace: "shop", service: "orders" }],
])("endpoints %s %j asks for %j", async (name, flags, request) => {
  const { stdout } = await run({ listEndpoints: () => ({ endpoints: [ENDPOINT] }) }, ["endpoints", name, ...flags]);
  expect(stdout).toMatch(/^default +orders +10\.0\.0\.2:15006 +v1 +yes +healthy +1 +sidecar$/m);
  expect(controlPlane?.requests[0]?.request).toEqual(request);
});

const EXPLAINED = {
  service: "default/orders",
  port: 80,
  revision: 12,
  route: "HTTPRoute default/orders",
  ruleIndex: 1,
  ruleName: "canary",
  candidates: [
    {
      route: "HTTPRoute default/orders",
      ruleIndex: 0,
      matchIndex: 0,
      outcome: "not-matched",
      match: 'PathPrefix /api and header x-tester = "1"',
      reason: 'header x-tester is absent, needs "1"',
    },
    { route: "HTTPRoute default/orders", ruleIndex: 1, ruleName: "canary", outcome: "matched", match: "PathPrefix /" },
    {
      route: "HTTPRoute default/late",
      ruleIndex: 0,
      outcome: "shadowed",
      match: "PathPrefix /",
      reason: "an older route",
    },
  ],
  backends: [
    {
      service: "default/orders-v1",
      port: 80,
      weight: 2,
      share: 66.66667,
      endpoints: 2,
      readyEndpoints: 2,
      addresses: ["10.0.0.1:80", "10.0.0.2:80"],
    },
    {
      service: "default/orders-v2",
      port: 80,
      weight: 1,
      share: 33.33333,
      reason: "invalid-backend",
      filters: ["set header x-v: 2"],
    },
  ],
  filters: ["rewrite path /api to /"],
  policies: [
    { field: "timeout.request", value: "15s", origin: "default" },
    { field: "retry.attempts", value: "2", origin: "TrafficPolicy default/orders" },
  ],
  upstreamPath: "/items",
  upstreamHost: "orders",
  notes: ["the host was taken from the URL"],
};

test("explain draws the way of a request as a tree", async () => {
  const argv = ["explain", "get", "orders/api/items", "-H", "X-User:  7 ", "--from", "web"];
  const { code, stdout } = await run({ explain: () => EXPLAINED }, argv);
  expect(code).toBe(0);
  expect(stdout.split("\n")).toEqual([
    "GET http://orders/api/items from web",
    "├─ service: default/orders port 80 (revision 12)",
    '├─ route: HTTPRoute default/orders rule 1 "canary"',
    "│  └─ match 0: PathPrefix /",
    "├─ split",
    "│  ├─ 66.67 %  default/orders-v1:80 (weight 2)  2/2 endpoints ready",
    "│  │  └─ 10.0.0.1:80, 10.0.0.2:80",
    "│  └─ 33.33 %  default/orders-v2:80 (weight 1)  answered with invalid-backend",
    "│     └─ set header x-v: 2",
    "├─ filters",
    "│  └─ rewrite path /api to /",
    "├─ upstream: GET /items, host orders",
    "├─ policies",
    "│  ├─ timeout.request:  15s  (default)",
    "│  └─ retry.attempts:   2  (TrafficPolicy default/orders)",
    "├─ why not the others",
    '│  ├─ HTTPRoute default/orders rule 0 match 0: PathPrefix /api and header x-tester = "1"',
    '│  │  └─ header x-tester is absent, needs "1"',
    "│  └─ HTTPRoute default/late rule 0 match 0: PathPrefix /",
    "│     └─ shadowed: an older route",
    "└─ notes",
    "   └─ the host was taken from the URL",
    "",
  ]);
  expect(controlPlane?.requests[0]?.request).toEqual({
    method: "GET",
    url: "http://orders/api/items",
    headers: [{ name: "X-User", value: "7" }],
    from: "web",
    namespace: "default",
    sources: [],
  });
});

test("explain shows an answer that the mesh makes itself, and that is no failure of the command", async () => {
  const answer = { reason: "no-such-service", status: 404, revision: 12, notes: ["no service is named nowhere"] };
  const { code, stdout } = await run({ explain: () => answer }, ["explain", "GET", "http://nowhere/"]);
  expect(code).toBe(0);
  expect(stdout).toContain("├─ service: none\n├─ answer: 404 no-such-service, made by the mesh itself\n");
});

test("explain shows of a CONNECT where it goes, and no path", async () => {
  const { stdout } = await run({ explain: () => ({ ...EXPLAINED, upstreamPath: "/" }) }, [
    "explain",
    "CONNECT",
    "orders:80",
  ]);
  expect(stdout).toContain("├─ upstream: CONNECT orders\n");
});

test("explain -f sends the documents of the question along, and -o json is stable", async () => {
  const path = file("new.yaml", ROUTE_YAML);
  const { stdout } = await run({ explain: () => EXPLAINED }, ["explain", "GET", "/x", "-f", path, "-o", "json"]);
  expect(controlPlane?.requests[0]?.request).toMatchObject({ url: "/x", sources: [{ name: path }] });
  expect(JSON.parse(stdout)).toMatchObject({
    service: "default/orders",
    route: { name: "HTTPRoute default/orders", ruleIndex: 1, ruleName: "canary" },
    backends: [{ share: 66.66667 }, { reason: "invalid-backend" }],
    upstream: { host: "orders", path: "/items" },
  });
});

const DOCUMENT = {
  key: { kind: "HTTPRoute", namespace: "default", name: "orders" },
  apiVersion: "gateway.networking.k8s.io/v1",
  body: Buffer.from(
    JSON.stringify({ kind: "HTTPRoute", metadata: { name: "orders", labels: { a: "b" } }, spec: { rules: [] } }),
  ),
  revision: 12,
  createdAtMs: Date.now() - 60_000,
  updatedAtMs: Date.now() - 30_000,
};
const DESCRIBED: Answers = {
  get: () => ({ document: DOCUMENT }),
  history: () => ({ revisions: [{ revision: 12, atMs: Date.now(), author: "ann", cause: "apply" }] }),
  listServices: () => ({ services: [ORDERS] }),
  listEndpoints: () => ({ endpoints: [ENDPOINT] }),
  listSidecars: () => ({ sidecars: [WEB, { ...REFUSING, subscriptions: [] }] }),
};

test("describe shows a document, what it acts on, and its history", async () => {
  const { code, stdout } = await run(DESCRIBED, ["describe", "hr", "orders"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Labels: +a=b$/m);
  expect(stdout).toMatch(/^Acts on: +default\/orders 80\/http, 2\/3 endpoints ready, versions v1, v2$/m);
  expect(stdout).toContain("\nSpec:\n  rules: []\n");
  expect(stdout).toMatch(/\nHistory:\n {2}REVISION .*\n {2}12 /);
});

test("describe service works without a document: the sidecars define it", async () => {
  const { code, stdout } = await run({ ...DESCRIBED, get: () => ({}) }, ["describe", "service/orders"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Defined by: +running sidecars/m);
  expect(stdout).toMatch(/\nEndpoints:\n.*\n {2}default +orders +10\.0\.0\.2:15006/);
  expect(stdout).toMatch(/\nCallers:\n {2}default\/web web-1 synced\n/);
  expect(stdout).not.toContain("cart-1");
});

test("describe of nothing ends with 1", async () => {
  const result = await run({ ...DESCRIBED, get: () => ({}) }, ["describe", "fault", "slow"]);
  expect(result).toMatchObject({ code: 1, stdout: "" });
  expect(result.stderr).toContain(
    "no Fault named slow in namespace default\n  see what there is with: weft get fault -A\n",
  );
});

const HEALTHY: Answers = {
  status: () => ({ programVersion: PROGRAM_VERSION, revision: 12, store: "sqlite", data: "/data" }),
  listSidecars: () => ({ sidecars: [WEB] }),
  listServices: () => ({ services: [ORDERS] }),
  list: () => ({ documents: [DOCUMENT] }),
  apply: () => ({ accepted: true }),
  check: () => "SERVING",
};

test("check says of a control plane that names no store what to do", async () => {
  const status = () => ({ programVersion: PROGRAM_VERSION, revision: 12 });
  const { code, stdout } = await run({ ...HEALTHY, status }, ["check"]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/failed +store\n +it names no store\n +-> restart it with --store sqlite\n/);
});

test("check ends with 0 when everything is healthy", async () => {
  const result = await run(HEALTHY, ["check"]);
  expect(result).toMatchObject({ code: 0, stderr: "" });
  expect(result.stdout).toMatch(/^control plane\n {2}ok +reachable at 127/);
  expect(result.stdout).toMatch(/everything is healthy\n$/);
  expect(controlPlane?.requests.find(({ method }) => method === "apply")?.request).toMatchObject({ dryRun: true });
});

test("check does not want endpoints of a service that only calls others", async () => {
  const bare = { ...ORDERS, endpoints: 0, readyEndpoints: 0, documents: [] };
  const [load, cart] = ["load", "cart"].map((name) => ({ ...bare, name }));
  const caller = { ...WEB, workload: { ...WEB.workload, id: "load-1", service: "load", address: "" } };
  const callable = { ...WEB, workload: { ...WEB.workload, id: "cart-1", service: "cart", address: "10.0.0.9:15006" } };
  const services = [load, cart, { ...load, name: "load-v1" }, { ...load, documents: ["HTTPRoute default/load"] }];
  const answers = {
    ...HEALTHY,
    listServices: () => ({ services: [ORDERS, ...services] }),
    listSidecars: () => ({ sidecars: [WEB, caller, callable] }),
  };
  const { stdout } = await run(answers, ["check"]);
  expect(stdout).toMatch(/failed +endpoints\n +default\/cart has no endpoint\n +default\/load has no endpoint\n +-> /);
});

test("check without the health service says so", async () => {
  const { check: _, ...answers } = HEALTHY;
  const result = await run(answers, ["check"]);
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/failed +health\n +it reports no answer/);
});

test("check names everything that is wrong, with advice, and ends with 1", async () => {
  const answers: Answers = {
    ...HEALTHY,
    status: () => ({ programVersion: "0.0.9", revision: 12, store: "sqlite" }),
    listSidecars: () => ({ sidecars: [REFUSING, { ...WEB, state: 2, revision: 10 }, { ...WEB, state: 4 }] }),
    listServices: () => ({ services: [{ ...ORDERS, readyEndpoints: 0 }] }),
    apply: () => ({ accepted: true, diagnostics: [{ severity: 1, path: "spec.x", message: "no such service" }] }),
  };
  const { code, stdout } = await run(answers, ["check"]);
  expect(code).toBe(1);
  for (const line of [
    /warning +version\n +the control plane is 0\.0\.9/,
    /failed +connected\n +default\/web web-1 is disconnected\n +-> /,
    /failed +rules accepted\n +default\/cart cart-1 refused revision 12: service:default\/orders rules\[0\]: no such pattern\n +-> /,
    /failed +synced with revision 12\n +default\/web web-1 still acts on revision 10\n +-> /,
    /failed +endpoints\n +default\/orders has no ready endpoint \(0 of 3\)\n +-> /,
    /warning +1 stored document\n +spec\.x: no such service\n +-> /,
    /4 checks failed, 3 warnings\n$/,
  ]) {
    expect(stdout).toMatch(line);
  }
});

test("check of a control plane that is not there ends with 3 and skips the rest", async () => {
  const result = await runInMemory(["check", "--server", "127.0.0.1:1", "-o", "json"]);
  expect(result.code).toBe(3);
  expect(JSON.parse(result.stdout)).toMatchObject({
    healthy: false,
    checks: [{ status: "failed", next: expect.stringContaining("weft-control-plane") }, { status: "skipped" }, {}, {}],
  });
});

test("version shows both sides, and the client's alone without a control plane", async () => {
  const both = await run(HEALTHY, ["version", "-o", "json"]);
  expect(JSON.parse(both.stdout)).toEqual({ client: PROGRAM_VERSION, controlPlane: PROGRAM_VERSION });
  expect(await runInMemory(["version", "--client"])).toMatchObject({
    code: 0,
    stdout: `client         ${PROGRAM_VERSION}\n`,
  });
  const away = await runInMemory(["version", "--server", "127.0.0.1:1"]);
  expect(away).toMatchObject({ code: 3, stdout: `client         ${PROGRAM_VERSION}\n` });
});

test("endpoints says which callers send it nothing, and why", async () => {
  const health = {
    service: "default/orders",
    address: ENDPOINT.address,
    active: "",
    passive: "consecutive-errors",
    circuit: "open",
  };
  const verdicts = [
    { workloadId: "web-1", health },
    { workloadId: "web-2", health },
  ];
  const { stdout } = await run({ listEndpoints: () => ({ endpoints: [{ ...ENDPOINT, verdicts }] }) }, [
    "endpoints",
    "orders",
  ]);
  expect(stdout).toContain("ejected: consecutive-errors; circuit open (2 callers)");
});
