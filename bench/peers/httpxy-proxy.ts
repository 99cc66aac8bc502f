// The npm package httpxy as a proxy. A program of its own, started by node-peers.ts; where the package lives is told in
// its arguments.
import { Agent, createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { parseArgs } from "node:util";

interface ProxyServer {
  web(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

const { values } = parseArgs({
  options: { httpxy: { type: "string" }, port: { type: "string" }, endpoint: { type: "string" } },
});
const { createProxyServer } = (await import(values.httpxy ?? "httpxy")) as {
  createProxyServer: (options: object) => ProxyServer;
};
const agent = new Agent({ keepAlive: true, maxSockets: 4_096 });
const proxy = createProxyServer({ target: `http://127.0.0.1:${values.endpoint}`, agent });

const server = createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
  proxy.web(request, response).catch(() => response.writeHead(502).end());
});
server.listen(Number(values.port), "127.0.0.1");
