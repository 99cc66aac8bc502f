// The request documents of test/wire against a running inbound listener, with Node's own HTTP server (llhttp) behind
// it as a recording application: what it reads must be exactly what the document says, whatever else the client got.
import { readdirSync, readFileSync } from "node:fs";
import { createServer, METHODS, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Client, cleanUp, inboundRig, until } from "../../sidecar/proxy/testing/rig.ts";
import { type LoggedMessage, logOf } from "../wire/message-log.ts";
import { readWireDocument, type WireCase } from "../wire/wire-document.ts";

const folder = new URL("../wire/", import.meta.url);
const documents = readdirSync(folder).filter((name) => name.endsWith(".md") && name !== "README.md");

let app: Server;
let port = 0;
/** What the application read whole, and how often it was given what it could not read. */
let seen: string[] = [];
let unreadable = 0;

beforeAll(async () => {
  app = createServer(
    { maxHeaderSize: 1 << 20, requireHostHeader: false, insecureHTTPParser: false },
    (request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("error", () => {});
      request.on("end", () => {
        seen.push(`${request.method} ${request.url}\n${Buffer.concat(parts).toString("latin1")}`);
        response.writeHead(299, { "x-index": String(seen.length), "content-length": 0 }).end();
      });
    },
  );
  app.maxHeadersCount = 0;
  app.on("clientError", (_problem, socket) => {
    unreadable++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
  port = (await inboundRig(`127.0.0.1:${(app.address() as AddressInfo).port}`)).port;
});

afterAll(async () => {
  await cleanUp();
  app.closeAllConnections();
  await new Promise((resolve) => app.close(resolve));
});

beforeEach(() => {
  seen = [];
  unreadable = 0;
});

for (const name of documents) {
  const cases = readWireDocument(readFileSync(new URL(name, folder), "utf8")).filter(isForHere);
  if (cases.length === 0) continue;
  describe(name, () => {
    for (const wireCase of cases) {
      it(`${wireCase.line}: ${wireCase.title}`, () => check(wireCase, [wireCase.bytes]));
      if (name !== "smuggling.md") continue;
      const octets = Array.from(wireCase.bytes, (octet) => Uint8Array.of(octet));
      it(`${wireCase.line}: ${wireCase.title}, byte by byte`, () => check(wireCase, octets));
    }
  });
}

/** Tunnels have their own tests, and a message that does not end has no outcome. */
function isForHere(wireCase: WireCase): boolean {
  if (wireCase.kind !== "request" || /closed inside/.test(wireCase.log ?? "")) return false;
  const log = logOf({ kind: "request", form: "data" }, [wireCase.bytes]);
  return log.messages.every(
    (message) => METHODS.includes(message.method) && message.method !== "CONNECT" && !message.hasUpgrade,
  );
}

async function check(wireCase: WireCase, pieces: readonly Uint8Array[]): Promise<void> {
  const log = logOf({ kind: "request", form: "data" }, [wireCase.bytes]);
  const last = log.messages.findIndex((message) => !message.keepAlive);
  const messages = last < 0 ? log.messages : log.messages.slice(0, last + 1);
  const refusal = last < 0 ? /^refused (\d+) (\S+)/.exec(log.lines.at(-1) ?? "") : null;
  const client = new Client(port);
  for (const piece of pieces) {
    client.socket.write(piece);
    if (pieces.length > 1) await new Promise(setImmediate);
  }
  const answers = (): number => client.received.split("HTTP/1.1 299").length - 1;
  await until(
    () => answers() >= messages.length || client.hasEnded || client.isClosed,
    () => `${messages.length} answers in ${JSON.stringify(client.received)}`,
  );
  expect(answers(), client.received).toBe(messages.length);
  expect(seen).toEqual(messages.map((message) => expected(message)));
  if (refusal !== null) {
    await client.ends();
    const rest = client.received.slice(client.received.lastIndexOf("HTTP/1.1 "));
    expect(rest).toMatch(new RegExp(`^HTTP/1.1 ${refusal[1]} `));
    expect(rest.toLowerCase()).toContain(`x-weft-reason: ${refusal[2]}\r\n`);
    expect(rest.toLowerCase()).toContain("connection: close\r\n");
  } else if (last >= 0) await client.ends();
  client.socket.destroy();
  expect([seen.length, unreadable > 0 && refusal === null]).toEqual([messages.length, false]);
}

function expected(message: LoggedMessage): string {
  return `${message.method} ${message.originForm}\n${message.body}`;
}
