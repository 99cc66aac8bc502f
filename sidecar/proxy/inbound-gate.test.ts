// Limits and faults on the way in, over real sockets: who is refused with which word, who waits, what changes at run time.
import { afterEach, describe, expect, test } from "vitest";
import { resourceName } from "../../rules/resource.ts";
import { buildSnapshot } from "../snapshot.ts";
import {
  answering,
  applyRules,
  Client,
  cleanUp,
  exchangeBytes,
  inboundRig,
  ok,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const GET = "GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n";

function rateLimit(spec: string): string {
  return `
apiVersion: weft.mesh/v1
kind: RateLimit
metadata: { name: caller }
spec:
  targetRef: { kind: Service, name: caller }
${spec}
---
`;
}

function fault(spec: string): string {
  return rateLimit(spec).replace("kind: RateLimit", "kind: Fault");
}

function statusOf(answer: string): number {
  return Number(answer.slice(9, 12));
}

async function statuses(port: number, count: number, request = GET): Promise<number[]> {
  const list: number[] = [];
  for (let index = 0; index < count; index++) list.push(statusOf(await exchangeBytes(port, request)));
  return list;
}

describe("rate limits", () => {
  test("documents for the service and for the version beside this sidecar act together", async () => {
    const app = await answering(ok("app"));
    const { path, port } = await inboundRig(app.address, { rules: rateLimit("  limits: [{ requests: 5, per: 1h }]") });
    const ofService = path.snapshots.current.inbound.get("default/caller")!;
    const strict = { ...ofService.rateLimits[0]!.limits[0]!, name: "of-version", burst: 1, requests: 1 };
    const ofVersion = {
      ...ofService,
      service: "default/caller-v2",
      rateLimits: [{ ...ofService.rateLimits[0]!, limits: [strict] }],
    };
    const { current } = path.snapshots;
    const resources = new Map(current.resources).set(resourceName(ofVersion), ofVersion);
    path.snapshots.swap(buildSnapshot(current, resources, current.revision + 1));
    expect(await statuses(port, 2)).toEqual([200, 429]);
    expect(path.metrics.limited.cell("of-version", "refused").value).toBe(1);
  });

  test("beyond the burst a request is answered 429 with the time until there is room", async () => {
    const app = await answering(ok("app"));
    const { port, path } = await inboundRig(app.address, {
      rules: rateLimit("  limits: [{ name: all, requests: 1, per: 1h, burst: 2 }]"),
    });
    expect(await statuses(port, 2)).toEqual([200, 200]);
    const refused = await exchangeBytes(port, GET);
    expect(refused).toMatch(/^HTTP\/1.1 429 Too Many Requests\r\n/);
    expect(refused).toContain("x-weft-reason: rate-limited\r\n");
    expect(refused).toContain('ratelimit-policy: "all";q=2;w=7200\r\n');
    expect(refused).toContain('ratelimit: "all";r=0;t=7200\r\n');
    expect(Number(/retry-after: (\d+)/.exec(refused)?.[1])).toBeGreaterThan(3_500);
    expect(path.metrics.limited.cell("all", "refused").value).toBe(1);
  });

  test("keys have their own buckets, and a limit is about the requests that it matches", async () => {
    const app = await answering(ok("app"));
    const { port } = await inboundRig(app.address, {
      rules: rateLimit(
        "  limits: [{ requests: 1, per: 1h, key: { header: x-user }, match: { path: { type: PathPrefix, value: /api } } }]",
      ),
    });
    const as = (user: string, target = "/api/a") =>
      `GET ${target} HTTP/1.1\r\nHost: orders\r\nX-User: ${user}\r\nConnection: close\r\n\r\n`;
    expect(await statuses(port, 2, as("ada"))).toEqual([200, 429]);
    expect(await statuses(port, 2, as("bob"))).toEqual([200, 429]);
    expect(await statuses(port, 3, as("ada", "/other"))).toEqual([200, 200, 200]);
  });

  test("report-only counts and refuses nobody; a refusal by one limit takes no token of another", async () => {
    const app = await answering(ok("app"));
    const { port, path } = await inboundRig(app.address, {
      rules: rateLimit(
        "  limits: [{ name: wide, requests: 3, per: 1h }, { name: strict, requests: 1, per: 1h, mode: report-only }]",
      ),
    });
    expect(await statuses(port, 4)).toEqual([200, 200, 200, 429]);
    expect(path.metrics.limited.cell("strict", "reported").value).toBe(2);
  });

  test("a change of another limit leaves the buckets as they are, taking the limit away opens the way", async () => {
    const app = await answering(ok("app"));
    const one = "{ requests: 1, per: 1h }";
    const { port, path } = await inboundRig(app.address, { rules: rateLimit(`  limits: [${one}]`) });
    expect(await statuses(port, 2)).toEqual([200, 429]);
    applyRules(path, rateLimit(`  limits: [${one}, { requests: 5, per: 1h }]`));
    expect(await statuses(port, 1)).toEqual([429]);
    applyRules(path, "");
    expect(await statuses(port, 1)).toEqual([200]);
  });
});

describe("concurrency", () => {
  /** An app that answers when it is told to. */
  async function heldApp() {
    const held: (() => void)[] = [];
    const app = await startEndpoint((connection) => {
      connection.socket.on("data", () => held.push(() => connection.socket.write(ok("app"))));
    });
    return { app, held };
  }

  test("beyond max requests wait, beyond the queue they are refused", async () => {
    const { app, held } = await heldApp();
    const { port, path } = await inboundRig(app.address, {
      rules: rateLimit("  concurrency: { max: 1, queue: 1, queueTimeout: 1m }"),
    });
    const first = new Client(port).send(GET);
    await until(() => held.length === 1);
    const second = new Client(port).send(GET);
    await until(() => path.metrics.requestsActive.cell("inbound").value === 2);
    const third = await exchangeBytes(port, GET);
    expect(third).toMatch(/^HTTP\/1.1 503 /);
    expect(third).toContain("x-weft-reason: concurrency-limited\r\n");
    expect(third).toContain("retry-after: 1\r\n");
    expect(held.length).toBe(1);
    held[0]?.();
    await first.receives("app");
    await until(() => held.length === 2);
    held[1]?.();
    await second.receives("app");
  });

  test("who waits longer than queueTimeout is refused, who goes away leaves the queue", async () => {
    const { app, held } = await heldApp();
    const { port, path } = await inboundRig(app.address, {
      rules: rateLimit("  concurrency: { max: 1, queue: 1, queueTimeout: 30ms }"),
    });
    const first = new Client(port).send(GET);
    await until(() => held.length === 1);
    expect(await exchangeBytes(port, GET)).toContain("waited in vain");
    applyRules(path, rateLimit("  concurrency: { max: 1, queue: 1, queueTimeout: 1m }"));
    const gone = new Client(port).send(GET);
    await until(() => path.metrics.requestsActive.cell("inbound").value === 2);
    gone.socket.destroy();
    await until(() => path.metrics.requestsActive.cell("inbound").value === 1);
    const next = new Client(port).send(GET);
    await until(() => path.metrics.requestsActive.cell("inbound").value === 2);
    held[0]?.();
    await first.receives("app");
    await until(() => held.length === 2);
    held[1]?.();
    await next.receives("app");
  });

  test("a request with a body waits whole", async () => {
    const { app, held } = await heldApp();
    const { port } = await inboundRig(app.address, {
      rules: rateLimit("  concurrency: { max: 1, queue: 1, queueTimeout: 1m }"),
    });
    const first = new Client(port).send(GET);
    await until(() => held.length === 1);
    const post = new Client(port).send(
      "POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
    );
    held[0]?.();
    await first.receives("app");
    await until(() => held.length === 2);
    held[1]?.();
    await post.receives("app");
    expect(app.connections.at(-1)?.received).toMatch(/\r\n\r\nbody$/);
  });

  test("an adaptive limit admits, and shows itself in the figures", async () => {
    const app = await answering(ok("app"));
    const { port, path } = await inboundRig(app.address, { rules: rateLimit("  concurrency: { adaptive: true }") });
    expect(await statuses(port, 3)).toEqual([200, 200, 200]);
    path.metrics.families();
    const gauge = path.metrics.concurrency;
    expect(gauge.cell("RateLimit default/caller", "limit").value).toBe(20);
    expect(gauge.cell("RateLimit default/caller", "in-flight").value).toBe(0);
  });
});

describe("faults", () => {
  test("an abort answers in the app's stead, with its status and reason", async () => {
    const app = await answering(ok("app"));
    const { port, path } = await inboundRig(app.address, {
      rules: fault("  match: { path: { type: PathPrefix, value: /bad } }\n  abort: { percent: 100, status: 418 }"),
    });
    expect(await statuses(port, 1)).toEqual([200]);
    const answer = await exchangeBytes(port, GET.replace("/ ", "/bad "));
    expect(answer).toMatch(/^HTTP\/1.1 418 /);
    expect(answer).toContain("x-weft-reason: fault-injected\r\n");
    expect(app.connections).toHaveLength(1);
    expect(path.metrics.faults.cell("Fault default/caller", "abort").value).toBe(1);
  });

  test("a delay holds a request back for its time", async () => {
    const app = await answering(ok("app"));
    const { port, path } = await inboundRig(app.address, {
      rules: fault("  delay: { percent: 100, duration: 80ms }"),
    });
    const before = path.clock.now();
    expect(await statuses(port, 1)).toEqual([200]);
    expect(path.clock.now() - before).toBeGreaterThanOrEqual(80);
  });

  test("a client that goes away while it is delayed leaves nothing behind", async () => {
    const app = await answering(ok("app"));
    const { port, path } = await inboundRig(app.address, { rules: fault("  delay: { percent: 100, duration: 1h }") });
    const client = new Client(port).send(GET);
    await until(() => path.metrics.requestsActive.cell("inbound").value === 1);
    client.socket.destroy();
    await until(() => path.metrics.requestsActive.cell("inbound").value === 0);
    expect(app.connections).toHaveLength(0);
  });

  test("a client that ends its side while it is delayed, and says no more, is given up in its grace", async () => {
    const app = await startEndpoint();
    const { port, path } = await inboundRig(app.address, {
      rules: fault("  delay: { percent: 100, duration: 200ms }"),
      limits: { halfClosedGraceMs: 400 },
    });
    new Client(port).socket.end(GET);
    await (await app.connection(0)).receives("\r\n\r\n");
    await until(() => path.metrics.requestsActive.cell("inbound").value === 0);
    await until(() => app.connections[0]?.hasEnded === true);
  });
});

test("shedding refuses low priorities first", async () => {
  const app = await answering(ok("app"));
  const { port, path } = await inboundRig(app.address, { rules: rateLimit("  shedding: { eventLoopDelay: 100ms }") });
  const at = (priority: number) => GET.replace("Connection", `x-weft-priority: ${priority}\r\nConnection`);
  expect(await statuses(port, 1, at(0))).toEqual([200]);
  path.load.eventLoopDelayMs = 1e6;
  const answer = await exchangeBytes(port, at(5));
  expect(answer).toContain("x-weft-reason: overloaded\r\n");
  expect(answer).toContain("retry-after: 1\r\n");
  path.load.eventLoopDelayMs = 1e6;
  expect(await statuses(port, 1, at(9))).toEqual([200]);
});
