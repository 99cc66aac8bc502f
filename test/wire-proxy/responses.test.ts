// The response documents of test/wire behind a running inbound listener: an application that says those bytes and
// closes, a client that must get the message, 502, or a connection that is visibly cut.
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client, cleanUp, type Endpoint, inboundRig, startEndpoint } from "../../sidecar/proxy/testing/rig.ts";
import { readResponse } from "../wire/llhttp.ts";
import { logOf } from "../wire/message-log.ts";
import { askedProtocols, readWireDocument, type WireCase } from "../wire/wire-document.ts";

const folder = new URL("../wire/", import.meta.url);
const documents = readdirSync(folder).filter((name) => name.endsWith(".md") && name !== "README.md");

let app: Endpoint;
let port = 0;
let answer: Uint8Array = Buffer.alloc(0);

beforeAll(async () => {
  app = await startEndpoint((connection) => {
    connection.socket.once("data", () => connection.socket.end(answer));
  });
  port = (await inboundRig(app.address)).port;
});

afterAll(cleanUp);

for (const name of documents) {
  const cases = readWireDocument(readFileSync(new URL(name, folder), "utf8")).filter(
    (wireCase) => wireCase.kind === "response" && !wireCase.options.includes("CONNECT"),
  );
  if (cases.length === 0) continue;
  describe(name, () => {
    for (const wireCase of cases) it(`${wireCase.line}: ${wireCase.title}`, () => check(wireCase));
  });
}

async function check(wireCase: WireCase): Promise<void> {
  const method = wireCase.options.includes("HEAD") ? "HEAD" : "GET";
  const asked = askedProtocols(wireCase);
  const log = logOf({ kind: "response", method, askedProtocols: asked, form: "data" }, [wireCase.bytes]);
  const final = log.messages.findIndex((message) => !/^1\.\d 1(?!01)/.test(message.startLine));
  answer = wireCase.bytes;
  const upgrade = asked === "" ? "Connection: close\r\n" : `Connection: Upgrade, close\r\nUpgrade: ${asked}\r\n`;
  const client = new Client(port).send(`${method} / HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`);
  const end = await client.ends();
  client.socket.destroy();
  if (asked !== "" && final >= 0) {
    expect(client.received).toContain("HTTP/1.1 101 ");
    expect(client.received.endsWith(log.messages[final]?.body ?? "-")).toBe(true);
    return;
  }
  const reading = await readResponse(Buffer.from(client.received, "latin1"), method);
  if (final >= 0) {
    expect(reading.error, client.received).toBeUndefined();
    expect(reading.messages.map((message) => message.body)).toEqual(
      log.messages.slice(0, final + 1).map((message) => message.body),
    );
    expect(reading.messages.at(-1)?.startLine.slice(4)).toBe(log.messages[final]?.startLine.slice(4));
    return;
  }
  // Either the sidecar says so itself, or what the client got cannot be taken for a whole message.
  const isOwnAnswer = /HTTP\/1\.1 502 [\s\S]*x-weft-reason: (bad-response|upstream-reset)\r\n/i.test(client.received);
  const isCut = end !== "end" || reading.error !== undefined;
  expect({ isOwnAnswer, isCut, received: client.received }).toSatisfy(
    (outcome: { isOwnAnswer: boolean; isCut: boolean }) => outcome.isOwnAnswer !== outcome.isCut,
  );
}
