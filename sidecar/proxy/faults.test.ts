// An error in the sidecar itself, wherever it strikes, ends the exchange it struck: answered 500 or reset, counted,
// logged. Nothing of it stays behind, and the next request is served. Errors are injected by making a part throw once.
import { afterEach, describe, expect, test, vi } from "vitest";
import { readGauges } from "./gauges.ts";
import { RequestRelay } from "./request-relay.ts";
import { ResponseRelay } from "./response-relay.ts";
import { RetryState } from "./retry-state.ts";
import {
  answering,
  Client,
  cleanUp,
  exchangeBytes,
  ok,
  outboundRig,
  REFUSING_ADDRESS,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(async () => {
  vi.restoreAllMocks();
  await cleanUp();
});

const GET = "GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n";
const KEPT = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n";

type Rig = Awaited<ReturnType<typeof outboundRig>>;

function throwOnce(): never {
  throw new Error("injected");
}

/** What an exchange holds while it runs is given back, and the error was counted and logged exactly `errors` times. */
async function expectClean({ path }: Rig, logged: ReturnType<typeof vi.spyOn>, errors = 1): Promise<void> {
  const { metrics, snapshots } = path;
  await until(
    () => metrics.requestsActive.cell("outbound").value === 0,
    () => `no active request, not ${metrics.requestsActive.cell("outbound").value}`,
  );
  const cluster = snapshots.current.services.get("default/orders")?.cluster;
  expect(cluster?.state.activeRequests).toBe(0);
  expect([...(cluster?.states.values() ?? [])].map(({ activeRequests }) => activeRequests)).toEqual([0]);
  readGauges(metrics, snapshots.current, 0);
  expect(metrics.poolConnections.cell("default/orders", "active").value).toBe(0);
  expect(metrics.poolPending.cell("default/orders").value).toBe(0);
  const counted = [...metrics.internalErrors.cells.entries.values()].reduce((sum, { value }) => sum + value.value, 0);
  expect(counted).toBe(errors);
  expect(logged).toHaveBeenCalledTimes(errors);
}

async function faultyRig(address: string): Promise<{ rig: Rig; logged: ReturnType<typeof vi.spyOn> }> {
  const rig = await outboundRig({ rules: serviceOf("orders", address) });
  return { rig, logged: vi.spyOn(rig.path.log, "error") };
}

describe("before anything of an answer is out: 500 internal-error", () => {
  test.each<[string, (rig: Rig) => unknown]>([
    ["while the head is made ready", () => vi.spyOn(RequestRelay.prototype, "begin").mockImplementationOnce(throwOnce)],
    ["when the attempt may write", () => vi.spyOn(RequestRelay.prototype, "sendAll").mockImplementationOnce(throwOnce)],
    ["when the answer's head comes", () => vi.spyOn(ResponseRelay.prototype, "head").mockImplementationOnce(throwOnce)],
    ["while retries are decided", () => vi.spyOn(RetryState.prototype, "isUnwanted").mockImplementationOnce(throwOnce)],
  ])("%s", async (_where, inject) => {
    const { rig, logged } = await faultyRig((await answering(ok("fine"))).address);
    inject(rig);
    const answer = await exchangeBytes(rig.port, GET);
    expect(answer).toMatch(/^HTTP\/1.1 500 /);
    expect(answer).toContain("x-weft-reason: internal-error");
    await expectClean(rig, logged);
    expect(await exchangeBytes(rig.port, GET)).toMatch(/^HTTP\/1.1 200 /);
  });

  test("closes the connection, since what is left of the request cannot be told from the next", async () => {
    const { rig, logged } = await faultyRig((await answering(ok("fine"))).address);
    vi.spyOn(RequestRelay.prototype, "begin").mockImplementationOnce(throwOnce);
    const client = new Client(rig.port).send(KEPT + KEPT);
    expect(await client.ends()).toBe("end");
    expect(client.received.match(/HTTP\/1.1 /g)).toHaveLength(1);
    expect(client.received).toMatch(/^HTTP\/1.1 500 [\s\S]*\r\nconnection: close\r\n/i);
    await expectClean(rig, logged);
  });

  test("in a request's body", async () => {
    const { rig, logged } = await faultyRig((await answering(ok("fine"))).address);
    vi.spyOn(RequestRelay.prototype, "end").mockImplementationOnce(throwOnce);
    const answer = await exchangeBytes(
      rig.port,
      "POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    );
    expect(answer).toMatch(/^HTTP\/1.1 500 /);
    await expectClean(rig, logged);
  });

  test("when the endpoint refuses the connection", async () => {
    const { rig, logged } = await faultyRig(REFUSING_ADDRESS);
    vi.spyOn(RetryState.prototype, "countOutcome").mockImplementationOnce(throwOnce);
    expect(await exchangeBytes(rig.port, GET)).toMatch(/^HTTP\/1.1 500 [\s\S]*internal-error/);
    await expectClean(rig, logged);
  });
});

describe("when part of the answer is out: a reset, never half an answer", () => {
  test.each<[string, string, () => unknown]>([
    ["in its body", ok("a body"), () => vi.spyOn(ResponseRelay.prototype, "body").mockImplementationOnce(throwOnce)],
    ["at its end", ok("a body"), () => vi.spyOn(ResponseRelay.prototype, "end").mockImplementationOnce(throwOnce)],
  ])("%s", async (_where, endpointAnswer, inject) => {
    const { rig, logged } = await faultyRig((await answering(endpointAnswer)).address);
    inject();
    const client = new Client(rig.port).send(KEPT);
    expect(await client.ends()).toBe("ECONNRESET");
    await expectClean(rig, logged);
    expect(await exchangeBytes(rig.port, GET)).toMatch(/^HTTP\/1.1 200 /);
  });

  test("at its end, which the endpoint says by closing", async () => {
    const closing = await startEndpoint((connection) => {
      connection.socket.on("data", () => connection.socket.end("HTTP/1.1 200 OK\r\n\r\nall of it"));
    });
    const { rig, logged } = await faultyRig(closing.address);
    vi.spyOn(ResponseRelay.prototype, "end").mockImplementationOnce(throwOnce);
    const client = new Client(rig.port).send(KEPT);
    expect(await client.ends()).toBe("ECONNRESET");
    await expectClean(rig, logged);
  });
});

test("in the access log: the answer is whole all the same", async () => {
  const { rig, logged } = await faultyRig((await answering(ok("fine"))).address);
  rig.path.observers.push({ onExchange: throwOnce });
  const client = new Client(rig.port).send(KEPT);
  expect(await client.receives("fine")).toMatch(/^HTTP\/1.1 200 /);
  await expectClean(rig, logged);
  rig.path.observers.length = 0;
  client.received = "";
  expect(await client.send(KEPT).receives("fine")).toMatch(/^HTTP\/1.1 200 /);
});
