// gRPC by hand over node:http2, where the cases are about what @grpc/grpc-js does not show: whether a message came
// compressed, and answers that are. A server with the compressed cases' methods, and a client for one call.
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { gunzipSync, gzipSync } from "node:zlib";
import type { MethodDefinition } from "@grpc/grpc-js";
import { METHODS, type OutputRequest, type SimpleRequest, zeros } from "./messages.ts";

const INVALID_ARGUMENT = 3;
const UNIMPLEMENTED = 12;
const PREFIX_BYTES = 5;

/** One message as it was framed. */
export interface WireMessage {
  readonly isCompressed: boolean;
  /** Decompressed. */
  readonly bytes: Buffer;
}

function frameOf(bytes: Buffer, isCompressed: boolean): Buffer {
  const content = isCompressed ? gzipSync(bytes) : bytes;
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix[0] = isCompressed ? 1 : 0;
  prefix.writeUInt32BE(content.length, 1);
  return Buffer.concat([prefix, content]);
}

/** Whole messages of a body that has ended. */
function messagesIn(body: Buffer, encoding: string): WireMessage[] {
  const messages: WireMessage[] = [];
  for (let at = 0; at < body.length; ) {
    const isCompressed = body[at] === 1;
    if (isCompressed && encoding !== "gzip") throw new Error(`a compressed message in ${encoding}`);
    const end = at + PREFIX_BYTES + body.readUInt32BE(at + 1);
    if (end > body.length) throw new Error("a message is cut short");
    const content = body.subarray(at + PREFIX_BYTES, end);
    messages.push({ isCompressed, bytes: isCompressed ? gunzipSync(content) : content });
    at = end;
  }
  return messages;
}

interface WireAnswer {
  readonly status: number;
  readonly frames: readonly Buffer[];
}

type WireMethod = (messages: readonly WireMessage[]) => WireAnswer;

const refused: WireAnswer = { status: INVALID_ARGUMENT, frames: [] };

/** Is a message compressed other than it says that it should be? */
const differs = (message: WireMessage, expected: { readonly value: boolean } | null | undefined): boolean =>
  expected !== null && expected !== undefined && expected.value !== message.isCompressed;

const unaryCall: WireMethod = ([message]) => {
  if (message === undefined) return refused;
  const request: SimpleRequest = METHODS.unaryCall.requestDeserialize(message.bytes);
  if (differs(message, request.expectCompressed)) return refused;
  const response = METHODS.unaryCall.responseSerialize({ payload: zeros(request.responseSize ?? 0) });
  return { status: 0, frames: [frameOf(response, request.responseCompressed?.value === true)] };
};

const streamingInputCall: WireMethod = (messages) => {
  let aggregatedPayloadSize = 0;
  for (const message of messages) {
    const request = METHODS.streamingInputCall.requestDeserialize(message.bytes);
    if (differs(message, request.expectCompressed)) return refused;
    aggregatedPayloadSize += request.payload?.body.length ?? 0;
  }
  return {
    status: 0,
    frames: [frameOf(METHODS.streamingInputCall.responseSerialize({ aggregatedPayloadSize }), false)],
  };
};

const streamingOutputCall: WireMethod = ([message]) => {
  if (message === undefined) return refused;
  const request: OutputRequest = METHODS.streamingOutputCall.requestDeserialize(message.bytes);
  const frames = (request.responseParameters ?? []).map(({ size, compressed }) =>
    frameOf(METHODS.streamingOutputCall.responseSerialize({ payload: zeros(size) }), compressed?.value === true),
  );
  return { status: 0, frames };
};

const WIRE_METHODS: Readonly<Record<string, WireMethod>> = {
  [METHODS.unaryCall.path]: unaryCall,
  [METHODS.streamingInputCall.path]: streamingInputCall,
  [METHODS.streamingOutputCall.path]: streamingOutputCall,
};

function serve(stream: ServerHttp2Stream, head: IncomingHttpHeaders): void {
  const body: Buffer[] = [];
  stream.on("error", () => {});
  stream.on("data", (chunk: Buffer) => body.push(chunk));
  stream.on("end", () => {
    const messages = messagesIn(Buffer.concat(body), String(head["grpc-encoding"] ?? "identity"));
    const answer = WIRE_METHODS[head[":path"] ?? ""]?.(messages) ?? { status: UNIMPLEMENTED, frames: [] };
    const fields = { ":status": 200, "content-type": "application/grpc", "grpc-encoding": "gzip" };
    if (answer.frames.length === 0) {
      stream.respond({ ...fields, "grpc-status": answer.status }, { endStream: true });
      return;
    }
    stream.respond(fields, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(answer.status) }));
    stream.end(Buffer.concat(answer.frames));
  });
}

/** @returns HOST:PORT */
export function startWireServer(): Promise<string> {
  const server = createServer().on("stream", serve);
  return new Promise((listening) => {
    server.listen(0, "127.0.0.1", () => listening(`127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}

export interface WireResult<Response> {
  readonly status: number;
  readonly responses: readonly { readonly isCompressed: boolean; readonly message: Response }[];
}

/** One call with one message, through the listener at `address`. */
export async function wireCall<Request, Response>(
  address: string,
  authority: string,
  method: MethodDefinition<Request, Response>,
  request: Request,
): Promise<WireResult<Response>> {
  const session = connect(`http://${address}`);
  try {
    return await new Promise((settle, fail) => {
      session.on("error", fail);
      const stream = session.request({
        ":method": "POST",
        ":path": method.path,
        ":authority": authority,
        "content-type": "application/grpc",
        "grpc-accept-encoding": "identity,gzip",
        te: "trailers",
      });
      const body: Buffer[] = [];
      let encoding = "identity";
      let status: string | undefined;
      const readStatus = (head: IncomingHttpHeaders): void => {
        if (head["grpc-encoding"] !== undefined) encoding = String(head["grpc-encoding"]);
        if (head["grpc-status"] !== undefined) status = String(head["grpc-status"]);
      };
      stream.on("response", readStatus).on("trailers", readStatus).on("error", fail);
      stream.on("data", (chunk: Buffer) => body.push(chunk));
      stream.on("end", () => {
        const responses = messagesIn(Buffer.concat(body), encoding).map(({ isCompressed, bytes }) => ({
          isCompressed,
          message: method.responseDeserialize(bytes),
        }));
        settle({ status: Number(status ?? Number.NaN), responses });
      });
      stream.end(frameOf(method.requestSerialize(request), false));
    });
  } finally {
    session.destroy();
  }
}
