// Modules that few processes need, loaded when they are first used. Through `require`, because `import` of node:http
// evaluates every export it has, lazy ones such as WebSocket included, which bring in Node's own undici: 12 MiB of RSS
// where `require` takes 1.5.
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);

export function nodeHttp(): typeof import("node:http") {
  return load("node:http");
}

export function nodeHttp2(): typeof import("node:http2") {
  return load("node:http2");
}
