// What one read of HTTP/2 brings of a message leaves as one write.
import { Socket } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { data, END_STREAM, headers, OK } from "../http2/testing/frames.ts";
import { RawClient, rawAnswering, request, serviceOf2 } from "./testing/raw-http2.ts";
import { answering, Client, cleanUp, ok, outboundRig, serviceOf, startEndpoint } from "./testing/rig.ts";

afterEach(async () => {
  vi.restoreAllMocks();
  await cleanUp();
});

/** What sockets are given to write from now on, where they are not written by their handles. */
function writes(): () => string[] {
  const write = vi.spyOn(Socket.prototype, "write");
  return () => write.mock.calls.map(([chunk]) => String(chunk));
}

test("an answer's head and its content, to a client of HTTP/1.1", async () => {
  const endpoint = await rawAnswering((id) => [headers(id, OK), data(id, "one"), data(id, "two", END_STREAM)]);
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port), socketMode: "shared" });
  const written = writes();
  const client = new Client(rig.port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
  await client.receives("\r\n0\r\n\r\n");
  const answers = written().filter((text) => text.startsWith("HTTP/1.1"));
  expect(answers).toEqual([expect.stringMatching(/^HTTP\/1.1 200 [\s\S]*one[\s\S]*two\r\n0\r\n\r\n$/)]);
});

test("a request's head and its content, to an endpoint of HTTP/1.1", async () => {
  const endpoint = await answering(ok("fine"));
  const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address), socketMode: "shared" });
  const written = writes();
  const head = request("POST", ["content-length", "6"]);
  const client = new RawClient(rig.port).send(headers(1, head), data(1, "one"), data(1, "two", END_STREAM));
  expect(await client.ends(1)).toMatchObject({ body: "fine" });
  expect(written().filter((text) => text.startsWith("POST"))).toEqual([expect.stringMatching(/\r\n\r\nonetwo$/)]);
});

test("what comes in two reads is not held back", async () => {
  const endpoint = await rawAnswering((id, _index, socket) => {
    setTimeout(() => socket.write(data(id, "two", END_STREAM)), 20);
    return [headers(id, OK), data(id, "one")];
  });
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const client = new Client(rig.port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
  expect(await client.receives("one")).not.toContain("two");
  await client.receives("two");
  const app = await startEndpoint();
  const other = await outboundRig({ rules: serviceOf("orders", app.address) });
  const raw = new RawClient(other.port).send(headers(1, request("POST")), data(1, "one"));
  const connection = await app.connection(0);
  expect(await connection.receives("one")).not.toContain("two");
  raw.send(data(1, "two", END_STREAM));
  await connection.receives("two");
});
