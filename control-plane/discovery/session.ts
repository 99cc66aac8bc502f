// One sidecar's stream: Hello first, then subscriptions, answers and heartbeats, until either side ends it. Turns
// messages into calls on the registry and the fleet; decides nothing about what is sent.
import { type ServerDuplexStream, type ServiceError, status } from "@grpc/grpc-js";
import type { Delta, Hello, Nack, StreamRequest, StreamResponse, Workload } from "../../proto/gen/weft/v1/discovery.ts";
import { qualifiedName } from "../../rules/diagnostic.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import * as limits from "../limits.ts";
import type { Counter } from "../metrics.ts";
import type { Fleet, Sidecar } from "../push/fleet.ts";
import { checkHello, checkSubscriptions } from "../registry/hello.ts";
import type { Connection, Registry } from "../registry/registry.ts";
import type { HealthLedger } from "../telemetry/health-ledger.ts";
import type { Informant, TelemetryHub } from "../telemetry/telemetry-hub.ts";
import type { TrafficLedger } from "../telemetry/traffic-ledger.ts";

export interface SessionOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: Registry;
  readonly fleet: Fleet;
  /** Identity of this run, told in Welcome. */
  readonly controlPlane: string;
  readonly currentRevision: () => number;
  readonly nacks: Counter;
  readonly hub: TelemetryHub;
  readonly traffic: TrafficLedger;
  readonly health: HealthLedger;
}

interface Serving {
  readonly name: "serving";
  readonly id: string;
  readonly incarnation: string;
  readonly sidecar: Sidecar;
  readonly connection: Connection;
  readonly informant: Informant;
  readonly leaveHub: () => void;
}

type State = { readonly name: "awaiting-hello"; readonly timer: Timer } | Serving | { readonly name: "ended" };

type Message = NonNullable<StreamRequest["message"]>;

type Stream = ServerDuplexStream<StreamRequest, StreamResponse>;

export class DiscoverySession {
  readonly #stream: Stream;
  readonly #options: SessionOptions;
  #state: State;
  /** The newest heartbeat that could not be echoed yet, because the sidecar does not read. */
  #unsentHeartbeat: number | undefined;
  #isBlocked = false;

  constructor(stream: Stream, options: SessionOptions) {
    this.#stream = stream;
    this.#options = options;
    const tooLate = () => this.#fail(status.INVALID_ARGUMENT, "no Hello was sent");
    this.#state = { name: "awaiting-hello", timer: options.clock.after(limits.HELLO_TIMEOUT_MS, tooLate) };
    stream.on("data", (request: StreamRequest) => this.#receive(request));
    stream.on("drain", () => this.#drained());
    stream.on("end", () => this.end());
    stream.on("cancelled", () => this.#disconnect());
    stream.on("error", () => this.#disconnect());
    stream.on("close", () => this.#disconnect());
  }

  /** Ends the stream from this side; the sidecar's lease goes on. */
  end(code: status = status.OK, details = ""): void {
    if (code === status.OK) {
      this.#disconnect();
      this.#stream.end();
    } else this.#fail(code, details);
  }

  #receive({ message }: StreamRequest): void {
    const state = this.#state;
    if (state.name === "ended" || message === undefined) return;
    if (state.name === "serving") this.#serve(state, message);
    else if (message.$case === "hello") this.#hello(message.value, state.timer);
    else this.#fail(status.INVALID_ARGUMENT, `the first message must be hello, not ${message.$case}`);
  }

  #serve({ id, incarnation, sidecar, connection, informant }: Serving, message: Message): void {
    const { registry, fleet, hub } = this.#options;
    registry.heard(id, connection);
    switch (message.$case) {
      case "hello":
        this.#fail(status.INVALID_ARGUMENT, "hello was sent twice");
        break;
      case "subscribe":
        this.#subscribe(sidecar, message.value.add, message.value.remove);
        break;
      case "ack":
        fleet.acknowledge(sidecar, message.value.nonce);
        break;
      case "nack":
        this.#nack(sidecar, message.value);
        break;
      case "heartbeat":
        this.#heartbeat(message.value.sequence);
        break;
      case "readinessChange":
        registry.setReady(id, connection, message.value.ready);
        break;
      case "trafficReport":
        this.#options.traffic.report(id, incarnation, message.value.counts, message.value.routes);
        break;
      case "healthReport":
        this.#options.health.report(connection, id, message.value.endpoints);
        break;
      case "goodbye":
        this.#goodbye(id, connection);
        break;
      case "decisionAnswer":
        hub.answer(informant, message.value);
        break;
      case "tapReport":
        hub.report(informant, message.value);
        break;
      default:
        message satisfies never;
    }
  }

  #hello(hello: Hello, timer: Timer): void {
    const problem = checkHello(hello);
    const { workload } = hello;
    if (problem !== undefined || workload === undefined) {
      this.#fail(status.INVALID_ARGUMENT, problem ?? "hello.workload is missing");
      return;
    }
    const { registry, log } = this.#options;
    const connection: Connection = { end: (reason) => this.#lost(reason) };
    const registered = registry.register(workload, hello.incarnation, hello.programVersion, connection);
    switch (registered.outcome) {
      case "superseded":
        this.#fail(status.ALREADY_EXISTS, `superseded: a newer process is connected as ${workload.id}`);
        break;
      case "full":
        this.#fail(status.RESOURCE_EXHAUSTED, `the registry holds ${limits.WORKLOADS_MAX} workloads already`);
        break;
      case "registered":
        timer.cancel();
        if (registered.superseded)
          log.warn({ workload: workload.id, peer: this.#stream.getPeer() }, "a newer stream took this identity over");
        this.#welcome();
        this.#enterFleet(hello, workload, connection);
        break;
      default:
        registered satisfies never;
    }
  }

  #enterFleet(hello: Hello, workload: Workload, connection: Connection): void {
    const held = new Map(Object.entries(hello.held).filter(([, version]) => version !== ""));
    const sidecar = this.#options.fleet.connect({
      ...{ workload, held, subscriptions: hello.subscriptions, programVersion: hello.programVersion },
      peer: this.#stream.getPeer(),
      send: (delta) => this.#sendDelta(delta),
    });
    const informant: Informant = {
      id: workload.id,
      service: qualifiedName(workload.namespace, workload.service),
      send: (message) => this.#inform(message),
    };
    const leaveHub = this.#options.hub.join(informant);
    const { incarnation } = hello;
    this.#state = { name: "serving", id: workload.id, incarnation, sidecar, connection, informant, leaveHub };
    this.#options.log.debug({ workload: workload.id, held: held.size }, "sidecar connected");
  }

  #welcome(): void {
    this.#write({
      message: {
        $case: "welcome",
        value: {
          controlPlane: this.#options.controlPlane,
          revision: this.#options.currentRevision(),
          heartbeatIntervalMs: limits.HEARTBEAT_INTERVAL_MS,
          leaseMs: limits.LEASE_MS,
        },
      },
    });
  }

  #subscribe(sidecar: Sidecar, add: readonly string[], remove: readonly string[]): void {
    const problem = checkSubscriptions(add) ?? checkSubscriptions(remove);
    if (problem !== undefined) this.#fail(status.INVALID_ARGUMENT, `subscribe: ${problem}`);
    else if (!this.#options.fleet.subscribe(sidecar, add, remove))
      this.#fail(status.RESOURCE_EXHAUSTED, `more than ${limits.SUBSCRIPTIONS_MAX} subscriptions`);
  }

  #nack(sidecar: Sidecar, nack: Nack): void {
    const cut = (text: string) => text.slice(0, limits.NACK_TEXT_CHARACTERS_MAX);
    const { nonce } = nack;
    const refusal = { nonce, resource: cut(nack.resource), fieldPath: cut(nack.fieldPath), reason: cut(nack.reason) };
    const delta = this.#options.fleet.refuse(sidecar, refusal);
    if (delta === undefined) return;
    this.#options.nacks.add();
    const workload = sidecar.introduction.workload.id;
    this.#options.log.error({ workload, revision: delta.settles, ...refusal }, "a sidecar refused its configuration");
  }

  #heartbeat(sequence: number): void {
    if (this.#isBlocked) this.#unsentHeartbeat = sequence;
    else this.#write({ message: { $case: "heartbeat", value: { sequence } } });
  }

  #goodbye(id: string, connection: Connection): void {
    this.#options.registry.withdraw(id, connection);
    this.#disconnect();
    this.#stream.end();
  }

  #lost(reason: "superseded" | "lease-ended"): void {
    if (reason === "superseded") this.#fail(status.ABORTED, "superseded: a newer stream has this identity");
    else this.#fail(status.DEADLINE_EXCEEDED, `nothing was heard for ${limits.LEASE_MS} ms`);
  }

  /** At most one delta is unanswered, so this needs no queue even when the sidecar does not read. */
  #sendDelta(delta: Delta): void {
    this.#write({ message: { $case: "delta", value: delta } });
  }

  /** Questions are not worth waiting for a sidecar that does not read. */
  #inform(message: NonNullable<StreamResponse["message"]>): boolean {
    if (!this.#isBlocked) this.#write({ message });
    return !this.#isBlocked;
  }

  #write(response: StreamResponse): void {
    if (!this.#stream.write(response)) this.#isBlocked = true;
  }

  #drained(): void {
    this.#isBlocked = false;
    const sequence = this.#unsentHeartbeat;
    this.#unsentHeartbeat = undefined;
    if (sequence !== undefined && this.#state.name === "serving") this.#heartbeat(sequence);
  }

  #fail(code: status, details: string): void {
    if (this.#state.name === "ended") return;
    this.#disconnect();
    this.#stream.emit("error", { code, details } satisfies Pick<ServiceError, "code" | "details">);
  }

  #disconnect(): void {
    const state = this.#state;
    if (state.name === "ended") return;
    this.#state = { name: "ended" };
    if (state.name === "awaiting-hello") {
      state.timer.cancel();
      return;
    }
    state.leaveHub();
    this.#options.health.forget(state.connection);
    this.#options.registry.disconnect(state.id, state.connection);
    this.#options.fleet.disconnect(state.sidecar);
  }
}
