// The gRPC server: services, health, reflection, keep-alive, limits and its end. No service's logic.
import {
  Server,
  ServerCredentials,
  type ServerOptions,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Clock } from "../../runtime/clock.ts";
import { GRPC_MESSAGE_BYTES_MAX } from "../limits.ts";
import { Health } from "./health.ts";
import { addReflection } from "./reflection.ts";

/** Pings notice a peer that is gone without a word (gRFC A8, A9; the values of Istio's discovery). */
const SERVER_OPTIONS: ServerOptions = {
  "grpc.max_receive_message_length": GRPC_MESSAGE_BYTES_MAX,
  // A service of many routes is one resource; what it may weigh is bounded by what can be applied.
  "grpc.max_send_message_length": -1,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
};

export interface ServedService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** Full name, such as `weft.v1.RulesService`: what health checks ask for. */
  readonly name: string;
}

export interface GrpcServer {
  /** Starts listening. Returns the port; rejects when the address cannot be bound. */
  listen(address: string): Promise<number>;
  setServing(isServing: boolean): void;
  /** Lets calls in flight finish, for at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** `protoFolder`: where the .proto files are, for reflection. */
export function createGrpcServer(services: readonly ServedService[], protoFolder: string, clock: Clock): GrpcServer {
  const server = new Server(SERVER_OPTIONS);
  for (const { definition, implementation } of services) server.addService(definition, implementation);
  const names = ["", ...services.map(({ name }) => name)];
  const health = new Health();
  for (const name of names) health.set(name, "NOT_SERVING");
  health.addToServer(server);
  addReflection(server, protoFolder);
  return {
    listen: (address) =>
      new Promise((resolve, reject) => {
        server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
          error === null ? resolve(port) : reject(error),
        );
      }),
    setServing: (isServing) => {
      for (const name of names) health.set(name, isServing ? "SERVING" : "NOT_SERVING");
    },
    close: (graceMs) => closeServer(server, clock, graceMs),
  };
}

function closeServer(server: Server, clock: Clock, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(graceMs, () => {
      server.forceShutdown();
      resolve();
    });
    server.tryShutdown(() => {
      timer.cancel();
      resolve();
    });
  });
}
