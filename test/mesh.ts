// A small mesh of real processes for tests and benches: a control plane, and services of which each is an echo
// application with a sidecar. Everything listens on free ports and is ended by the harness's `cleanUp`.
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { FleetServiceClient, type WaitRevisionResponse } from "../proto/gen/weft/v1/fleet.ts";
import { type ApplyResponse, RulesServiceClient } from "../proto/gen/weft/v1/rules.ts";
import { REPOSITORY, type RunningProgram, startProgram, temporaryFolder } from "./harness.ts";

const ECHO = join(REPOSITORY, "test/apps/echo.ts");

export interface Mesh {
  readonly controlPlane: RunningProgram;
  /** `HOST:PORT` of the control plane's gRPC, for `--server` and `--control-plane`. */
  readonly server: string;
}

export interface MeshService {
  readonly app: RunningProgram;
  readonly sidecar: RunningProgram;
  /** Where the service would send its calls to others. */
  readonly outbound: string;
  readonly inbound: string;
}

/** A control plane on a temporary folder. */
export async function startMesh(data = temporaryFolder()): Promise<Mesh> {
  const args = ["--data", data, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
  const controlPlane = await startProgram("weft-control-plane", args);
  return { controlPlane, server: controlPlane.address("grpc") };
}

/** An echo application and the sidecar beside it; `extra` is for the latter's command line. */
export async function startService(
  mesh: Mesh,
  service: string,
  version: string,
  extra: readonly string[] = [],
): Promise<MeshService> {
  const app = await startProgram(ECHO, [], { env: { VERSION: version } });
  const sidecar = await startSidecar(mesh, service, version, app.address("address"), extra);
  return { app, sidecar, outbound: sidecar.address("outbound"), inbound: sidecar.address("inbound") };
}

/** A sidecar alone; `extra` comes last on its command line. */
export function startSidecar(
  mesh: Mesh,
  service: string,
  version: string,
  app: string,
  extra: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<RunningProgram> {
  const identity = ["--service", service, "--version", version, "--app", app, "--control-plane", mesh.server];
  const listeners = ["outbound", "inbound", "admin", "status"].flatMap((name) => [`--${name}`, "127.0.0.1:0"]);
  return startProgram("weft-sidecar", [...identity, ...listeners, ...extra], { env });
}

/** The gRPC calls of the CLI without a process for each: for what has to be fast or many. */
export class RulesClient {
  readonly #rules: RulesServiceClient;
  readonly #fleet: FleetServiceClient;

  constructor(mesh: Mesh) {
    this.#rules = new RulesServiceClient(mesh.server, credentials.createInsecure());
    this.#fleet = new FleetServiceClient(mesh.server, credentials.createInsecure());
  }

  /** Applies one source; rejects when it is not accepted. With `prune` it is all there is afterwards. */
  async apply(text: string, prune = false): Promise<ApplyResponse> {
    const request = {
      sources: [{ name: "test.yaml", content: Buffer.from(text) }],
      dryRun: false,
      strict: false,
      prune,
      namespace: "default",
      pruneAllNamespaces: prune,
      message: "",
      author: "test",
    };
    const response = await new Promise<ApplyResponse>((settle, fail) => {
      this.#rules.apply(request, (error, value) => (error === null ? settle(value) : fail(error)));
    });
    if (!response.accepted) throw new Error(`not accepted: ${JSON.stringify(response.diagnostics)}`);
    return response;
  }

  /** Resolves with the last message when every affected sidecar acts on `revision`. */
  wait(revision: number): Promise<WaitRevisionResponse> {
    return new Promise((settle, fail) => {
      const stream = this.#fleet.waitRevision({ revision });
      stream.on("data", (message: WaitRevisionResponse) => {
        if (!message.done) return;
        settle(message);
        stream.cancel();
      });
      stream.on("error", fail);
      stream.on("end", () => fail(new Error(`the stream ended before revision ${revision} was live`)));
    });
  }

  close(): void {
    this.#rules.close();
    this.#fleet.close();
  }
}
