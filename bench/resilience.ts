// What callers feel when something is wrong, with real sidecars and sockets: one endpoint of ten slow, one failing half of
// its requests, a dead leaf below four hops, three times more load than a service can do. The same on a virtual clock is in
// the tests of sidecar/balance, sidecar/policy and sidecar/proxy/nearest-hop.test.ts.
import { writeFileSync } from "node:fs";
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { systemClock } from "../runtime/clock.ts";
import { seededRandom } from "../runtime/random.ts";
import { cleanUp, type RunningProgram, startProgram, temporaryFolder } from "../test/harness.ts";
import { type BenchOptions, type BenchResult, type Figure, percentile } from "./result.ts";

const HOST = "127.0.0.1";
const SECONDS = 10;
const OVERLOAD_SECONDS = 60;
/** The service under overload: so many at once, each for so long. */
const WORKERS = 10;
const WORK_MS = 50;
const CAPACITY_MS = 4_000;

type Handler = (incoming: IncomingMessage, answer: ServerResponse) => void;

interface Outcome {
  readonly status: number;
  readonly latencyMs: number;
}

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const figures: Figure[] = [];
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    note(name);
    try {
      figures.push(...(await scenario(scale)));
    } finally {
      await cleanUp();
      for (const server of servers.splice(0)) server.close().closeAllConnections();
    }
  }
  return { bench: "resilience", title: "What callers feel when something is wrong; real sidecars.", figures };
}

const SCENARIOS: Readonly<Record<string, (scale: number) => Promise<Figure[]>>> = {
  "one endpoint of ten slow": oneSlow,
  "one endpoint of ten failing half": oneFailing,
  "dead leaf below four hops": deadLeaf,
  "three times the capacity": overload,
};

const servers: Server[] = [];

async function serve(handler: Handler): Promise<string> {
  const server = createServer(handler).listen(0, HOST);
  servers.push(server);
  await new Promise((listening) => server.once("listening", listening));
  return `${HOST}:${(server.address() as AddressInfo).port}`;
}

function after(delayMs: number, status = 200): Handler {
  return (_, answer) => systemClock.after(delayMs, () => answer.writeHead(status).end("ok"));
}

/** A sidecar with rules and, where `app` is given, an inbound listener. */
function sidecar(service: string, rules: string, app = ""): Promise<RunningProgram> {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "rules.yaml"), rules);
  const inbound = app === "" ? [] : ["--app", app, "--inbound", `${HOST}:0`];
  const listeners = ["outbound", "admin", "status"].flatMap((name) => [`--${name}`, `${HOST}:0`]);
  const flags = ["--service", service, "--rules", folder, "--log-level", "error", ...listeners, ...inbound];
  return startProgram("weft-sidecar", flags);
}

function serviceOf(name: string, addresses: readonly string[], policy = ""): string {
  const endpoints = addresses.map((address) => `{ address: "${address}" }`).join(", ");
  return `apiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { endpoints: [${endpoints}] }\n---\napiVersion: weft.mesh/v1\nkind: TrafficPolicy\nmetadata: { name: ${name} }\nspec: { targetRef: { kind: Service, name: ${name} }${policy} }\n---\n`;
}

/** Requests that come on their own time, not when answers allow. */
async function openLoop(address: string, host: string, perSecond: number, seconds: number): Promise<Outcome[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4_096 });
  const random = seededRandom(7);
  const outcomes: Promise<Outcome>[] = [];
  const startMs = systemClock.now();
  for (
    let dueMs = startMs;
    dueMs < startMs + seconds * 1_000;
    dueMs += (-Math.log(1 - random.next()) * 1_000) / perSecond
  ) {
    const waitMs = dueMs - systemClock.now();
    if (waitMs > 0) await new Promise<void>((next) => systemClock.after(waitMs, next));
    outcomes.push(ask(address, host, agent));
  }
  const all = await Promise.all(outcomes);
  agent.destroy();
  return all;
}

function ask(address: string, host: string, agent: Agent): Promise<Outcome> {
  const { hostname, port } = new URL(`http://${address}`);
  const startMs = systemClock.now();
  return new Promise((settle) => {
    const end = (status: number): void => settle({ status, latencyMs: systemClock.now() - startMs });
    const outgoing = request({ hostname, port, agent, headers: { host } }, (answer) => {
      answer.resume();
      answer.on("end", () => end(answer.statusCode ?? 0));
      answer.on("error", () => end(0));
    });
    outgoing.on("error", () => end(0));
    outgoing.end();
  });
}

function p99(outcomes: readonly Outcome[]): number {
  return percentile(
    outcomes.map(({ latencyMs }) => latencyMs),
    99,
  );
}

async function oneSlow(scale: number): Promise<Figure[]> {
  const goodMs = 20;
  const p99With = async (algorithm: string, slowMs: number): Promise<number> => {
    const handlers = Array.from({ length: 10 }, (_, index) => after(index === 0 ? slowMs : goodMs));
    const addresses = await Promise.all(handlers.map(serve));
    const caller = await sidecar("web", serviceOf("orders", addresses, `, loadBalancer: { algorithm: ${algorithm} }`));
    await openLoop(caller.address("outbound"), "orders", 300, 2);
    return p99(await openLoop(caller.address("outbound"), "orders", 300, Math.max(2, SECONDS * scale)));
  };
  const good = await p99With("peak-ewma", goodMs);
  const slow = await p99With("peak-ewma", goodMs * 10);
  const worse = await p99With("round-robin", goodMs * 10);
  const detail = `300 requests/s; ${goodMs} ms, the slow one ${goodMs * 10} ms`;
  return [
    { name: "ten good endpoints: p99", value: good, unit: "ms", detail },
    { name: "one of ten slow, peak-ewma: p99", value: slow, unit: "ms", detail },
    {
      name: "one of ten slow, peak-ewma: p99 against ten good",
      value: slow / good,
      unit: "ratio",
      target: { kind: "at-most", value: 1.5 },
    },
    { name: "one of ten slow, round-robin: p99", value: worse, unit: "ms", detail: "for comparison" },
  ];
}

async function oneFailing(scale: number): Promise<Figure[]> {
  const random = seededRandom(3);
  const good = after(5);
  const failing: Handler = (incoming, answer) =>
    random.next() < 0.5 ? answer.writeHead(503).end() : good(incoming, answer);
  const addresses = await Promise.all(Array.from({ length: 10 }, (_, index) => serve(index === 0 ? failing : good)));
  const ejection = ", outlierDetection: { failurePercentage: { threshold: 30, minRequests: 20 }, interval: 1s }";
  const caller = await sidecar("web", serviceOf("orders", addresses, ejection));
  const outcomes = await openLoop(caller.address("outbound"), "orders", 300, Math.max(3, 2 * SECONDS * scale));
  const succeeded = outcomes.filter(({ status }) => status === 200).length;
  return [
    {
      name: "one of ten failing half: success at the client",
      value: (succeeded / outcomes.length) * 100,
      unit: "%",
      target: { kind: "at-least", value: 99.9 },
      detail: `${outcomes.length} requests, retries and ejection by failurePercentage`,
    },
  ];
}

async function deadLeaf(scale: number): Promise<Figure[]> {
  let load = 0;
  const leaf = await serve((_, answer) => {
    load++;
    answer.writeHead(503).end();
  });
  let next = (await sidecar("d", "", leaf)).address("inbound");
  for (const [name, callee] of [
    ["c", "d"],
    ["b", "c"],
    ["a", "b"],
  ] as const)
    next = await middle(name, callee, next);
  const caller = await sidecar("web", serviceOf("a", [next]));
  const outcomes = await openLoop(caller.address("outbound"), "a", 100, Math.max(3, SECONDS * scale));
  return [
    {
      name: "dead leaf below four hops: its load",
      value: load / outcomes.length,
      unit: "ratio",
      target: { kind: "at-most", value: 1.3 },
      detail: `${outcomes.length} requests at 100/s, default retries at every hop`,
    },
  ];
}

/** A service that calls the next through its own sidecar, and fails when that does. */
async function middle(name: string, callee: string, calleeInbound: string): Promise<string> {
  let outbound = "";
  const agent = new Agent({ keepAlive: true });
  const app = await serve((_, answer) => {
    void ask(outbound, callee, agent).then(({ status }) => answer.writeHead(status === 200 ? 200 : 503).end());
  });
  const program = await sidecar(name, serviceOf(callee, [calleeInbound]), app);
  outbound = program.address("outbound");
  return program.address("inbound");
}

async function overload(scale: number): Promise<Figure[]> {
  const waiting: ServerResponse[] = [];
  let busy = 0;
  const work = (answer: ServerResponse): void => {
    busy++;
    systemClock.after(WORK_MS, () => {
      answer.end("ok");
      busy--;
      const next = waiting.shift();
      if (next !== undefined) work(next);
    });
  };
  const app = await serve((_, answer) => (busy < WORKERS ? work(answer) : waiting.push(answer)));
  const limit =
    "apiVersion: weft.mesh/v1\nkind: RateLimit\nmetadata: { name: orders }\nspec: { targetRef: { kind: Service, name: orders }, concurrency: { max: 1000, adaptive: true } }\n";
  const service = await sidecar("orders", limit, app);
  const inbound = service.address("inbound");
  // What the machine has to spare sets the capacity as much as the workers do, so it is measured, before and after.
  const before = await capacityOf(app);
  const calm = p99(await openLoop(inbound, "orders", before / 2, 5));
  const seconds = Math.max(10, OVERLOAD_SECONDS * scale);
  const outcomes = await openLoop(inbound, "orders", before * 3, seconds);
  const capacity = (before + (await capacityOf(app))) / 2;
  const served = outcomes.filter(({ status }) => status === 200);
  const detail = `capacity ${capacity.toFixed(0)}/s measured, offered three times that for ${seconds} s`;
  return [
    {
      name: "three times the capacity: goodput",
      value: (served.length / seconds / capacity) * 100,
      unit: "% of capacity",
      target: { kind: "at-least", value: 90 },
      detail,
    },
    {
      name: "three times the capacity: p99 of accepted against calm",
      value: p99(served) / calm,
      unit: "ratio",
      target: { kind: "at-most", value: 2 },
      detail: `calm ${calm.toFixed(0)} ms`,
    },
  ];
}

/** Requests a second that the app does for as many callers as it has workers. */
async function capacityOf(app: string): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  const startMs = systemClock.now();
  let done = 0;
  const caller = async (): Promise<void> => {
    while (systemClock.now() < startMs + CAPACITY_MS) {
      await ask(app, "app", agent);
      done++;
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, caller));
  agent.destroy();
  return (done * 1_000) / (systemClock.now() - startMs);
}
