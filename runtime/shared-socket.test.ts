// The same behaviour in both read modes, and the feature test itself.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { latin1 } from "./latin1.ts";
import { adoptSocket, chooseSocketMode, connectSocket } from "./shared-socket.ts";
import type { SocketMode } from "./socket-output.ts";

const MODES: SocketMode[] = ["handle", "shared", "data-events"];

test("where there are no handles the streams write, and it is said", () => {
  const program = `
    process.binding = () => { throw new Error("gone"); };
    const { chooseSocketMode } = await import(${JSON.stringify(new URL("./shared-socket.ts", import.meta.url).href)});
    process.stdout.write(await chooseSocketMode());`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  expect(stdout).toBe("shared");
});

test("this Node has handles that can be read and written", async () => {
  expect(await chooseSocketMode()).toBe("handle");
});

async function pair(mode: SocketMode) {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const received = { server: "", client: "" };
  const accepted = new Promise<Socket>((resolve) => {
    server.on("connection", (socket) => {
      const adopted = adoptSocket(
        socket,
        {
          onBytes: (bytes, length) => {
            received.server += latin1(bytes, 0, length);
          },
        },
        mode,
      );
      adopted.resume();
      resolve(adopted);
    });
  });
  const client = connectSocket(
    { host: "127.0.0.1", port: (server.address() as AddressInfo).port },
    {
      onBytes: (bytes, length) => {
        received.client += latin1(bytes, 0, length);
      },
    },
    mode,
  );
  return { server, client, peer: await accepted, received };
}

test.each(MODES)("%s: bytes arrive both ways, each side ends by itself, the server closes", async (mode) => {
  const { server, client, peer, received } = await pair(mode);
  client.write("ping");
  client.end(" last");
  await once(peer, "end");
  expect(received.server).toBe("ping last");
  expect(peer.remoteAddress).toBe("127.0.0.1");
  peer.write("still open");
  peer.end();
  await Promise.all([once(client, "close"), once(peer, "close")]);
  expect(received.client).toBe("still open");
  server.close();
  await once(server, "close");
});

test.each(MODES)("%s: a paused socket delivers nothing until it is resumed", async (mode) => {
  const { server, client, peer, received } = await pair(mode);
  client.write("a");
  while (received.server === "") await new Promise((resolve) => setImmediate(resolve));
  peer.pause();
  client.write("b");
  await new Promise((resolve) => client.write("c", resolve));
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(received.server).toBe("a");
  peer.resume();
  while (received.server !== "abc") await new Promise((resolve) => setImmediate(resolve));
  client.destroy();
  peer.destroy();
  server.close();
});
