// The sidecar of this tree, outbound, with rules from a file: what is measured against the others.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, PROGRAMS } from "../../test/harness.ts";
import type { Peer, RunningPeer } from "./contract.ts";
import { launch } from "./launch.ts";
import { ALL_FEATURES, type Features, weftRules } from "./weft-rules.ts";

/** A sidecar with these features on. */
export function weftWith(name: string, features: Features): Peer {
  return weftWithRules(name, (endpointPorts) => weftRules(features, endpointPorts));
}

/** A sidecar with rules for endpoints on these ports. */
export function weftWithRules(name: string, rules: (endpointPorts: readonly number[]) => string): Peer {
  return sidecar(name, rules, (port) => ["--service", "bench", "--outbound", `127.0.0.1:${port}`]);
}

/** The sidecar beside the endpoint: the way in, with the same rules. */
export const weftInbound: Peer = sidecar(
  "weft inbound",
  (endpointPorts) => weftRules(ALL_FEATURES, endpointPorts),
  (port, app) => ["--service", "orders", "--inbound", `127.0.0.1:${port}`, "--outbound", "off", "--app", app],
);

function sidecar(
  name: string,
  rules: (endpointPorts: readonly number[]) => string,
  roleOf: (port: number, app: string) => readonly string[],
): Peer {
  return {
    name,
    async start({ endpointPorts, folder }): Promise<RunningPeer> {
      const port = await freePort();
      const file = join(folder, `rules-${port}.yaml`);
      writeFileSync(file, rules(endpointPorts));
      const role = roleOf(port, `127.0.0.1:${endpointPorts[0] ?? 0}`);
      const args = [
        ...role,
        "--rules",
        file,
        "--log-level",
        "error",
        "--drain",
        "1s",
        "--admin",
        "off",
        "--status",
        "off",
      ];
      const flags = (process.env["WEFT_BENCH_NODE_FLAGS"] ?? "").split(" ").filter((flag) => flag !== "");
      const program = process.env["WEFT_BENCH_SIDECAR"] ?? PROGRAMS["weft-sidecar"];
      return launch({ name, command: [process.execPath, ...flags, program, ...args], port });
    },
  };
}

/** The same where the endpoint's sidecar takes HTTP/2. */
export const weftToSidecar: Peer = weftWith("weft outbound", { ...ALL_FEATURES, protocol: "h2c" });

/** The same where the endpoint speaks gRPC. */
export const weftGrpc: Peer = weftWith("weft", { ...ALL_FEATURES, protocol: "grpc" });

export const weft: Peer = weftWith("weft", ALL_FEATURES);
