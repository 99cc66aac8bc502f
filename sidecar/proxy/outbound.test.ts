// The app's calls through the outbound listener: routing, filters, what the mesh answers itself.
import { afterEach, expect, test } from "vitest";
import {
  answering,
  Client,
  cleanUp,
  exchangeBytes,
  ok,
  outboundRig,
  REFUSING_ADDRESS,
  serviceOf,
} from "./testing/rig.ts";

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

const ROUTES = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
`;

async function routed(rules: string, extra = "") {
  const [v1, v2] = [await answering(ok("v1")), await answering(ok("v2"))];
  const rig = await outboundRig({
    rules: serviceOf("orders", v1.address) + serviceOf("orders-v2", v2.address) + extra + ROUTES + rules,
  });
  return { ...rig, v1, v2 };
}

test("a route's match chooses the backend", async () => {
  const { port } = await routed(`
    - matches: [{ path: { type: PathPrefix, value: /api }, headers: [{ name: x-tester, value: "1" }] }]
      backendRefs: [{ name: orders-v2, port: 80 }]
    - backendRefs: [{ name: orders, port: 80 }]
`);
  expect(await exchangeBytes(port, get("orders", "/api/x", "X-Tester: 1\r\n"))).toContain("\r\n\r\nv2");
  expect(await exchangeBytes(port, get("orders", "/api/x"))).toContain("\r\n\r\nv1");
});

test("weights split the traffic", async () => {
  const { port, v1, v2 } = await routed(`
    - backendRefs: [{ name: orders, port: 80, weight: 3 }, { name: orders-v2, port: 80, weight: 1 }]
`);
  const client = new Client(port);
  client.send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n".repeat(400));
  const count = (text: string): number => text.split("GET / HTTP").length - 1;
  const total = (): number => count(v1.connections[0]?.received ?? "") + count(v2.connections[0]?.received ?? "");
  while (total() < 400) await new Promise((resolve) => setImmediate(resolve));
  expect(count(v2.connections[0]!.received)).toBeGreaterThan(70);
  expect(count(v2.connections[0]!.received)).toBeLessThan(130);
});

test("header modifiers of rule and backend change what the endpoint and the client see", async () => {
  const { port, v1 } = await routed(`
    - filters:
        - type: RequestHeaderModifier
          requestHeaderModifier: { set: [{ name: X-Set, value: rule }], add: [{ name: X-Add, value: more }], remove: [x-gone] }
        - type: ResponseHeaderModifier
          responseHeaderModifier: { add: [{ name: X-Answer, value: rule }] }
      backendRefs:
        - name: orders
          port: 80
          filters:
            - type: RequestHeaderModifier
              requestHeaderModifier: { set: [{ name: X-Backend, value: "yes" }] }
            - type: ResponseHeaderModifier
              responseHeaderModifier: { remove: [content-language], set: [{ name: X-Backend, value: answered }] }
`);
  const answer = await exchangeBytes(port, get("orders", "/", "x-set: client\r\nX-Add: first\r\nX-Gone: bye\r\n"));
  const sent = v1.connections[0]!.received;
  expect(sent).toContain("\r\nX-Set: rule\r\n");
  expect(sent).toContain("\r\nX-Add: first\r\n");
  expect(sent).toContain("\r\nX-Add: more\r\n");
  expect(sent).toContain("\r\nX-Backend: yes\r\n");
  expect(sent).not.toMatch(/x-gone|client/i);
  expect(answer).toContain("\r\nX-Answer: rule\r\n");
  expect(answer).toContain("\r\nX-Backend: answered\r\n");
});

test("URLRewrite changes host and path and keeps the query", async () => {
  const { port, v1 } = await routed(`
    - matches: [{ path: { type: PathPrefix, value: /old } }]
      filters:
        - type: URLRewrite
          urlRewrite: { hostname: inside.example, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } }
      backendRefs: [{ name: orders, port: 80 }]
`);
  await exchangeBytes(port, get("orders", "/old/x?y=1"));
  expect(v1.connections[0]!.received).toMatch(/^GET \/new\/x\?y=1 HTTP\/1.1\r\nHost: inside.example\r\n/);
});

test("RequestRedirect is answered by the mesh", async () => {
  const { port, v1 } = await routed(`
    - filters:
        - { type: RequestRedirect, requestRedirect: { scheme: https, hostname: other.example, statusCode: 301 } }
`);
  const answer = await exchangeBytes(port, get("orders", "/a?b"));
  expect(answer).toMatch(/^HTTP\/1.1 301 Moved Permanently\r\n/);
  expect(answer).toContain("\r\nlocation: https://other.example/a?b\r\n");
  expect(answer).toContain("\r\nx-weft-reason: redirect\r\n");
  expect(v1.connections).toHaveLength(0);
});

test("a mirrored request reaches both services, body included, and only the primary answers", async () => {
  const { port, v1, v2 } = await routed(`
    - filters:
        - { type: RequestMirror, requestMirror: { backendRef: { name: orders-v2, port: 80 } } }
      backendRefs: [{ name: orders, port: 80 }]
`);
  const request = "POST /x HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
  expect(await exchangeBytes(port, request)).toContain("\r\n\r\nv1");
  const copy = await (await v2.connection(0)).receives("hello");
  expect(copy.slice(0, copy.indexOf("\r\n"))).toBe("POST /x HTTP/1.1");
  // What an attempt says about itself is for the primary.
  expect(v1.connections[0]!.received.replace(/x-envoy-[^\r]*\r\n/g, "")).toBe(copy);
});

test("CORS: preflight requests are answered by the mesh, others get their fields", async () => {
  const { port, v1 } = await routed(`
    - filters:
        - type: CORS
          cors:
            allowOrigins: ["https://*.example.com"]
            allowMethods: [GET, PUT]
            allowHeaders: [x-a]
            exposeHeaders: [x-b]
            allowCredentials: true
            maxAge: 60
      backendRefs: [{ name: orders, port: 80 }]
`);
  const preflight = await exchangeBytes(
    port,
    "OPTIONS / HTTP/1.1\r\nHost: orders\r\nOrigin: https://a.example.com\r\nAccess-Control-Request-Method: PUT\r\nConnection: close\r\n\r\n",
  );
  expect(preflight).toContain("\r\naccess-control-allow-origin: https://a.example.com\r\n");
  expect(preflight).toContain("\r\naccess-control-allow-methods: GET, PUT\r\n");
  expect(preflight).toContain("\r\naccess-control-max-age: 60\r\n");
  expect(preflight).toContain("\r\nx-weft-reason: cors-preflight\r\n");
  expect(v1.connections).toHaveLength(0);
  const allowed = await exchangeBytes(port, get("orders", "/", "Origin: https://a.example.com\r\n"));
  expect(allowed).toContain("\r\naccess-control-allow-origin: https://a.example.com\r\n");
  expect(allowed).toContain("\r\naccess-control-expose-headers: x-b\r\n");
  const denied = await exchangeBytes(port, get("orders", "/", "Origin: https://evil.example\r\n"));
  expect(denied).not.toContain("access-control-allow-origin");
  expect(denied).toContain("\r\n\r\nv1");
});

const RULES = {
  none: "",
  route: `
    - matches: [{ path: { type: Exact, value: /known } }]
      backendRefs: [{ name: orders, port: 80 }]
    - matches: [{ path: { type: Exact, value: /missing } }]
      backendRefs: [{ name: nowhere, port: 80 }]
    - matches: [{ path: { type: Exact, value: /zero } }]
      backendRefs: [{ name: orders, port: 80, weight: 0 }]
    - matches: [{ path: { type: Exact, value: /port } }]
      backendRefs: [{ name: orders, port: 99 }]
`,
};

test.each([
  ["nobody.knows.this", "/", 404, "no-such-service"],
  ["unknown", "/", 404, "no-such-service"],
  ["10.0.0.1:80", "/", 404, "no-such-service"],
  ["orders:81", "/", 404, "no-such-service"],
  ["orders", "/else", 404, "no-route"],
  ["orders", "/missing", 500, "invalid-backend"],
  ["orders", "/zero", 500, "invalid-backend"],
  ["orders", "/port", 500, "invalid-backend"],
  ["empty", "/", 503, "no-healthy-endpoint"],
  ["dead", "/", 503, "connect-failure"],
])("Host %s path %s is answered %i %s", async (host, path, status, reason) => {
  const { port, path: dataPath } = await routed(RULES.route, serviceOf("empty") + serviceOf("dead", REFUSING_ADDRESS));
  const answer = await exchangeBytes(port, get(host, path));
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(answer).toContain(`\r\nx-weft-reason: ${reason}\r\n`);
  expect(answer).toMatch(new RegExp(`\r\n\r\n${reason}: `));
  const counted = [...dataPath.metrics.requests.cells.entries.values()].filter(({ values }) => values[5] === reason);
  expect(counted.map(({ value }) => value.value)).toEqual([1]);
});

test.each([
  ["{ name: nowhere }", "default/nowhere"],
  ["{ name: nowhere, port: 80 }", "default/nowhere port 80"],
  ["{ name: orders, port: 99 }", "default/orders port 99"],
])("a backend %s that is not there is named as its rule does", async (backend, named) => {
  const { port } = await routed(`
    - backendRefs: [${backend}]
`);
  expect(await exchangeBytes(port, get("orders"))).toMatch(new RegExp(`: ${named}\n?$`));
});

test("an answer of the mesh is JSON for those who accept it, and has no body for HEAD", async () => {
  const { port } = await outboundRig();
  const json = await exchangeBytes(port, get("nobody", "/", "Accept: application/json\r\n"));
  expect(JSON.parse(json.slice(json.indexOf("\r\n\r\n")))).toMatchObject({ reason: "no-such-service" });
  const head = await exchangeBytes(port, "HEAD / HTTP/1.1\r\nHost: nobody\r\nConnection: close\r\n\r\n");
  expect(head).toMatch(/content-length: [1-9]/);
  expect(head.endsWith("\r\n\r\n")).toBe(true);
});

test("egress: only hosts that the mesh allows are called", async () => {
  const outside = await answering(ok("outside"));
  const mesh = `
apiVersion: weft.mesh/v1
kind: Mesh
metadata: { name: mesh }
spec: { egress: { allow: ["localhost", "*.allowed.example"] } }
`;
  const { port } = await outboundRig({ rules: mesh });
  expect(await exchangeBytes(port, get(`localhost:${outside.port}`))).toContain("\r\n\r\noutside");
  expect(await exchangeBytes(port, get(`127.0.0.1:${outside.port}`))).toContain("x-weft-reason: no-such-service");
  const tunnel = new Client(port).send(
    `CONNECT localhost:${outside.port} HTTP/1.1\r\nHost: localhost:${outside.port}\r\n\r\n`,
  );
  await tunnel.receives("HTTP/1.1 200 OK\r\n");
  await tunnel.receives("\r\n\r\n");
  tunnel.send("GET / HTTP/1.1\r\n\r\n");
  await tunnel.receives("outside");
});
