// What people are told of the fleet: services, endpoints, and where a request would go.
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  ExplainRequest,
  type ExplainResponse,
  type FleetServiceClient,
  type ListEndpointsRequest,
  type ListEndpointsResponse,
  type ListServicesRequest,
  type ListServicesResponse,
  WaitRevisionRequest,
} from "../../proto/gen/weft/v1/fleet.ts";
import type { RulesServiceClient } from "../../proto/gen/weft/v1/rules.ts";
import { cleanUp, eventually } from "../harness.ts";
import { apply, ask, FakeSidecar, fleetClient, route, rulesClient, service, startHere, stopAll } from "./client.ts";

let grpc = "";
let rules: RulesServiceClient;
let fleet: FleetServiceClient;
beforeEach(async () => {
  grpc = (await startHere()).grpc;
  rules = rulesClient(grpc);
  fleet = fleetClient(grpc);
});
afterEach(async () => {
  await stopAll();
  await cleanUp();
});

const services = (namespace = "") =>
  ask<ListServicesRequest, ListServicesResponse>(fleet, fleet.listServices, { namespace });
const endpoints = (name = "", namespace = "") =>
  ask<ListEndpointsRequest, ListEndpointsResponse>(fleet, fleet.listEndpoints, { service: name, namespace });
const explain = (request: Partial<ExplainRequest>) =>
  ask<ExplainRequest, ExplainResponse>(fleet, fleet.explain, ExplainRequest.fromPartial(request));

async function startOrders(): Promise<FakeSidecar> {
  const workload = { service: "orders", version: "v1", zone: "z1", labels: { track: "stable" } };
  await new FakeSidecar(grpc, { workload: { ...workload, id: "o1", address: "10.0.0.1:1" } }).deltaCount(1);
  const second = new FakeSidecar(grpc, { workload: { ...workload, id: "o2", version: "v2", address: "10.0.0.2:1" } });
  await second.deltaCount(1);
  return second;
}

it("lists implied and documented services with their versions, endpoints and documents", async () => {
  const second = await startOrders();
  second.send({ $case: "readinessChange", value: { ready: false, reason: "" } });
  await apply(rules, service("db") + route("orders", "orders", "orders-v2"));
  await eventually("readiness", async () => (await services()).services.some((each) => each.readyEndpoints === 1));
  expect((await services()).services).toMatchObject([
    { name: "db", implied: false, endpoints: 1, readyEndpoints: 1, documents: ["Service default/db"] },
    {
      name: "orders",
      implied: true,
      ports: [{ port: 80, protocol: "http" }],
      versions: ["v1", "v2"],
      endpoints: 2,
      readyEndpoints: 1,
      documents: ["HTTPRoute default/orders"],
    },
    { name: "orders-v1", implied: true, versions: ["v1"], endpoints: 1, readyEndpoints: 1 },
    { name: "orders-v2", implied: true, versions: ["v2"], endpoints: 1, readyEndpoints: 0 },
  ]);
  expect((await services("other")).services).toEqual([]);
});

it("lists endpoints once each, with leases, or those of one service", async () => {
  await startOrders();
  await apply(rules, service("db"));
  const all = (await endpoints()).endpoints;
  expect(all.map(({ service: name, address, origin }) => [name, address, origin])).toEqual([
    ["db", "10.0.0.1:80", "document"],
    ["orders", "10.0.0.1:1", "sidecar"],
    ["orders", "10.0.0.2:1", "sidecar"],
  ]);
  expect(all[1]).toMatchObject({ workloadId: "o1", zone: "z1", labels: { track: "stable" }, ready: true });
  expect(all[1]!.leaseRemainingMs).toBeGreaterThan(10_000);
  expect((await endpoints("orders-v2")).endpoints.map(({ workloadId }) => workloadId)).toEqual(["o2"]);
  await expect(endpoints("nowhere")).rejects.toMatchObject({ code: 5, details: "there is no service nowhere" });
});

it("explains where a request would go, also with rules that are not applied", async () => {
  await startOrders();
  await apply(rules, route("orders", "orders", "orders-v1"));
  const now = await explain({ method: "GET", url: "http://orders/api" });
  expect(now).toMatchObject({ service: "default/orders", revision: 1, route: "HTTPRoute default/orders", reason: "" });
  expect(now.backends).toMatchObject([{ service: "default/orders-v1", readyEndpoints: 1 }]);
  const sources = [{ name: "new.yaml", content: Buffer.from(route("orders", "orders", "orders-v2", "/api")) }];
  const then = await explain({ method: "GET", url: "http://orders/api", sources });
  expect(then.backends).toMatchObject([{ service: "default/orders-v2" }]);
  const bad = await explain({
    method: "GET",
    url: "http://orders/",
    sources: [{ name: "b", content: Buffer.from("]") }],
  });
  expect(bad.diagnostics.length).toBeGreaterThan(0);
  expect(await explain({ method: "GET", url: "http://nobody/" })).toMatchObject({
    reason: "no-such-service",
    status: 404,
  });
  await expect(explain({ method: "GET" })).rejects.toMatchObject({ code: 3 });
});

it("does not wait for a revision that never was", async () => {
  const code = await new Promise((done) => {
    fleet
      .waitRevision(WaitRevisionRequest.fromPartial({ revision: 5 }))
      .on("data", () => {})
      .on("error", (error: Error & { code?: number }) => done(error.code));
  });
  expect(code).toBe(5);
});

it("waits for sidecars that have not come back yet", async () => {
  await apply(rules, service("a"));
  const sidecar = new FakeSidecar(grpc, { hello: { subscriptions: ["default/a"] } });
  await sidecar.holds("service:default/a");
  sidecar.break();
  const { revision } = await apply(rules, route("a", "a", "a", "/x"));
  const states: number[] = [];
  let isDone = false;
  fleet
    .waitRevision(WaitRevisionRequest.fromPartial({ revision }))
    .on("data", ({ sidecars, done }: { sidecars: { state: number }[]; done: boolean }) => {
      states.push(...sidecars.map(({ state }) => state));
      isDone = done;
    })
    .on("error", () => {});
  await eventually("disconnected", () => states.includes(4));
  expect(isDone).toBe(false);
  const back = new FakeSidecar(grpc, { hello: { subscriptions: ["default/a"], held: sidecar.held } });
  await eventually("done", () => isDone);
  expect(back.deltas[0]?.resources.map(({ name }) => name)).toEqual(["service:default/a"]);
  expect(states.at(-1)).toBe(1);
});
