// Server reflection, for grpcurl and its like. Reading the .proto files would be a quarter of what the program does before
// it is ready, and few ever ask: it waits for the first who does.
import { createRequire } from "node:module";
import { join } from "node:path";
import {
  type handleBidiStreamingCall,
  type MethodDefinition,
  type Server,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

const PROTO_FILES = [
  "weft/v1/discovery.proto",
  "weft/v1/rules.proto",
  "weft/v1/fleet.proto",
  "weft/v1/rollouts.proto",
  "weft/v1/telemetry.proto",
];

/** Both have one method of this name and the same messages. */
const SERVICES = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
const METHOD = "ServerReflectionInfo";

type Method = MethodDefinition<unknown, unknown>;
type Handler = handleBidiStreamingCall<unknown, unknown>;

interface Reflector {
  readonly method: Method;
  readonly handle: Handler;
}

/** @param protoFolder where the .proto files are */
export function addReflection(server: Server, protoFolder: string): void {
  let reflectors: ReadonlyMap<string, Reflector> | undefined;
  for (const name of SERVICES) {
    const path = `/${name}/${METHOD}`;
    const reflector = (): Reflector => {
      reflectors ??= loadReflectors(protoFolder);
      const found = reflectors.get(path);
      if (found === undefined) throw new Error(`@grpc/reflection has no ${path}`);
      return found;
    };
    const method: Method = {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: (value) => reflector().method.requestSerialize(value),
      requestDeserialize: (bytes) => reflector().method.requestDeserialize(bytes),
      responseSerialize: (value) => reflector().method.responseSerialize(value),
      responseDeserialize: (bytes) => reflector().method.responseDeserialize(bytes),
    };
    const handle: Handler = (call) => {
      try {
        reflector().handle(call);
      } catch (error) {
        call.destroy(Object.assign(new Error(String(error)), { code: status.INTERNAL }));
      }
    };
    server.addService({ [METHOD]: method }, { [METHOD]: handle });
  }
}

/** What @grpc/reflection would have added to a server, by the method's path. */
function loadReflectors(protoFolder: string): ReadonlyMap<string, Reflector> {
  const load = createRequire(import.meta.url);
  const { loadSync } = load("@grpc/proto-loader") as typeof import("@grpc/proto-loader");
  const { ReflectionService } = load("@grpc/reflection") as typeof import("@grpc/reflection");
  const { protoPath: healthProtoPath } = load("grpc-health-check") as typeof import("grpc-health-check");
  const options = { includeDirs: [protoFolder, join(healthProtoPath, "../../..")], keepCase: true };
  const reflectors = new Map<string, Reflector>();
  const collector = {
    addService: (definition: ServiceDefinition, implementation: UntypedServiceImplementation) => {
      const method = definition[METHOD] as Method;
      reflectors.set(method.path, { method, handle: implementation[METHOD] as Handler });
    },
  };
  new ReflectionService(loadSync([...PROTO_FILES, healthProtoPath], options)).addToServer(collector);
  return reflectors;
}
