// Endpoints of HTTP/2 that freeze (SIGSTOP of a real process) and connections that grow idle, through real sidecars:
// calls end or go elsewhere within the configured time, and none is lost where a connection is given up.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Client, status as Code } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { clientTo, fullDuplex, type OpenDuplex, unary } from "../grpc-interop/calls.ts";
import { METHODS } from "../grpc-interop/messages.ts";
import { cleanUp, eventually, REPOSITORY, type RunningProgram, startProgram, temporaryFolder } from "../harness.ts";
import { RulesClient, startMesh, startSidecar as startMeshSidecar } from "../mesh.ts";
import { page, startSidecar } from "./sidecar-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await cleanUp();
});

const SERVER = join(REPOSITORY, "test/grpc-interop/server.ts");
/**
 * Found after at most twice the interval and the timeout; without this setting it would be minutes. Not shorter, or a
 * busy machine would make a server that is well look frozen.
 */
const KEEP_ALIVE = "keepAlive: { interval: 400ms, timeout: 1500ms }";
const FOUND_WITHIN_MS = 10_000;

function policy(spec: string): string {
  return `apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, loadBalancer: { algorithm: round-robin }, ${spec} }
---
`;
}

function serviceOf(addresses: readonly string[]): string {
  const endpoints = addresses.map((address) => `{ address: "${address}" }`).join(", ");
  return `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80, protocol: grpc }], endpoints: [${endpoints}] }
---
`;
}

/** The app's sidecar with rules of its own. */
async function startCaller(rules: string): Promise<RunningProgram> {
  const file = join(temporaryFolder(), "rules.yaml");
  writeFileSync(file, rules);
  return startSidecar("web", { flags: ["--rules", file] });
}

function connect(sidecar: RunningProgram): Client {
  const client = clientTo(sidecar.address("outbound"), "orders");
  closing.push(() => client.close());
  return client;
}

/** A stream that has been answered once: it has an endpoint. */
async function openStream(client: Client): Promise<OpenDuplex> {
  const stream = fullDuplex(client);
  stream.call.write({ responseParameters: [{ size: 1 }] });
  await stream.next();
  return stream;
}

interface Frozen {
  readonly caller: RunningProgram;
  /** What is stopped and goes on. */
  readonly process: RunningProgram;
}

/** Two servers, called directly. */
async function withServers(spec: string): Promise<Frozen> {
  const servers = [await startProgram(SERVER), await startProgram(SERVER)];
  const rules = serviceOf(servers.map((server) => server.address("address"))) + policy(spec);
  return { caller: await startCaller(rules), process: servers[0] as RunningProgram };
}

/** Two servers behind sidecars of their own, of which one freezes. */
async function withSidecars(spec: string): Promise<Frozen> {
  const mesh = await startMesh();
  const instance = async (version: string): Promise<RunningProgram> => {
    const server = await startProgram(SERVER);
    return startMeshSidecar(mesh, "orders", version, server.address("address"));
  };
  const [process] = await Promise.all([instance("v1"), instance("v2")]);
  const caller = await startMeshSidecar(mesh, "web", "v1", "127.0.0.1:9");
  const rules = new RulesClient(mesh);
  const { revision } = await rules.apply(policy(spec));
  await eventually("both are there", async () => {
    const response = await page(caller, "admin", "/clusters?format=json");
    const clusters = (await response.json()) as { service: string; endpoints: unknown[] }[];
    if (clusters.some(({ service, endpoints }) => service === "default/orders" && endpoints.length === 2)) return true;
    await unary(connect(caller), METHODS.emptyCall, {});
    return false;
  });
  await rules.wait(revision);
  rules.close();
  return { caller, process };
}

async function metric(sidecar: RunningProgram, name: string, labels: string): Promise<number> {
  const text = await (await page(sidecar, "status", "/metrics")).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

describe.each([
  ["a server", withServers],
  ["the sidecar beside a server", withSidecars],
])("%s freezes", (_what, start) => {
  test("its streams end with UNAVAILABLE in time, the others go on; it is let alone, and comes back", async () => {
    const { caller, process } = await start(
      `connectionPool: { ${KEEP_ALIVE} }, outlierDetection: { consecutiveErrors: 2, baseEjectionTime: 1s }`,
    );
    const client = connect(caller);
    const streams = [];
    for (let count = 0; count < 6; count++) streams.push(await openStream(client));
    process.signal("SIGSTOP");
    const stoppedMs = performance.now();
    const ended = await Promise.all(
      streams.map(async (stream) => {
        stream.call.write({ responseParameters: [{ size: 2 }] });
        return stream.next().then(
          () => "answered",
          async () => (await stream.ended).code,
        );
      }),
    );
    expect(performance.now() - stoppedMs).toBeLessThan(FOUND_WITHIN_MS);
    expect(ended.filter((outcome) => outcome === Code.UNAVAILABLE)).toHaveLength(3);
    expect(ended.filter((outcome) => outcome === "answered")).toHaveLength(3);

    // New calls are safe to move: the frozen one says nothing on a new connection, so it is given none.
    for (let count = 0; count < 8; count++)
      expect((await unary(client, METHODS.emptyCall, {})).code, `call ${count}`).toBe(Code.OK);
    expect(await metric(caller, "weft_outlier_ejections_total", "orders")).toBeGreaterThan(0);

    process.signal("SIGCONT");
    await eventually("it serves again", async () => {
      const stream = await openStream(client);
      stream.call.end();
      expect((await stream.ended).code).toBe(Code.OK);
      const clusters = (await (await page(caller, "admin", "/clusters?format=json")).json()) as {
        service: string;
        endpoints: { health: string; openConnections: number }[];
      }[];
      const orders = clusters.find(({ service }) => service === "default/orders");
      return (
        orders?.endpoints.length === 2 &&
        orders.endpoints.every(({ health, openConnections }) => health === "healthy" && openConnections > 0)
      );
    });
  });

  test("calls that may be repeated go elsewhere: none fails under load", async () => {
    const { caller, process } = await start(
      `connectionPool: { ${KEEP_ALIVE} }, retry: { attempts: 3, on: [connect-failure, reset, refused-stream], methods: [POST] }, outlierDetection: { consecutiveErrors: 3, baseEjectionTime: 60s }`,
    );
    const client = connect(caller);
    const outcomes: string[] = [];
    let brokeOff = 0;
    let isOver = false;
    const loops = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const { code, details, initial } = await unary(client, METHODS.unaryCall, { responseSize: 10 });
        // An answer whose head had come before the freeze cannot be had from elsewhere: it breaks off, and says so.
        if (code === Code.UNAVAILABLE && Object.keys(initial.getMap()).length > 0) brokeOff++;
        else outcomes.push(code === Code.OK ? "ok" : `${code} ${details}`);
      }
    });
    await eventually("calls were answered", () => outcomes.length > 100);
    process.signal("SIGSTOP");
    await eventually(
      "it is let alone",
      async () => (await metric(caller, "weft_outlier_ejections_total", "orders")) > 0,
    );
    const found = outcomes.length;
    await eventually("calls go on without it", () => outcomes.length > found + 100);
    isOver = true;
    await Promise.all(loops);
    expect(new Set(outcomes)).toEqual(new Set(["ok"]));
    expect(brokeOff).toBeLessThanOrEqual(loops.length);
    expect(await metric(caller, "weft_retries_total", "orders")).toBeGreaterThan(0);
  });
});

describe("an idle connection to an endpoint", () => {
  /** Answers calls, and remembers its connections. */
  async function startServer(): Promise<{ address: string; sessions: { heard: number; isClosed: boolean }[] }> {
    const sessions: { heard: number; isClosed: boolean }[] = [];
    const server = createServer();
    server.on("session", (session: ServerHttp2Session) => {
      const seen = { heard: -1, isClosed: false };
      sessions.push(seen);
      session.on("error", () => {});
      session.on("goaway", (code) => {
        seen.heard = code;
      });
      session.on("close", () => {
        seen.isClosed = true;
      });
    });
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => {});
      stream.resume();
      stream.on("end", () => {
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.alloc(5));
      });
    });
    closing.push(() => server.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sessions };
  }

  test("is closed with GOAWAY after its time, and the next call opens another", async () => {
    const { address, sessions } = await startServer();
    const caller = await startCaller(serviceOf([address]) + policy("connectionPool: { idleTimeout: 200ms }"));
    const client = connect(caller);
    for (let round = 0; round < 3; round++) {
      const calls = Array.from({ length: 10 }, () => unary(client, METHODS.emptyCall, {}));
      for (const { code } of await Promise.all(calls)) expect(code).toBe(Code.OK);
      expect(sessions).toHaveLength(round + 1);
      await eventually("it is closed", () => sessions[round]?.isClosed);
      expect(sessions[round]?.heard).toBe(0);
    }
  });

  test("no call is lost that comes just when it closes", async () => {
    const { address, sessions } = await startServer();
    // No retries at all: what is lost is seen.
    const rules = policy("connectionPool: { idleTimeout: 50ms }, retry: { attempts: 0 }");
    const client = connect(await startCaller(serviceOf([address]) + rules));
    const codes: number[] = [];
    for (let pauseMs = 35; pauseMs <= 75; pauseMs += 0.5) {
      codes.push((await unary(client, METHODS.emptyCall, {})).code);
      await new Promise((next) => setTimeout(next, pauseMs));
    }
    expect(new Set(codes)).toEqual(new Set([Code.OK]));
    expect(sessions.length).toBeGreaterThan(5);
  });
});
