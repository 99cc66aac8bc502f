// What the Gateway API's mesh conformance profile (conformance/tests/mesh, HTTPRoute) asks of an implementation, asked
// of real processes: each request and its expectation, with routes of the same shapes. Once with services that exist only
// because sidecars run, once with Service documents. GRPCRoute is not here.
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { type Answer, ask } from "../ask.ts";
import { cleanUp } from "../harness.ts";
import { type Mesh, type MeshService, RulesClient, startMesh, startService } from "../mesh.ts";
import { CONSUMERS, type ModifierPlace, modifiers, NAMESPACE, RULES, SERVICES } from "./rules.ts";

let mesh: Mesh;
let rules: RulesClient;
/** Version 1 of the service: it sends the requests, as in the suite. */
let producer: MeshService;
let v2: MeshService;
let consumer: MeshService;

beforeAll(async () => {
  mesh = await startMesh();
  rules = new RulesClient(mesh);
  const start = (version: string, namespace: string) =>
    startService(mesh, "catalog", version, ["--namespace", namespace]);
  [producer, v2, consumer] = await Promise.all([
    start("v1", NAMESPACE),
    start("v2", NAMESPACE),
    start("v1", CONSUMERS),
    start("v3", NAMESPACE),
  ]);
}, 60_000);

afterAll(async () => {
  rules.close();
  await cleanUp();
});

interface Sent {
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly from?: MeshService;
}

function send({ path = "/", host = "catalog", headers = {}, from = producer }: Sent): Promise<Answer> {
  return ask({ address: from.outbound, path, headers: { ...headers, host } });
}

interface Echo {
  readonly version: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the application saw of a request that has to get there. */
async function seen(sent: Sent): Promise<Echo> {
  const answer = await send(sent);
  expect(answer.status, String(answer.headers["x-weft-reason"])).toBe(200);
  return JSON.parse(answer.body) as Echo;
}

describe.each([
  ["services that sidecars imply", ""],
  ["services with documents", SERVICES],
])("%s", (_kind, services) => {
  /** Makes these all the rules there are, everywhere. */
  async function onlyRules(text: string): Promise<void> {
    const complete = `${services}${text}`;
    const nothing = "apiVersion: weft.mesh/v1\nkind: Mesh\nmetadata: { name: mesh }\nspec: {}\n";
    const { revision } = await rules.apply(complete === "" ? nothing : complete, true);
    await rules.wait(revision);
  }

  it("are reached without any rule", async () => {
    await onlyRules(RULES.nothing);
    expect((await send({})).status).toBe(200);
  });

  it("send everything to the one backend of a rule without matches", async () => {
    await onlyRules(RULES.oneBackend);
    for (let sent = 0; sent < 6; sent++) expect((await seen({})).version).toBe("v1");
  });

  it("tell requests by path elements and headers", async () => {
    await onlyRules(RULES.matching);
    const cases: readonly (readonly [path: string, version: string, edition?: string])[] = [
      ["/", "v1"],
      ["/page", "v1"],
      ["/", "v1", "first"],
      ["/second", "v2"],
      ["/second/page", "v2"],
      ["/", "v2", "second"],
      ["/second/", "v2"],
      ["/secondhand", "v1"],
      ["/page/second/more", "v1"],
    ];
    for (const [path, version, edition] of cases) {
      const headers = edition === undefined ? {} : { Edition: edition };
      expect([path, edition, await seen({ path, headers })]).toMatchObject([path, edition, { version, path }]);
    }
  });

  it("go by rules with and without a name", async () => {
    await onlyRules(RULES.named);
    expect(await seen({ path: "/with" })).toMatchObject({ version: "v1", path: "/with" });
    expect(await seen({ path: "/without" })).toMatchObject({ version: "v2", path: "/without" });
  });

  it("tell requests by query parameters, alone and with the rest", async () => {
    await onlyRules(RULES.query);
    const cases: readonly (readonly [path: string, outcome: string | 404, edition?: string])[] = [
      ["/?metal=iron", "v1"],
      ["/?metal=tin", "v2"],
      ["/?metal=iron&more=this", "v1"],
      ["/?metal=tin&colour=grey", "v2"],
      ["/?colour=blue", 404],
      ["/?metal=wood", 404],
      ["/?metal=irontin", 404],
      ["/", 404],
      ["/one?metal=iron", "v1"],
      ["/?metal=iron", "v2", "first"],
      ["/three?metal=zinc", "v1"],
      ["/four?metal=lead", "v1", "third"],
      ["/?metal=zinc", 404],
      ["/four?metal=lead", 404],
      ["/five?metal=gold", "v1"],
    ];
    for (const [path, outcome, edition] of cases) {
      const answer = await send({ path, headers: edition === undefined ? {} : { edition } });
      const got = answer.status === 200 ? (JSON.parse(answer.body) as Echo).version : answer.status;
      expect([path, edition, got]).toEqual([path, edition, outcome]);
      if (outcome === 404) expect(answer.headers["x-weft-reason"]).toBe("no-route");
    }
  });

  test.each([
    [
      "statuses",
      RULES.redirectStatus,
      [
        ["/see", 303, "http://catalog/see"],
        ["/keep", 307, "http://catalog/keep"],
        ["/moved", 308, "http://catalog/moved"],
      ],
    ],
    [
      "hosts",
      RULES.redirectHost,
      [
        ["/host", 302, "http://example.net/host"],
        ["/host-301", 301, "http://example.net/host-301"],
      ],
    ],
    [
      "paths",
      RULES.redirectPath,
      [
        ["/old/page", 302, "http://catalog/new/page"],
        ["/whole/path/of/it", 302, "http://catalog/another"],
        ["/path-and-host", 302, "http://example.net/new"],
        ["/path-and-status", 301, "http://catalog/new"],
        ["/whole-and-host", 302, "http://example.net/another"],
        ["/whole-and-status", 301, "http://catalog/another"],
      ],
    ],
    [
      "ports",
      RULES.redirectPort,
      [
        ["/port", 302, "http://catalog:9999/port"],
        ["/port-host", 302, "http://example.net:9999/port-host"],
        ["/port-status", 301, "http://catalog:9999/port-status"],
        ["/port-all", 302, "http://example.net:9999/port-all"],
      ],
    ],
    [
      "schemes",
      RULES.redirectScheme,
      [
        ["/tls", 302, "https://catalog/tls"],
        ["/tls-host", 302, "https://example.net/tls-host"],
        ["/tls-status", 301, "https://catalog/tls-status"],
        ["/tls-all", 302, "https://example.net/tls-all"],
      ],
    ],
  ] as const)("answer with redirects to other %s", async (_what, text, cases) => {
    await onlyRules(text);
    for (const [path, status, location] of cases) {
      const answer = await send({ path });
      expect([path, answer.status, answer.headers.location]).toEqual([path, status, location]);
    }
  });

  test.each<ModifierPlace>(["rule", "backend"])("modify request headers as a %s says", async (place) => {
    await onlyRules(modifiers(place));
    const cases: readonly (readonly [string, Record<string, string>, Record<string, string | undefined>])[] = [
      ["/replace", { "X-Other": "o" }, { "x-other": "o", "x-colour": "red" }],
      ["/replace", { "X-Other": "o", "X-Colour": "blue" }, { "x-other": "o", "x-colour": "red" }],
      ["/append", { "X-Other": "o" }, { "x-other": "o", "x-trail": "second" }],
      ["/append", { "X-Other": "o", "X-Trail": "first" }, { "x-other": "o", "x-trail": "first, second" }],
      ["/strip", { "X-Secret": "s" }, { "x-secret": undefined }],
      [
        "/all",
        { "X-Two": "2", "X-Four": "4", "X-Seven": "7", "X-Other": "o" },
        {
          ...{ "x-one": "one", "x-two": "two", "x-three": "three", "x-four": "4, four", "x-five": "five" },
          ...{ "x-other": "o", "x-six": undefined, "x-seven": undefined },
        },
      ],
      [
        "/any-case",
        { "x-colour": "blue", "x-trail": "first", "x-secret": "s", "X-Other": "o" },
        { "x-colour": "red", "x-trail": "first, second", "x-other": "o", "x-secret": undefined },
      ],
    ];
    for (const [path, headers, expected] of cases) {
      const echo = await seen({ path, headers });
      expect(echo).toMatchObject({ version: "v1", path });
      const names = Object.keys(expected);
      expect([path, Object.fromEntries(names.map((name) => [name, echo.headers[name]]))]).toEqual([path, expected]);
    }
  });

  it("rewrite paths, and headers beside them", async () => {
    await onlyRules(RULES.rewrite);
    const cases = [
      ["/long/one/two", "/one/two"],
      ["/cut/three", "/three"],
      ["/cut", "/"],
      ["/whole/one/two", "/one"],
    ] as const;
    for (const [path, rewritten] of cases) {
      expect([path, await seen({ path })]).toMatchObject([path, { version: "v1", path: rewritten }]);
    }
    const headers = { "X-Secret": "s", "X-Trail": "first", "X-Colour": "blue" };
    for (const [path, rewritten] of [
      ["/whole/with-headers/page", "/another"],
      ["/long/with-headers/page", "/short/page"],
    ] as const) {
      const echo = await seen({ path, headers });
      expect([path, echo]).toMatchObject([
        path,
        {
          path: rewritten,
          headers: { "x-new": "first", "x-trail": "first, second", "x-colour": "red" },
        },
      ]);
      expect(echo.headers["x-secret"]).toBeUndefined();
    }
  });

  it("are split by weights, and weight 0 gets nothing", async () => {
    await onlyRules(RULES.weights);
    const counts: Record<string, number> = {};
    for (let sent = 0; sent < 500; sent++) {
      const { version } = await seen({});
      counts[version] = (counts[version] ?? 0) + 1;
    }
    expect(Object.keys(counts).toSorted()).toEqual(["v1", "v2"]);
    // 70 % of 500 with a standard deviation of 10.2: five of them to each side.
    expect(Math.abs((counts["v1"] ?? 0) - 350)).toBeLessThan(52);
  });

  it("are split by exact paths", async () => {
    await onlyRules(RULES.split);
    expect((await seen({ path: "/v1" })).version).toBe("v1");
    expect((await seen({ path: "/v2" })).version).toBe("v2");
  });

  it("go by a route of one port on that port only", async () => {
    await onlyRules(RULES.ports);
    for (const [host, mark, version] of [
      ["catalog-v1", "first", "v1"],
      ["catalog-v1:8080", undefined, "v1"],
      ["catalog-v2", "second", "v2"],
      ["catalog-v2:8080", "second", "v2"],
    ] as const) {
      const answer = await send({ host });
      expect([host, answer.status, answer.headers["x-mark"], answer.headers["x-version"]]).toEqual([
        ...[host, 200, mark, version],
      ]);
    }
  });

  it("go by rules of the service that was called, not of the instance that answers", async () => {
    await onlyRules(RULES.frontend);
    const called = await send({ host: "catalog-v2" });
    expect([called.status, called.headers["x-mark"], called.headers["x-version"]]).toEqual([200, "set", "v2"]);
    const direct = await ask({ address: v2.inbound });
    expect([direct.status, direct.headers["x-mark"], direct.headers["x-version"]]).toEqual([200, undefined, "v2"]);
  });

  it("are named by the target of the request, whatever its Host says", async () => {
    await onlyRules(RULES.frontend);
    const absolute = (service: string, host: string): Promise<Answer> =>
      ask({ address: producer.outbound, target: `http://${service}/`, headers: { host } });
    const wrongHost = await absolute("catalog-v2", "catalog-v1");
    expect([wrongHost.headers["x-mark"], wrongHost.headers["x-version"]]).toEqual(["set", "v2"]);
    const otherService = await absolute("catalog-v1", "catalog-v2");
    expect([otherService.headers["x-mark"], otherService.headers["x-version"]]).toEqual([undefined, "v1"]);
  });

  it("go by a consumer's route for callers of its namespace only", async () => {
    await onlyRules(RULES.consumer);
    const host = `catalog-v1.${NAMESPACE}`;
    const ofConsumer = await send({ from: consumer, host });
    expect([ofConsumer.status, ofConsumer.headers["x-mark"], ofConsumer.headers["x-version"]]).toEqual([
      ...[200, "set", "v1"],
    ]);
    const ofProducer = await send({ host });
    expect([ofProducer.status, ofProducer.headers["x-mark"], ofProducer.headers["x-version"]]).toEqual([
      ...[200, undefined, "v1"],
    ]);
  });
});
