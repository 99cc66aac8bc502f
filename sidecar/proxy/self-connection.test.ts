// Connections that met themselves, because nobody listens on a port that the kernel draws for connections as well: to
// callers such an endpoint refuses connections, whatever it should speak, and it finds its port free when it comes back.
import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { connectFromOwnPort, deadPort } from "../../runtime/testing/own-port.ts";
import { Client, cleanUp, endings, onCleanUp, outboundRig, tcpRig, until } from "./testing/rig.ts";

afterEach(cleanUp);

/** A service with one endpoint, which is dead. */
async function deadService(protocol: string) {
  const port = await deadPort();
  onCleanUp(connectFromOwnPort(port));
  const rules = `{ apiVersion: weft.mesh/v1, kind: Service, metadata: { name: orders }, spec: { ports: [{ port: 80, protocol: ${protocol} }], endpoints: [{ address: "127.0.0.1:${port}" }] } }`;
  return { port, rules };
}

async function canListen(port: number): Promise<void> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  server.close();
}

test.each(["http", "h2c"])("a request in %s is answered that no connection could be made", async (protocol) => {
  const { port, rules } = await deadService(protocol);
  const rig = await outboundRig({ rules });
  const client = new Client(rig.port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
  expect(await client.receives("\r\n\r\n")).toMatch(/^HTTP\/1\.1 503 [\s\S]*x-weft-reason: connect-failure/);
  await canListen(port);
});

test("a connection to a service of bytes is reset, and hears nothing of its own words", async () => {
  const { port, rules } = await deadService("tcp");
  const rig = await tcpRig("orders", { rules });
  const ended = endings(rig.path);
  const client = new Client(rig.port).send("hello");
  await until(() => ended.length > 0);
  expect(ended[0]).toContain("connect-failure");
  expect(client.received).toBe("");
  await canListen(port);
});
