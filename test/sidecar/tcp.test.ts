// `--tcp`: local ports for services of bytes, with real processes: a control plane, servers that speak first behind their
// sidecars, and the sidecar of a client. What is cut, drained, killed or slow costs what it must and no more.
import { existsSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  cleanUp,
  eventually,
  freePort,
  REPOSITORY,
  type RunningProgram,
  runProgram,
  startProgram,
  temporaryFolder,
} from "../harness.ts";
import { type Mesh, RulesClient, startMesh, startSidecar as startMeshSidecar } from "../mesh.ts";
import { memoryOf } from "../slow-transfer.ts";
import { page, sidecarArguments, startSidecar } from "./sidecar-process.ts";

const GREETER = join(REPOSITORY, "test/apps/greeter.ts");
const MEBIBYTE = 1024 * 1024;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

const MAIL = `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: mail }
spec: { ports: [{ port: 25, protocol: tcp }] }
---
`;

/**
 * A server of bytes with its sidecar. On ports that nobody else is given: either may be killed while it is still called,
 * and whoever got its port next would be taken for it (a server of HTTP, say, that greets nobody).
 */
async function startMail(mesh: Mesh, version: string) {
  const env = { VERSION: version, PORT: String(await freePort()) };
  const app = await startProgram(GREETER, [], { env });
  const inbound = ["--inbound", `127.0.0.1:${await freePort()}`];
  const sidecar = await startMeshSidecar(mesh, "mail", version, app.address("address"), inbound);
  return { app, sidecar };
}

/** The sidecar of a client, with a local port for `mail`. */
function startClient(mesh: Mesh, ...flags: string[]): Promise<RunningProgram> {
  return startSidecar("shop", { flags: ["--control-plane", mesh.server, "--tcp", "0=mail:25", ...flags] });
}

/** Applies the documents and waits until `sidecars` endpoints of mail take connections. */
async function applied(mesh: Mesh, documents: string): Promise<void> {
  const rules = new RulesClient(mesh);
  closing.push(() => rules.close());
  await rules.wait((await rules.apply(documents)).revision);
}

function portOf({ ready }: RunningProgram, service = "mail:25"): string {
  return (ready["tcp"] as Record<string, string>)[service] ?? "";
}

/** A client that speaks bytes. */
class Talk {
  received = "";
  error = "";
  hasEnded = false;
  isClosed = false;
  readonly socket: Socket;

  constructor(address: string) {
    const { hostname, port } = new URL(`tcp://${address}`);
    this.socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    this.socket.setEncoding("latin1").on("data", (text: string) => {
      this.received += text;
    });
    this.socket.on("end", () => {
      this.hasEnded = true;
    });
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? "";
    });
    this.socket.on("close", () => {
      this.isClosed = true;
    });
    closing.push(() => this.socket.destroy());
  }

  async receives(text: string): Promise<string> {
    await eventually(`${text} in ${this.received} ${this.error}`, () => this.received.includes(text));
    return this.received;
  }

  /** The version that greeted, or what came instead. */
  async greeting(): Promise<string> {
    try {
      await eventually("a greeting or the end", () => this.received.includes("\n") || this.isClosed);
    } catch {
      return `neither greeting nor end: ${this.#fate}`;
    }
    return this.received.match(/^220 (\S+) is ready\n/)?.[1] ?? `no greeting: ${this.#fate}`;
  }

  get #fate(): string {
    const { received, error, isClosed, socket } = this;
    return JSON.stringify({ received, error, isClosed, from: socket.localPort });
  }
}

/** Who greets on a new connection, which then ends. */
async function greeterAt(address: string): Promise<string> {
  const talk = new Talk(address);
  const version = await talk.greeting();
  talk.socket.destroy();
  return version;
}

/** The sum of all samples of a metric whose labels contain all of `labels`. */
async function metric(sidecar: RunningProgram, name: string, ...labels: string[]): Promise<number> {
  const text = await (await page(sidecar, "status", "/metrics")).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) && labels.every((l) => line.includes(l)));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

describe("through a mesh", () => {
  test("a server that speaks first is heard; bytes go both ways and are counted on both sides", async () => {
    const mesh = await startMesh();
    const { sidecar } = await startMail(mesh, "v1");
    await applied(mesh, MAIL);
    const client = await startClient(mesh);
    expect(client.ready["tcp"]).toEqual({ "mail:25": expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
    const talk = new Talk(portOf(client));
    await talk.receives("220 v1 is ready\n");
    talk.socket.write("hello");
    await talk.receives("hello");
    expect(await metric(client, "weft_tunnels", 'service="default/mail"')).toBe(1);
    talk.socket.end(", and that is all");
    await eventually("the server's end", () => talk.hasEnded);
    expect(talk.received).toBe("220 v1 is ready\nhello, and that is all");
    for (const [each, direction] of [
      [client, "outbound"],
      [sidecar, "inbound"],
    ] as const) {
      const labels = [`direction="${direction}"`, 'service="default/mail"'];
      await eventually("none is open", async () => (await metric(each, "weft_tunnels", ...labels)) === 0);
      expect(await metric(each, "weft_tunnels_opened_total", ...labels)).toBe(1);
      expect(await metric(each, "weft_tunnel_bytes_total", ...labels, 'flow="sent"')).toBe(22);
      expect(await metric(each, "weft_tunnel_bytes_total", ...labels, 'flow="received"')).toBe(38);
      expect(await metric(each, "weft_requests_total", ...labels, 'method="CONNECT"', 'status="200"')).toBe(1);
    }
  });

  test("weights split connections between versions; a killed server costs none of the next ones", async () => {
    const mesh = await startMesh();
    const [one, two] = [await startMail(mesh, "v1"), await startMail(mesh, "v2")];
    const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: mail }
spec:
  parentRefs: [{ group: "", kind: Service, name: mail }]
  rules: [{ backendRefs: [{ name: mail-v1, port: 25, weight: 75 }, { name: mail-v2, port: 25, weight: 25 }] }]
---
`;
    await applied(mesh, MAIL + route);
    const client = await startClient(mesh);
    const seen = { v1: 0, v2: 0 };
    for (let count = 0; count < 200; count++) seen[(await greeterAt(portOf(client))) as "v1" | "v2"]++;
    expect(seen.v1 + seen.v2).toBe(200);
    expect(seen.v2).toBeGreaterThan(25);
    expect(seen.v2).toBeLessThan(80);
    const rules = new RulesClient(mesh);
    await rules.wait((await rules.apply(MAIL, true)).revision);
    rules.close();
    // The app of one is killed: its sidecar says so, and nothing has gone through yet.
    await one.app.kill();
    for (let count = 0; count < 60; count++) expect(await greeterAt(portOf(client))).toBe("v2");
    // All of another is killed: nobody says anything.
    const three = await startMail(mesh, "v3");
    await eventually("v3 greets", async () => (await greeterAt(portOf(client))) === "v3");
    await Promise.all([two.sidecar.kill(), two.app.kill()]);
    for (let count = 0; count < 40; count++) expect(await greeterAt(portOf(client))).toBe("v3");
    expect(three.app.pid).toBeGreaterThan(0);
  });

  test("an endpoint whose sidecar ends in order keeps its connections until the drain time is over", async () => {
    const mesh = await startMesh();
    const [one] = [await startMail(mesh, "v1")];
    await applied(mesh, MAIL);
    const client = await startClient(mesh);
    const talk = new Talk(portOf(client));
    await talk.receives("220 v1");
    await startMail(mesh, "v2");
    await eventually("v2 greets", async () => (await greeterAt(portOf(client))) === "v2");
    one.sidecar.signal("SIGTERM");
    await eventually("only v2 greets", async () => {
      const greeters = [];
      for (let count = 0; count < 10; count++) greeters.push(await greeterAt(portOf(client)));
      return greeters.every((version) => version === "v2");
    });
    talk.socket.write("still here");
    await talk.receives("still here");
    talk.socket.end();
    expect((await one.sidecar.exited).code).toBe(0);
  });

  test("several processes share a port", async () => {
    const mesh = await startMesh();
    await startMail(mesh, "v1");
    await applied(mesh, MAIL);
    const client = await startClient(mesh, "--concurrency", "2");
    const talks = Array.from({ length: 40 }, () => new Talk(portOf(client)));
    for (const talk of talks) expect(await talk.greeting()).toBe("v1");
    expect(await metric(client, "weft_tunnels", 'service="default/mail"')).toBe(40);
    const dump = (await (await page(client, "admin", "/config_dump")).json()) as { workers: { pid: number }[] };
    process.kill(dump.workers[0]?.pid ?? 0, "SIGKILL");
    await eventually("some have ended", () => talks.some(({ hasEnded }) => hasEnded));
    expect(talks.some(({ hasEnded }) => !hasEnded)).toBe(true);
    await eventually("both processes serve again", async () => {
      const { workers } = (await (await page(client, "admin", "/config_dump")).json()) as {
        workers: { state: string; restarts: number }[];
      };
      return workers.every(({ state }) => state === "running") && workers.some(({ restarts }) => restarts === 1);
    });
    for (let count = 0; count < 20; count++) expect(await greeterAt(portOf(client))).toBe("v1");
  });

  test("what has a port is known before its first connection, which the control plane need not live to see", async () => {
    const mesh = await startMesh();
    await startMail(mesh, "v1");
    await applied(mesh, MAIL);
    const client = await startClient(mesh);
    await eventually("mail is known", async () =>
      (await (await page(client, "admin", "/clusters")).text()).includes("mail"),
    );
    await mesh.controlPlane.kill();
    expect(await greeterAt(portOf(client))).toBe("v1");
  });

  test("a service that nobody knows resets at once, and works as soon as there is one", async () => {
    const mesh = await startMesh();
    const client = await startClient(mesh);
    const talk = new Talk(portOf(client));
    expect(await talk.greeting()).toMatch(/^no greeting/);
    expect(talk.received).toBe("");
    expect(talk.error).toBe("ECONNRESET");
    expect(client.stderr).toContain("tcp connections refused");
    expect(await metric(client, "weft_requests_total", 'reason="no-such-service"')).toBe(1);
    await startMail(mesh, "v1");
    await applied(mesh, MAIL);
    await eventually("v1 greets", async () => (await greeterAt(portOf(client))) === "v1");
  });
});

/** A rule file for a service of bytes with one endpoint. */
function rulesFor(name: string, address: string): string {
  const file = join(temporaryFolder(), "rules.yaml");
  const ports = "ports: [{ port: 25, protocol: tcp }]";
  writeFileSync(
    file,
    `{ apiVersion: weft.mesh/v1, kind: Service, metadata: { name: ${name} }, spec: { ${ports}, endpoints: [{ address: "${address}" }] } }`,
  );
  return file;
}

async function startStandAlone(...flags: string[]) {
  const app = await startProgram(GREETER);
  const rules = rulesFor("mail", app.address("address"));
  return { app, sidecar: await startSidecar("shop", { flags: ["--rules", rules, "--tcp", "0=mail:25", ...flags] }) };
}

describe("draining", () => {
  test("takes no more connections and lets those there are talk until they end", async () => {
    const { sidecar } = await startStandAlone();
    const talk = new Talk(portOf(sidecar));
    await talk.receives("220 v1");
    sidecar.signal("SIGINT");
    await eventually("connections are refused", async () => {
      const late = new Talk(portOf(sidecar));
      await eventually("a greeting or the end", () => late.received !== "" || late.isClosed);
      late.socket.resetAndDestroy();
      return late.error === "ECONNREFUSED";
    });
    talk.socket.write("still here");
    await talk.receives("still here");
    talk.socket.end();
    expect((await sidecar.exited).code).toBe(0);
    expect(talk.error).toBe("");
  });

  test("cuts what is left after --drain", async () => {
    const { sidecar } = await startStandAlone("--drain", "1s");
    const talk = new Talk(portOf(sidecar));
    await talk.receives("220 v1");
    const start = performance.now();
    expect((await sidecar.stop()).code).toBe(0);
    expect(performance.now() - start).toBeLessThan(5_000);
    await eventually("the reset", () => talk.isClosed);
    expect(talk.error).toBe("ECONNRESET");
  });
});

describe.skipIf(!existsSync("/proc/self/status"))("what connections take", () => {
  test("200 MiB to a client that reads slowly are all there, and memory is bounded", async () => {
    const { sidecar } = await startStandAlone();
    await greeterAt(portOf(sidecar));
    const before = memoryOf(sidecar.pid, "VmRSS");
    const asked = 200 * MEBIBYTE;
    const talk = new Talk(portOf(sidecar));
    await talk.receives("220 v1");
    const greeted = talk.received.length;
    let bytes = 0;
    let lookAwayAt = 8 * MEBIBYTE;
    talk.socket.removeAllListeners("data");
    talk.socket.on("data", (piece: string) => {
      bytes += piece.length;
      if (bytes < lookAwayAt) return;
      lookAwayAt += 8 * MEBIBYTE;
      talk.socket.pause();
      setTimeout(() => talk.socket.resume(), 20);
    });
    talk.socket.end(`POUR ${asked}\n`);
    await eventually("all of it", () => talk.hasEnded);
    expect(greeted).toBe("220 v1 is ready\n".length);
    expect(bytes).toBe(asked);
    expect((memoryOf(sidecar.pid, "VmHWM") - before) / MEBIBYTE).toBeLessThan(16);
  });

  test("200 MiB to a server that reads slowly are all there, and memory is bounded", async () => {
    let bytes = 0;
    let isOver = false;
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let lookAwayAt = 8 * MEBIBYTE;
      socket.on("data", (piece: Buffer) => {
        bytes += piece.length;
        if (bytes < lookAwayAt) return;
        lookAwayAt += 8 * MEBIBYTE;
        socket.pause();
        setTimeout(() => socket.resume(), 20);
      });
      socket.on("end", () => {
        isOver = true;
        socket.end();
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    closing.push(() => server.close());
    const bound = server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const flags = ["--rules", rulesFor("mail", `127.0.0.1:${port}`), "--tcp", "0=mail:25"];
    const sidecar = await startSidecar("shop", { flags });
    const before = memoryOf(sidecar.pid, "VmRSS");
    const talk = new Talk(portOf(sidecar));
    const piece = Buffer.alloc(MEBIBYTE, "x");
    for (let count = 0; count < 200; count++)
      if (!talk.socket.write(piece)) await new Promise<void>((next) => talk.socket.once("drain", next));
    talk.socket.end();
    await eventually("all of it", () => isOver);
    expect(bytes).toBe(200 * MEBIBYTE);
    expect((memoryOf(sidecar.pid, "VmHWM") - before) / MEBIBYTE).toBeLessThan(16);
  });

  test("1,000 connections at a time, each with its own talk", async () => {
    const { sidecar } = await startStandAlone();
    await greeterAt(portOf(sidecar));
    const before = memoryOf(sidecar.pid, "VmRSS");
    const talks: Talk[] = [];
    while (talks.length < 1_000) {
      const some = Array.from({ length: 100 }, () => new Talk(portOf(sidecar)));
      talks.push(...some);
      for (const talk of some) expect(await talk.greeting()).toBe("v1");
    }
    expect(await metric(sidecar, "weft_tunnels")).toBe(1_000);
    for (const [index, talk] of talks.entries()) talk.socket.write(`I am ${index}.`);
    for (const [index, talk] of talks.entries()) await talk.receives(`I am ${index}.`);
    expect((memoryOf(sidecar.pid, "VmRSS") - before) / MEBIBYTE).toBeLessThan(48);
    for (const { socket } of talks) socket.destroy();
    await eventually("all are gone", async () => (await metric(sidecar, "weft_tunnels")) === 0);
    expect(await greeterAt(portOf(sidecar))).toBe("v1");
  });
});

describe("a command line that makes no sense", () => {
  const NO_CONTROL_PLANE = ["--control-plane", "127.0.0.1:1"];

  test.each([
    [["--tcp", "mail:25"], /option '--tcp .*' argument 'mail:25' is invalid. Expected \[HOST:\]PORT=SERVICE/],
    [["--tcp", "70000=mail"], /"70000" is no address to listen on. Expected \[HOST:\]PORT=SERVICE/],
    [["--tcp", "5432=mail_server"], /"mail_server" is no name of a service. Expected \[HOST:\]PORT=SERVICE/],
    [["--tcp", "5432=mail:0"], /"mail:0" is no name of a service/],
    [["--tcp", ""], /Expected \[HOST:\]PORT=SERVICE/],
    [["--tcp", "5432=mail,127.0.0.1:5432=news"], /--tcp 127.0.0.1:5432 is given twice: a port stands for one service/],
    [["--tcp", "0=mail", "--tcp", "0=mail.default"], /--tcp names mail.default twice: a service has one local port/],
  ])("%j", async (flags, message) => {
    const { code, stderr } = await runProgram("weft-sidecar", sidecarArguments("shop", { flags }));
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  test("a port that is taken is named, with what to do about it", async () => {
    const port = await freePort();
    const server = createServer();
    await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
    closing.push(() => server.close());
    for (const more of [[], ["--concurrency", "2"]]) {
      const flags = [...NO_CONTROL_PLANE, "--tcp", `${port}=mail`, ...more];
      const { code, stderr } = await runProgram("weft-sidecar", sidecarArguments("shop", { flags }));
      expect(code).toBe(1);
      expect(stderr).toContain(`cannot listen on --tcp 127.0.0.1:${port}: the address is in use`);
      expect(stderr).toContain("choose another with --tcp HOST:PORT=SERVICE");
    }
  });

  test("--outbound off is enough where there is a local port; all addresses and several services may be named", async () => {
    const flags = ["--outbound", "off", "--admin", "off", "--status", "off", ...NO_CONTROL_PLANE];
    const env = { WEFT_TCP: "0=mail, 127.0.0.1:0=news.press:119,:0=db:5432" };
    const sidecar = await startProgram("weft-sidecar", ["--service", "shop", ...flags], { env });
    expect(sidecar.ready["tcp"]).toEqual({
      mail: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      "news.press:119": expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      "db:5432": expect.stringMatching(/^0\.0\.0\.0:\d+$/),
    });
  });
});
