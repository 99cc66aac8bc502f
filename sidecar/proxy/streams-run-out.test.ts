// Endpoints of HTTP/2 that take few requests at a time: who comes when there is no room waits for it, and is served.
import { afterEach, expect, test } from "vitest";
import { data, headers, OK, SETTINGS_ACK, settings } from "../http2/testing/frames.ts";
import { FRAME_TYPE, RawClient, type RawEndpoint, rawEndpoint, request, serviceOf2 } from "./testing/raw-http2.ts";
import { answering, applyRules, cleanUp, ok, outboundRig, serviceOf, until } from "./testing/rig.ts";

afterEach(cleanUp);

const END = 1;
const ONE_STREAM = Buffer.concat([settings([3, 1]), SETTINGS_ACK]);
const ONE_CONNECTION = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, connectionPool: { maxConnections: 1 } }
---
`;

/** Takes one request at a time; answers those whose content has ended, but the first one where `holdsFirst`. */
async function narrow(holdsFirst: boolean): Promise<RawEndpoint> {
  let count = 0;
  return rawEndpoint(({ type, flags, streamId }, socket) => {
    if (type > FRAME_TYPE.headers || (flags & END) === 0) return;
    if (count++ > 0 || !holdsFirst) socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "good", END)]));
  }, ONE_STREAM);
}

test("two requests of one read with content and copies: the second one has lost nothing but time", async () => {
  const [endpoint, copies] = [await narrow(false), await answering(ok("copy"))];
  const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: copies } } }]
      backendRefs: [{ name: orders }]
---
`;
  const rules = serviceOf2("h2c", endpoint.port) + serviceOf("copies", copies.address) + ONE_CONNECTION + route;
  const { port, path } = await outboundRig({ rules });
  const client = new RawClient(port).send(headers(1, request("POST")), data(1, "warm", END));
  expect((await client.ends(1)).body).toBe("good");
  client.send(headers(3, request("POST")), data(3, "a"), headers(5, request("POST")), data(5, "b"));
  await until(() => endpoint.logs[0]?.stream(3).body === "a");
  client.send(data(3, "", END), data(5, "", END));
  for (const id of [3, 5]) expect(await client.ends(id)).toMatchObject({ fields: { ":status": "200" }, body: "good" });
  expect(path.metrics.attempts.cell("default/orders", "connect-failure").value).toBe(0);
});

test("an endpoint that leaves still serves those who wait for it", async () => {
  const endpoint = await narrow(true);
  const rules = serviceOf2("h2c", endpoint.port) + ONE_CONNECTION;
  const { port, path } = await outboundRig({ rules });
  const client = new RawClient(port).get(1);
  await until(() => endpoint.logs[0]?.stream(1).isWhole === true);
  client.get(3);
  const [state] = path.snapshots.current.services.get("default/orders")!.cluster.states.values();
  await until(() => state?.streams.pendingCount === 1);
  applyRules(path, serviceOf2("h2c"));
  expect((await client.ends(3)).body).toBe("good");
  expect(client.log.stream(1)).toMatchObject({ isWhole: false, reset: -1 });
});
