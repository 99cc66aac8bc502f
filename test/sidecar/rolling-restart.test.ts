// Instances of a service are replaced one after the other under steady load of requests that must not be repeated, and
// not one of them fails. Every process is a real one.
import { afterEach, expect, test } from "vitest";
import { cleanUp, eventually, freePort, type RunningProgram } from "../harness.ts";
import { type Mesh, startMesh } from "../mesh.ts";
import { SteadyLoad } from "../steady-load.ts";
import { call, page, startSidecar } from "./sidecar-process.ts";

const instances: RunningProgram[] = [];
afterEach(async () => {
  // In order, because an app outlives a sidecar that is killed.
  await Promise.all(instances.splice(0).map((instance) => instance.stop()));
  await cleanUp();
});

/** Answers after 0 to 30 ms, so that there is always something in flight; ends itself when it is told to. */
const APP = `
  const { createServer } = require("node:http");
  let turn = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => setTimeout(() => response.end("fine"), (turn++ * 7) % 31));
  });
  server.listen(Number(process.argv[1]), "127.0.0.1");
  process.on("SIGTERM", () => process.exit(0));`;

async function startInstance(mesh: Mesh, concurrency: string): Promise<RunningProgram> {
  const port = String(await freePort());
  const sidecar = await startSidecar("orders", {
    app: `127.0.0.1:${port}`,
    flags: ["--control-plane", mesh.server, "--concurrency", concurrency, "--drain", "10s"],
    command: [process.execPath, "-e", APP, port],
  });
  await eventually("it is announced", async () =>
    (await (await page(sidecar, "status", "/healthz/ready")).text()).includes("announced to other sidecars: yes"),
  );
  return sidecar;
}

test.each([
  [20, "1"],
  [5, "2"],
])(
  "%i restarts of two instances lose no request (--concurrency %s)",
  async (restarts, concurrency) => {
    const mesh = await startMesh();
    for (let count = 0; count < 2; count++) instances.push(await startInstance(mesh, concurrency));
    const caller = await startSidecar("web", { flags: ["--control-plane", mesh.server] });
    const address = caller.address("outbound");
    await eventually("orders answers", async () => (await call(address, "orders", "/", "POST")).status === 200);
    const load = new SteadyLoad({
      address,
      host: "orders",
      method: "POST",
      requestsPerSecond: 150,
      check: ({ status, headers, body }) =>
        status === 200 && body === "fine" ? undefined : `${status} ${String(headers["x-weft-reason"])}`,
    });
    for (let restart = 0; restart < restarts; restart++) {
      const old = instances.shift();
      expect(await old?.stop()).toEqual({ code: 0, signal: null });
      instances.push(await startInstance(mesh, concurrency));
    }
    const { sent, failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(sent).toBeGreaterThan(restarts * 50);
  },
  180_000,
);
