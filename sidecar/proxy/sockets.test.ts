// What happens where all sockets of a sidecar are used: who makes room for whom.
import { once } from "node:events";
import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Client, cleanUp, onCleanUp, outboundRig, serviceOf, startEndpoint, until } from "./testing/rig.ts";

afterEach(cleanUp);

test.each([
  ["http", (): Server => createHttp1Server((_, response) => void response.end("quiet"))],
  ["h2c", (): Server => createHttp2Server((_, response) => void response.end("quiet"))],
] as const)(
  "an idle connection to an endpoint of %s makes room for one to another endpoint",
  async (protocol, createQuiet) => {
    const quiet = createQuiet().listen(0, "127.0.0.1");
    await once(quiet, "listening");
    onCleanUp(() => quiet.close());
    const quietPort = (quiet.address() as AddressInfo).port;
    const busy = await startEndpoint();
    const rules = `${serviceOf("busy", busy.address)}
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: quiet }
spec: { ports: [{ port: 80, protocol: ${protocol} }], endpoints: [{ address: "127.0.0.1:${quietPort}" }] }
`;
    const { port, path } = await outboundRig({ rules, limits: { descriptorsMax: 1 } });
    const { sockets } = path;
    const clients = Array.from({ length: sockets.clientsMax }, () => new Client(port));
    const last = clients.pop()!;
    const ask = (client: Client, host: string) => client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect(await ask(last, "quiet").receives("quiet")).toMatch(/^HTTP\/1.1 200 /);
    for (const client of clients) ask(client, "busy");
    await until(() => busy.connections.length === clients.length);
    expect(sockets.takesEndpoint).toBe(false);
    ask(last, "busy");
    await until(() => busy.connections.length === clients.length + 1);
    await until(() => sockets.endpoints === clients.length + 1);
  },
);
