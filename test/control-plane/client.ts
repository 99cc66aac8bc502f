// Clients for tests of the control plane: calls as promises, and a sidecar that speaks the discovery protocol but
// proxies nothing.
import { join } from "node:path";
import { type Client, type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";
import { type RunningControlPlane, startControlPlane } from "../../control-plane/bootstrap.ts";
import {
  type Delta,
  DiscoveryServiceClient,
  Hello,
  Nack,
  type StreamRequest,
  type StreamResponse,
  type Welcome,
  Workload,
} from "../../proto/gen/weft/v1/discovery.ts";
import { FleetServiceClient, WaitRevisionRequest, type WaitRevisionResponse } from "../../proto/gen/weft/v1/fleet.ts";
import { ApplyRequest, type ApplyResponse, RulesServiceClient } from "../../proto/gen/weft/v1/rules.ts";
import { systemClock } from "../../runtime/clock.ts";
import { silentLog } from "../../runtime/log.ts";
import { eventually, REPOSITORY, temporaryFolder } from "../harness.ts";

const running = new Set<RunningControlPlane>();

/** A control plane inside the test's own process: real sockets and files, without the time that a start takes. */
export async function startHere(): Promise<RunningControlPlane> {
  const where = { data: temporaryFolder(), grpc: "127.0.0.1:0", http: "127.0.0.1:0", store: "sqlite" } as const;
  const settings = { ...where, pid: process.pid, protoFolder: join(REPOSITORY, "proto") };
  const started = await startControlPlane(settings, systemClock, silentLog());
  running.add(started);
  return started;
}

/** Ends what was started and closes every channel: call it in `afterEach`, before `cleanUp`. */
export async function stopAll(): Promise<void> {
  closeClients();
  await Promise.all(Array.from(running, (started) => started.stop()));
  running.clear();
}

const CHANNEL_OPTIONS = { "grpc.max_receive_message_length": -1, "grpc.initial_reconnect_backoff_ms": 100 };

const open = new Set<Client>();

/** Closes every channel that was opened here: call it in `afterEach`. */
export function closeClients(): void {
  for (const client of open) client.close();
  open.clear();
}

function opened<Channel extends Client>(client: Channel): Channel {
  open.add(client);
  return client;
}

export function rulesClient(address: string): RulesServiceClient {
  return opened(new RulesServiceClient(address, credentials.createInsecure(), CHANNEL_OPTIONS));
}

export function fleetClient(address: string): FleetServiceClient {
  return opened(new FleetServiceClient(address, credentials.createInsecure(), CHANNEL_OPTIONS));
}

type Call<Request, Response> = (
  request: Request,
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

/** A unary call as a promise: `await ask(rules, rules.get, request)`. */
export function ask<Request, Response>(
  client: Client,
  method: Call<Request, Response>,
  request: Request,
): Promise<Response> {
  return new Promise((settle, fail) => {
    method.call(client, request, (error, response) => (error === null ? settle(response) : fail(error)));
  });
}

/** Applies one text. */
export function apply(
  rules: RulesServiceClient,
  content: string,
  overrides: Partial<ApplyRequest> = {},
): Promise<ApplyResponse> {
  const sources = [{ name: "rules.yaml", content: Buffer.from(content) }];
  return ask<ApplyRequest, ApplyResponse>(rules, rules.apply, ApplyRequest.fromPartial({ sources, ...overrides }));
}

/** A route that sends everything of `service` under `path` to `backend`. */
export function route(name: string, service: string, backend: string, path = "/"): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name} }
spec:
  parentRefs: [{ group: "", kind: Service, name: ${service} }]
  rules:
    - matches: [{ path: { type: PathPrefix, value: ${path} } }]
      backendRefs: [{ name: ${backend}, port: 80 }]
---
`;
}

/** A Service document with one static endpoint. */
export function service(name: string, address = "10.0.0.1:80"): string {
  return `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: ${name} }
spec: { endpoints: [{ address: "${address}" }] }
---
`;
}

/** Every progress message until the wait is over. */
export function waitRevision(fleet: FleetServiceClient, revision: number): Promise<WaitRevisionResponse[]> {
  const messages: WaitRevisionResponse[] = [];
  return new Promise((settle, fail) => {
    fleet
      .waitRevision(WaitRevisionRequest.fromPartial({ revision }))
      .on("data", (message: WaitRevisionResponse) => messages.push(message))
      .on("error", fail)
      .on("end", () => settle(messages));
  });
}

type Answer = "ack" | "nothing" | { readonly resource: string; readonly fieldPath: string; readonly reason: string };

export interface SidecarOptions {
  readonly workload?: Partial<Workload>;
  readonly hello?: Partial<Hello>;
}

/** Connects, says Hello, keeps what it is sent and answers as told. */
export class FakeSidecar {
  readonly #stream: ClientDuplexStream<StreamRequest, StreamResponse>;
  readonly resources = new Map<string, { readonly version: string; readonly body: Record<string, unknown> }>();
  readonly removed: string[] = [];
  readonly deltas: Delta[] = [];
  readonly echoes: number[] = [];
  welcome: Welcome | undefined;
  ended: { readonly code: number; readonly details: string } | undefined;
  /** What is said to each delta. */
  answer: (delta: Delta) => Answer = () => "ack";

  constructor(address: string, { workload, hello }: SidecarOptions = {}) {
    const client = opened(new DiscoveryServiceClient(address, credentials.createInsecure(), CHANNEL_OPTIONS));
    this.#stream = client.stream();
    this.#stream.on("data", ({ message }: StreamResponse) => this.#receive(message));
    this.#stream.on("error", () => {});
    this.#stream.on("status", (status: { code: number; details: string }) => {
      this.ended = status;
    });
    const identity = { id: "w1", service: "web", namespace: "default", address: "127.0.0.1:15006", ready: true };
    const described = Workload.fromPartial({ ...identity, ...workload });
    this.send({
      $case: "hello",
      value: Hello.fromPartial({ workload: described, incarnation: "i1", programVersion: "test", ...hello }),
    });
  }

  get revision(): number {
    return this.deltas.at(-1)?.revision ?? -1;
  }

  get held(): Record<string, string> {
    return Object.fromEntries(Array.from(this.resources, ([name, { version }]) => [name, version]));
  }

  send(message: NonNullable<StreamRequest["message"]>): void {
    this.#stream.write({ message });
  }

  subscribe(...add: string[]): void {
    this.send({ $case: "subscribe", value: { add, remove: [] } });
  }

  goodbye(): void {
    this.send({ $case: "goodbye", value: { reason: "test" } });
  }

  /** As when the network breaks: no goodbye. */
  break(): void {
    this.#stream.cancel();
  }

  /** Waits until it holds `name` (and `check` agrees). */
  holds(name: string, check: (body: Record<string, unknown>) => boolean = () => true): Promise<true> {
    return eventually(`sidecar holds ${name}`, () => {
      const resource = this.resources.get(name);
      return resource !== undefined && check(resource.body);
    });
  }

  deltaCount(count: number): Promise<true> {
    return eventually(`${count} deltas`, () => this.deltas.length >= count);
  }

  #receive(message: StreamResponse["message"]): void {
    if (message?.$case === "welcome") this.welcome = message.value;
    else if (message?.$case === "heartbeat") this.echoes.push(message.value.sequence);
    else if (message?.$case === "delta") this.#delta(message.value);
  }

  #delta(delta: Delta): void {
    this.deltas.push(delta);
    const answer = this.answer(delta);
    if (answer === "nothing") return;
    if (answer !== "ack") {
      this.send({ $case: "nack", value: Nack.fromPartial({ nonce: delta.nonce, ...answer }) });
      return;
    }
    for (const { name, version, body } of delta.resources)
      this.resources.set(name, { version, body: JSON.parse(Buffer.from(body).toString()) });
    for (const name of delta.removed) this.resources.delete(name);
    this.removed.push(...delta.removed);
    this.send({ $case: "ack", value: { nonce: delta.nonce, revision: delta.revision } });
  }
}
