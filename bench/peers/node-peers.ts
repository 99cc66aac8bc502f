// Proxies made of npm packages. They are not dependencies of this package: where they are not found next to it, nor in
// the folder that WEFT_BENCH_MODULES names, they are left out.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { freePort } from "../../test/harness.ts";
import type { Peer } from "./contract.ts";
import { launch } from "./launch.ts";

/** The URL of a package's entry, or undefined. */
function locate(packageName: string): string | undefined {
  for (const folder of [import.meta.dirname, process.env["WEFT_BENCH_MODULES"]]) {
    if (folder === undefined) continue;
    try {
      return pathToFileURL(createRequire(join(folder, "here.js")).resolve(packageName)).href;
    } catch {
      // Not there: the next folder.
    }
  }
  return undefined;
}

function nodePeer(name: string, packageName: string, script: string): Peer {
  return {
    name,
    async start({ endpointPorts }) {
      const url = locate(packageName);
      if (url === undefined) return undefined;
      const port = await freePort();
      const addresses = ["--port", String(port), "--endpoint", String(endpointPorts[0])];
      const program = join(import.meta.dirname, script);
      return launch({ name, command: [process.execPath, program, `--${packageName}`, url, ...addresses], port });
    },
  };
}

/** Of Node alone: always there. */
function plainPeer(name: string, script: string): Peer {
  return {
    name,
    async start({ endpointPorts }) {
      const port = await freePort();
      const program = join(import.meta.dirname, script);
      const command = [process.execPath, program, "--port", String(port), "--endpoint", String(endpointPorts[0])];
      return launch({ name, command, port });
    },
  };
}

export const http2Proxy = plainPeer("node:http2", "http2-proxy.ts");
export const relay = plainPeer("a relay in Node that looks at nothing", "relay-proxy.ts");

export const undiciProxy = nodePeer("node:http + undici", "undici", "undici-proxy.ts");
export const httpxyProxy = nodePeer("httpxy", "httpxy", "httpxy-proxy.ts");
