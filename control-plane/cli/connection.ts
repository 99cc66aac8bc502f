// The way to the control plane: clients of its services and one call at a time, with failures told apart into
// "cannot be reached", "took too long" and "said no". Loaded only by commands that talk to it.
import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientUnaryCall,
  connectivityState,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { FleetServiceClient } from "../../proto/gen/weft/v1/fleet.ts";
import { RulesServiceClient } from "../../proto/gen/weft/v1/rules.ts";
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";

/** Largest answer taken: a complete listing of a very large rule set. */
const RECEIVE_BYTES_MAX = 256 * 1024 * 1024;

const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": RECEIVE_BYTES_MAX,
  // HTTP_PROXY is how applications reach a sidecar; the way to the control plane must not lead through one.
  "grpc.enable_http_proxy": 0,
  "grpc.enable_retries": 0,
};

type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

export class Connection {
  readonly server: string;
  readonly #invocation: Invocation;
  readonly #clients: Client[] = [];
  #rules: RulesServiceClient | undefined;
  #fleet: FleetServiceClient | undefined;

  constructor(invocation: Invocation) {
    this.server = invocation.server;
    this.#invocation = invocation;
  }

  get rules(): RulesServiceClient {
    this.#rules ??= this.adopt(new RulesServiceClient(this.server, credentials.createInsecure(), CHANNEL_OPTIONS));
    return this.#rules;
  }

  /** A promise, because its generated code is loaded on first use. */
  async fleet(): Promise<FleetServiceClient> {
    const { FleetServiceClient } = await import("../../proto/gen/weft/v1/fleet.ts");
    this.#fleet ??= this.adopt(new FleetServiceClient(this.server, credentials.createInsecure(), CHANNEL_OPTIONS));
    return this.#fleet;
  }

  /** A client of another service, with the options of all of them. */
  create<C extends Client>(Service: new (server: string, trust: ChannelCredentials, options: object) => C): C {
    return new Service(this.server, credentials.createInsecure(), CHANNEL_OPTIONS);
  }

  /** Takes over a client of another service, so that `close` ends it too. */
  adopt<C extends Client>(client: C): C {
    this.#clients.push(client);
    return client;
  }

  /**
   * One unary call with the invocation's timeout.
   * @throws CliFailure whatever goes wrong.
   */
  call<Request, Response>(
    client: Client,
    method: UnaryMethod<Request, Response>,
    request: Request,
    timeoutMs = this.#invocation.timeoutMs,
  ): Promise<Response> {
    const deadline = this.deadline(timeoutMs);
    return new Promise((resolve, reject) => {
      method.call(client, request, new Metadata(), { deadline }, (error, response) => {
        if (error === null) resolve(response);
        else reject(this.failure(client, error, timeoutMs));
      });
    });
  }

  deadline(timeoutMs: number): number {
    return this.#invocation.shell.clock.wall() + timeoutMs;
  }

  /** What a gRPC error means to a person. */
  failure(client: Client, error: ServiceError, timeoutMs: number): CliFailure {
    if (error.code === status.UNAVAILABLE) return unreachable(this.server, error.details);
    if (error.code === status.DEADLINE_EXCEEDED) {
      const isConnected = client.getChannel().getConnectivityState(false) === connectivityState.READY;
      if (!isConnected) return unreachable(this.server, `no connection within ${timeoutMs} ms`);
      return new CliFailure("timed-out", `the control plane at ${this.server} did not answer within ${timeoutMs} ms`, {
        next: ["try again, or allow more time with --timeout"],
      });
    }
    return refusedCall(error);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

/** Runs `body` with a connection that is closed at its end. */
export async function withConnection<Result>(
  invocation: Invocation,
  body: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const connection = new Connection(invocation);
  try {
    return await body(connection);
  } finally {
    connection.close();
  }
}

function unreachable(server: string, why: string): CliFailure {
  return new CliFailure("unreachable", `the control plane at ${server} cannot be reached: ${plainReason(why)}`, {
    next: [
      "start it with: weft-control-plane",
      "or name the one to use with --server HOST:PORT or the environment variable WEFT_SERVER",
    ],
  });
}

/** grpc-js wraps the system's word in several sentences. */
function plainReason(details: string): string {
  if (details.includes("ECONNREFUSED")) return "connection refused";
  if (details.includes("Name resolution failed")) return "its name cannot be resolved";
  if (details.includes("EHOSTUNREACH") || details.includes("ENETUNREACH")) return "no route to it";
  if (/Protocol error|Parse Error|ERR_HTTP2/i.test(details)) return "what answers there does not speak gRPC";
  const last = /Last error: (.+?)\.?( Resolution note.*)?$/.exec(details);
  return last?.[1] ?? details;
}

function refusedCall(error: ServiceError): CliFailure {
  switch (error.code) {
    case status.INVALID_ARGUMENT:
    case status.OUT_OF_RANGE:
      return new CliFailure("usage", error.details);
    case status.NOT_FOUND:
      return new CliFailure("not-found", error.details);
    case status.RESOURCE_EXHAUSTED:
      return new CliFailure("failed", `too large for the control plane: ${error.details}`, {
        next: ["apply fewer files at a time"],
      });
    case status.UNIMPLEMENTED:
      return new CliFailure("failed", `the control plane does not offer this: ${error.details}`, {
        next: ["compare the versions with: weft version"],
      });
    default:
      return new CliFailure("failed", error.details || error.message);
  }
}
