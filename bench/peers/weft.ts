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
  return {
    name,
    async start({ endpointPorts, folder }): Promise<RunningPeer> {
      const port = await freePort();
      const file = join(folder, `rules-${port}.yaml`);
      writeFileSync(file, rules(endpointPorts));
      const listeners = ["--outbound", `127.0.0.1:${port}`, "--admin", "off", "--status", "off"];
      const args = ["--service", "bench", "--rules", file, "--log-level", "error", "--drain", "1s", ...listeners];
      const flags = (process.env["WEFT_BENCH_NODE_FLAGS"] ?? "").split(" ").filter((flag) => flag !== "");
      const program = process.env["WEFT_BENCH_SIDECAR"] ?? PROGRAMS["weft-sidecar"];
      return launch({ name, command: [process.execPath, ...flags, program, ...args], port });
    },
  };
}

/** The same where the endpoint speaks gRPC. */
export const weftGrpc: Peer = weftWith("weft", { ...ALL_FEATURES, protocol: "grpc" });

export const weft: Peer = weftWith("weft", ALL_FEATURES);
