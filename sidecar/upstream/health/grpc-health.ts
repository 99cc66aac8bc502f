// One call of grpc.health.v1.Health/Check, and what its answer says. Not a client of gRPC: one call on a connection of its
// own, without compression.
import type { IncomingHttpHeaders } from "node:http2";
import { nodeHttp2 } from "../../../runtime/lazy-modules.ts";
import { servingStatusIn } from "./serving-status.ts";

/** Compressed or not, and the length of the message. */
const FRAME_HEAD_BYTES = 5;
/** Of the answer. A real one has 7. */
const ANSWER_BYTES_MAX = 1_024;

/** HealthCheckResponse.ServingStatus.SERVING. */
const SERVING = 1;

/**
 * @param authority of the endpoint
 * @param service whose health is asked for; "": the server's as a whole
 * @param done is called with "" when it is SERVING, else with why it is not; perhaps more than once
 * @returns what ends the call
 */
export function callHealth(service: string, authority: string, done: (end: string | Error) => void): () => void {
  const session = nodeHttp2().connect(`http://${authority}`);
  session.on("error", done);
  const call = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    te: "trailers",
  });
  let head: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const pieces: Buffer[] = [];
  let bytes = 0;
  call.on("response", (fields) => {
    head = fields;
  });
  call.on("trailers", (fields) => {
    trailers = fields;
  });
  call.on("data", (piece: Buffer) => {
    bytes += piece.length;
    if (bytes <= ANSWER_BYTES_MAX) pieces.push(piece);
    else done(`an answer of more than ${ANSWER_BYTES_MAX} bytes`);
  });
  call.on("error", done);
  call.on("close", () => done(failureOf(head, trailers) || failureIn(Buffer.concat(pieces))));
  call.end(healthRequest(service));
  return () => session.destroy();
}

/** Of the call, "" for none. An answer without messages may have its status in its head. */
function failureOf(head: IncomingHttpHeaders, trailers: IncomingHttpHeaders): string {
  const code = trailers["grpc-status"] ?? head["grpc-status"];
  if (code === "0") return "";
  if (code !== undefined) return `grpc-status ${String(code)}`;
  const status = Number(head[":status"] ?? 0);
  if (status === 0) return "the call ended without an answer";
  return status === 200 ? "no grpc-status" : `status ${status}`;
}

/** Of an answer, "" for none. It has to be one message, as that of every call that is no stream. */
function failureIn(answer: Buffer): string {
  if (answer.length < FRAME_HEAD_BYTES || answer.readUInt32BE(1) !== answer.length - FRAME_HEAD_BYTES)
    return "not one message";
  if (answer[0] !== 0) return "a compressed answer";
  const status = servingStatusIn(answer.subarray(FRAME_HEAD_BYTES));
  if (status === undefined) return "not a HealthCheckResponse";
  return status === SERVING ? "" : "not SERVING";
}

/** HealthCheckRequest { service = 1 } in a gRPC frame (not compressed, length, message). */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
