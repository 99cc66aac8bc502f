// A service for tests: answers with its version and with the rule number that the request was given on its way.
// Prints a ready line with its address. VERSION says which version it plays.
import { createServer } from "node:http";
import { flushCompileCache } from "node:module";

const version = process.env["VERSION"] ?? "v1";

const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    const body = JSON.stringify({ version, method: request.method, path: request.url, headers: request.headers });
    const seenRule = request.headers["x-rule"];
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      "x-version": version,
      ...(typeof seenRule === "string" ? { "x-seen-rule": seenRule } : {}),
    });
    response.end(body);
  });
});

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  console.log(JSON.stringify({ ready: true, address: `127.0.0.1:${port}` }));
  flushCompileCache();
});
process.once("SIGTERM", () => process.exit(0));
