// The sidecar under a control plane, as somebody watches it: scraped every second, with a tap open that takes all that it
// may. What the watching costs is seen next to the same sidecar without.
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { TelemetryServiceClient } from "../../proto/gen/weft/v1/telemetry.ts";
import { ask } from "../../test/ask.ts";
import { eventually, freePort, PROGRAMS } from "../../test/harness.ts";
import { RulesClient, startMesh } from "../../test/mesh.ts";
import type { Peer, RunningPeer } from "./contract.ts";
import { launch } from "./launch.ts";
import { type Features, weftRules } from "./weft-rules.ts";

const SCRAPE_EVERY_MS = 1_000;
const TAP_PER_SECOND = 100;

export interface Watch {
  readonly scrape: boolean;
  readonly tap: boolean;
}

/** A sidecar with these features on, watched so. */
export function watchedWeft(name: string, features: Features, watch: Watch): Peer {
  return {
    name,
    async start({ endpointPorts, folder }): Promise<RunningPeer> {
      const mesh = await startMesh(join(folder, `data-${await freePort()}`));
      const rules = new RulesClient(mesh);
      await rules.apply(weftRules(features, endpointPorts));
      rules.close();
      const [port, status] = [await freePort(), await freePort()];
      const listeners = ["--outbound", `127.0.0.1:${port}`, "--admin", "off", "--status", `127.0.0.1:${status}`];
      const args = ["--service", "bench", "--control-plane", mesh.server, "--log-level", "error", "--drain", "1s"];
      const command = [process.execPath, PROGRAMS["weft-sidecar"], ...args, ...listeners];
      const peer = await launch({ name, command, port });
      await eventually(`${name} answers`, async () => {
        return (await ask({ address: `127.0.0.1:${port}`, headers: { host: "orders" } })).status < 500;
      });
      const stops = [
        ...(watch.scrape ? [scrape(`http://127.0.0.1:${status}/metrics`)] : []),
        ...(watch.tap ? [tap(mesh.server)] : []),
      ];
      const stop = async (): Promise<void> => {
        for (const end of stops) end();
        await peer.stop();
        await mesh.controlPlane.stop();
      };
      return { ...peer, stop };
    },
  };
}

function scrape(url: string): () => void {
  const timer = setInterval(() => {
    fetch(url).then(
      (answer) => answer.text(),
      () => {},
    );
  }, SCRAPE_EVERY_MS);
  return () => clearInterval(timer);
}

function tap(server: string): () => void {
  const client = new TelemetryServiceClient(server, credentials.createInsecure());
  const nothing = { service: "", direction: "", route: "", statuses: [], reason: "", slowerMs: 0, headers: [] };
  const stream = client.tap({ filter: nothing, maxPerSecond: TAP_PER_SECOND });
  stream.on("data", () => {}).on("error", () => {});
  return () => {
    stream.cancel();
    client.close();
  };
}
