// An OpenTelemetry collector for tests: takes traces, metrics and logs by OTLP over gRPC and HTTP, decodes them by the
// published contract (proto/), and tells on /received what came. On /mode?is=hang it stops answering exporters, on
// /mode?is=refuse it refuses them. `--grpc PORT --http PORT` where it has to be found again after it was away.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { createGunzip } from "node:zlib";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const SIGNALS = {
  traces: { file: "trace", service: "TraceService", request: "ExportTraceServiceRequest", list: "resource_spans" },
  metrics: {
    file: "metrics",
    service: "MetricsService",
    request: "ExportMetricsServiceRequest",
    list: "resource_metrics",
  },
  logs: { file: "logs", service: "LogsService", request: "ExportLogsServiceRequest", list: "resource_logs" },
} as const;

type Signal = keyof typeof SIGNALS;
type Decode = (bytes: Buffer) => Record<string, unknown[]>;

const OPTIONS = { keepCase: true, longs: String, enums: String, bytes: String, oneofs: false, arrays: true };
const root = path.join(import.meta.dirname, "proto");
const received: Record<Signal, unknown[]> = { traces: [], metrics: [], logs: [] };
let isHanging = false;
let isRefusing = false;
let exportsSeen = 0;
/** Of the newest export, whichever way it came. */
let lastHeaders: Record<string, unknown> = {};

const grpc = new Server({ "grpc.max_receive_message_length": -1 });
const decoders = new Map<string, Decode>();
for (const signal of Object.keys(SIGNALS) as Signal[]) {
  const { file, service, request } = SIGNALS[signal];
  const at = `opentelemetry/proto/collector/${file}/v1/${file}_service.proto`;
  const loaded = loadSync(at, { ...OPTIONS, includeDirs: [root] });
  const definition = loaded[`opentelemetry.proto.collector.${file}.v1.${service}`] as never as Record<
    string,
    { requestDeserialize: Decode }
  >;
  const type = loaded[`opentelemetry.proto.collector.${file}.v1.${request}`];
  if (type === undefined) throw new Error(`no ${request}`);
  decoders.set(`/v1/${signal}`, definition["Export"]!.requestDeserialize);
  grpc.addService(definition as never, {
    Export: (call: ServerUnaryCall<Record<string, unknown[]>, unknown>, reply: sendUnaryData<unknown>) => {
      exportsSeen++;
      lastHeaders = call.metadata.getMap();
      if (isHanging) return;
      if (isRefusing) return reply({ code: status.UNAVAILABLE, details: "refusing" });
      take(signal, call.request);
      reply(null, {});
    },
  });
}

function take(signal: Signal, message: Record<string, unknown[]>): void {
  if (process.argv.includes("--discard")) return;
  received[signal].push(...(message[SIGNALS[signal].list] ?? []));
}

const http = createServer((request, response) => void answer(request, response));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://collector");
  if (url.pathname === "/received") return void response.end(JSON.stringify({ ...received, exportsSeen, lastHeaders }));
  if (url.pathname === "/mode") {
    isHanging = url.searchParams.get("is") === "hang";
    isRefusing = url.searchParams.get("is") === "refuse";
    return void response.end("ok");
  }
  const decode = decoders.get(url.pathname);
  if (decode === undefined) return void response.writeHead(404).end();
  const body = request.headers["content-encoding"] === "gzip" ? request.pipe(createGunzip()) : request;
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece as Buffer);
  exportsSeen++;
  lastHeaders = request.headers;
  if (isHanging) return;
  if (isRefusing) return void response.writeHead(503).end();
  if (request.headers["content-type"] !== "application/x-protobuf") return void response.writeHead(415).end();
  take(url.pathname.slice(4) as Signal, decode(Buffer.concat(pieces)));
  response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
}

/** The number behind a flag; 0: any port. */
function portOf(flag: string): number {
  const at = process.argv.indexOf(flag);
  return at < 0 ? 0 : Number(process.argv[at + 1]);
}

grpc.bindAsync(`127.0.0.1:${portOf("--grpc")}`, ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  http.listen(portOf("--http"), "127.0.0.1", () => {
    const { port: httpPort } = http.address() as AddressInfo;
    const ready = { ready: true, grpc: `127.0.0.1:${port}`, http: `http://127.0.0.1:${httpPort}` };
    process.stdout.write(`${JSON.stringify(ready)}\n`);
  });
});
