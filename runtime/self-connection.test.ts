// Connections that met themselves, for real: the port that they come from is chosen here, where the kernel draws it.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { isSelfConnected } from "./self-connection.ts";
import { deadPort } from "./testing/own-port.ts";

test("a connection from the port that it goes to met itself", async () => {
  const port = await deadPort();
  const socket = connect({ host: "127.0.0.1", port, localAddress: "127.0.0.1", localPort: port });
  await once(socket, "connect");
  expect(isSelfConnected(socket)).toBe(true);
  socket.resetAndDestroy();
});

test("another did not", async () => {
  const server = createServer((accepted) => accepted.on("error", () => {})).listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = (server.address() as { port: number }).port;
  const plain = connect({ host: "127.0.0.1", port });
  await once(plain, "connect");
  expect(isSelfConnected(plain)).toBe(false);
  plain.resetAndDestroy();
  server.close();
});
