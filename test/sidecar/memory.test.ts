// What a sidecar takes of memory, on a real process: bodies far larger than it through somebody slow, and many idle
// connections. The whole figures are in bench/; these are small enough for every run.
import { existsSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { cleanUp, eventually, type RunningProgram, temporaryFolder } from "../harness.ts";
import { memoryOf, slowDownload, slowUpload, startBodyApp } from "../slow-transfer.ts";
import { call, page, serviceDocument, startSidecar } from "./sidecar-process.ts";

const MEBIBYTE = 1024 * 1024;
const BODY_BYTES = 192 * MEBIBYTE;
/** The bound of one exchange is about 1 MiB (docs/data-path.md); the rest is room for the collector. */
const GROWTH_MAX_BYTES = 16 * MEBIBYTE;
const IDLE_CONNECTIONS = 2_000;
/** About 3 KB each, a young generation that has grown, and room for the collector. */
const IDLE_GROWTH_MAX_BYTES = 32 * MEBIBYTE;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  await cleanUp();
  for (const close of closing.splice(0)) close();
});

async function start(): Promise<{ sidecar: RunningProgram; outbound: string }> {
  const { address, server } = await startBodyApp();
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const rules = join(temporaryFolder(), "rules.yaml");
  writeFileSync(rules, serviceDocument("bodies", address));
  const sidecar = await startSidecar("web", { flags: ["--rules", rules] });
  const outbound = sidecar.address("outbound");
  // What is allocated with the first requests is not growth.
  for (let count = 0; count < 50; count++) await call(outbound, "bodies", "/1000");
  return { sidecar, outbound };
}

describe.skipIf(!existsSync("/proc/self/status"))("memory is bounded", () => {
  test("by a client that reads 192 MiB slowly", async () => {
    const { sidecar, outbound } = await start();
    const { bytes, peakGrowthBytes } = await slowDownload(sidecar.pid, outbound, "bodies", BODY_BYTES);
    expect(bytes).toBe(BODY_BYTES);
    expect(peakGrowthBytes / MEBIBYTE).toBeLessThan(GROWTH_MAX_BYTES / MEBIBYTE);
  });

  test("by an app that reads 192 MiB slowly", async () => {
    const { sidecar, outbound } = await start();
    const { bytes, peakGrowthBytes } = await slowUpload(sidecar.pid, outbound, "bodies", BODY_BYTES);
    expect(bytes).toBe(BODY_BYTES);
    expect(peakGrowthBytes / MEBIBYTE).toBeLessThan(GROWTH_MAX_BYTES / MEBIBYTE);
  });

  test(`with ${IDLE_CONNECTIONS} idle connections, each of which has had an answer`, async () => {
    const { sidecar, outbound } = await start();
    const before = memoryOf(sidecar.pid, "VmRSS");
    const sockets = await openIdle(outbound);
    closing.push(() => {
      for (const socket of sockets) socket.destroy();
    });
    expect(await connectionsOf(sidecar)).toBe(IDLE_CONNECTIONS);
    expect((memoryOf(sidecar.pid, "VmRSS") - before) / MEBIBYTE).toBeLessThan(IDLE_GROWTH_MAX_BYTES / MEBIBYTE);
    expect((await call(outbound, "bodies", "/3")).status).toBe(200);
    for (const socket of sockets) socket.destroy();
    await eventually("all are gone", async () => (await connectionsOf(sidecar)) === 0);
  });
});

async function connectionsOf(sidecar: RunningProgram): Promise<number> {
  const text = await (await page(sidecar, "status", "/metrics")).text();
  return Number(text.match(/^weft_client_connections_active\{direction="outbound"\} (\d+)$/m)?.[1] ?? Number.NaN);
}

/** In groups, so that no accept queue overflows. */
async function openIdle(address: string): Promise<Socket[]> {
  const { hostname, port } = new URL(`http://${address}`);
  const sockets: Socket[] = [];
  const open = () =>
    new Promise<void>((answered, fail) => {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.on("error", fail);
      socket.once("data", () => answered());
      socket.write("GET /3 HTTP/1.1\r\nHost: bodies\r\n\r\n");
      sockets.push(socket);
    });
  while (sockets.length < IDLE_CONNECTIONS) await Promise.all(Array.from({ length: 100 }, open));
  return sockets;
}
