// A service for tests of releases: good, failing or slow, as it is told while it runs. Answers with its version; what
// was asked is told on `/-/seen`. Prints a ready line with its address. VERSION says which version it plays; `BEHAVE`
// how it begins, as JSON of the same form as what is put to `/-/behave`.
import { createServer, type ServerResponse } from "node:http";
import { flushCompileCache } from "node:module";

interface Behaviour {
  /** Share of requests answered with 500. */
  readonly failShare?: number;
  readonly delayMs?: number;
  /** Only paths that begin so fail or are slow. */
  readonly path?: string;
}

const version = process.env["VERSION"] ?? "v1";
let behaviour = JSON.parse(process.env["BEHAVE"] ?? "{}") as Behaviour;
let requests = 0;
let lastMs = 0;
let toFail = 0;

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (text: string) => {
    body += text;
  });
  request.on("end", () => {
    if (request.url === "/-/behave") {
      behaviour = JSON.parse(body) as Behaviour;
      return answer(response, 200, {});
    }
    if (request.url === "/-/seen") return answer(response, 200, { requests, lastMs });
    requests++;
    lastMs = Date.now();
    const isMeant = (request.url ?? "").startsWith(behaviour.path ?? "/");
    const { failShare = 0, delayMs = 0 } = isMeant ? behaviour : {};
    // In turn rather than by chance, so that a test's shares are what it says.
    toFail += failShare;
    const status = toFail >= 1 ? 500 : 200;
    if (toFail >= 1) toFail -= 1;
    if (delayMs === 0) answer(response, status, { version });
    else setTimeout(() => answer(response, status, { version }), delayMs);
  });
});

function answer(response: ServerResponse, status: number, value: object): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { "content-length": Buffer.byteLength(body), "x-version": version });
  response.end(body);
}

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  console.log(JSON.stringify({ ready: true, address: `127.0.0.1:${port}` }));
  flushCompileCache();
});
process.once("SIGTERM", () => process.exit(0));
