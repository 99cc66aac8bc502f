// grpc.health.v1, for probes and load balancers. The library behind it reads a .proto file and loads what is needed for that,
// a seventh of what the program does before it is ready, and few ever ask: it waits for the first who does.
import { createRequire } from "node:module";
import type { MethodDefinition, Server, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";

const SERVICE = "grpc.health.v1.Health";
const METHODS = [
  { name: "Check", responseStream: false },
  { name: "List", responseStream: false },
  { name: "Watch", responseStream: true },
] as const;

type Status = "SERVING" | "NOT_SERVING";
type Method = MethodDefinition<unknown, unknown>;
type Handler = (...call: unknown[]) => void;

interface Loaded {
  readonly method: Method;
  readonly handle: Handler;
}

export class Health {
  /** By the full name of the service; "" is the whole server. */
  readonly #statuses = new Map<string, Status>();
  #loaded: { readonly methods: ReadonlyMap<string, Loaded>; tell(name: string, status: Status): void } | undefined;

  set(name: string, status: Status): void {
    this.#statuses.set(name, status);
    this.#loaded?.tell(name, status);
  }

  addToServer(server: Server): void {
    const definition: Record<string, Method> = {};
    const implementation: Record<string, Handler> = {};
    for (const { name, responseStream } of METHODS) {
      const path = `/${SERVICE}/${name}`;
      definition[name] = {
        path,
        requestStream: false,
        responseStream,
        requestSerialize: (value) => this.#method(path).method.requestSerialize(value),
        requestDeserialize: (bytes) => this.#method(path).method.requestDeserialize(bytes),
        responseSerialize: (value) => this.#method(path).method.responseSerialize(value),
        responseDeserialize: (bytes) => this.#method(path).method.responseDeserialize(bytes),
      };
      implementation[name] = (...call) => this.#method(path).handle(...call);
    }
    server.addService(definition, implementation as UntypedServiceImplementation);
  }

  #method(path: string): Loaded {
    this.#loaded ??= load(this.#statuses);
    const found = this.#loaded.methods.get(path);
    if (found === undefined) throw new Error(`grpc-health-check has no ${path}`);
    return found;
  }
}

/** What grpc-health-check would have added to a server, by the method's path. */
function load(statuses: ReadonlyMap<string, Status>) {
  const { HealthImplementation } = createRequire(import.meta.url)(
    "grpc-health-check",
  ) as typeof import("grpc-health-check");
  const health = new HealthImplementation(Object.fromEntries(statuses));
  const methods = new Map<string, Loaded>();
  const collector = {
    addService: (definition: ServiceDefinition, implementation: UntypedServiceImplementation) => {
      for (const [name, method] of Object.entries(definition)) {
        const handle = (implementation[name] ?? implementation[method.originalName ?? name]) as Handler;
        methods.set(method.path, { method: method as Method, handle });
      }
    },
  };
  health.addToServer(collector as unknown as Server);
  return { methods, tell: (name: string, status: Status) => health.setStatus(name, status) };
}
