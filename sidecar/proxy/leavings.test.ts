// What one request must not leave behind for the next one on the same seat, nor one destination for the next one of the
// same request: endpoints that were asked, heads that were written.
import { afterEach, expect, test } from "vitest";
import { data, headers, OK } from "../http2/testing/frames.ts";
import { rawAnswering } from "./testing/raw-http2.ts";
import {
  answering,
  Client,
  cleanUp,
  ok,
  outboundRig,
  policy,
  REFUSING_ADDRESS,
  serviceOf,
  startEndpoint,
} from "./testing/rig.ts";

afterEach(cleanUp);

const END = 1;
const GET = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n";

/** Asks one after the other on one connection. */
async function askTimes(port: number, times: number, request: string, answer: string): Promise<Client> {
  const client = new Client(port);
  for (let asked = 0; asked < times; asked++) {
    client.received = "";
    await client.send(request).receives(answer);
  }
  return client;
}

test("an endpoint that an earlier request asked is no endpoint that this one has asked: its copy may go there", async () => {
  // The first attempt is never answered, its copy at once.
  const slow = () =>
    startEndpoint((connection) => {
      connection.socket.on("data", (chunk) => {
        if (String(chunk).includes("attempt-count: 2")) connection.socket.write(ok("copy"));
      });
    });
  const [a, b] = [await slow(), await slow()];
  const hedge = "loadBalancer: { algorithm: random }, retry: { hedge: { after: 5ms }, budget: { percent: 100 } }";
  const rules = serviceOf("orders", a.address, b.address) + policy("orders", hedge);
  const { port, path } = await outboundRig({ rules });
  await askTimes(port, 10, GET, "\r\n\r\ncopy");
  expect(path.metrics.hedges.cell("default/orders", "won").value).toBe(10);
  expect(path.metrics.retriesSkipped.cell("default/orders", "no-other-endpoint").value).toBe(0);
});

test("a request that found no endpoint is not counted for the one that an earlier request was at", async () => {
  const other = await rawAnswering((id) => [headers(id, OK), data(id, "other", END)]);
  const fallback = policy("orders", "fallback: { service: other }, retry: { attempts: 0 }");
  const rules = `${serviceOf("orders", REFUSING_ADDRESS)}${fallback}
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: other }
spec: { ports: [{ port: 80, protocol: h2c }], endpoints: [{ address: "${other.address}" }] }
---
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: empty }
spec: { endpoints: [] }
---
`;
  const { port, path } = await outboundRig({ rules });
  const client = await askTimes(port, 1, GET, "other");
  const members: unknown[] = [];
  path.snapshots.current.services.get("default/empty")!.series.set = function (key, series) {
    members.push(key);
    return Map.prototype.set.call(this, key, series) as typeof this;
  };
  await client.send(GET.replace("orders", "empty")).receives("x-weft-reason: no-healthy-endpoint");
  expect(members).toEqual([path.snapshots.current.services.get("default/empty")!.cluster]);
});

test("what a rule changes for its backend is not changed for the service that answers instead", async () => {
  const other = await answering((request) => ok(/^x-for: .*$/im.exec(request)?.[0] ?? "nothing"));
  const fallback = policy("broken", "fallback: { service: other }, retry: { attempts: 0 }");
  const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - backendRefs:
        - name: broken
          filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-for, value: broken }] } }]
---
`;
  const services =
    serviceOf("orders", REFUSING_ADDRESS) + serviceOf("broken", REFUSING_ADDRESS) + serviceOf("other", other.address);
  const { port } = await outboundRig({ rules: services + fallback + route });
  // Its line and its fields become known, and from then on the head is made only where it has to be.
  const get = GET.replace("\r\n\r\n", "\r\nUser-Agent: a client\r\nAccept: */*\r\nAccept-Language: en\r\n\r\n");
  await askTimes(port, 12, get, "\r\n\r\nnothing");
});
