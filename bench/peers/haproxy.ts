// HAProxy as a bare HTTP proxy: one thread, keep-alive on both sides with reuse of server connections, no log.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../test/harness.ts";
import type { Peer } from "./contract.ts";
import { isInstalled, launch } from "./launch.ts";

function configuration(port: number, endpointPort: number): string {
  return `
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 3600s
  timeout server 300s
  timeout http-keep-alive 3600s
frontend in
  bind 127.0.0.1:${port} backlog 4096
  default_backend endpoint
backend endpoint
  server one 127.0.0.1:${endpointPort} pool-max-conn 4096
`;
}

export const haproxy: Peer = {
  name: "HAProxy",
  async start({ endpointPorts, folder }) {
    if (!isInstalled("haproxy")) return undefined;
    const port = await freePort();
    const file = join(folder, "haproxy.cfg");
    writeFileSync(file, configuration(port, endpointPorts[0] ?? 0));
    return launch({ name: "HAProxy", command: ["haproxy", "-db", "-f", file], port });
  },
};
