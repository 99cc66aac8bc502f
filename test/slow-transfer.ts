// Large bodies through a sidecar to or from somebody who is slow, and the memory that the sidecar takes meanwhile. For
// tests and benches; Linux, because the peak is read from the kernel.
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Readable, Writable } from "node:stream";

const PIECE = Buffer.alloc(256 * 1024, "0123456789abcdef");
/** After so many bytes the slow side looks away for a while. */
const LOOK_AWAY_BYTES = 8 * 1024 * 1024;
const LOOK_AWAY_MS = 20;

export interface SlowTransfer {
  /** That arrived. */
  readonly bytes: number;
  readonly peakGrowthBytes: number;
}

/** An app that answers GET with as many bytes as its path says, and reads the bodies of POST slowly. */
export async function startBodyApp(): Promise<{ readonly address: string; readonly server: Server }> {
  const server = createServer((incoming, answer) => {
    if (incoming.method === "POST") void readSlowly(incoming).then((bytes) => answer.end(String(bytes)));
    else {
      const bytes = Number(incoming.url?.slice(1));
      answer.writeHead(200, { "content-length": bytes });
      pour(answer, bytes);
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** The answer is read slowly. */
export async function slowDownload(pid: number, address: string, host: string, bytes: number): Promise<SlowTransfer> {
  const before = memoryOf(pid, "VmRSS");
  const answer = await new Promise<IncomingMessage>((settle, fail) => {
    const { hostname, port } = new URL(`http://${address}`);
    const options = { hostname, port, path: `/${bytes}`, headers: { host }, agent: false };
    request(options, settle).on("error", fail).end();
  });
  const arrived = await readSlowly(answer);
  return { bytes: arrived, peakGrowthBytes: memoryOf(pid, "VmHWM") - before };
}

/** The app reads the request slowly. */
export async function slowUpload(pid: number, address: string, host: string, bytes: number): Promise<SlowTransfer> {
  const before = memoryOf(pid, "VmRSS");
  const arrived = await new Promise<string>((settle, fail) => {
    const { hostname, port } = new URL(`http://${address}`);
    const headers = { host, "content-length": bytes };
    const outgoing = request({ hostname, port, method: "POST", headers, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      answer.on("end", () => settle(text)).on("error", fail);
    });
    outgoing.on("error", fail);
    pour(outgoing, bytes);
  });
  return { bytes: Number(arrived), peakGrowthBytes: memoryOf(pid, "VmHWM") - before };
}

/** Resident memory of a process now (VmRSS), or at its highest (VmHWM), in bytes. */
export function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): number {
  const kibibytes = readFileSync(`/proc/${pid}/status`, "utf8").match(new RegExp(`^${field}:\\s+(\\d+) kB`, "m"))?.[1];
  return Number(kibibytes) * 1024;
}

/** As fast as it is taken, and the end. */
export function pour(into: Writable, bytes: number): void {
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= piece.length;
      if (!into.write(piece)) {
        into.once("drain", more);
        return;
      }
    }
    into.end();
  };
  more();
}

export function readSlowly(from: Readable): Promise<number> {
  let bytes = 0;
  let lookAwayAt = LOOK_AWAY_BYTES;
  return new Promise((settle, fail) => {
    from.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes < lookAwayAt) return;
      lookAwayAt += LOOK_AWAY_BYTES;
      from.pause();
      setTimeout(() => from.resume(), LOOK_AWAY_MS);
    });
    from.on("end", () => settle(bytes));
    from.on("error", fail);
  });
}
