// What documents mean to each other: missing services, shadowed matches, weights, ports, duplicates of purpose.
import { describe, expect, test } from "vitest";
import { checkDocuments } from "./check.ts";
import { formatDiagnostic } from "./diagnostic.ts";
import { type LoadedDocument, loadDocuments } from "./load.ts";
import { DIAGNOSTICS_MAX } from "./schema/limits.ts";
import { yamlDocument } from "./test-documents.ts";

function load(...documents: readonly string[]): LoadedDocument[] {
  const loaded = loadDocuments([{ name: "r.yaml", content: documents.join("---\n") }], { defaultNamespace: "default" });
  expect(loaded.diagnostics.map(formatDiagnostic)).toEqual([]);
  return loaded.documents;
}

const IMPLIED = ["default/orders", "default/orders-v1", "default/web", "shop/cart"];

/** Findings about `changed` in a mesh that has `stored` too, as `severity: text`. */
function check(changed: readonly string[], stored: readonly string[] = [], implied = IMPLIED): string[] {
  const [all, some] = [load(...stored), load(...changed)];
  const documents = [...all, ...some].map(({ document }) => document);
  const found = checkDocuments({ documents, changed: some, impliedServices: new Set(implied) });
  return found.map((diagnostic) => `${diagnostic.severity}: ${formatDiagnostic(diagnostic)}`);
}

const PARENT = "parentRefs: [{ kind: Service, name: orders }]";

function route(rules: string, name = "orders", metadata = ""): string {
  const text = yamlDocument("HTTPRoute", `${PARENT}\nrules:\n${rules}`, name);
  return metadata === "" ? text : text.replace(`name: ${name}`, `name: ${name}\n  ${metadata}`);
}

describe("what nothing acts on", () => {
  test.each([
    ["Authorization", "targetRef: { kind: Service, name: orders }", "2:7: kind: Authorization"],
    [
      "Authentication",
      "targetRef: { kind: Service, name: orders }\njwt: { providers: [{ name: a, issuer: b, jwks: { url: 'http://c/' } }] }",
      "2:7: kind: Authentication",
    ],
    ["Mesh", "mtls: { mode: strict }", "6:9: spec.mtls: mtls"],
    [
      "HTTPRoute",
      `${PARENT}\nrules:\n  - sessionPersistence: { sessionName: a }\n    backendRefs: [{ name: orders }]`,
      "8:27: spec.rules[0].sessionPersistence: sessionPersistence",
    ],
  ])("%s %j is a warning", (kind, spec, what) => {
    const effect = "has no effect in this version: it is stored, and nothing acts on it";
    expect(check([yamlDocument(kind, spec)])).toEqual([`warning: r.yaml:${what} ${effect}`]);
  });

  test("mTLS that is off asks for nothing", () => {
    expect(check([yamlDocument("Mesh", "mtls: { mode: off }")])).toEqual([]);
  });
});

describe("limits and faults, which act in the sidecars of their service", () => {
  const limit = (name: string) =>
    yamlDocument("RateLimit", `targetRef: { kind: Service, name: ${name} }\nlimits: [{ requests: 1, per: 1s }]`, name);
  const effect =
    "spec.targetRef.name: no sidecar is started for service default/far, and its instances' sidecars go by their own " +
    "service: without effect until one is; expected a service that sidecars are started for";

  test.each([
    ["addresses", "endpoints: [{ address: '10.0.0.1:80' }]"],
    ["sidecars of other services", "selector: { app: far }"],
  ])("have no effect on a service whose instances are %s", (_, spec) => {
    expect(check([limit("far")], [yamlDocument("Service", spec, "far")])).toEqual([
      expect.stringContaining(`warning: r.yaml:`),
    ]);
    expect(check([limit("far")], [yamlDocument("Service", spec, "far")])[0]).toContain(effect);
    expect(check([limit("far")], [yamlDocument("Service", spec, "far")], [...IMPLIED, "default/far"])).toEqual([]);
  });

  test("are no finding of a sidecar that acts on them by itself, of its own service or another one's", () => {
    const changed = load(
      limit("mine"),
      yamlDocument("Service", "endpoints: [{ address: '10.0.0.1:80' }]", "far"),
      limit("far"),
    );
    const documents = changed.map(({ document }) => document);
    const own = { impliedServices: new Set<string>(), ownServices: new Set(["default/mine"]) };
    expect(checkDocuments({ documents, changed, ...own })).toEqual([]);
  });
});

describe("references", () => {
  test("services that exist, by a workload or by a document, are no finding", () => {
    const service = yamlDocument("Service", "endpoints: []", "orders-v2");
    expect(check([route("  - backendRefs: [{ name: orders-v1 }, { name: orders-v2 }]"), service])).toEqual([]);
  });

  test.each([
    [
      "a parent",
      yamlDocument("HTTPRoute", "parentRefs: [{ kind: Service, name: ordres }]"),
      "6:39: spec.parentRefs[0].name: service default/ordres does not exist: without effect until it does (did you mean orders?)",
    ],
    [
      "a backend",
      route("  - backendRefs: [{ name: webb }]"),
      "8:29: spec.rules[0].backendRefs[0].name: service default/webb does not exist: its share of the requests is answered 500 until it does (did you mean web?)",
    ],
    [
      "a backend of another namespace",
      route("  - backendRefs: [{ name: carts, namespace: shop }]"),
      "8:29: spec.rules[0].backendRefs[0].name: service shop/carts does not exist: its share of the requests is answered 500 until it does (did you mean cart?)",
    ],
    [
      "a backend that another namespace has",
      route("  - backendRefs: [{ name: cart }]"),
      "8:29: spec.rules[0].backendRefs[0].name: service default/cart does not exist: its share of the requests is answered 500 until it does (did you mean shop/cart?)",
    ],
    [
      "a backend like nothing",
      route("  - backendRefs: [{ name: yes }]"),
      "8:29: spec.rules[0].backendRefs[0].name: service default/yes does not exist: its share of the requests is answered 500 until it does",
    ],
    [
      "another version, which may come",
      route("  - backendRefs: [{ name: orders-v2 }]"),
      "8:29: spec.rules[0].backendRefs[0].name: service default/orders-v2 does not exist: its share of the requests is answered 500 until it does",
    ],
    [
      "a mirror",
      route("  - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: shadow } } }]"),
      "8:77: spec.rules[0].filters[0].requestMirror.backendRef.name: service default/shadow does not exist: nothing is mirrored until it does",
    ],
    [
      "a mirror of a backend",
      route(
        "  - backendRefs: [{ name: web, filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: shadow } } }] }]",
      ),
      "8:104: spec.rules[0].backendRefs[0].filters[0].requestMirror.backendRef.name: service default/shadow does not exist: nothing is mirrored until it does",
    ],
    [
      "a target",
      yamlDocument("TrafficPolicy", "targetRef: { kind: Service, name: nobody }"),
      "6:37: spec.targetRef.name: service default/nobody does not exist: without effect until it does",
    ],
    [
      "a fallback",
      yamlDocument("TrafficPolicy", "targetRef: { kind: Service, name: web }\nfallback: { service: nobody }"),
      "7:24: spec.fallback.service: service default/nobody does not exist: there is no fallback until it does",
    ],
    [
      "a caller",
      yamlDocument(
        "Authorization",
        "targetRef: { kind: Service, name: web }\nrules: [{ from: { services: [nobody] } }]",
      ),
      "7:32: spec.rules[0].from.services[0]: service default/nobody does not exist",
    ],
    [
      "a canary",
      yamlDocument("Rollout", "service: orders\nstable: orders-v1\ncanary: nobody\nsteps: [{ weight: 100 }]"),
      "8:11: spec.canary: service default/nobody does not exist: the release waits until it does",
    ],
  ])("%s that does not exist is a warning", (_what, document, expected) => {
    const found = check([document]).filter((finding) => !finding.includes("kind: Authorization has no effect"));
    expect(found).toEqual([`warning: r.yaml:${expected}`]);
  });

  test("a port that the Service document does not have is a warning, of a parent, a backend and a mirror", () => {
    const service = yamlDocument("Service", "ports: [{ port: 80 }, { port: 81 }]");
    const spec = `parentRefs: [{ kind: Service, name: orders, port: 8080 }]
rules: [{ filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: orders, port: 82 } } }], backendRefs: [{ name: orders, port: 83 }] }]`;
    expect(check([yamlDocument("HTTPRoute", spec)], [service])).toEqual([
      "warning: r.yaml:6:53: spec.parentRefs[0].port: service default/orders has no port 8080; expected one of 80, 81",
      "warning: r.yaml:7:97: spec.rules[0].filters[0].requestMirror.backendRef.port: service default/orders has no port 82; expected one of 80, 81",
      "warning: r.yaml:7:144: spec.rules[0].backendRefs[0].port: service default/orders has no port 83; expected one of 80, 81",
    ]);
  });

  test("what is missing in many places is said once for each document", () => {
    const rule = (name: string, index: number): string =>
      `  - { backendRefs: [{ name: ${name} }, { name: ${name} }], matches: [{ path: { value: /${index} } }] }`;
    const rules = Array.from({ length: 2_000 }, (_, index) => rule("webb", index));
    expect(check([route([...rules, rule("nobody", 2_000)].join("\n")), route(rule("nobody", 2_001), "web")])).toEqual([
      "warning: r.yaml:8:31: spec.rules[0].backendRefs[0].name: service default/webb does not exist: its share of the requests is answered 500 until it does (and 3999 more places) (did you mean web?)",
      "warning: r.yaml:2008:31: spec.rules[2000].backendRefs[0].name: service default/nobody does not exist: its share of the requests is answered 500 until it does (and 1 more place)",
      "warning: r.yaml:2017:31: spec.rules[0].backendRefs[0].name: service default/nobody does not exist: its share of the requests is answered 500 until it does (and 1 more place)",
    ]);
  });

  test("are not doubted where nobody can tell what runs, but ports of documents are", () => {
    const service = yamlDocument("Service", "{}");
    const changed = load(route("  - backendRefs: [{ name: webb }, { name: orders, port: 8080 }]"), service);
    const documents = changed.map(({ document }) => document);
    const found = checkDocuments({ documents, changed, impliedServices: undefined });
    expect(found.map(({ message }) => message)).toEqual(["service default/orders has no port 8080"]);
  });

  test("an implied service has every port, a Service document without ports has 80", () => {
    const toPort = route("  - backendRefs: [{ name: orders, port: 8080 }]");
    expect(check([toPort])).toEqual([]);
    expect(check([toPort], [yamlDocument("Service", "{}")])).toEqual([
      "warning: r.yaml:8:43: spec.rules[0].backendRefs[0].port: service default/orders has no port 8080; expected 80",
    ]);
  });
});

describe("routes that say something without effect", () => {
  test.each([
    [
      "all weights zero",
      route("  - backendRefs: [{ name: orders-v1, weight: 0 }, { name: web, weight: 0 }]"),
      "8:20: spec.rules[0].backendRefs: all weights are 0: every request is answered 500; expected a weight above 0",
    ],
    [
      "a backend that is no service",
      route("  - backendRefs: [{ kind: Bucket, group: s3, name: a }]"),
      "8:29: spec.rules[0].backendRefs[0].kind: s3/Bucket is not a kind that requests can be sent to: its share of them is answered 500; expected Service",
    ],
    [
      "hostnames",
      yamlDocument("HTTPRoute", `${PARENT}\nhostnames: [a.example.com]`),
      "7:14: spec.hostnames: hostnames have no effect on a route that is attached to a Service; expected no hostnames",
    ],
    [
      "a header named again",
      route("  - matches: [{ headers: [{ name: a, value: b }, { name: A, value: c }] }]"),
      '8:60: spec.rules[0].matches[0].headers[1].name: "A" has no effect: the same header is named before, and case does not count; expected each name once',
    ],
  ])("%s", (_what, document, expected) => {
    expect(check([document])).toEqual([`warning: r.yaml:${expected}`]);
  });
});

const NEVER = (place: string, winner: string) =>
  `warning: r.yaml:${place}: never matches a request to default/orders: ${winner} comes first and takes all of them`;

describe("shadowed matches", () => {
  test.each([
    [
      "the same path",
      "  - matches: [{ path: { value: /a } }]\n  - matches: [{ path: { value: /a } }]",
      "9:17: spec.rules[1].matches[0]",
      "spec.rules[0].matches[0]",
    ],
    [
      "the same prefix but for its slash",
      "  - matches: [{ path: { value: /a/ } }]\n  - matches: [{ path: { value: /a } }]",
      "9:17: spec.rules[1].matches[0]",
      "spec.rules[0].matches[0]",
    ],
    [
      "a rule without matches again",
      "  - backendRefs: [{ name: web }]\n  - backendRefs: [{ name: orders-v1 }]",
      "9:7: spec.rules[1]",
      "spec.rules[0]",
    ],
    [
      "a rule without matches after the path /",
      "  - matches: [{ path: { value: / } }]\n  - backendRefs: [{ name: web }]",
      "9:7: spec.rules[1]",
      "spec.rules[0].matches[0]",
    ],
    [
      "headers in another order and case",
      "  - matches: [{ headers: [{ name: a, value: x }, { name: b, value: y }] }]\n  - matches: [{ headers: [{ name: B, value: y }, { name: A, value: x }] }]",
      "9:17: spec.rules[1].matches[0]",
      "spec.rules[0].matches[0]",
    ],
    [
      "within one rule",
      "  - matches: [{ method: GET }, { method: GET }]",
      "8:34: spec.rules[0].matches[1]",
      "spec.rules[0].matches[0]",
    ],
    [
      "a prefix behind an expression for every path",
      '  - matches: [{ path: { type: RegularExpression, value: ".*" } }]\n  - matches: [{ path: { value: /a }, method: GET }]',
      "9:17: spec.rules[1].matches[0]",
      "spec.rules[0].matches[0]",
    ],
  ])("%s", (_what, rules, place, winner) => {
    expect(check([route(rules)])).toEqual([NEVER(place, winner)]);
  });

  test.each([
    ["another value", "  - matches: [{ path: { value: /a } }]\n  - matches: [{ path: { value: /b } }]"],
    [
      "a longer prefix behind a shorter",
      "  - matches: [{ path: { value: / } }]\n  - matches: [{ path: { value: /a } }]",
    ],
    [
      "an exact path behind a prefix",
      "  - matches: [{ path: { value: /a } }]\n  - matches: [{ path: { type: Exact, value: /a } }]",
    ],
    ["more conditions", "  - matches: [{ path: { value: /a } }]\n  - matches: [{ path: { value: /a }, method: GET }]"],
    [
      "a header by expression",
      "  - matches: [{ headers: [{ name: a, value: x }] }]\n  - matches: [{ headers: [{ name: a, type: RegularExpression, value: x }] }]",
    ],
    ["paths of other case", "  - matches: [{ path: { value: /a } }]\n  - matches: [{ path: { value: /A } }]"],
  ])("not: %s", (_what, rules) => {
    expect(check([route(rules)])).toEqual([]);
  });

  const ruleA = "  - matches: [{ path: { value: /a } }]";

  test("by another route, which is named: the older one wins, whatever is applied last", () => {
    const old = route(ruleA, "zz", "creationTimestamp: 2020-01-01T00:00:00Z");
    expect(check([route(ruleA, "aa")], [old])).toEqual([
      NEVER("8:17: spec.rules[0].matches[0]", "HTTPRoute default/zz spec.rules[0].matches[0]"),
    ]);
    expect(check([old], [route(ruleA, "aa")])).toEqual([]);
  });

  test("not by a route for another port, but by one for all ports", () => {
    const onPort = (name: string, port: string) =>
      route(ruleA, name).replace("name: orders }]", `name: orders${port} }]`);
    expect(check([onPort("bb", ", port: 80")], [onPort("aa", ", port: 81")])).toEqual([]);
    expect(check([onPort("bb", "")], [onPort("aa", ", port: 80")])).toEqual([]);
    expect(check([onPort("bb", ", port: 80")], [onPort("aa", "")])).toHaveLength(1);
  });

  test("not by a consumer's route of another namespace", () => {
    const consumer = route(ruleA, "aa", "namespace: web").replace(
      "name: orders }]",
      "name: orders, namespace: default }]",
    );
    expect(check([route(ruleA, "bb")], [consumer])).toEqual([]);
  });

  test("an HTTPRoute beside a GRPCRoute of the same service is idle", () => {
    expect(check([route(ruleA)], [yamlDocument("GRPCRoute", PARENT, "calls")])).toEqual([
      "warning: r.yaml:6:15: spec.parentRefs: has no effect on default/orders: GRPCRoute default/calls is attached to it, and GRPCRoutes act alone; expected GRPCRoutes or HTTPRoutes for a service's port, not both",
    ]);
  });
});

describe("documents of which one acts", () => {
  const policy = (name: string) => yamlDocument("TrafficPolicy", "targetRef: { kind: Service, name: orders }", name);
  const rollout = (name: string) =>
    yamlDocument("Rollout", "service: orders\nstable: orders-v1\ncanary: web\nsteps: [{ weight: 100 }]", name);

  test("a second TrafficPolicy for a service is a warning", () => {
    expect(check([policy("b")], [policy("a")])).toEqual([
      "warning: r.yaml:6:37: spec.targetRef.name: TrafficPolicy default/a is for default/orders too: only one of them acts, that of the service's own namespace, else the older; expected one TrafficPolicy per service",
    ]);
  });

  test("a second Rollout of a service is an error", () => {
    expect(check([rollout("b")], [rollout("a")])).toEqual([
      "error: r.yaml:6:12: spec.service: Rollout default/a shifts the traffic of orders already; expected one Rollout per service",
    ]);
  });

  test("a second Mesh is an error", () => {
    expect(check([yamlDocument("Mesh", "{}", "b")], [yamlDocument("Mesh", "{}", "a")])).toEqual([
      "error: r.yaml:4:9: metadata.name: Mesh default/a exists already, and only Mesh default/a would act; expected one Mesh document",
    ]);
  });

  test("the same document applied again is no conflict with itself", () => {
    const documents = load(policy("a"), rollout("a"), yamlDocument("Mesh", "{}"));
    const context = {
      documents: documents.map(({ document }) => document),
      changed: documents,
      impliedServices: new Set(IMPLIED),
    };
    expect(checkDocuments(context)).toEqual([]);
  });
});

test("findings are for changed documents only", () => {
  expect(check([yamlDocument("Mesh", "{}")], [route("  - backendRefs: [{ name: nobody }]")])).toEqual([]);
});

test("findings are bounded and the rest counted, as an error when there is one among it", () => {
  const routes = Array.from({ length: DIAGNOSTICS_MAX + 5 }, (_, index) =>
    route(`  - matches: [{ path: { value: /${index} } }]\n    backendRefs: [{ name: nobody }]`, `r-${index}`),
  );
  const found = check([...routes, yamlDocument("Mesh", "{}", "b")], [yamlDocument("Mesh", "{}", "a")]);
  expect(found).toHaveLength(DIAGNOSTICS_MAX + 1);
  expect(found.at(-1)).toBe("error: r.yaml: and 6 more");
});
