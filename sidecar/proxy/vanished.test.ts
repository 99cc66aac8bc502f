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
/** Unit of the column tm->when: USER_HZ is 100. */
const TICK_MS = 10;

interface KernelTimer {
  readonly kind: string;
  readonly leftMs: number;
}

/** The timer of the established connection between these ports, as its local end has it. */
function timerOf(localPort: number, remotePort: number): KernelTimer | undefined {
  for (const line of readFileSync(TABLE, "latin1").split("\n").slice(1)) {
    const [, local = "", remote = "", state, , timer = ""] = line.trim().split(/\s+/);
    const isPort = (address: string, port: number) => Number.parseInt(address.slice(-4), 16) === port;
    if (state !== ESTABLISHED || !isPort(local, localPort) || !isPort(remote, remotePort)) continue;
    return { kind: timer.slice(0, 2), leftMs: Number.parseInt(timer.slice(3), 16) * TICK_MS };
  }
  return undefined;
}

/** Waits for a keep-alive timer: while bytes are not acknowledged yet, the timer is the one of retransmission. */
async function keepAliveLeftMs(localPort: number, remotePort: number): Promise<number> {
  await until(() => timerOf(localPort, remotePort)?.kind === KEEP_ALIVE_TIMER);
  return timerOf(localPort, remotePort)?.leftMs ?? Number.NaN;
}

describe.skipIf(!existsSync(TABLE))("TCP keep-alive is armed", () => {
  test.each(["handle", "shared", "data-events"] as const)(
    "towards clients for 60 s of silence, and towards endpoints for 30 s (%s)",
    async (socketMode) => {
      const app = await startEndpoint((connection) =>
        connection.socket.on("data", () => connection.socket.write(ok("x"))),
      );
      const { port } = await inboundRig(app.address, { socketMode });
      const client = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
      await client.receives("\r\n\r\nx");
      const clientPort = client.socket.localPort ?? 0;
      const endpointSide = (await app.connection(0)).socket.remotePort ?? 0;
      const clientMs = await keepAliveLeftMs(port, clientPort);
      expect([clientMs > 50_000, clientMs <= 60_000]).toEqual([true, true]);
      const endpointMs = await keepAliveLeftMs(endpointSide, app.port);
      expect([endpointMs > 20_000, endpointMs <= 30_000]).toEqual([true, true]);
      expect(timerOf(clientPort, port)).toBeDefined();
      expect(timerOf(clientPort, port)?.kind).not.toBe(KEEP_ALIVE_TIMER);
    },
  );
});
