// Balancing, circuit breakers, ejections, health checks and fallbacks of outbound requests, over real sockets.
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../runtime/clock.ts";
import {
  answering,
  applyRules,
  Client,
  cleanUp,
  exchangeBytes,
  inboundRig,
  ok,
  outboundRig,
  REFUSING_ADDRESS,
  serviceOf,
  startEndpoint,
  turns,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

function policy(spec: string, name = "orders"): string {
  return `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: ${name} }
spec:
  targetRef: { kind: Service, name: ${name} }
${spec}
---
`;
}

function get(fields = "", target = "/"): string {
  return `GET ${target} HTTP/1.1\r\nHost: orders\r\n${fields}Connection: close\r\n\r\n`;
}

const ERROR = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad";
const NO_RETRY = "  retry: { attempts: 0 }\n";

function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf("\r\n\r\n") + 4);
}

async function endpoints(count: number) {
  return Promise.all(Array.from({ length: count }, (_, index) => answering(ok(`e${index}`))));
}

describe("hashing", () => {
  test.each(["ring-hash", "maglev"])("%s keeps the requests of one key on one endpoint", async (algorithm) => {
    const five = await endpoints(5);
    const { port } = await outboundRig({
      rules:
        serviceOf("orders", ...five.map(({ address }) => address)) +
        policy(`  loadBalancer: { algorithm: ${algorithm}, hashOn: { header: x-user } }`),
    });
    const seen = new Set<string>();
    for (let user = 0; user < 12; user++) {
      const answers = new Set<string>();
      for (let turn = 0; turn < 3; turn++) answers.add(bodyOf(await exchangeBytes(port, get(`X-User: u${user}\r\n`))));
      expect(answers.size).toBe(1);
      for (const answer of answers) seen.add(answer);
    }
    expect(seen.size).toBeGreaterThan(2);
  });

  test("a cookie is set when it is absent and leads back to the same endpoint", async () => {
    const five = await endpoints(5);
    const { port } = await outboundRig({
      rules:
        serviceOf("orders", ...five.map(({ address }) => address)) +
        policy("  loadBalancer: { algorithm: maglev, hashOn: { cookie: sid } }"),
    });
    for (let turn = 0; turn < 4; turn++) {
      const first = await exchangeBytes(port, get());
      const cookie = /set-cookie: (sid=[^;]+); Path=\/; HttpOnly\r\n/.exec(first)?.[1];
      expect(cookie).toBeDefined();
      const again = await exchangeBytes(port, get(`Cookie: a=b; ${cookie}\r\n`));
      expect(bodyOf(again)).toBe(bodyOf(first));
      expect(again).not.toContain("set-cookie");
    }
  });

  test("by query and by source address", async () => {
    const five = await endpoints(5);
    const addresses = five.map(({ address }) => address);
    const { port, path } = await outboundRig({
      rules:
        serviceOf("orders", ...addresses) + policy("  loadBalancer: { algorithm: ring-hash, hashOn: { query: u } }"),
    });
    const byQuery = new Set<string>();
    for (let turn = 0; turn < 4; turn++) byQuery.add(bodyOf(await exchangeBytes(port, get("", `/?x=${turn}&u=7`))));
    expect(byQuery.size).toBe(1);
    applyRules(
      path,
      serviceOf("orders", ...addresses) +
        policy("  loadBalancer: { algorithm: ring-hash, hashOn: { sourceIP: true } }"),
    );
    const bySource = new Set<string>();
    for (let turn = 0; turn < 4; turn++) bySource.add(bodyOf(await exchangeBytes(port, get("", `/${turn}`))));
    expect(bySource.size).toBe(1);
  });
});

test("the own zone is preferred while it is healthy", async () => {
  const [near, far] = [await answering(ok("near")), await answering(ok("far"))];
  const { port } = await outboundRig({
    zone: "a",
    workloads: [
      { id: "n", address: near.address, zone: "a" },
      { id: "f", address: far.address, zone: "b" },
    ],
    rules: `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80, protocol: http }] }
---
${policy("  loadBalancer: { zonePreference: { enabled: true } }")}`,
  });
  for (let turn = 0; turn < 6; turn++) expect(bodyOf(await exchangeBytes(port, get()))).toBe("near");
  await near.stop();
  expect(bodyOf(await exchangeBytes(port, get()))).toBe("far");
});

test("peak-ewma leaves an endpoint that answers late", async () => {
  const fast = await answering(ok("fast"));
  const slow = await startEndpoint((connection) => {
    connection.socket.on("data", () => turns(500).then(() => connection.socket.write(ok("slow"))));
  });
  const { port } = await outboundRig({
    rules: serviceOf("orders", fast.address, slow.address) + policy("  loadBalancer: { algorithm: peak-ewma }"),
  });
  const answers: string[] = [];
  for (let turn = 0; turn < 12; turn++) answers.push(bodyOf(await exchangeBytes(port, get())));
  expect(answers.filter((answer) => answer === "slow").length).toBeLessThanOrEqual(1);
});

test("adaptive weights follow the load that endpoints report", async () => {
  const full = await answering(ok("full", "endpoint-load-metrics: TEXT cpu_utilization=0.9\r\n"));
  const idle = await answering(ok("idle", "endpoint-load-metrics: TEXT cpu_utilization=0.1\r\n"));
  const { port, path } = await outboundRig({
    rules:
      serviceOf("orders", full.address, idle.address) +
      policy("  loadBalancer: { algorithm: round-robin, adaptive: true }"),
  });
  for (let turn = 0; turn < 4; turn++) await exchangeBytes(port, get());
  const next = path.clock.now() + 600;
  await until(() => path.clock.now() > next);
  const answers: string[] = [];
  for (let turn = 0; turn < 20; turn++) answers.push(bodyOf(await exchangeBytes(port, get())));
  expect(answers.filter((answer) => answer === "idle").length).toBeGreaterThan(14);
});

describe("the circuit breaker", () => {
  const BREAKER = "  circuitBreaker: { volumeThreshold: 3, resetTimeout: 80ms }\n";

  test("opens on failures, and refuses with retry-after", async () => {
    const bad = await answering(ERROR);
    const breaker = BREAKER.replace("80ms", "1h");
    const { port, path } = await outboundRig({ rules: serviceOf("orders", bad.address) + policy(NO_RETRY + breaker) });
    for (let turn = 0; turn < 3; turn++) expect(bodyOf(await exchangeBytes(port, get()))).toBe("bad");
    const refused = await exchangeBytes(port, get());
    expect(refused).toMatch(/^HTTP\/1.1 503 /);
    expect(refused).toContain("x-weft-reason: circuit-open\r\n");
    expect(refused).toMatch(/retry-after: 3[56]\d\d\r\n/);
    expect(bad.connections[0]!.received.match(/GET/g)).toHaveLength(3);
    path.metrics.families();
    expect(path.metrics.circuits.cell("default/orders", "open").value).toBe(1);
  });

  test("tries again when its time is over, and closes", async () => {
    let isBroken = true;
    const flaky = await answering(() => (isBroken ? ERROR : ok("good")));
    const { port, path } = await outboundRig({
      rules: serviceOf("orders", flaky.address) + policy(NO_RETRY + BREAKER),
    });
    for (let turn = 0; turn < 3; turn++) expect(bodyOf(await exchangeBytes(port, get()))).toBe("bad");
    isBroken = false;
    await until(
      () => path.snapshots.current.services.get("default/orders")?.cluster.state.breaker?.state === "half-open",
    );
    expect(bodyOf(await exchangeBytes(port, get()))).toBe("good");
    expect(path.metrics.circuitTransitions.cell("default/orders", "closed").value).toBe(1);
    expect(bodyOf(await exchangeBytes(port, get()))).toBe("good");
  });

  test("stays open over a change of rules and of endpoints, and is gone with its policy", async () => {
    const [bad, good] = [await answering(ERROR), await answering(ok("good"))];
    const breaker = BREAKER.replace("80ms", "1h");
    const { port, path } = await outboundRig({ rules: serviceOf("orders", bad.address) + policy(NO_RETRY + breaker) });
    for (let turn = 0; turn < 3; turn++) await exchangeBytes(port, get());
    applyRules(path, serviceOf("orders", good.address) + policy(`${NO_RETRY}${breaker}  timeout: { request: 9s }\n`));
    expect(await exchangeBytes(port, get())).toContain("x-weft-reason: circuit-open");
    applyRules(path, serviceOf("orders", good.address) + policy(NO_RETRY));
    expect(bodyOf(await exchangeBytes(port, get()))).toBe("good");
  });

  test("per endpoint leaves the others in use", async () => {
    const [bad, good] = [await answering(ERROR), await answering(ok("good"))];
    const { port } = await outboundRig({
      rules:
        serviceOf("orders", bad.address, good.address) +
        policy(
          `${NO_RETRY}  loadBalancer: { algorithm: round-robin }\n  circuitBreaker: { volumeThreshold: 2, resetTimeout: 1h, scope: endpoint }\n`,
        ),
    });
    const answers: string[] = [];
    for (let turn = 0; turn < 12; turn++) answers.push(bodyOf(await exchangeBytes(port, get())));
    expect(answers.filter((answer) => answer === "bad")).toHaveLength(2);
    expect(answers.slice(-6)).toEqual(Array(6).fill("good"));
  });

  test("requests that wait for a silent endpoint count when their time is over", async () => {
    const silent = await startEndpoint();
    const { port } = await outboundRig({
      rules:
        serviceOf("orders", silent.address) +
        policy(`${NO_RETRY}  timeout: { request: 30ms }\n  circuitBreaker: { volumeThreshold: 2, resetTimeout: 1h }\n`),
    });
    for (let turn = 0; turn < 2; turn++)
      expect(await exchangeBytes(port, get())).toContain("x-weft-reason: request-timeout");
    expect(await exchangeBytes(port, get())).toContain("x-weft-reason: circuit-open");
  });
});

describe("a fallback", () => {
  test("answers with its own words, and says why", async () => {
    const { port, path } = await outboundRig({
      rules:
        serviceOf("orders", REFUSING_ADDRESS) +
        policy(`${NO_RETRY}  fallback: { headers: { content-type: application/json }, body: '{"é":1}' }\n`),
    });
    const answer = await exchangeBytes(port, get());
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(answer).toContain("content-type: application/json\r\n");
    expect(answer).toContain("content-length: 8\r\n");
    expect(answer).toContain("x-weft-reason: connect-failure\r\n");
    expect(Buffer.from(bodyOf(answer), "latin1").toString()).toBe('{"é":1}');
    expect(path.metrics.fallbacks.cell("default/orders", "answer").value).toBe(1);
  });

  test("by another service sends the whole request there, once", async () => {
    const spare = await answering(ok("spare"));
    const rules = `${serviceOf("orders", REFUSING_ADDRESS)}${serviceOf("spare", spare.address)}${policy(
      `${NO_RETRY}  fallback: { service: spare }\n`,
    )}`;
    const { port, path } = await outboundRig({ rules });
    expect(bodyOf(await exchangeBytes(port, get()))).toBe("spare");
    const post = "POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
    expect(bodyOf(await exchangeBytes(port, post))).toBe("spare");
    expect(spare.connections.map(({ received }) => received).join("")).toContain("\r\n\r\nbody");
    await spare.stop();
    expect(await exchangeBytes(port, get())).toContain("x-weft-reason: connect-failure");
    const { services } = path.snapshots.current;
    expect(services.get("default/orders")?.cluster.state.activeRequests).toBe(0);
    expect(services.get("default/spare")?.cluster.state.activeRequests).toBe(0);
  });

  test("is not for answers of the service itself", async () => {
    const bad = await answering(ERROR);
    const { port } = await outboundRig({
      rules: serviceOf("orders", bad.address) + policy(`${NO_RETRY}  fallback: { body: "{}" }\n`),
    });
    expect(bodyOf(await exchangeBytes(port, get()))).toBe("bad");
  });

  test("is for what the sidecar of an endpoint says in place of its app", async () => {
    const { listener } = await inboundRig(REFUSING_ADDRESS);
    const spare = await answering(ok("spare"));
    const rules = serviceOf("orders", listener.address) + serviceOf("spare", spare.address);
    const { port, path } = await outboundRig({ rules: rules + policy(`${NO_RETRY}  fallback: { body: "{}" }\n`) });
    const answer = await exchangeBytes(port, get());
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*x-weft-reason: connect-failure\r\n[\s\S]*\r\n\r\n\{\}$/);
    applyRules(path, rules + policy(`${NO_RETRY}  fallback: { service: spare }\n`));
    expect(bodyOf(await exchangeBytes(port, get()))).toBe("spare");
    applyRules(path, rules + policy("  retry: { attempts: 1 }\n  fallback: { body: late }\n"));
    expect(bodyOf(await exchangeBytes(port, get()))).toBe("late");
    expect(path.metrics.retries.cell("default/orders", "503").value).toBe(1);
  });

  test.each([
    ["request-timeout", "{}"],
    ["deadline-exceeded", "{}"],
    ["rate-limited", "told"],
    ["fault-injected", "told"],
    ["no word of the mesh", "told"],
  ])("of a sidecar that says %s is %s", async (reason, body) => {
    const told = await answering(`HTTP/1.1 504 Told\r\nx-weft-reason: ${reason}\r\nContent-Length: 4\r\n\r\ntold`);
    const rules = serviceOf("orders", told.address) + policy(`${NO_RETRY}  fallback: { body: "{}" }\n`);
    const { port } = await outboundRig({ rules });
    expect(bodyOf(await exchangeBytes(port, get()))).toBe(body);
  });
});

/** A release of `orders`, for rules that have its versions as services. */
const RELEASE = `
apiVersion: weft.mesh/v1
kind: Rollout
metadata: { name: orders }
spec: { service: orders, stable: orders-v1, canary: orders-v2, steps: [{ weight: 50 }] }
---
`;

test.each(["fallback: { service: spare }", 'fallback: { body: "{}" }', "retry: { attempts: 0 }"])(
  "a version whose own sidecar is overloaded is judged for it, with %s",
  async (what) => {
    const told = await answering("HTTP/1.1 503 Told\r\nx-weft-reason: overloaded\r\nContent-Length: 4\r\n\r\ntold");
    const spare = await answering(ok("spare"));
    const services = ["orders", "orders-v1", "orders-v2"].map((name) => serviceOf(name, told.address)).join("");
    const rules = services + serviceOf("spare", spare.address) + RELEASE + policy(`  ${what}\n`, "orders-v1");
    const { port, path } = await outboundRig({ rules });
    await exchangeBytes(port, get());
    const counted = [...path.metrics.rolloutRequests.cells.entries.values()].filter(({ value }) => value.value > 0);
    const outcomes = counted.map(({ values }) => `${values[1]} ${values.at(-1)}`);
    expect(outcomes).toContain("default/orders-v1 failed");
  },
);

describe("an answer of an endpoint, where the sidecar then lacks a socket to ask another one,", () => {
  const UNAVAILABLE = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad";
  const RETRY = "  retry: { attempts: 1, on: [gateway-error, connect-failure], backoff: { base: 1ms, max: 1ms } }\n";

  /** The sidecar of a release whose stable version has two endpoints, with sockets for so many connections. */
  async function lacking(answer: string | undefined, sockets: number, what: string) {
    const addresses = await Promise.all([1, 2].map(async () => (await answering(answer ?? "")).address));
    const stable = answer === undefined ? [REFUSING_ADDRESS, "127.0.0.1:2"] : addresses;
    const services = ["orders", "orders-v1", "orders-v2"].map((name) => serviceOf(name, ...stable)).join("");
    const spare = serviceOf("spare", (await answering(ok("spare"))).address);
    const rig = await outboundRig({
      rules: services + spare + RELEASE + policy(what.includes("retry:") ? what : RETRY + what, "orders-v1"),
    });
    let left = sockets;
    Object.defineProperty(rig.path.sockets, "makeRoom", { value: () => left-- > 0 });
    return rig;
  }

  test.each([
    ["", "x-weft-reason: overloaded", UNAVAILABLE],
    ["", "x-weft-reason: overloaded", undefined],
    ['  fallback: { body: "instead" }\n', "instead", UNAVAILABLE],
    ["  fallback: { service: spare }\n", "x-weft-reason: overloaded", UNAVAILABLE],
    ["  fallback: { service: spare }\n", "x-weft-reason: overloaded", undefined],
  ])("is what a release judges, with %j", async (what, expected, answer) => {
    const { port, path } = await lacking(answer, 1, what);
    expect(await exchangeBytes(port, get())).toContain(expected);
    const counted = [...path.metrics.rolloutRequests.cells.entries.values()].filter(({ value }) => value.value > 0);
    expect(counted.map(({ values, value }) => `${values[1]} ${values.at(-1)} ${value.value}`)).toEqual([
      "default/orders-v1 failed 1",
    ]);
  });

  test("counts for nothing where there was none", async () => {
    const { port, path } = await lacking(UNAVAILABLE, 0, "");
    expect(await exchangeBytes(port, get())).toContain("x-weft-reason: overloaded");
    expect([...path.metrics.rolloutRequests.cells.entries.values()].map(({ value }) => value.value)).not.toContain(1);
  });

  test("counts for the release as it does without a retry when it is no failure", async () => {
    const conflict = "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n";
    const { port, path } = await lacking(conflict, 1, RETRY.replace("gateway-error", "retriable-4xx"));
    expect(await exchangeBytes(port, get())).toContain("x-weft-reason: overloaded");
    const counted = [...path.metrics.rolloutRequests.cells.entries.values()].filter(({ value }) => value.value > 0);
    expect(counted.map(({ values }) => `${values[1]} ${values.at(-1)}`)).toEqual(["default/orders-v1 ok"]);
  });

  test("counts for ejections and breakers", async () => {
    const outliers = "  outlierDetection: { consecutiveErrors: 1, baseEjectionTime: 1h, maxEjectionTime: 1h }\n";
    const ejecting = await lacking(UNAVAILABLE, 1, outliers);
    await exchangeBytes(ejecting.port, get());
    expect(ejecting.path.metrics.ejections.cell("default/orders-v1", "consecutive-errors").value).toBe(1);
    const breaking = await lacking(UNAVAILABLE, 1, "  circuitBreaker: { volumeThreshold: 1, resetTimeout: 1h }\n");
    await exchangeBytes(breaking.port, get());
    expect(await exchangeBytes(breaking.port, get())).toContain("x-weft-reason: circuit-open");
  });
});

describe("outlier detection", () => {
  const OUTLIERS =
    "  loadBalancer: { algorithm: round-robin }\n  outlierDetection: { consecutiveErrors: 2, baseEjectionTime: 1h, maxEjectionTime: 1h }\n";

  test("ejects an endpoint that fails and takes it back when its time is over", async () => {
    let isBroken = true;
    const flaky = await answering(() => (isBroken ? ERROR : ok("flaky")));
    const good = await answering(ok("good"));
    let aheadMs = 0;
    const { port, path } = await outboundRig({
      clock: { ...systemClock, now: () => systemClock.now() + aheadMs },
      rules: serviceOf("orders", flaky.address, good.address) + policy(NO_RETRY + OUTLIERS),
    });
    const ask = async (): Promise<string> => bodyOf(await exchangeBytes(port, get()));
    const answers: string[] = [];
    for (let turn = 0; turn < 10; turn++) answers.push(await ask());
    expect(answers.filter((answer) => answer === "bad")).toHaveLength(2);
    expect(path.metrics.ejections.cell("default/orders", "consecutive-errors").value).toBe(1);
    isBroken = false;
    aheadMs = 3_600_000;
    const after = new Set([await ask(), await ask(), await ask()]);
    expect(after).toEqual(new Set(["flaky", "good"]));
  });

  test("never ejects the last endpoint, and says so", async () => {
    const bad = await answering(ERROR);
    const { port, path } = await outboundRig({
      rules: serviceOf("orders", bad.address) + policy(NO_RETRY + OUTLIERS),
    });
    for (let turn = 0; turn < 6; turn++) expect(bodyOf(await exchangeBytes(port, get()))).toBe("bad");
    expect(path.metrics.ejectionsRefused.cell("default/orders", "consecutive-errors").value).toBe(3);
  });
});

describe("active health checks", () => {
  test("take an endpoint out that fails them, and bring it back", async () => {
    let isSick = true;
    const moody = await answering((request) => {
      if (!request.startsWith("GET /healthz")) return ok("moody");
      return `HTTP/1.1 ${isSick ? 503 : 200} Probe\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
    });
    const good = await answering(ok("good"));
    const rules = (check: string) => serviceOf("orders", moody.address, good.address) + policy(check);
    const { port, path } = await outboundRig({
      rules: rules(
        "  loadBalancer: { algorithm: round-robin }\n  healthCheck: { http: { path: /healthz }, interval: 10ms, unhealthyThreshold: 2, healthyThreshold: 1 }\n",
      ),
    });
    const states = () => [...(path.snapshots.current.services.get("default/orders")?.cluster.states.values() ?? [])];
    await until(() => states().some(({ isHealthy }) => !isHealthy));
    for (let turn = 0; turn < 4; turn++) expect(bodyOf(await exchangeBytes(port, get()))).toBe("good");
    isSick = false;
    await until(() => states().every(({ isHealthy }) => isHealthy));
    const seen = new Set<string>();
    for (let turn = 0; turn < 4; turn++) seen.add(bodyOf(await exchangeBytes(port, get())));
    expect(seen).toEqual(new Set(["moody", "good"]));
    expect(path.metrics.probes.cell("default/orders", "failed").value).toBeGreaterThanOrEqual(2);
    applyRules(path, rules(""));
    const probed = path.metrics.probes.cell("default/orders", "passed").value;
    await exchangeBytes(port, get());
    expect(path.metrics.probes.cell("default/orders", "passed").value).toBe(probed);
  });
});

test("without a policy an endpoint that nobody can connect to is let alone, and is back after a while", async () => {
  const good = await answering(ok("good"));
  const { port, path } = await outboundRig({
    rules: serviceOf("orders", REFUSING_ADDRESS, good.address),
  });
  const failures = () => path.metrics.attempts.cell("default/orders", "connect-failure").value;
  for (let turn = 0; turn < 40; turn++) expect(bodyOf(await exchangeBytes(port, get()))).toBe("good");
  expect(failures()).toBe(2);
  expect(path.metrics.ejections.cell("default/orders", "consecutive-connect-failures").value).toBe(1);
  // The last one is never ejected, and asking it costs one line in the log.
  applyRules(path, serviceOf("orders", REFUSING_ADDRESS));
  for (let turn = 0; turn < 8; turn++) expect(await exchangeBytes(port, get())).toContain("connect-failure");
  expect(path.metrics.ejections.cell("default/orders", "consecutive-connect-failures").value).toBe(1);
});

test("maxRetries bounds the requests that are tried again at the same time", async () => {
  const bad = await answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
  const { port, path } = await outboundRig({
    rules:
      serviceOf("orders", bad.address) +
      policy(
        "  timeout: { request: 0s }\n  connectionPool: { maxRetries: 1 }\n  retry: { attempts: 1, backoff: { base: 1h, max: 1h } }\n",
      ),
  });
  const first = new Client(port).send(get());
  const state = path.snapshots.current.services.get("default/orders")?.cluster.state;
  await until(() => state?.activeRetries === 1);
  expect(await exchangeBytes(port, get())).toMatch(/^HTTP\/1.1 503 /);
  expect(path.metrics.retriesSkipped.cell("default/orders", "max-retries").value).toBe(1);
  first.socket.destroy();
  await until(() => state?.activeRetries === 0);
});
