// Limits and timeouts of clients as flags and environment set them, on a real process: each at the limit and past it,
// and over the time and under it.
import { writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cleanUp, eventually, type RunningProgram, runProgram, temporaryFolder } from "../harness.ts";
import { type App, page, serviceDocument, startHttpApp, startSidecar } from "./sidecar-process.ts";

let sidecar: RunningProgram;
let app: App;

beforeAll(async () => {
  app = await startHttpApp((request, answer) => {
    request.resume();
    request.on("end", () => answer.end(String(request.rawHeaders.length / 2)));
  });
  const rules = join(temporaryFolder(), "rules.yaml");
  writeFileSync(rules, serviceDocument("orders", app.address));
  sidecar = await startSidecar("web", {
    flags: [
      ...["--rules", rules, "--header-timeout", "300ms", "--body-idle-timeout", "300ms"],
      ...["--max-start-line-bytes", "100", "--max-head-bytes", "1000", "--max-fields", "5"],
    ],
    env: { WEFT_CLIENT_IDLE_TIMEOUT: "400ms", WEFT_TUNNEL_IDLE_TIMEOUT: "300ms", WEFT_MAX_CLIENT_CONNECTIONS: "10" },
  });
});
afterAll(async () => {
  await cleanUp();
  await app.close();
});

/** A client of the outbound listener that speaks bytes. */
class Client {
  received = "";
  closedAfterMs = 0;
  readonly socket: Socket;
  readonly #openedMs = performance.now();

  constructor(first = "") {
    const { hostname, port } = new URL(`http://${sidecar.address("outbound")}`);
    this.socket = connect({ host: hostname, port: Number(port) });
    this.socket.setEncoding("latin1").on("data", (text: string) => {
      this.received += text;
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closedAfterMs = performance.now() - this.#openedMs;
    });
    this.socket.write(first);
  }

  async answer(): Promise<string> {
    await eventually("an answer", () => this.received.includes("\r\n\r\n"));
    this.socket.destroy();
    return this.received;
  }

  async closes(): Promise<this> {
    await eventually("the connection closes", () => this.closedAfterMs > 0);
    return this;
  }
}

const answerTo = (request: string) => new Client(request).answer();
const FIELDS = "Host: orders\r\nConnection: close\r\n";

describe("limits", () => {
  test("--max-start-line-bytes: at it fine, one byte past it 414", async () => {
    const line = (bytes: number) => `GET /${"a".repeat(bytes - "GET / HTTP/1.1".length)} HTTP/1.1`;
    expect(await answerTo(`${line(100)}\r\n${FIELDS}\r\n`)).toMatch(/^HTTP\/1.1 200 /);
    expect(await answerTo(`${line(101)}\r\n${FIELDS}\r\n`)).toMatch(/^HTTP\/1.1 414 /);
  });

  test("--max-head-bytes: at it fine, one byte past it 431", async () => {
    const head = (bytes: number) => {
      const rest = `GET / HTTP/1.1\r\n${FIELDS}X: \r\n\r\n`;
      return `GET / HTTP/1.1\r\n${FIELDS}X: ${"a".repeat(bytes - rest.length)}\r\n\r\n`;
    };
    expect(head(1_000)).toHaveLength(1_000);
    expect(await answerTo(head(1_000))).toMatch(/^HTTP\/1.1 200 /);
    expect(await answerTo(head(1_001))).toMatch(/^HTTP\/1.1 431 /);
  });

  test("--max-fields: at it fine, one past it 431", async () => {
    const fields = (count: number) => FIELDS + "X: 1\r\n".repeat(count - 2);
    expect(await answerTo(`GET / HTTP/1.1\r\n${fields(5)}\r\n`)).toMatch(/^HTTP\/1.1 200 /);
    expect(await answerTo(`GET / HTTP/1.1\r\n${fields(6)}\r\n`)).toMatch(/^HTTP\/1.1 431 /);
  });

  test("--max-client-connections: one more is closed at once and counted", async () => {
    const clients = Array.from({ length: 11 }, () => new Client());
    await eventually("one is refused", async () => {
      const text = await (await page(sidecar, "status", "/metrics")).text();
      return text.includes('weft_client_connections_total{direction="outbound",outcome="refused"} 1\n');
    });
    await eventually("it is closed", () => clients.filter(({ closedAfterMs }) => closedAfterMs > 0).length === 1);
    for (const { socket } of clients) socket.destroy();
    await eventually("all are gone", async () =>
      (await (await page(sidecar, "status", "/metrics")).text()).includes(
        'weft_client_connections_active{direction="outbound"} 0\n',
      ),
    );
  });
});

describe("timeouts", () => {
  test("--header-timeout: 408 for a head that comes byte by byte, however steadily", async () => {
    const client = new Client("GET / HTTP/1.1\r\nHost: orders\r\nX: ");
    const trickle = setInterval(() => client.socket.write("a"), 50);
    try {
      await client.closes();
    } finally {
      clearInterval(trickle);
    }
    expect(client.received).toMatch(/^HTTP\/1.1 408 [\s\S]*x-weft-reason: client-timeout/);
    expect(client.closedAfterMs).toBeGreaterThanOrEqual(290);
  });

  test("--body-idle-timeout: 408 for a body that stops; one that goes on slowly is fine", async () => {
    const stopping = new Client("POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 9\r\n\r\nab");
    await stopping.closes();
    expect(stopping.received).toMatch(/^HTTP\/1.1 408 [\s\S]*x-weft-reason: client-timeout/);
    const slow = new Client("POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 9\r\n\r\n");
    for (let byte = 0; byte < 9; byte++) {
      await new Promise((next) => setTimeout(next, 60));
      slow.socket.write("a");
    }
    expect(await slow.answer()).toMatch(/^HTTP\/1.1 200 /);
  });

  test("--client-idle-timeout: a connection without requests is closed, one that is used is not", async () => {
    const idle = await new Client().closes();
    expect(idle.received).toBe("");
    expect(idle.closedAfterMs).toBeGreaterThanOrEqual(390);
    const used = new Client();
    for (let count = 1; count <= 4; count++) {
      used.socket.write("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
      await eventually("an answer", () => used.received.match(/HTTP\/1.1 200 /g)?.length === count);
      await new Promise((next) => setTimeout(next, 200));
    }
    await used.closes();
    expect(used.closedAfterMs).toBeGreaterThanOrEqual(1_000);
  });

  test("--tunnel-idle-timeout: a tunnel in which nothing moves is cut", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => {
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        socket.on("data", (bytes) => socket.write(bytes));
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const rules = join(temporaryFolder(), "rules.yaml");
    writeFileSync(rules, serviceDocument("echo", `127.0.0.1:${(server.address() as AddressInfo).port}`));
    const flags = ["--rules", rules, "--tunnel-idle-timeout", "1s"];
    const tunnelling = await startSidecar("web", { flags });
    const { hostname, port } = new URL(`http://${tunnelling.address("outbound")}`);
    const socket = connect({ host: hostname, port: Number(port) });
    let received = "";
    let isClosed = false;
    socket
      .on("error", () => {})
      .on("close", () => {
        isClosed = true;
      });
    socket.on("data", (bytes) => {
      received += String(bytes);
    });
    socket.write("GET / HTTP/1.1\r\nHost: echo\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    await eventually("the tunnel", () => received.includes("101 "));
    const openedMs = performance.now();
    for (let count = 1; performance.now() - openedMs < 1_500; count++) {
      socket.write("x");
      await eventually("an echo", () => received.endsWith("x".repeat(count)));
      await new Promise((next) => setTimeout(next, 100));
    }
    expect(isClosed).toBe(false);
    await eventually("it is cut", () => isClosed);
    server.close();
  });
});

test.each([
  [["--header-timeout", "0s"], "Expected a duration above 0"],
  [["--max-fields", "0"], "Expected a whole number from 1 to 10000"],
  [["--max-head-bytes", "many"], "Expected a whole number from 1 to 1048576"],
  [["--max-head-bytes", "4000"], "--max-start-line-bytes is part of --max-head-bytes"],
  [["--concurrency", "0"], "Expected a whole number from 1 to 64"],
])("%j is bad usage", async (flags, message) => {
  const result = await runProgram("weft-sidecar", ["--service", "web", ...flags]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain(message);
});
