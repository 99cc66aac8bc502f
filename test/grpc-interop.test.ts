// The interoperability test cases that the gRPC project publishes (doc/interop-test-descriptions.md), each through the
// mesh: @grpc/grpc-js at both ends, real sidecars between. Not those that need Google's credentials (compute_engine_creds,
// jwt_token_creds, oauth2_auth_token, per_rpc_creds), a caching proxy and GET (cacheable_unary), load reports (orca_*), or
// hours (*_soak); what is compressed is seen by grpc-interop/wire.ts, because grpc-js does not tell.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, status as Code, Metadata } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { clientTo, fullDuplex, streamingInput, streamingOutput, unary } from "./grpc-interop/calls.ts";
import {
  ECHO_INITIAL,
  ECHO_TRAILING,
  METHODS,
  type OutputRequest,
  type SimpleRequest,
  zeros,
} from "./grpc-interop/messages.ts";
import { wireCall } from "./grpc-interop/wire.ts";
import {
  cleanUp,
  eventually,
  REPOSITORY,
  type RunningProgram,
  startProgram,
  temporaryFolder,
  within,
} from "./harness.ts";
import { RulesClient, startMesh, startSidecar } from "./mesh.ts";
import { page, startSidecar as startSidecarAlone } from "./sidecar/sidecar-process.ts";

const GZIP = { "grpc.default_compression_algorithm": 2 };
/** WriteFlags.NoCompress; grpc-js takes flags where streams of Node take an encoding. */
const NO_COMPRESS = "2" as BufferEncoding;
const PLAIN = "0" as BufferEncoding;

let app: RunningProgram;
/** Of the sidecar that the calls go out by, in the mesh and without a control plane. */
const outbound = { mesh: "", alone: "" };
/** That one, and the one beside the server. */
const sidecars: Record<keyof typeof outbound, RunningProgram[]> = { mesh: [], alone: [] };
const clients: Client[] = [];

function service(name: string, spec: string): string {
  return `apiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: ${name} }\nspec: ${spec}\n---\n`;
}

beforeAll(async () => {
  app = await startProgram(join(REPOSITORY, "test/grpc-interop/server.ts"));
  await Promise.all([startInMesh(), startAlone()]);
}, 120_000);

/** Client, sidecar, sidecar, server, with a control plane. */
async function startInMesh(): Promise<void> {
  const mesh = await startMesh();
  const [caller, beside] = await Promise.all([
    startSidecar(mesh, "caller", "v1", "127.0.0.1:9"),
    startSidecar(mesh, "interop", "v1", app.address("address")),
    startSidecar(mesh, "wire", "v1", app.address("wire")),
  ]);
  outbound.mesh = caller.address("outbound");
  sidecars.mesh = [caller, beside];
  const rules = new RulesClient(mesh);
  const documents = ["interop", "wire"].flatMap((name) =>
    ["grpc", "h2c", "http"].map((protocol) =>
      service(
        `${name}-${protocol}`,
        `{ selector: { service: ${name} }, ports: [{ port: 80, protocol: ${protocol} }] }`,
      ),
    ),
  );
  const { revision } = await rules.apply(documents.join(""));
  await rules.wait(revision);
  rules.close();
}

/** The same with rules from files; the wire server directly, without a sidecar beside it. */
async function startAlone(): Promise<void> {
  const rulesFile = (text: string): string => {
    const file = join(temporaryFolder(), "rules.yaml");
    writeFileSync(file, text);
    return file;
  };
  const static_ = (name: string, address: string): string =>
    service(name, `{ ports: [{ port: 80, protocol: grpc }], endpoints: [{ address: "${address}" }] }`);
  const beside = await startSidecarAlone("interop", {
    app: app.address("address"),
    flags: ["--rules", rulesFile(service("interop", "{ ports: [{ port: 80, protocol: grpc }] }"))],
  });
  const rules = static_("interop", beside.address("inbound")) + static_("wire", app.address("wire"));
  const caller = await startSidecarAlone("caller", { flags: ["--rules", rulesFile(rules)] });
  outbound.alone = caller.address("outbound");
  sidecars.alone = [caller, beside];
}

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(cleanUp);

const WAYS: readonly [way: string, listener: keyof typeof outbound, suffix: string][] = [
  ["through two sidecars, a service without a document", "mesh", ""],
  ["through two sidecars, protocol: grpc", "mesh", "-grpc"],
  ["through two sidecars, protocol: h2c", "mesh", "-h2c"],
  // Other requests keep HTTP/1.1 between the sidecars; calls of gRPC are HTTP/2 or nothing.
  ["through two sidecars, protocol: http in so many words", "mesh", "-http"],
  ["through two sidecars with rules from files", "alone", ""],
];

describe.each(WAYS)("%s", (_way, listener, suffix) => {
  const authority = (name: string): string => `${name}${suffix}`;
  const connect = (name = "interop", options: Record<string, number> = {}): Client => {
    const client = clientTo(outbound[listener], authority(name), options);
    clients.push(client);
    return client;
  };
  const LARGE: SimpleRequest = { responseSize: 314_159, payload: zeros(271_828) };

  beforeAll(async () => {
    for (const name of ["interop", "wire"]) {
      await eventually(`${authority(name)} answers`, async () => {
        const { code } = await unary(connect(name), METHODS.unaryCall, { responseSize: 1 });
        return code === Code.OK;
      });
    }
  });

  test("empty_unary", async () => {
    const { code, responses } = await unary(connect(), METHODS.emptyCall, {});
    expect([code, responses]).toEqual([Code.OK, [{}]]);
  });

  test("large_unary", async () => {
    const { code, responses } = await unary(connect(), METHODS.unaryCall, LARGE);
    expect(code).toBe(Code.OK);
    expect(responses[0]?.payload?.body.equals(zeros(314_159).body)).toBe(true);
  });

  test("client_compressed_unary", async () => {
    const compressed = { ...LARGE, expectCompressed: { value: true } };
    const plain = { ...LARGE, expectCompressed: { value: false } };
    const probe = await unary(connect("wire"), METHODS.unaryCall, compressed);
    expect(probe.code).toBe(Code.INVALID_ARGUMENT);
    for (const [request, options] of [
      [compressed, GZIP],
      [plain, {}],
    ] as const) {
      const { code, responses } = await unary(connect("wire", options), METHODS.unaryCall, request);
      expect([code, responses[0]?.payload?.body.length]).toEqual([Code.OK, 314_159]);
    }
    // The grpc-js server undoes it as well.
    const { responses } = await unary(connect("interop", GZIP), METHODS.unaryCall, LARGE);
    expect(responses[0]?.payload?.body.length).toBe(314_159);
  });

  test("server_compressed_unary", async () => {
    for (const value of [true, false]) {
      const request = { ...LARGE, responseCompressed: { value } };
      const { code, responses } = await unary(connect("wire"), METHODS.unaryCall, request);
      expect([code, responses[0]?.payload?.body.length]).toEqual([Code.OK, 314_159]);
      const seen = await wireCall(outbound[listener], authority("wire"), METHODS.unaryCall, request);
      expect(seen.status).toBe(Code.OK);
      expect(seen.responses.map(({ isCompressed }) => isCompressed)).toEqual([value]);
    }
  });

  test("client_streaming", async () => {
    const { call, ended } = streamingInput(connect());
    for (const size of [27_182, 8, 1_828, 45_904]) call.write({ payload: zeros(size) }, PLAIN);
    call.end();
    const { code, responses } = await ended;
    expect([code, responses]).toEqual([Code.OK, [{ aggregatedPayloadSize: 74_922 }]]);
  });

  test("client_compressed_streaming", async () => {
    const probe = streamingInput(connect("wire"));
    probe.call.write({ payload: zeros(27_182), expectCompressed: { value: true } }, PLAIN);
    probe.call.end();
    expect((await probe.ended).code).toBe(Code.INVALID_ARGUMENT);
    const { call, ended } = streamingInput(connect("wire", GZIP));
    call.write({ payload: zeros(27_182), expectCompressed: { value: true } }, PLAIN);
    call.write({ payload: zeros(45_904), expectCompressed: { value: false } }, NO_COMPRESS);
    call.end();
    const { code, responses } = await ended;
    expect([code, responses]).toEqual([Code.OK, [{ aggregatedPayloadSize: 73_086 }]]);
  });

  test("server_streaming", async () => {
    const sizes = [31_415, 9, 2_653, 58_979];
    const request = { responseParameters: sizes.map((size) => ({ size })) };
    const { code, responses } = await streamingOutput(connect(), request);
    expect(code).toBe(Code.OK);
    expect(responses.map(({ payload }) => payload?.body.length)).toEqual(sizes);
  });

  test("server_compressed_streaming", async () => {
    const request: OutputRequest = {
      responseParameters: [
        { size: 31_415, compressed: { value: true } },
        { size: 92_653, compressed: { value: false } },
      ],
    };
    const { code, responses } = await streamingOutput(connect("wire"), request);
    expect(code).toBe(Code.OK);
    expect(responses.map(({ payload }) => payload?.body.length)).toEqual([31_415, 92_653]);
    const seen = await wireCall(outbound[listener], authority("wire"), METHODS.streamingOutputCall, request);
    expect(seen.status).toBe(Code.OK);
    expect(seen.responses.map(({ isCompressed }) => isCompressed)).toEqual([true, false]);
  });

  test("ping_pong", async () => {
    const { call, ended, next } = fullDuplex(connect());
    for (const [asked, sent] of [
      [31_415, 27_182],
      [9, 8],
      [2_653, 1_828],
      [58_979, 45_904],
    ] as const) {
      call.write({ responseParameters: [{ size: asked }], payload: zeros(sent) });
      expect((await next()).payload?.body.length).toBe(asked);
    }
    call.end();
    const { code, responses } = await ended;
    expect([code, responses.length]).toEqual([Code.OK, 4]);
  });

  test("empty_stream", async () => {
    const { call, ended } = fullDuplex(connect());
    call.end();
    const { code, responses } = await ended;
    expect([code, responses]).toEqual([Code.OK, []]);
  });

  test("custom_metadata", async () => {
    const metadata = new Metadata();
    const trailing = Buffer.from([0xab, 0xab, 0xab]);
    metadata.set(ECHO_INITIAL, "test_initial_metadata_value");
    metadata.set(ECHO_TRAILING, trailing);
    const inOne = await unary(connect(), METHODS.unaryCall, LARGE, { metadata });
    const { call, ended } = fullDuplex(connect(), { metadata });
    call.write({ responseParameters: [{ size: 314_159 }], payload: zeros(271_828) });
    call.end();
    for (const { code, initial, trailing: last } of [inOne, await ended]) {
      expect(code).toBe(Code.OK);
      expect(initial.get(ECHO_INITIAL)).toEqual(["test_initial_metadata_value"]);
      expect(last.get(ECHO_TRAILING)).toEqual([trailing]);
    }
  });

  test("status_code_and_message", async () => {
    const responseStatus = { code: Code.UNKNOWN, message: "test status message" };
    const inOne = await unary(connect(), METHODS.unaryCall, { responseStatus });
    const { call, ended } = fullDuplex(connect());
    call.write({ responseStatus });
    call.end();
    for (const { code, details } of [inOne, await ended]) expect([code, details]).toEqual([2, "test status message"]);
  });

  test("special_status_message", async () => {
    const message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
    const { code, details } = await unary(connect(), METHODS.unaryCall, { responseStatus: { code: 2, message } });
    expect([code, details]).toEqual([Code.UNKNOWN, message]);
  });

  test("unimplemented_method", async () => {
    expect((await unary(connect(), METHODS.unimplementedCall, {})).code).toBe(Code.UNIMPLEMENTED);
  });

  test("unimplemented_service", async () => {
    expect((await unary(connect(), METHODS.unimplementedService, {})).code).toBe(Code.UNIMPLEMENTED);
  });

  const cancelled = (method: string): number => app.stdout.split(`cancelled ${method}\n`).length - 1;

  test("cancel_after_begin", async () => {
    const { call, ended } = streamingInput(connect());
    // In the turn after the start, so that the metadata is on its way, as the case has it.
    await new Promise((next) => setImmediate(next));
    call.cancel();
    const { code, responses } = await ended;
    expect([code, responses]).toEqual([Code.CANCELLED, []]);
  });

  test("cancel_after_begin, once it has reached the server: that hears of it", async () => {
    const before = cancelled("StreamingInputCall");
    // Several tries: a cancellation may overtake the beginning of its own call.
    await eventually("the server hears of a cancellation", async () => {
      const { call, ended } = streamingInput(connect());
      call.write({ payload: zeros(8) }, PLAIN);
      await new Promise((next) => setTimeout(next, 20));
      call.cancel();
      expect((await ended).code).toBe(Code.CANCELLED);
      return cancelled("StreamingInputCall") > before;
    });
  });

  test("cancel_after_first_response", async () => {
    const before = cancelled("FullDuplexCall");
    const { call, ended, next } = fullDuplex(connect());
    call.write({ responseParameters: [{ size: 31_415 }], payload: zeros(27_182) });
    expect((await next()).payload?.body.length).toBe(31_415);
    call.cancel();
    expect((await ended).code).toBe(Code.CANCELLED);
    await eventually("the server hears of it", () => cancelled("FullDuplexCall") > before);
  });

  test("timeout_on_sleeping_server", async () => {
    for (const deadlineMs of [1, 150]) {
      const { call, ended } = fullDuplex(connect(), { deadlineMs });
      call.write({ payload: zeros(27_182) });
      expect((await within(5_000, ended, () => "the call went on")).code).toBe(Code.DEADLINE_EXCEEDED);
    }
  });

  test("concurrent_large_unary", async () => {
    const client = connect();
    const calls = Array.from({ length: 100 }, () => unary(client, METHODS.unaryCall, LARGE));
    for (const { code, responses } of await Promise.all(calls)) {
      expect([code, responses[0]?.payload?.body.length]).toEqual([Code.OK, 314_159]);
    }
  });
});

test.each(["mesh", "alone"] as const)(
  "all of these went through both sidecars, counted by code: %s",
  async (listener) => {
    for (const [index, sidecar] of sidecars[listener].entries()) {
      const text = await (await page(sidecar, "status", "/metrics")).text();
      const direction = index === 0 ? "outbound" : "inbound";
      for (const code of ["OK", "UNKNOWN", "UNIMPLEMENTED"]) {
        const lines = text.split("\n").filter((line) => line.startsWith("weft_grpc_requests_total{"));
        const counted = lines.filter((line) => line.includes(`"${direction}"`) && line.includes(`"${code}"`));
        expect(counted, `${direction} ${code} in ${lines.join("\n")}`).not.toEqual([]);
      }
    }
  },
);
