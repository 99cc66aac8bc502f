// 1 GiB through the sidecar to a client that reads slowly, and to an app that does: the memory that it takes meanwhile,
// over HTTP/1.1 and over HTTP/2 on both sides.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUp, startProgram, temporaryFolder } from "../test/harness.ts";
import { memoryOf, slowDownload, slowUpload, startBodyApp } from "../test/slow-transfer.ts";
import { slowHttp2Download, slowHttp2Upload, startHttp2BodyApp } from "../test/slow-transfer-http2.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const MEBIBYTE = 1024 * 1024;
const BODY_BYTES = 1024 * MEBIBYTE;
/** Each way, before memory is read: a few are not enough for code to be compiled, which takes up to 10 MiB by itself. */
const WARM_BYTES = 64 * MEBIBYTE;

interface Transport {
  readonly name: string;
  /** Of the service's port. */
  readonly protocol: "http" | "h2c";
  /** Over the resident memory before: what the exchange holds, and room for the collector. */
  readonly growthMaxMiB: number;
  readonly startApp: typeof startBodyApp | typeof startHttp2BodyApp;
  readonly down: typeof slowDownload;
  readonly up: typeof slowUpload;
}

const TRANSPORTS: readonly Transport[] = [
  {
    name: "HTTP/1.1",
    protocol: "http",
    growthMaxMiB: 16,
    startApp: startBodyApp,
    down: slowDownload,
    up: slowUpload,
  },
  {
    name: "HTTP/2",
    protocol: "h2c",
    growthMaxMiB: 8,
    startApp: startHttp2BodyApp,
    down: slowHttp2Download,
    up: slowHttp2Upload,
  },
];

export async function run(options: BenchOptions): Promise<BenchResult> {
  const figures: Figure[] = [];
  for (const transport of TRANSPORTS) figures.push(...(await figuresOf(transport, options)));
  return { bench: "slow-reader", title: "Memory while large bodies go to somebody slow.", figures };
}

async function figuresOf(transport: Transport, { scale, note }: BenchOptions): Promise<Figure[]> {
  const app = await transport.startApp();
  const rules = join(temporaryFolder(), "rules.yaml");
  writeFileSync(rules, documents(app.address, transport.protocol));
  const args = ["--service", "web", "--rules", rules, "--outbound", "127.0.0.1:0", "--admin", "off", "--status", "off"];
  const bytes = Math.max(MEBIBYTE, Math.round(BODY_BYTES * scale));
  const figures: Figure[] = [];
  try {
    for (const [way, transfer] of [
      ["to a slow client", transport.down],
      ["to a slow app", transport.up],
    ] as const) {
      const name = `${transport.name}, ${way}`;
      const sidecar = await startProgram("weft-sidecar", args);
      const ready = memoryOf(sidecar.pid, "VmRSS");
      // Code is compiled by then, and the buffers that everybody shares are there.
      await transport.down(sidecar.pid, sidecar.address("outbound"), "bodies", WARM_BYTES);
      await transport.up(sidecar.pid, sidecar.address("outbound"), "bodies", WARM_BYTES);
      const result = await transfer(sidecar.pid, sidecar.address("outbound"), "bodies", bytes);
      if (result.bytes !== bytes) throw new Error(`${name}: ${result.bytes} of ${bytes} bytes arrived`);
      const overReady = (memoryOf(sidecar.pid, "VmHWM") - ready) / MEBIBYTE;
      note(`${name}: ${(result.peakGrowthBytes / MEBIBYTE).toFixed(1)} MiB`);
      figures.push({
        name: `peak growth of RSS, ${name}`,
        value: result.peakGrowthBytes / MEBIBYTE,
        unit: "MiB",
        target: { kind: "at-most", value: transport.growthMaxMiB },
        detail: `${Math.round(bytes / MEBIBYTE)} MiB; ${overReady.toFixed(1)} MiB over what it had when it was ready`,
      });
      await sidecar.stop();
    }
  } finally {
    await cleanUp();
    app.server.close();
  }
  return figures;
}

/** The policy's own 15 s for a request are too short for somebody slow. */
function documents(address: string, protocol: string): string {
  return `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: bodies }
spec: { ports: [{ port: 80, protocol: ${protocol} }], endpoints: [{ address: "${address}" }] }
---
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: bodies }
spec: { targetRef: { kind: Service, name: bodies }, timeout: { request: 0s } }
`;
}
