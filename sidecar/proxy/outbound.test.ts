// The app's calls through the outbound listener: routing, filters, what the mesh answers itself.
import { afterEach, expect, test } from "vitest";
import { answering, Client, cleanUp, exchangeBytes, ok, outboundRig, serviceOf } from "./testing/rig.ts";

afterEach(cleanUp);

function get(host: string, path = "/", fields = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}Connection: close\r\n\r\n`;
}

test("a request goes to the service in its Host and the answer comes back byte-true", async () => {
  const orders = await answering(
    "HTTP/1.1 299 Odd Phrase\r\nX-Case: Kept\r\nx-case: twice\r\nContent-Length: 2\r\n\r\nhi",
  );
  const { port } = await outboundRig({ rules: serviceOf("orders", orders.address) });
  const answer = await exchangeBytes(port, get("orders", "/a?b=c", "X-Odd-CASE: 1\r\n"));
  expect(answer).toBe(
    "HTTP/1.1 299 Odd Phrase\r\nX-Case: Kept\r\nx-case: twice\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
  );
  expect(orders.connections[0]!.received).toMatch(
    /^GET \/a\?b=c HTTP\/1.1\r\nHost: orders\r\nX-Odd-CASE: 1\r\nx-forwarded-for: 127.0.0.1\r\n/,
  );
});

test.each(["orders", "orders.default", "ORDERS.default.svc", "orders.default.svc.cluster.local", "orders:80"])(
  "Host %s names the service",
  async (host) => {
    const orders = await answering(ok("orders"));
    const { port } = await outboundRig({ rules: serviceOf("orders", orders.address) });
    expect(await exchangeBytes(port, get(host))).toContain("\r\n\r\norders");
  },
);

test("an absolute-form target names the service, as HTTP_PROXY does", async () => {
  const orders = await answering(ok("orders"));
  const { port } = await outboundRig({ rules: serviceOf("orders", orders.address) });
  expect(
    await exchangeBytes(port, "GET http://orders/x HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n"),
  ).toContain("\r\n\r\norders");
  expect(orders.connections[0]!.received).toMatch(/^GET \/x HTTP\/1.1\r\nHost: orders\r\n/);
});

test("one connection carries request after request, and so does the one to the endpoint", async () => {
  const orders = await answering((_, index) => ok(`answer ${index}`));
  const { port } = await outboundRig({ rules: serviceOf("orders", orders.address) });
  const client = new Client(port);
  for (let index = 0; index < 3; index++) {
    client.send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
    await client.receives(`answer ${index}`);
  }
  expect(orders.connections).toHaveLength(1);
  expect(client.received).not.toContain("onnection:");
});
