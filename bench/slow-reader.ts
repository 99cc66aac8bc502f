// 1 GiB through the sidecar to a client that reads slowly, and to an app that does: the memory that it takes meanwhile.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUp, startProgram, temporaryFolder } from "../test/harness.ts";
import { slowDownload, slowUpload, startBodyApp } from "../test/slow-transfer.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const MEBIBYTE = 1024 * 1024;
const BODY_BYTES = 1024 * MEBIBYTE;
/** Over the resident memory before: about 1 MiB of the exchange, and room for the collector. */
const GROWTH_MAX_MIB = 16;

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const app = await startBodyApp();
  const rules = join(temporaryFolder(), "rules.yaml");
  writeFileSync(rules, documents(app.address));
  const args = ["--service", "web", "--rules", rules, "--outbound", "127.0.0.1:0", "--admin", "off", "--status", "off"];
  const bytes = Math.max(MEBIBYTE, Math.round(BODY_BYTES * scale));
  const figures: Figure[] = [];
  try {
    for (const [name, transfer] of [
      ["to a slow client", slowDownload],
      ["to a slow app", slowUpload],
    ] as const) {
      const sidecar = await startProgram("weft-sidecar", args);
      await slowDownload(sidecar.pid, sidecar.address("outbound"), "bodies", MEBIBYTE);
      const result = await transfer(sidecar.pid, sidecar.address("outbound"), "bodies", bytes);
      if (result.bytes !== bytes) throw new Error(`${name}: ${result.bytes} of ${bytes} bytes arrived`);
      note(`${name}: ${(result.peakGrowthBytes / MEBIBYTE).toFixed(1)} MiB`);
      figures.push({
        name: `peak growth of RSS, ${name}`,
        value: result.peakGrowthBytes / MEBIBYTE,
        unit: "MiB",
        target: { kind: "at-most", value: GROWTH_MAX_MIB },
        detail: `${Math.round(bytes / MEBIBYTE)} MiB`,
      });
      await sidecar.stop();
    }
  } finally {
    await cleanUp();
    app.server.close();
    app.server.closeAllConnections();
  }
  return { bench: "slow-reader", title: "Memory while large bodies go to somebody slow.", figures };
}

/** The policy's own 15 s for a request are too short for somebody slow. */
function documents(address: string): string {
  return `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: bodies }
spec: { endpoints: [{ address: "${address}" }] }
---
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: bodies }
spec: { targetRef: { kind: Service, name: bodies }, timeout: { request: 0s } }
`;
}
