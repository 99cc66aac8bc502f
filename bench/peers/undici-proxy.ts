// A proxy as one writes it by hand in Node: node:http in front, undici behind. A program of its own, started by
// node-peers.ts; where undici lives is told in its arguments.
import { createServer } from "node:http";
import { parseArgs } from "node:util";

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
}

interface UndiciPool {
  stream(options: object, factory: (answer: Answer) => NodeJS.WritableStream): Promise<unknown>;
}

const { values } = parseArgs({
  options: { undici: { type: "string" }, port: { type: "string" }, endpoint: { type: "string" } },
});
const { Pool } = (await import(values.undici ?? "undici")) as {
  Pool: new (origin: string, options: object) => UndiciPool;
};
const pool = new Pool(`http://127.0.0.1:${values.endpoint}`, { connections: 128 });

const server = createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
  const hasBody = request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  const { connection, "transfer-encoding": coding, ...headers } = request.headers;
  const { method, url } = request;
  const answerIn = (answer: Answer): NodeJS.WritableStream => {
    const kept: Record<string, string | string[]> = { ...answer.headers };
    delete kept["connection"];
    delete kept["keep-alive"];
    delete kept["transfer-encoding"];
    return response.writeHead(answer.statusCode, kept);
  };
  pool.stream({ path: url, method, headers, body: hasBody ? request : null }, answerIn).catch(() => response.destroy());
});
server.listen(Number(values.port), "127.0.0.1");
