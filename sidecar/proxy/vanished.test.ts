// Peers that vanish without a word (a machine that lost power, a cable that was cut) are asked for by TCP: keep-alive is
// armed on every connection, both ways. Read from the kernel, so only where it tells (Linux).
import { existsSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { Client, cleanUp, inboundRig, ok, startEndpoint, until } from "./testing/rig.ts";

afterEach(cleanUp);

const TABLE = "/proc/net/tcp";
const ESTABLISHED = "01";
/** Value of the column tr for a keep-alive timer (proc(5)). */
const KEEP_ALIVE_TIMER = "02";

/** The timer of the established connection between these ports, as its local end has it. */
function timerOf(localPort: number, remotePort: number): string | undefined {
  for (const line of readFileSync(TABLE, "latin1").split("\n").slice(1)) {
    const [, local = "", remote = "", state, , timer = ""] = line.trim().split(/\s+/);
    const isPort = (address: string, port: number) => Number.parseInt(address.slice(-4), 16) === port;
    if (state === ESTABLISHED && isPort(local, localPort) && isPort(remote, remotePort)) return timer.slice(0, 2);
  }
  return undefined;
}

describe.skipIf(!existsSync(TABLE))("TCP keep-alive is armed", () => {
  test.each(["handle", "shared", "data-events"] as const)(
    "towards clients and towards endpoints (%s)",
    async (socketMode) => {
      const app = await startEndpoint((connection) =>
        connection.socket.on("data", () => connection.socket.write(ok("x"))),
      );
      const { port } = await inboundRig(app.address, { socketMode });
      const client = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
      await client.receives("\r\n\r\nx");
      const clientPort = client.socket.localPort ?? 0;
      const endpointSide = (await app.connection(0)).socket.remotePort ?? 0;
      // While bytes are not acknowledged yet, the timer is the one of retransmission.
      await until(() => timerOf(port, clientPort) === KEEP_ALIVE_TIMER);
      await until(() => timerOf(endpointSide, app.port) === KEEP_ALIVE_TIMER);
      expect(timerOf(clientPort, port)).toBeDefined();
      expect(timerOf(clientPort, port)).not.toBe(KEEP_ALIVE_TIMER);
    },
  );
});
