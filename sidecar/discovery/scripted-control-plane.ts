// A control plane for tests: a real gRPC server on a real socket that does what the test says, message by message.
// Not a test itself; knows nothing of rules.
import { Server, ServerCredentials, type ServerDuplexStream, status } from "@grpc/grpc-js";
import {
  type Delta,
  DiscoveryServiceService,
  type StreamRequest,
  type StreamResponse,
  type Welcome,
} from "../../proto/gen/weft/v1/discovery.ts";
import type { RequestMessage } from "./link.ts";

type Case = RequestMessage["$case"];
type Values = { [Message in RequestMessage as Message["$case"]]: Message["value"] };

/** One stream as the control plane sees it; `next` waits for the next message of a kind, skipping none. */
export class ScriptedStream {
  readonly #call: ServerDuplexStream<StreamRequest, StreamResponse>;
  readonly #received: RequestMessage[] = [];
  readonly #waiting: { name: Case; take: (message: RequestMessage) => void }[] = [];
  readonly ended: Promise<void>;

  constructor(call: ServerDuplexStream<StreamRequest, StreamResponse>) {
    this.#call = call;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    call.on("data", ({ message }: StreamRequest) => message !== undefined && this.#receive(message));
    call.on("end", resolve);
    call.on("cancelled", resolve);
    call.on("error", () => resolve());
  }

  /** The oldest message of that kind that was not taken yet. */
  next<Name extends Case>(name: Name): Promise<Values[Name]> {
    return new Promise<Values[Name]>((settle) => {
      const take = (message: RequestMessage): void => settle(message.value as Values[Name]);
      const index = this.#received.findIndex((message) => message.$case === name);
      const [message] = index < 0 ? [] : this.#received.splice(index, 1);
      if (message === undefined) this.#waiting.push({ name, take });
      else take(message);
    });
  }

  /** How many messages of a kind came and were not taken. */
  pending(name: Case): number {
    return this.#received.filter((message) => message.$case === name).length;
  }

  welcome(value: Partial<Welcome> = {}): void {
    const defaults = { controlPlane: "scripted", revision: 0, heartbeatIntervalMs: 5_000, leaseMs: 15_000 };
    this.#call.write({ message: { $case: "welcome", value: { ...defaults, ...value } } });
  }

  /** Sends resources as `{name: body}`; the version is the body's text unless it is given. */
  delta(value: Partial<Omit<Delta, "resources">> & { resources?: Record<string, unknown> }): void {
    const resources = Object.entries(value.resources ?? {}).map(([name, body]) => {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      return { name, version: `v:${text}`, body: Buffer.from(text) };
    });
    const delta: Delta = { nonce: 1, revision: 1, removed: [], ...value, resources };
    this.#call.write({ message: { $case: "delta", value: delta } });
  }

  heartbeat(sequence: number): void {
    this.#call.write({ message: { $case: "heartbeat", value: { sequence } } });
  }

  end(): void {
    this.#call.end();
  }

  fail(code: status, details: string): void {
    this.#call.emit("error", { code, details });
  }

  #receive(message: RequestMessage): void {
    const index = this.#waiting.findIndex(({ name }) => name === message.$case);
    const [taker] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (taker === undefined) this.#received.push(message);
    else taker.take(message);
  }
}

/** Listens on a port of 127.0.0.1; streams are taken one after the other with `stream()`. */
export class ScriptedControlPlane {
  readonly #server: Server;
  readonly address: string;
  readonly #streams: ScriptedStream[] = [];
  readonly #waiting: ((stream: ScriptedStream) => void)[] = [];

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  static async listen(port = 0): Promise<ScriptedControlPlane> {
    const server = new Server();
    let plane: ScriptedControlPlane | undefined;
    server.addService(DiscoveryServiceService, {
      stream: (call: ServerDuplexStream<StreamRequest, StreamResponse>) => plane?.accept(call),
    });
    const bound = await new Promise<number>((settle, fail) => {
      server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, value) =>
        error === null ? settle(value) : fail(error),
      );
    });
    plane = new ScriptedControlPlane(server, `127.0.0.1:${bound}`);
    return plane;
  }

  accept(call: ServerDuplexStream<StreamRequest, StreamResponse>): void {
    const stream = new ScriptedStream(call);
    const taker = this.#waiting.shift();
    if (taker === undefined) this.#streams.push(stream);
    else taker(stream);
  }

  /** The next stream that a sidecar opens, or opened already. */
  stream(): Promise<ScriptedStream> {
    const stream = this.#streams.shift();
    if (stream !== undefined) return Promise.resolve(stream);
    return new Promise((settle) => this.#waiting.push(settle));
  }

  get port(): number {
    return Number(this.address.slice(this.address.lastIndexOf(":") + 1));
  }

  /** Cuts every stream and stops listening, as a killed process would. */
  close(): void {
    this.#server.forceShutdown();
  }
}

export { status };
