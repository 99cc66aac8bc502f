// Checks and notices against a real HTTP server, which answers well, badly, not at all, or with too much.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { RolloutNoticeRecord, RolloutStore } from "../store/contract.ts";
import { createHttpCall } from "./http-call.ts";
import { Notices } from "./notices.ts";
import { runChecks } from "./outside.ts";

const servers: Server[] = [];
const call = createHttpCall(systemClock);
const context = { rollout: "default/orders", service: "orders", stable: "v1", canary: "v2", step: 1, weight: 5 };

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

function serve(answer: (request: IncomingMessage, response: ServerResponse, body: string) => void): Promise<string> {
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => answer(request, response, body));
  });
  servers.push(server);
  return new Promise((settle) => {
    server.listen(0, "127.0.0.1", () => settle(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}

describe("a Prometheus query", () => {
  const vector = (...values: string[]) => ({
    data: { resultType: "vector", result: values.map((value) => ({ metric: {}, value: [1, value] })) },
  });

  it.each([
    ["within its bounds is good", vector("0.3"), { outcome: "good", detail: "0.3, wanted at least 0 and at most 1" }],
    ["outside of them is bad", vector("1.5"), { outcome: "bad" }],
    ["of a scalar counts too", { data: { resultType: "scalar", result: [1, "0.5"] } }, { outcome: "good" }],
    ["of nothing is no verdict", vector(), { outcome: "unknown", detail: "the query gives no number" }],
    ["of several series is none either", vector("0.1", "0.2"), { outcome: "unknown" }],
    ["of NaN is none either", vector("NaN"), { outcome: "unknown" }],
    ["that is answered with nonsense is none either", "nonsense", { outcome: "unknown" }],
    ["that is answered with null is none either", null, { outcome: "unknown" }],
  ])("%s", async (_title, body, expected) => {
    let asked = "";
    const address = await serve((request, response) => {
      asked = request.url ?? "";
      response.end(JSON.stringify(body));
    });
    const check = { name: "errors", address: `${address}/`, query: "sum(x) / 2", min: 0, max: 1 };
    expect(await runChecks(call, { prometheus: [check] }, context)).toMatchObject([{ name: "errors", ...expected }]);
    expect(asked).toBe("/api/v1/query?query=sum(x)%20%2F%202");
  });

  it("that nobody answers, or with an error, is no verdict", async () => {
    const address = await serve((_request, response) => response.writeHead(503).end("busy"));
    const broken = { name: "down", address, query: "x", max: 1 };
    const gone = { name: "gone", address: "http://127.0.0.1:1", query: "x", max: 1 };
    expect(await runChecks(call, { prometheus: [broken, gone] }, context)).toMatchObject([
      { outcome: "unknown", detail: "Prometheus answered 503: busy" },
      { outcome: "unknown" },
    ]);
  });
});

describe("a webhook", () => {
  it("says good with 2xx and bad with anything else, redirects included", async () => {
    const bodies: string[] = [];
    const url = await serve((request, response, body) => {
      bodies.push(body);
      const status = Number(request.headers["x-answer"]);
      response.writeHead(status, { location: "http://127.0.0.1:1/" }).end("because");
    });
    const webhooks = ["204", "500", "302"].map((status) => ({
      name: `s${status}`,
      url,
      headers: { "x-answer": status },
    }));
    const results = await runChecks(call, { webhooks }, context);
    expect(results.map(({ outcome }) => outcome)).toEqual(["good", "bad", "bad"]);
    expect(JSON.parse(bodies[0]!)).toMatchObject({ canary: "v2", step: 1, weight: 5 });
  });

  it("that does not answer in time, or with too much, says nothing", async () => {
    const silent = await serve(() => {});
    const endless = await serve((_request, response) => response.end("x".repeat(2 * 1024 * 1024)));
    const webhooks = [
      { name: "silent", url: silent, timeout: "50ms" },
      { name: "endless", url: endless },
    ];
    expect(await runChecks(call, { webhooks }, context)).toMatchObject([
      { outcome: "unknown" },
      { outcome: "unknown" },
    ]);
  });
});

describe("notices", () => {
  const log = { warn: () => {}, error: () => {} } as unknown as Log;
  const event = (sequence: number) => ({
    sequence,
    key: "default/orders",
    atMs: 1,
    type: "step",
    message: "",
    author: "",
  });

  function storeOf(dropped: RolloutNoticeRecord[]): RolloutStore {
    return { dropNotice: async (notice: RolloutNoticeRecord) => void dropped.push(notice) } as unknown as RolloutStore;
  }

  it("come in order, are repeated until they are taken, and leave the store then", async () => {
    const seen: number[] = [];
    const dropped: RolloutNoticeRecord[] = [];
    const all = Promise.withResolvers<void>();
    const url = await serve((_request, response, body) => {
      seen.push((JSON.parse(body) as { sequence: number }).sequence);
      response.writeHead(seen.length === 1 ? 500 : 200).end();
      if (seen.length === 4) all.resolve();
    });
    // No second is waited for between the attempts.
    const clock = { ...systemClock, after: (_delayMs: number, callback: () => void) => systemClock.after(0, callback) };
    const patient = createHttpCall(systemClock);
    const notices = new Notices({ call: patient, store: storeOf(dropped), clock, log });
    notices.send([1, 2, 3].map((sequence) => ({ url, event: event(sequence) })));
    await all.promise;
    expect(seen).toEqual([1, 1, 2, 3]);
    await expect.poll(() => dropped.map((notice) => notice.event.sequence)).toEqual([1, 2, 3]);
  });

  it("that were not told when the control plane stops stay in the store", async () => {
    const dropped: RolloutNoticeRecord[] = [];
    const asked = Promise.withResolvers<void>();
    const url = await serve((_request, response) => {
      asked.resolve();
      response.writeHead(500).end();
    });
    const notices = new Notices({ call, store: storeOf(dropped), clock: systemClock, log });
    notices.send([{ url, event: event(1) }]);
    await asked.promise;
    notices.stop();
    await new Promise((settle) => setTimeout(settle, 20));
    expect(dropped).toEqual([]);
  });
});
