// Brings the shop up and down: control plane first, then every service behind its sidecar, then the rules, then load.
// The order of a life; the parts are in plan, processes, load and screen.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { credentials } from "@grpc/grpc-js";
import { FleetServiceClient } from "../../proto/gen/weft/v1/fleet.ts";
import { RolloutsServiceClient } from "../../proto/gen/weft/v1/rollouts.ts";
import type { ShopSettings } from "./flags.ts";
import { Load, type LoadFigures } from "./load.ts";
import { findTakenPorts, planShop, planShopOnFreePorts, type ServicePlan, type ShopPlan } from "./plan.ts";
import { type DeathError, Processes, runToEnd } from "./processes.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");
const CONTROL_PLANE = join(REPOSITORY, "control-plane/main.ts");
const SIDECAR = join(REPOSITORY, "sidecar/main.ts");
const CLI = join(REPOSITORY, "control-plane/cli/main.ts");
/** Of ports that are taken; another running shop would take them all. */
const TAKEN_SHOWN_MAX = 6;
const FIRST_ANSWER_TIMEOUT_MS = 20_000;

/** Something that the person at the keyboard can put right; its message is all they need. */
export class ShopError extends Error {}

export interface ShopHooks {
  /** A step of the start, in one line. */
  readonly onStep: (line: string) => void;
  readonly onDeath: (death: DeathError) => void;
  readonly onLine?: (name: string, line: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export class Shop {
  readonly plan: ShopPlan;
  readonly #settings: ShopSettings;
  readonly #hooks: ShopHooks;
  readonly #processes: Processes;
  /** Where the control plane keeps its rules. */
  readonly data: string;
  readonly #fleet: FleetServiceClient;
  readonly #rollouts: RolloutsServiceClient;
  #load: Load | undefined;

  private constructor(plan: ShopPlan, settings: ShopSettings, hooks: ShopHooks) {
    this.plan = plan;
    this.#settings = settings;
    this.#hooks = hooks;
    this.#processes = new Processes(hooks);
    this.#fleet = new FleetServiceClient(plan.grpc, credentials.createInsecure());
    this.#rollouts = new RolloutsServiceClient(plan.grpc, credentials.createInsecure());
    if (settings.data !== undefined) mkdirSync(settings.data, { recursive: true });
    this.data = settings.data ?? mkdtempSync(join(tmpdir(), "weft-shop-"));
    if (settings.data === undefined) this.#processes.guardFolder(this.data);
  }

  /**
   * Finds the ports and checks that they are free, before anything is started.
   * @throws ShopError naming every port that is taken.
   */
  static async prepare(settings: ShopSettings, hooks: ShopHooks): Promise<Shop> {
    const { grpc, http, portBase, freePorts } = settings;
    const plan = freePorts ? await planShopOnFreePorts() : planShop(grpc, http, portBase);
    const taken = await findTakenPorts(plan);
    if (taken.length > 0) {
      const more = taken.length - TAKEN_SHOWN_MAX;
      const rest = more > 0 ? [`and ${more} more`] : [];
      const hint = "Is another shop running? `npm start -- --ports 0` takes any free ports.";
      throw new ShopError([...taken.slice(0, TAKEN_SHOWN_MAX), ...rest, hint].join("\n"));
    }
    return new Shop(plan, settings, hooks);
  }

  /** Starts everything; resolves when the first request has been answered through the whole shop. `signal` ends the wait. */
  async start(signal: AbortSignal): Promise<void> {
    const { onStep } = this.#hooks;
    onStep(`starting the control plane on ${this.plan.grpc}`);
    await this.#startControlPlane();
    onStep(`starting ${this.plan.services.length} services, each with its sidecar`);
    await Promise.all(this.plan.services.map((service) => this.#startService(service)));
    onStep(`applying ${relative(process.cwd(), this.#settings.rules)}`);
    await this.#applyRules();
    await this.#waitForEndpoints(signal);
    await this.#startRelease();
    await this.#waitForFirstAnswer(signal);
    if (this.#settings.requestsPerSecond > 0) this.#load = this.#startLoad();
  }

  /** Ends the load, then the sidecars with their services, then the control plane. Idempotent. */
  async stop(): Promise<void> {
    this.#fleet.close();
    this.#rollouts.close();
    await this.#load?.stop();
    await this.#processes.stopAll();
    if (this.#settings.data === undefined) rmSync(this.data, { recursive: true, force: true, maxRetries: 3 });
  }

  /** For the impatient: kills everything at once. */
  kill(): void {
    this.#processes.killAll();
    if (this.#settings.data === undefined) rmSync(this.data, { recursive: true, force: true, maxRetries: 3 });
  }

  figures(): LoadFigures | undefined {
    return this.#load?.figures();
  }

  /** The newest revision of the rules, for the screen; "?" while the control plane does not say. */
  revision(): Promise<string> {
    return new Promise((settle) => {
      this.#fleet.status({}, (error, status) => settle(error === null ? String(status.revision) : "?"));
    });
  }

  /** The release that goes on, or has ended, for the screen; undefined when there is none. */
  release(): Promise<string | undefined> {
    return new Promise((settle) => {
      this.#rollouts.listRollouts({ namespace: "" }, (error, response) => {
        const [rollout] = error === null ? response.rollouts : [];
        if (rollout === undefined) return settle(undefined);
        const { canary, phase, step, steps, weight } = rollout;
        const where = phase === "progressing" || phase === "paused" ? `, step ${step} of ${steps.length}` : "";
        settle(`release of ${canary}: ${phase}${where}, ${weight} %`);
      });
    });
  }

  pidOf(name: string): number | undefined {
    return this.#processes.pidOf(name);
  }

  /** Every process group that belongs to the shop. */
  get groups(): number[] {
    return this.#processes.groups;
  }

  /** Where the shop's customers come in: the inbound port of web's sidecar. */
  get entry(): URL {
    return new URL(`http://127.0.0.1:${this.#web.ports.inbound}/`);
  }

  get #web(): ServicePlan {
    const web = this.plan.services.find(({ service }) => service === "web");
    if (web === undefined) throw new Error("the plan has no web");
    return web;
  }

  async #startControlPlane(): Promise<void> {
    const { grpc, http } = this.plan;
    const args = [CONTROL_PLANE, "--data", this.data, "--grpc", grpc, "--http", http];
    await this.#processes.start({ name: "control-plane", args });
  }

  async #startService({ service, version, name, ports }: ServicePlan): Promise<void> {
    const script = join(import.meta.dirname, "services", `${service}.ts`);
    const at = (port: number): string => `127.0.0.1:${port}`;
    const identity = ["--service", service, "--version", version, "--app", at(ports.app)];
    const listen = ["--outbound", at(ports.outbound), "--inbound", at(ports.inbound)];
    const observe = ["--admin", at(ports.admin), "--status", at(ports.status)];
    const command = ["--", process.execPath, script];
    await this.#processes.start({
      name,
      args: [SIDECAR, ...identity, "--control-plane", this.plan.grpc, ...listen, ...observe, ...command],
      env: { VERSION: version, PORT: String(ports.app), MESH: `http://${at(ports.outbound)}` },
      wraps: true,
    });
  }

  async #applyRules(): Promise<void> {
    const args = [CLI, "--server", this.plan.grpc, "apply", "-f", this.#settings.rules, "--wait"];
    const { code, output } = await runToEnd(args, this.#hooks.env);
    if (code !== 0) throw new ShopError(`the rules were not applied (exit code ${code}):\n${output}`);
  }

  async #startRelease(): Promise<void> {
    const { release } = this.#settings;
    if (release === undefined) return;
    this.#hooks.onStep(`starting the release of ${relative(process.cwd(), release)}`);
    const args = [CLI, "--server", this.plan.grpc, "rollout", "start", "-f", release];
    const { code, output } = await runToEnd(args, this.#hooks.env);
    if (code !== 0) throw new ShopError(`the release was not started (exit code ${code}):\n${output}`);
  }

  /** Traffic before every version is known to be ready would be answered 503 by the mesh, and rightly so. */
  async #waitForEndpoints(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + FIRST_ANSWER_TIMEOUT_MS;
    while ((await readyEndpoints(this.#fleet)) < this.plan.services.length) {
      if (performance.now() > deadline) throw new ShopError("not every service became ready; see --verbose");
      await sleep(50, undefined, { signal });
    }
  }

  async #waitForFirstAnswer(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + FIRST_ANSWER_TIMEOUT_MS;
    let last = "no answer";
    while (performance.now() < deadline) {
      last = await askOnce(this.entry);
      if (last === "200") return;
      await sleep(50, undefined, { signal });
    }
    throw new ShopError(`the shop does not answer at ${this.entry}: ${last}`);
  }

  #startLoad(): Load {
    return new Load({
      url: this.entry,
      headers: { host: "web" },
      requestsPerSecond: this.#settings.requestsPerSecond,
    });
  }
}

function readyEndpoints(fleet: FleetServiceClient): Promise<number> {
  return new Promise((settle, fail) => {
    fleet.listEndpoints({ namespace: "", service: "" }, (error, response) => {
      if (error !== null) return fail(error);
      const ready = response.endpoints.filter((endpoint) => endpoint.ready);
      settle(new Set(ready.map(({ workloadId }) => workloadId)).size);
    });
  });
}

/** The status of one GET, or what went wrong, in words. */
function askOnce(url: URL): Promise<string> {
  return new Promise((settle) => {
    const options = { headers: { host: "web" }, agent: false, signal: AbortSignal.timeout(5_000) };
    const asking = get(url, options, (response) => {
      response.resume();
      const reason = response.headers["x-weft-reason"];
      settle(`${response.statusCode}${reason === undefined ? "" : ` (${String(reason)})`}`);
    });
    asking.on("error", (error) => settle(error.message));
  });
}
