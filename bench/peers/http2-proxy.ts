// A proxy as one writes it by hand in Node for gRPC: node:http2 on both sides, streams piped. A program of its own,
// started by node-peers.ts.
import {
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type ServerHttp2Stream,
} from "node:http2";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { port: { type: "string" }, endpoint: { type: "string" } } });
const session = connect(`http://127.0.0.1:${values.endpoint}`);
const server = createServer({ settings: { maxConcurrentStreams: 1_000 } });
server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
  const call = session.request(headers);
  let trailers: IncomingHttpHeaders = {};
  call.on("response", (head: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
    if (!stream.destroyed) stream.respond(head, { waitForTrailers: true });
  });
  call.on("trailers", (fields: IncomingHttpHeaders) => {
    trailers = fields;
  });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  call.on("error", () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  stream.on("error", () => call.close(constants.NGHTTP2_CANCEL));
  stream.pipe(call);
  call.pipe(stream);
});
server.listen(Number(values.port), "127.0.0.1");
