// grpc.health.v1: asks whether the whole server is serving. The two messages are so small (one field each, which
// the request leaves empty) that they are read here instead of loading a library for them.
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type Client, credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import type { Connection } from "./connection.ts";
import { CliFailure } from "./failure.ts";

const STATUS_WORDS = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;

const HealthClient = makeGenericClientConstructor(
  {
    check: {
      path: "/grpc.health.v1.Health/Check",
      requestStream: false,
      responseStream: false,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: () => ({}),
      responseSerialize: () => Buffer.alloc(0),
      responseDeserialize: statusWord,
    },
  },
  "grpc.health.v1.Health",
);

/** The serving status in the protocol's words, or why there was none. Fails only when the server is unreachable. */
export async function healthOf(connection: Connection): Promise<string> {
  const client: Client = connection.adopt(new HealthClient(connection.server, credentials.createInsecure()));
  const check = client["check" as keyof Client] as unknown as Parameters<typeof connection.call>[1];
  try {
    return String(await connection.call(client, check, {}));
  } catch (error) {
    if (error instanceof CliFailure && error.code !== "unreachable") return `no answer: ${error.message}`;
    throw error;
  }
}

function statusWord(message: Uint8Array): string {
  const reader = new BinaryReader(message);
  let status = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) status = reader.int32();
    else reader.skip(wireType);
  }
  return STATUS_WORDS[status] ?? String(status);
}
