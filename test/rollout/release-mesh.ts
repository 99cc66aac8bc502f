// A mesh with something to release, for end-to-end tests: web calls orders, of which v1 and v2 run, each told by the
// test how to behave. Everything is a real process. Not a test itself.
import { join } from "node:path";
import { type CallOptions, credentials, Metadata } from "@grpc/grpc-js";
import { type Rollout, type RolloutEvent, RolloutsServiceClient } from "../../proto/gen/weft/v1/rollouts.ts";
import { ask } from "../ask.ts";
import { eventually, REPOSITORY, type RunningProgram, type RunResult, runProgram, startProgram } from "../harness.ts";
import { type Mesh, startMesh, startSidecar } from "../mesh.ts";
import { SteadyLoad } from "../steady-load.ts";

const APP = join(REPOSITORY, "test/apps/behaving.ts");
const KEY = { namespace: "default", name: "orders" };

export interface Behaviour {
  readonly failShare?: number;
  readonly delayMs?: number;
  readonly path?: string;
}

/** One instance of a version: its application and its sidecar. */
export interface Instance {
  readonly app: RunningProgram;
  readonly sidecar: RunningProgram;
}

export class ReleaseMesh {
  mesh: Mesh;
  readonly data: string;
  readonly web: RunningProgram;
  readonly instances: Readonly<Record<string, Instance>>;
  #rollouts: RolloutsServiceClient;

  private constructor(mesh: Mesh, data: string, web: RunningProgram, instances: Record<string, Instance>) {
    this.mesh = mesh;
    this.data = data;
    this.web = web;
    this.instances = instances;
    this.#rollouts = new RolloutsServiceClient(mesh.server, credentials.createInsecure());
  }

  /** @param data folder of the control plane */
  static async start(data: string, versions: readonly string[] = ["v1", "v2"]): Promise<ReleaseMesh> {
    const mesh = await startMesh(data);
    const instances: Record<string, Instance> = {};
    const starting = versions.map(async (version, index) => {
      const name = versions.indexOf(version) === index ? version : `${version}-${index}`;
      instances[name] = await startInstance(mesh, version);
    });
    const [web] = await Promise.all([startSidecar(mesh, "web", "v1", "127.0.0.1:9"), ...starting]);
    const release = new ReleaseMesh(mesh, data, web, instances);
    await eventually("every instance is ready", () => release.#areReady(versions.length));
    return release;
  }

  weft(...args: string[]): Promise<RunResult> {
    return runProgram("weft", ["--server", this.mesh.server, ...args]);
  }

  /** Starts, or edits, the release of orders-v2 over orders-v1. */
  async release(steps: string, analysis = "", rest = ""): Promise<Rollout> {
    const document = rolloutDocument(steps, analysis, rest);
    const request = { key: undefined, document: Buffer.from(document), file: "-", namespace: "", author: "test" };
    const { rollout, problems } = await this.#call(this.#rollouts.start, request);
    if (rollout === undefined) throw new Error(problems.join("\n"));
    return rollout;
  }

  async status(): Promise<Rollout> {
    const { rollout } = await this.#call(this.#rollouts.getRollout, { key: KEY });
    if (rollout === undefined) throw new Error("no rollout");
    return rollout;
  }

  /** Oldest first, without the messages' wording: types. */
  async events(): Promise<readonly RolloutEvent[]> {
    const { events } = await this.#call(this.#rollouts.rolloutHistory, { key: KEY, limit: 0 });
    return events.toReversed();
  }

  say(command: "pause" | "resume" | "abort" | "promote", author = "test"): Promise<Rollout> {
    const request = { key: KEY, author, full: false, step: 0 };
    const call = this.#call(this.#rollouts[command] as RolloutsServiceClient["promote"], request);
    return call.then(({ rollout }) => rollout as Rollout);
  }

  /** Waits until every sidecar acts on the newest rules. */
  async settled(): Promise<void> {
    await eventually("every sidecar is in sync", async () => {
      const { stdout } = await this.weft("sidecars", "-o", "json");
      const { revision, sidecars } = JSON.parse(stdout) as FleetView;
      const connected = sidecars.filter(({ state }) => state !== "disconnected");
      return connected.length > 2 && connected.every(({ state }) => state === "synced") && revision > 0;
    });
  }

  /** Deletes the document, and waits until the release is gone. */
  async remove(): Promise<void> {
    await this.weft("delete", "rollout", "orders", "--ignore-not-found");
    const isGone = (): Promise<boolean> =>
      this.status().then(
        () => false,
        () => true,
      );
    await eventually("the release is gone", isGone);
  }

  /** Waits until the release is as wanted; the failure says how it was last. */
  async until(
    what: string,
    isSo: (rollout: Rollout) => boolean | Promise<boolean>,
    timeoutMs = 30_000,
  ): Promise<Rollout> {
    let last: Rollout | undefined;
    try {
      return await eventually(
        what,
        async () => {
          last = await this.status().catch(() => undefined);
          return last !== undefined && (await isSo(last)) && last;
        },
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}; it is ${JSON.stringify(last, null, 1)}`);
    }
  }

  /** Requests to orders at a constant rate; every answer that `check` finds fault with is a failure. */
  load(requestsPerSecond: number, options: LoadOptions = {}): SteadyLoad {
    const { mayFail = false, path = "/", method = "GET", from = this.web } = options;
    return new SteadyLoad({
      ...{ address: from.address("outbound"), host: "orders", requestsPerSecond, path, method },
      check: ({ status, headers }) =>
        mayFail || status === 200 ? undefined : `status ${status} (${String(headers["x-weft-reason"] ?? "the app's")})`,
    });
  }

  async behave(version: string, behaviour: Behaviour): Promise<void> {
    const address = this.#app(version).address("address");
    const response = await fetch(`http://${address}/-/behave`, { method: "PUT", body: JSON.stringify(behaviour) });
    await response.text();
  }

  /** Requests that reached a version's first instance, and when the last of them did. */
  async seen(version: string): Promise<{ requests: number; lastMs: number }> {
    const response = await fetch(`http://${this.#app(version).address("address")}/-/seen`);
    return (await response.json()) as { requests: number; lastMs: number };
  }

  /** One request as web makes it; the version that answered. */
  ask(headers: Readonly<Record<string, string>> = {}, path = "/"): Promise<string> {
    return this.askAt(this.web, headers, path);
  }

  async askAt(sidecar: RunningProgram, headers: Readonly<Record<string, string>>, path = "/"): Promise<string> {
    const answer = await ask({ address: sidecar.address("outbound"), path, headers: { host: "orders", ...headers } });
    const reason = answer.headers["x-weft-reason"];
    if (answer.status === 200) return String(answer.headers["x-version"]);
    return `status ${answer.status}${reason === undefined ? "" : ` ${String(reason)}`}`;
  }

  /** SIGKILL, and the same again on the same folder and port. */
  async restartControlPlane(): Promise<void> {
    await this.mesh.controlPlane.kill();
    const args = ["--data", this.data, "--grpc", this.mesh.server, "--http", "127.0.0.1:0"];
    const controlPlane = await startProgram("weft-control-plane", args);
    this.mesh = { controlPlane, server: this.mesh.server };
    this.#rollouts.close();
    this.#rollouts = new RolloutsServiceClient(this.mesh.server, credentials.createInsecure());
  }

  close(): void {
    this.#rollouts.close();
  }

  async #areReady(count: number): Promise<boolean> {
    const { stdout } = await this.weft("endpoints", "orders", "-o", "json");
    const { endpoints } = JSON.parse(stdout) as { readonly endpoints: readonly { readonly ready: boolean }[] };
    return endpoints.filter(({ ready }) => ready).length === count;
  }

  #app(version: string): RunningProgram {
    const instance = this.instances[version];
    if (instance === undefined) throw new Error(`no instance ${version}`);
    return instance.app;
  }

  #call<Request, Response>(method: UnaryMethod<Request, Response>, request: Request): Promise<Response> {
    return new Promise((settle, fail) => {
      const done = (error: Error | null, response: Response) => (error === null ? settle(response) : fail(error));
      method.call(this.#rollouts, request, new Metadata(), {}, done);
    });
  }
}

export interface LoadOptions {
  readonly mayFail?: boolean;
  readonly path?: string;
  readonly method?: string;
  /** The calling sidecar; that of web by default. */
  readonly from?: RunningProgram;
}

interface FleetView {
  readonly revision: number;
  readonly sidecars: readonly { readonly state: string }[];
}

type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: Error | null, response: Response) => void,
) => unknown;

export async function startInstance(mesh: Mesh, version: string): Promise<Instance> {
  const app = await startProgram(APP, [], { env: { VERSION: version } });
  // Some are stopped in order: nobody starts the app here, so that it would be waited for.
  const sidecar = await startSidecar(mesh, "orders", version, app.address("address"), ["--drain", "2s"]);
  return { app, sidecar };
}

export function rolloutDocument(steps: string, analysis = "", rest = ""): string {
  return `apiVersion: weft.mesh/v1
kind: Rollout
metadata: { name: orders }
spec:
  service: orders
  stable: orders-v1
  canary: orders-v2
  steps: [${steps}]
  analysis: { interval: 1s, minRequests: 20${analysis === "" ? "" : `, ${analysis}`} }
${rest}`;
}
