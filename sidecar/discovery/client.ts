// The life of the sidecar at its control plane: dial, say hello, apply what comes, answer it, keep the lease, and
// dial again. Decides when; what a delta does to the configuration is configuration.ts, gRPC is link.ts.
import type { Delta, Hello, Welcome, Workload } from "../../proto/gen/weft/v1/discovery.ts";
import { equalJitter } from "../../runtime/backoff.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import { every } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { Random } from "../../runtime/random.ts";
import type { Configuration } from "./configuration.ts";
import { DecisionDesk, type DecisionSource } from "./decision-desk.ts";
import { type HealthSource, reportHealth } from "./health-reporter.ts";
import {
  GOODBYE_TIMEOUT_MS,
  HEARTBEAT_MAX_MS,
  HEARTBEAT_MIN_MS,
  HELLO_HELD_MAX,
  LEASE_MAX_MS,
  LEASE_MIN_MS,
  RECONNECT_BASE_MS,
  RECONNECT_MAX_MS,
  STABLE_AFTER_MS,
  SUPERSEDED_RETRY_MS,
  WELCOME_TIMEOUT_MS,
} from "./limits.ts";
import { type Link, type LinkEnd, openLink, type ResponseMessage } from "./link.ts";
import type { Subscriptions } from "./subscriptions.ts";
import { reportTraffic, type TrafficReports, type TrafficSource } from "./traffic-reporter.ts";

export interface DiscoveryClientOptions {
  /** HOST:PORT of the control plane. */
  readonly address: string;
  /** Everything of the workload but `ready`, which `setReady` decides. */
  readonly workload: Omit<Workload, "ready">;
  /** Unique to this process. */
  readonly incarnation: string;
  readonly programVersion: string;
  readonly configuration: Configuration;
  readonly subscriptions: Subscriptions;
  readonly decisions: DecisionSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Figures for the control plane; absent: none are reported. */
  readonly traffic?: TrafficSource | undefined;
  readonly health?: HealthSource | undefined;
  /** After every applied delta; the snapshot is already in use. */
  readonly onApplied: () => void;
}

type State =
  | { readonly name: "stopped" }
  | { readonly name: "connecting"; readonly link: Link; readonly deadline: Timer }
  | { readonly name: "connected"; readonly link: Link; readonly session: Session }
  | { readonly name: "waiting"; readonly timer: Timer }
  | {
      readonly name: "leaving";
      readonly link: Link;
      readonly deadline: Timer;
      readonly left: PromiseWithResolvers<void>;
    };

interface Session {
  readonly welcome: Welcome;
  readonly sinceMs: number;
  readonly heartbeat: Timer;
  readonly watchdog: Timer;
  readonly traffic: TrafficReports | undefined;
  readonly health: Timer | undefined;
}

/** What the status pages show. Times in milliseconds; `sinceMs` and `lastHeardAtMs` since the epoch, 0 for never. */
export interface DiscoveryStatus {
  readonly state: State["name"];
  readonly address: string;
  readonly controlPlane: string;
  readonly sinceMs: number;
  readonly lastHeardAtMs: number;
  readonly failedAttempts: number;
  readonly lastError: string;
}

/** Keeps one stream to the control plane for as long as it runs. */
export class DiscoveryClient {
  readonly #options: DiscoveryClientOptions;
  readonly #log: Log;
  readonly #desk: DecisionDesk;
  #state: State = { name: "stopped" };
  #sinceMs = 0;
  #failedAttempts = 0;
  /** Monotonic, for the lease; the wall clock's time of the same moment is for people. */
  #lastHeardMs = 0;
  #lastHeardAtMs = 0;
  #lastError = "";
  #controlPlane = "";
  #ready = false;

  constructor(options: DiscoveryClientOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#desk = new DecisionDesk(options.decisions);
  }

  get isConnected(): boolean {
    return this.#state.name === "connected";
  }

  get status(): DiscoveryStatus {
    return {
      state: this.#state.name,
      address: this.#options.address,
      controlPlane: this.#controlPlane,
      sinceMs: this.#sinceMs,
      lastHeardAtMs: this.#lastHeardAtMs,
      failedAttempts: this.#failedAttempts,
      lastError: this.#lastError,
    };
  }

  start(): void {
    if (this.#state.name === "stopped") this.#dial();
  }

  /** Tells the control plane whether the instance should receive traffic; remembered for the next Hello. */
  setReady(ready: boolean, reason: string): void {
    if (ready === this.#ready) return;
    this.#ready = ready;
    this.#linkOf()?.send({ $case: "readinessChange", value: { ready, reason } });
  }

  /** Changes the subscriptions of the open stream; without one, the next Hello says them all. */
  subscribe(add: readonly string[], remove: readonly string[]): void {
    this.#linkOf()?.send({ $case: "subscribe", value: { add: [...add], remove: [...remove] } });
  }

  /** Says goodbye, so that the endpoint is withdrawn at once, and resolves when the stream has ended. */
  stop(reason: string): Promise<void> {
    const state = this.#state;
    if (state.name === "leaving") return state.left.promise;
    if (state.name === "waiting") state.timer.cancel();
    if (state.name === "connected") return this.#leave(state.link, state.session, reason);
    this.#enter({ name: "stopped" });
    if (state.name === "connecting") {
      state.deadline.cancel();
      state.link.cancel();
    }
    return Promise.resolve();
  }

  #leave(link: Link, session: Session, reason: string): Promise<void> {
    endSession(session);
    link.send({ $case: "goodbye", value: { reason } });
    link.finish();
    const deadline = this.#options.clock.after(GOODBYE_TIMEOUT_MS, () => link.cancel());
    const left = Promise.withResolvers<void>();
    this.#enter({ name: "leaving", link, deadline, left });
    return left.promise;
  }

  #dial(): void {
    const { address, clock } = this.#options;
    this.#log.debug({ address, attempt: this.#failedAttempts + 1 }, "dialling the control plane");
    const link: Link = openLink(address, {
      onMessage: (message) => {
        if (this.#linkOf() === link) this.#hear(link, message);
      },
      onEnd: (end) => {
        if (this.#linkOf() === link) this.#ended(end);
      },
    });
    const deadline = clock.after(WELCOME_TIMEOUT_MS, () => {
      this.#lose(link, `no Welcome within ${WELCOME_TIMEOUT_MS} ms`);
    });
    link.send({ $case: "hello", value: this.#hello() });
    this.#enter({ name: "connecting", link, deadline });
  }

  #hello(): Hello {
    const { configuration, subscriptions, workload, incarnation, programVersion } = this.#options;
    return {
      workload: { ...workload, ready: this.#ready },
      incarnation,
      held: configuration.versions(HELLO_HELD_MAX),
      subscriptions: subscriptions.names(),
      revision: configuration.revision,
      programVersion,
    };
  }

  #hear(link: Link, message: ResponseMessage): void {
    this.#lastHeardMs = this.#options.clock.now();
    this.#lastHeardAtMs = this.#options.clock.wall();
    if (this.#state.name === "connecting") {
      if (message.$case === "welcome") this.#welcomed(link, message.value);
      else this.#lose(link, `sent ${message.$case} before Welcome`);
    } else if (this.#state.name !== "connected" || this.#desk.hear(link, message)) return;
    else if (message.$case === "trafficWatch") this.#state.session.traffic?.watch(message.value.intervalMs);
    else if (message.$case === "delta") void this.#apply(link, message.value);
  }

  #welcomed(link: Link, welcome: Welcome): void {
    if (this.#state.name !== "connecting") return;
    this.#state.deadline.cancel();
    const { clock, address } = this.#options;
    let sequence = 0;
    const heartbeat = every(clock, bounded(welcome.heartbeatIntervalMs, HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS), () => {
      link.send({ $case: "heartbeat", value: { sequence: ++sequence } });
    });
    const leaseMs = bounded(welcome.leaseMs, LEASE_MIN_MS, LEASE_MAX_MS);
    const watchdog = every(clock, leaseMs / 3, () => {
      const silentMs = clock.now() - this.#lastHeardMs;
      if (silentMs >= leaseMs) this.#lose(link, `nothing heard for ${Math.round(silentMs)} ms`);
    });
    this.#controlPlane = welcome.controlPlane;
    this.#lastError = "";
    const [traffic, health] = [this.#reportTraffic(link), this.#reportHealth(link)];
    const session = { welcome, sinceMs: clock.now(), heartbeat, watchdog, traffic, health };
    this.#enter({ name: "connected", link, session });
    this.#log.info({ address, controlPlane: welcome.controlPlane, revision: welcome.revision }, "connected");
  }

  #reportTraffic(link: Link): TrafficReports | undefined {
    const { clock, traffic } = this.#options;
    if (traffic === undefined) return undefined;
    return reportTraffic(clock, traffic, (value) => link.send({ $case: "trafficReport", value }));
  }

  #reportHealth(link: Link): Timer | undefined {
    const { clock, health } = this.#options;
    if (health === undefined) return undefined;
    return reportHealth(clock, health, (value) => link.send({ $case: "healthReport", value }));
  }

  async #apply(link: Link, delta: Delta): Promise<void> {
    const { configuration, subscriptions, onApplied } = this.#options;
    const { nonce, revision, removed } = delta;
    const resources = delta.resources.map(({ name, version, body }) => ({
      name,
      version,
      body: body.toString("utf8"),
    }));
    const result = await configuration.apply({ revision, resources, removed }, "control-plane");
    // Applying may have taken a while; on a stream that has ended nobody waits for the answer.
    const isHeard = this.#state.name === "connected" && this.#state.link === link;
    if (result.outcome === "refused") {
      const { resource, path, message } = result.refusal;
      this.#log.error({ revision, resource, path, reason: message }, "refused an update; going on with what was there");
      if (isHeard) link.send({ $case: "nack", value: { nonce, resource, fieldPath: path, reason: message } });
      return;
    }
    if (isHeard) link.send({ $case: "ack", value: { nonce, revision } });
    this.#log.debug({ revision, resources: resources.length, removed: removed.length }, "applied an update");
    subscriptions.settle(
      resources.map(({ name }) => name),
      removed,
    );
    onApplied();
  }

  /** The stream is of no use any more: end it, and go on as if it had ended by itself. */
  #lose(link: Link, reason: string): void {
    if (this.#linkOf() !== link || this.#state.name === "leaving") return;
    this.#ended({ kind: "failed", reason });
    link.cancel();
  }

  #ended(end: LinkEnd): void {
    const state = this.#state;
    if (state.name === "leaving") {
      state.deadline.cancel();
      this.#enter({ name: "stopped" });
      state.left.resolve();
      return;
    }
    const wasConnected = state.name === "connected";
    if (state.name === "connecting") state.deadline.cancel();
    if (wasConnected) {
      endSession(state.session);
      if (this.#options.clock.now() - state.session.sinceMs >= STABLE_AFTER_MS) this.#failedAttempts = 0;
    }
    this.#failedAttempts++;
    this.#lastError = end.reason;
    const delayMs = this.#retryDelayMs(end);
    this.#enter({ name: "waiting", timer: this.#options.clock.after(delayMs, () => this.#dial()) });
    this.#report(end, wasConnected, delayMs);
  }

  #retryDelayMs(end: LinkEnd): number {
    if (end.kind === "superseded") return SUPERSEDED_RETRY_MS;
    return equalJitter(this.#options.random, this.#failedAttempts, RECONNECT_BASE_MS, RECONNECT_MAX_MS);
  }

  #report(end: LinkEnd, wasConnected: boolean, delayMs: number): void {
    const { address, workload } = this.#options;
    const facts = { address, reason: end.reason, retryInMs: Math.round(delayMs), attempt: this.#failedAttempts };
    if (end.kind === "superseded") {
      const text =
        "another sidecar with this identity took this one's place at the control plane; this one goes on with what " +
        "it has. Give each sidecar its own --id, or its own --advertise address";
      this.#log.error({ ...facts, id: workload.id }, text);
    } else if (wasConnected) {
      this.#log.warn(facts, "lost the control plane; going on with the configuration at hand");
    } else if (this.#failedAttempts === 1 || this.#failedAttempts % 10 === 0) {
      this.#log.warn(facts, "cannot reach the control plane; trying again");
    } else this.#log.debug(facts, "cannot reach the control plane; trying again");
  }

  #linkOf(): Link | undefined {
    return "link" in this.#state ? this.#state.link : undefined;
  }

  #enter(state: State): void {
    if (this.#state.name === "connected") this.#desk.hangUp();
    this.#state = state;
    this.#sinceMs = this.#options.clock.wall();
  }
}

/** A timer past 2^31-1 ms would fire at once, and one of 0 ms all the time. */
function bounded(valueMs: number, minMs: number, maxMs: number): number {
  return Math.min(maxMs, Math.max(minMs, valueMs));
}

function endSession({ heartbeat, watchdog, traffic, health }: Session): void {
  heartbeat.cancel();
  watchdog.cancel();
  traffic?.cancel();
  health?.cancel();
}
