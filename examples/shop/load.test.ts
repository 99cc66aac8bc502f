// The load generator counts truly: every request ends up in exactly one count, and the rate is the one asked for.
import { createServer, type RequestListener, type Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { Load, ordersVersion } from "./load.ts";
import { failuresOf, renderFigures, renderFiguresLine } from "./screen.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

function listen(handle: RequestListener): Promise<URL> {
  const server = createServer(handle);
  servers.push(server);
  return new Promise((settle) => {
    server.listen(0, "127.0.0.1", () =>
      settle(new URL(`http://127.0.0.1:${(server.address() as { port: number }).port}/`)),
    );
  });
}

async function runLoad(url: URL, ms: number, options: { requestsPerSecond: number; inFlightMax?: number }) {
  const load = new Load({ url, ...options });
  await sleep(ms);
  await load.stop();
  return load.figures();
}

describe("the load generator", () => {
  it("keeps its rate and counts answers by the version of orders and by status", async () => {
    let turn = 0;
    const url = await listen((_request, response) => {
      turn++;
      response.statusCode = turn % 10 === 0 ? 502 : 200;
      response.end(JSON.stringify({ service: "web", version: "v1", orders: { service: "orders", version: "v2" } }));
    });
    const startedMs = performance.now();
    const load = new Load({ url, requestsPerSecond: 200 });
    // A machine that stands still makes up for it, but never more than that.
    await expect.poll(() => load.figures().sent + load.figures().skipped, { timeout: 20_000 }).toBeGreaterThan(150);
    expect(performance.now() - startedMs).toBeGreaterThan(150 * 5 - 1);
    await load.stop();
    const figures = load.figures();
    expect(figures.sent).toBeLessThanOrEqual((performance.now() - startedMs) / 5);
    expect(figures.answered).toBe(figures.sent);
    expect(figures.byVersion).toEqual(new Map([["v2", figures.sent]]));
    expect(failuresOf(figures)).toBe(figures.byStatus.get("502"));
    expect(failuresOf(figures)).toBe(Math.floor(figures.sent / 10));
  });

  it("counts what is reset as broken and what finds the bound reached as skipped", async () => {
    const resets = await listen((request) => request.socket.destroy());
    const broken = await runLoad(resets, 300, { requestsPerSecond: 100 });
    expect(broken.broken).toBe(broken.sent);
    expect(broken.sent).toBeGreaterThan(5);

    const held: (() => void)[] = [];
    const slow = await listen((_request, response) => held.push(() => response.end("{}")));
    const load = new Load({ url: slow, requestsPerSecond: 200, inFlightMax: 4 });
    await expect.poll(() => load.figures().skipped).toBeGreaterThan(10);
    expect(load.figures().sent).toBe(4);
    const stopped = load.stop();
    for (const release of held) release();
    await stopped;
    expect(load.figures().answered).toBe(4);
  });

  it("shows shares, statuses and latencies in a block and in a line", async () => {
    const url = await listen((_request, response) => response.end('{"service":"orders","version":"v1"}'));
    const figures = await runLoad(url, 200, { requestsPerSecond: 100 });
    expect(renderFigures(figures, { revision: "7", release: undefined }).join("\n")).toMatch(
      /revision 7[\s\S]*orders v1 .* 100\.0 %[\s\S]*status 200: \d+[\s\S]*0 failed/,
    );
    expect(renderFiguresLine(figures, { revision: "7", release: "release of payments-v2" })).toMatch(
      /^revision 7, .* orders v1 100\.0 % \| status 200: \d+ \| p50 .* failed 0 \| release of payments-v2$/,
    );
  });
});

describe("the version of orders in an answer", () => {
  it.each([
    ['{"service":"web","version":"v1","orders":{"service":"orders","version":"v2"}}', "v2"],
    ['{"service":"web","version":"v1","orders":{"error":"the mesh answered 503"}}', undefined],
    ["not JSON", undefined],
    ["null", undefined],
  ])("of %s is %s", (body, version) => {
    expect(ordersVersion(body)).toBe(version);
  });
});
