// How a sidecar starts, or says why it does not; what it answers while its app or its control plane is missing; what
// bytes that make no sense do to it.
import { connect, createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { cleanUp, eventually, freePort, runProgram, startProgram } from "../harness.ts";
import { type App, call, FREE_PORTS, page, sidecarArguments, startHttpApp, startSidecar } from "./sidecar-process.ts";

const apps: App[] = [];
afterEach(async () => {
  await cleanUp();
  for (const app of apps.splice(0)) await app.close();
});

/** Nobody listens there, so the sidecar runs on its own. */
const NO_CONTROL_PLANE = ["--control-plane", "127.0.0.1:1"];

describe("the ready line", () => {
  test("is the first on stdout and names every address that is bound", async () => {
    const sidecar = await startSidecar("web", { app: "127.0.0.1:9", flags: NO_CONTROL_PLANE });
    expect(sidecar.stdout.split("\n")).toHaveLength(2);
    const address = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
    expect(sidecar.ready).toEqual({
      ready: true,
      program: "weft-sidecar",
      service: "default/web",
      id: `default/web@${sidecar.address("inbound")}`,
      outbound: address,
      inbound: address,
      advertise: sidecar.address("inbound"),
      admin: address,
      status: address,
    });
  });

  test("leaves out what is off; without --app there is no inbound listener", async () => {
    const flags = ["--outbound", "127.0.0.1:0", "--admin", "off", "--status", "off", ...NO_CONTROL_PLANE];
    const sidecar = await startProgram("weft-sidecar", ["--service", "load", ...flags]);
    expect(Object.keys(sidecar.ready).sort()).toEqual(["id", "outbound", "program", "ready", "service"]);
  });

  test("comes from the environment as from flags", async () => {
    const env = {
      WEFT_SERVICE: "orders",
      WEFT_NAMESPACE: "shop",
      WEFT_VERSION: "v2",
      WEFT_LABEL: "team=a,tier=gold",
      WEFT_APP: "127.0.0.1:9",
      WEFT_CONTROL_PLANE: "127.0.0.1:1",
      WEFT_OUTBOUND: "127.0.0.1:0",
      WEFT_INBOUND: "0.0.0.0:0",
      WEFT_ADVERTISE: "10.1.2.3:15006",
      WEFT_ADMIN: "127.0.0.1:0",
      WEFT_STATUS: "127.0.0.1:0",
      WEFT_ZONE: "eu-1",
      WEFT_ID: "",
      WEFT_CACHE: "",
    };
    const sidecar = await startProgram("weft-sidecar", [], { env });
    expect(sidecar.ready).toMatchObject({
      service: "shop/orders",
      id: "shop/orders-v2@10.1.2.3:15006",
      advertise: "10.1.2.3:15006",
    });
    const dump = (await (await page(sidecar, "admin", "/config_dump")).json()) as { sidecar: object };
    expect(dump.sidecar).toMatchObject({ labels: { team: "a", tier: "gold" }, zone: "eu-1", version: "v2" });
  });
});

describe("bad usage ends with 2 and says what is wrong", () => {
  test.each([
    ["no service", [], /--service is missing/],
    [
      "an unknown flag",
      ["--service", "web", "--outbond", "127.0.0.1:0"],
      /unknown option '--outbond'[\s\S]*--outbound/,
    ],
    ["a service that is no name", ["--service", "Web_1"], /DNS label/],
    ["an address without a port", ["--service", "web", "--outbound", "127.0.0.1"], /HOST:PORT/],
    ["an app at port 0", ["--service", "web", "--app", "127.0.0.1:0"], /HOST:PORT/],
    ["inbound without an app", ["--service", "web", "--inbound", "127.0.0.1:0"], /--inbound needs --app/],
    ["rules and a control plane", ["--service", "web", "--rules", "x", "--control-plane", "127.0.0.1:1"], /--rules/],
    ["rules and a cache", ["--service", "web", "--rules", "x", "--cache", "y"], /--cache/],
    ["a duration without a unit", ["--service", "web", "--drain", "30"], /30s/],
    ["a label without a value", ["--service", "web", "--label", "team"], /KEY=VALUE/],
    ["a word that belongs to nothing", ["--service", "web", "node"], /too many arguments/],
    ["no command after --", ["--service", "web", "--"], /command/],
    ["a log level that there is not", ["--service", "web", "--log-level", "loud"], /loud/],
  ])("%s", async (_what, args, message) => {
    const result = await runProgram("weft-sidecar", args);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toMatch(message);
  });

  test("help and version end with 0", async () => {
    const help = await runProgram("weft-sidecar", ["--help"]);
    expect(help.code).toBe(0);
    expect(help.stdout).toContain("Examples:");
    expect(help.stdout).toMatch(/WEFT_CONTROL_PLANE/);
    const version = await runProgram("weft-sidecar", ["--program-version"]);
    expect([version.code, version.stdout]).toEqual([0, "0.1.0\n"]);
  });
});

describe("an address in use", () => {
  test.each(["outbound", "inbound", "admin", "status"])(
    "of --%s ends with 1, names the flag and what to do",
    async (name) => {
      const taken = createServer();
      await new Promise<void>((listening) => taken.listen(0, "127.0.0.1", listening));
      const { port } = taken.address() as { port: number };
      const args = [...sidecarArguments("web", { app: "127.0.0.1:9", flags: NO_CONTROL_PLANE })];
      const result = await runProgram("weft-sidecar", [...args, `--${name}`, `127.0.0.1:${port}`]);
      taken.close();
      expect(result).toMatchObject({ code: 1, stdout: "" });
      expect(result.stderr).toContain(`error: cannot listen on --${name} 127.0.0.1:${port}: the address is in use`);
      expect(result.stderr).toContain(`choose another with --${name} HOST:PORT`);
    },
  );
});

describe("without a control plane and without a cache", () => {
  test("it is live, not ready, and says why in words", async () => {
    const sidecar = await startSidecar("web", { app: "127.0.0.1:9", flags: NO_CONTROL_PLANE });
    expect((await page(sidecar, "status", "/healthz/live")).status).toBe(200);
    const ready = await page(sidecar, "status", "/healthz/ready");
    expect(ready.status).toBe(503);
    const text = await ready.text();
    expect(text).toContain("not ready\nconfiguration: none yet; control plane 127.0.0.1:1: not connected");
    expect(text).toContain("app: not listening yet");
    expect(text).toContain("announced to other sidecars: no");
  });

  test("a call is answered 503 control-plane-unavailable within a second or so, not held for ever", async () => {
    const sidecar = await startSidecar("web", { flags: NO_CONTROL_PLANE });
    const first = await call(sidecar.address("outbound"), "orders");
    expect(first).toMatchObject({ status: 503, reason: "control-plane-unavailable" });
    const startMs = performance.now();
    const second = await call(sidecar.address("outbound"), "orders");
    expect(second.reason).toBe("control-plane-unavailable");
    expect(performance.now() - startMs, "the second is not held").toBeLessThan(500);
  });
});

test("while the app does not listen, requests get 503 connect-failure; then they get through", async () => {
  const port = await freePort();
  const sidecar = await startSidecar("web", { app: `127.0.0.1:${port}`, flags: NO_CONTROL_PLANE });
  expect(await call(sidecar.address("inbound"), "web")).toMatchObject({ status: 503, reason: "connect-failure" });
  apps.push(await startHttpApp("at last", port));
  expect(await call(sidecar.address("inbound"), "web")).toMatchObject({ status: 200, body: "at last" });
  await eventually("the probe notices", async () =>
    (await (await page(sidecar, "status", "/healthz/ready")).text()).includes("app: listening"),
  );
});

describe("garbage to every port", () => {
  const GARBAGE: readonly (readonly [string, Buffer])[] = [
    ["zeros", Buffer.alloc(70_000)],
    ["a TLS hello", Buffer.from(`160301020001000000${"ab".repeat(500)}`, "hex")],
    [
      "an HTTP/2 preface with nonsense after it",
      Buffer.from(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"\u00ff".repeat(99)}`, "latin1"),
    ],
    ["an endless head", Buffer.from(`GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(300_000)}`)],
    ["two lengths", Buffer.from("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab")],
    ["a broken chunk", Buffer.from("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n")],
    ["nothing at all", Buffer.alloc(0)],
  ];

  test("ends that connection and nothing else", async () => {
    apps.push(await startHttpApp("fine"));
    const sidecar = await startSidecar("web", { app: apps[0]!.address, flags: NO_CONTROL_PLANE });
    for (const name of ["outbound", "inbound", "admin", "status"]) {
      for (const [what, bytes] of GARBAGE) await send(sidecar.address(name), bytes, `${what} to ${name}`);
    }
    expect(await call(sidecar.address("inbound"), "web")).toMatchObject({ status: 200, body: "fine" });
    expect((await page(sidecar, "status", "/healthz/live")).status).toBe(200);
    expect((await page(sidecar, "admin", "/logging")).status).toBe(200);
  });
});

test("a control plane that speaks nonsense costs log lines, nothing else", async () => {
  const nonsense = createServer((socket) => {
    socket.on("error", () => {});
    socket.end(Buffer.alloc(5_000, 0xff));
  });
  await new Promise<void>((listening) => nonsense.listen(0, "127.0.0.1", listening));
  const { port } = nonsense.address() as { port: number };
  const sidecar = await startProgram("weft-sidecar", [
    ...["--service", "web", ...FREE_PORTS],
    ...["--control-plane", `127.0.0.1:${port}`],
  ]);
  await eventually("it tried", () => sidecar.stderr.includes("cannot reach the control plane"));
  expect((await page(sidecar, "status", "/healthz/live")).status).toBe(200);
  nonsense.close();
});

/** Sends bytes, then ends; resolves when the connection is over, however. */
function send(address: string, bytes: Buffer, what: string): Promise<void> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((closed, fail) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.end(bytes));
    const late = setTimeout(() => fail(new Error(`still open: ${what}`)), 10_000);
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(late);
      closed();
    });
    socket.resume();
  });
}
