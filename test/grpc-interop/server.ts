// The server of gRPC's interoperability tests, on @grpc/grpc-js, and beside it the one for messages that are compressed.
// Prints a ready line with both addresses, and a line for each call that was cancelled.
import { flushCompileCache } from "node:module";
import {
  type Metadata,
  Metadata as NewMetadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import {
  ECHO_INITIAL,
  ECHO_TRAILING,
  type Empty,
  type InputRequest,
  type InputResponse,
  type OutputRequest,
  type OutputResponse,
  type ResponseParameters,
  type SimpleRequest,
  type SimpleResponse,
  servedMethods,
  zeros,
} from "./messages.ts";
import { startWireServer } from "./wire.ts";

interface EchoingCall {
  readonly metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
}

/** Sends back the initial metadata that is asked for. @returns the trailing metadata */
function echoMetadata(call: EchoingCall): Metadata {
  const [initial] = call.metadata.get(ECHO_INITIAL);
  const trailing = new NewMetadata();
  for (const value of call.metadata.get(ECHO_TRAILING)) trailing.add(ECHO_TRAILING, value);
  if (initial !== undefined) {
    const metadata = new NewMetadata();
    metadata.set(ECHO_INITIAL, initial);
    call.sendMetadata(metadata);
  }
  return trailing;
}

function emptyCall(_call: ServerUnaryCall<Empty, Empty>, done: sendUnaryData<Empty>): void {
  done(null, {});
}

function unaryCall(call: ServerUnaryCall<SimpleRequest, SimpleResponse>, done: sendUnaryData<SimpleResponse>): void {
  const trailing = echoMetadata(call);
  const { responseStatus, responseSize } = call.request;
  if (responseStatus !== null && responseStatus !== undefined && responseStatus.code !== 0) {
    done({ code: responseStatus.code, details: responseStatus.message, metadata: trailing });
  } else done(null, { payload: zeros(responseSize ?? 0) }, trailing);
}

function streamingInputCall(
  call: ServerReadableStream<InputRequest, InputResponse>,
  done: sendUnaryData<InputResponse>,
): void {
  let aggregatedPayloadSize = 0;
  call.on("cancelled", () => console.log("cancelled StreamingInputCall"));
  call.on("data", ({ payload }: InputRequest) => {
    aggregatedPayloadSize += payload?.body.length ?? 0;
  });
  call.on("end", () => done(null, { aggregatedPayloadSize }));
}

type Answering =
  | ServerWritableStream<OutputRequest, OutputResponse>
  | ServerDuplexStream<OutputRequest, OutputResponse>;

async function answer(call: Answering, parameters: readonly ResponseParameters[]): Promise<void> {
  for (const { size, intervalUs } of parameters) {
    if (intervalUs !== undefined && intervalUs > 0) await new Promise((next) => setTimeout(next, intervalUs / 1000));
    if (!call.write({ payload: zeros(size) })) await new Promise((next) => call.once("drain", next));
  }
}

function streamingOutputCall(call: ServerWritableStream<OutputRequest, OutputResponse>): void {
  void answer(call, call.request.responseParameters ?? []).then(() => call.end());
}

function fullDuplexCall(call: ServerDuplexStream<OutputRequest, OutputResponse>): void {
  const trailing = echoMetadata(call);
  let answered: Promise<void> = Promise.resolve();
  let isOver = false;
  call.on("cancelled", () => console.log("cancelled FullDuplexCall"));
  call.on("data", ({ responseParameters, responseStatus }: OutputRequest) => {
    if (isOver) return;
    if (responseStatus !== null && responseStatus !== undefined && responseStatus.code !== 0) {
      isOver = true;
      call.emit("error", { code: responseStatus.code, details: responseStatus.message, metadata: trailing });
      return;
    }
    answered = answered.then(() => answer(call, responseParameters ?? []));
  });
  call.on("end", () => {
    if (!isOver) void answered.then(() => call.end(trailing));
  });
}

const server = new Server();
server.addService(servedMethods(), {
  EmptyCall: emptyCall,
  UnaryCall: unaryCall,
  StreamingInputCall: streamingInputCall,
  StreamingOutputCall: streamingOutputCall,
  FullDuplexCall: fullDuplexCall,
});
// PORT: where the one who starts it expects it.
server.bindAsync(`127.0.0.1:${process.env["PORT"] ?? "0"}`, ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  void startWireServer().then((wire) => {
    console.log(JSON.stringify({ ready: true, address: `127.0.0.1:${port}`, wire }));
    flushCompileCache();
  });
});
process.once("SIGTERM", () => process.exit(0));
