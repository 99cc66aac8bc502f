// Which texts in a Host header are names of mesh services, and of which.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseServiceHost } from "./host.ts";

test.each([
  ["orders", "shop/orders", 0],
  ["orders:80", "shop/orders", 80],
  ["orders:65535", "shop/orders", 65_535],
  ["orders.default", "default/orders", 0],
  ["orders.default:8080", "default/orders", 8080],
  ["orders.default.svc", "default/orders", 0],
  ["orders.default.svc.cluster.local", "default/orders", 0],
  ["orders.default.svc.cluster.local:80", "default/orders", 80],
  ["orders.default.svc.cluster.local.", "default/orders", 0],
  ["orders.default.svc.cluster.local.:80", "default/orders", 80],
  ["orders.", "shop/orders", 0],
  ["Orders.DEFAULT.Svc.Cluster.Local", "default/orders", 0],
  ["orders:", "shop/orders", 0],
  ["orders-v1", "shop/orders-v1", 0],
  ["0rders", "shop/0rders", 0],
  [`${"a".repeat(63)}`, `shop/${"a".repeat(63)}`, 0],
])("%s is %s", (host, service, port) => {
  expect(parseServiceHost(host, "shop")).toEqual({ service, port });
});

test.each([
  "",
  ".",
  ":80",
  "orders..default",
  ".orders",
  "orders.default.cluster.local",
  "orders.default.svc.example.com",
  "a.b.c",
  "www.example.com",
  "127.0.0.1",
  "127.0.0.1:80",
  "[::1]",
  "[::1]:80",
  "::1",
  "orders:0",
  "orders:65536",
  "orders:99999",
  "orders:http",
  "orders:80:80",
  "orders:-1",
  "orders:+1",
  "orders: 80",
  "orders/x",
  "orders@default",
  "or ders",
  "-orders",
  "orders-",
  "orders_v1",
  "bücher",
  "orders\u0000",
  "orders\n",
  "a".repeat(64),
  `orders.${"a".repeat(300)}`,
])("%j is no mesh name", (host) => {
  expect(parseServiceHost(host, "shop")).toBeUndefined();
});

test("whatever comes, the answer is a well-formed name or nothing", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.:-]{0,40}$/)), (host) => {
      const parsed = parseServiceHost(host, "shop");
      if (parsed === undefined) return;
      expect(parsed.service).toMatch(/^[a-z0-9-]{1,63}\/[a-z0-9-]{1,63}$/);
      expect(parsed.port).toBeGreaterThanOrEqual(0);
      expect(parsed.port).toBeLessThanOrEqual(65_535);
    }),
    { verbose: 1 },
  );
});
