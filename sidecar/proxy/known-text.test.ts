// A request of HTTP/2 goes on in HTTP/1.1 with the same head when it comes for the first time and for the tenth, with
// values that differ from one to the next, whatever came in between and whatever the mesh adds.
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { Http2Head } from "../http2/head.ts";
import { blockBytesMax, HpackEncoder } from "../http2/hpack-encoder.ts";
import { data, END_HEADERS, END_STREAM, frame, type Pair } from "../http2/testing/frames.ts";
import { RawClient } from "./testing/raw-http2.ts";
import { applyRules, cleanUp, type Endpoint, outboundRig, serviceOf, startEndpoint } from "./testing/rig.ts";

afterEach(cleanUp);

/** Fields of a request besides those that differ each time. */
const SECTIONS: readonly (readonly Pair[])[] = [
  [["x-odd", "some value"]],
  [
    ["x-odd", "some value"],
    ["accept", "*/*"],
    ["x-odd", "again"],
  ],
  [["x-forwarded-for", "10.0.0.7"]],
  [["cookie", "theme=dark; session=0123456789abcdef"]],
  [["te", "trailers"]],
  [["via", "1.1 other"]],
  [["expect", "100-something"]],
];

/** Of the mesh. */
const SETTINGS = [
  "{ forwarded: true, via: true }",
  "{ forwarded: false, via: false }",
  "{ forwarded: true, via: true, requestId: false }",
];

function answering(): Promise<Endpoint> {
  return startEndpoint((connection) => {
    let answered = 0;
    connection.socket.on("data", () => {
      const count = connection.received.split("\r\nx-end: 1\r\n").length - 1;
      for (; answered < count; answered++) connection.socket.write("HTTP/1.1 204 \r\n\r\n");
    });
  });
}

/** A request as Weft's own encoder sends it, so that what repeats is in the table. */
function frames(encoder: HpackEncoder, id: number, path: string, fields: readonly Pair[], content: string): Buffer[] {
  const head = new Http2Head();
  head.method = content === "" ? "GET" : "PUT";
  head.scheme = "http";
  head.authority = "orders";
  head.path = path;
  for (const [name, value] of fields) head.add(name, value);
  const block = Buffer.alloc(blockBytesMax(head));
  const end = encoder.encodeRequest(head, block, 0);
  const flags = content === "" ? END_HEADERS | END_STREAM : END_HEADERS;
  const all = [frame(1, flags, id, block.subarray(0, end))];
  return content === "" ? all : [...all, data(id, content, END_STREAM)];
}

test("text that stands ready is the text that was made, but for what differs", async () => {
  const endpoint = await answering();
  const rulesOf = (settings: string): string =>
    `apiVersion: weft.mesh/v1\nkind: Mesh\nmetadata: { name: mesh }\nspec: { headers: ${settings} }\n---\n${serviceOf("orders", endpoint.address)}`;
  const rig = await outboundRig({ rules: rulesOf("{}") });
  const client = new RawClient(rig.port);
  const encoder = new HpackEncoder(4096, true);
  /** By what stays the same of a request: its text the first time. */
  const first = new Map<string, string>();
  let id = -1;
  let count = 0;
  const send = async (settings: string, section: readonly Pair[], length: number, hasId: boolean): Promise<void> => {
    const start = endpoint.connections[0]?.received.length ?? 0;
    id += 2;
    count++;
    const path = `/items/${count.toString(36)}`;
    const ids: Pair[] = hasId ? [["x-request-id", `own-${count}-${"z".repeat(count % 7)}`]] : [];
    // Of so many lengths none is in the table.
    const content = "c".repeat(length === 0 ? 0 : length + ((7 * count) % 40));
    const lengths: Pair[] = length === 0 ? [] : [["content-length", String(content.length)]];
    client.send(...frames(encoder, id, path, [...section, ...lengths, ...ids, ["x-end", "1"]], content));
    expect((await client.ends(id)).fields[":status"]).toBe("204");
    const received = (await endpoint.connection(0)).received.slice(start);
    const line = hasId ? `\r\nx-request-id: ${ids[0]?.[1]}\r\n` : /\r\nx-request-id: [0-9a-f-]{36}\r\n/;
    const hasLine = hasId || !settings.includes("requestId: false");
    if (hasLine) expect(received).toMatch(line);
    if (length > 0) expect(received).toContain(`\r\ncontent-length: ${content.length}\r\n`);
    const text = received
      .slice(0, received.indexOf("\r\n\r\n"))
      .replace(`${content === "" ? "GET" : "PUT"} ${path} HTTP/1.1\r\n`, "LINE\r\n")
      .replace(line, "\r\nID\r\n")
      .replace(/\r\nx-envoy-expected-rq-timeout-ms: \d+/, "\r\nTIME")
      .replace(/\r\ncontent-length: \d+/, "\r\nLENGTH");
    const key = JSON.stringify([settings, section, length > 0, hasId]);
    if (!first.has(key)) first.set(key, text);
    expect([key, text]).toEqual([key, first.get(key)]);
  };
  let last = SETTINGS[0] as string;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...SETTINGS),
      fc.constantFrom(...SECTIONS),
      fc.constantFrom(0, 5),
      fc.boolean(),
      async (settings, section, length, hasId) => {
        applyRules(rig.path, rulesOf(settings));
        for (let time = 0; time < 8; time++) await send(settings, section, length, hasId);
        applyRules(rig.path, rulesOf(last));
        await send(last, section, length, hasId);
        last = settings;
      },
    ),
    { numRuns: 80 },
  );
  expect(first.size).toBeGreaterThan(40);
});
