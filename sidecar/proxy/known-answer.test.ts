// An answer goes on in the other protocol with the same fields when it comes for the first time and for the sixth, whatever
// came in between and whatever is added on the way.
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { Http2Head } from "../http2/head.ts";
import { blockBytesMax, HpackEncoder } from "../http2/hpack-encoder.ts";
import { data, END_HEADERS, END_STREAM, frame, type Pair } from "../http2/testing/frames.ts";
import { RawClient, rawAnswering, serviceOf2 } from "./testing/raw-http2.ts";
import { applyRules, Client, cleanUp, outboundRig, serviceOf, startEndpoint } from "./testing/rig.ts";

afterEach(cleanUp);

const STATUSES = ["200 OK", "201 Created", "404 Not Found", "503 Busy", "204 No Content", "304 Not Modified"];
const SECTIONS: readonly (readonly string[])[] = [
  ["Content-Type: text/plain; charset=utf-8"],
  ["Server: odd/1.0", "X-Odd: one", "X-Odd:  two "],
  ["Connection: keep-alive", "Server: odd/1.0", "Keep-Alive: timeout=30"],
  ["Connection: X-Odd", "Server: odd/1.0", "X-Odd: for one hop"],
  ["Cache-Control: no-cache", "Upgrade: h2c", "Connection: upgrade"],
];
const FRAMINGS: readonly (readonly string[])[] = [
  ["Content-Length: 5", "hello"],
  ["content-length: 005", "hello"],
  ["Content-Length: 0", ""],
  ["Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"],
];
/** Filters of the rule. */
const FILTERS = [
  "",
  "filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { add: [{ name: x-added, value: v }] } }], ",
];

test("fields of HTTP/2 that stand ready are those that were read", async () => {
  let answer = "";
  const endpoint = await startEndpoint((connection) => {
    connection.socket.on("data", () => connection.socket.write(answer, "latin1"));
  });
  const rulesOf = (filters: string): string =>
    `${serviceOf("orders", endpoint.address)}---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: all }\nspec: { parentRefs: [{ kind: Service, name: orders }], rules: [{ ${filters}backendRefs: [{ name: orders }] }] }\n`;
  const rig = await outboundRig({ rules: rulesOf("") });
  const client = new RawClient(rig.port);
  const first = new Map<string, unknown>();
  let id = -1;
  const ask = async (filters: string, status: string, section: readonly string[], framing: readonly string[]) => {
    const hasContent = !status.startsWith("204") && !status.startsWith("304");
    const lines = hasContent ? [...section, framing[0]] : section;
    answer = `HTTP/1.1 ${status}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${hasContent ? framing[1] : ""}`;
    id += 2;
    const { fields, body, isWhole } = await client.get(id).ends(id);
    const seen = { fields: { ...fields }, body, isWhole };
    const key = JSON.stringify([filters, answer]);
    if (!first.has(key)) first.set(key, seen);
    expect([key, seen]).toEqual([key, first.get(key)]);
    expect(fields[":status"]).toBe(status.slice(0, 3));
    expect(fields["x-added"]).toBe(filters === "" ? undefined : "v");
    expect(isWhole).toBe(true);
  };
  const statuses = fc.tuple(fc.constantFrom(...STATUSES), fc.constantFrom(...STATUSES));
  await fc.assert(
    fc.asyncProperty(
      statuses,
      fc.constantFrom(...SECTIONS),
      fc.constantFrom(...FRAMINGS),
      fc.constantFrom(...FILTERS),
      async ([status, other], section, framing, filters) => {
        applyRules(rig.path, rulesOf(filters));
        for (let time = 0; time < 6; time++) await ask(filters, time === 4 ? other : status, section, framing);
        applyRules(rig.path, rulesOf(""));
        await ask("", status, section, framing);
      },
    ),
    { numRuns: 150 },
  );
  expect(first.size).toBeGreaterThan(60);
});

const ANSWERS: readonly (readonly Pair[])[] = [
  [["content-type", "text/plain; charset=utf-8"]],
  [
    ["server", "odd/1.0"],
    ["x-odd", "one"],
    ["x-odd", "two"],
  ],
  [
    ["set-cookie", "session=0123456789abcdef01234567; path=/"],
    ["set-cookie", "theme=dark"],
  ],
  [],
];

test("text of HTTP/1.1 that stands ready is the text that was made", async () => {
  let status = 200;
  let fields: readonly Pair[] = [];
  let content = "";
  const encoder = new HpackEncoder(4096, true);
  const endpoint = await rawAnswering((id) => {
    const head = new Http2Head();
    head.status = status;
    for (const [name, value] of fields) head.add(name, value);
    const block = Buffer.alloc(blockBytesMax(head));
    const end = encoder.encodeResponse(head, block, 0);
    const flags = content === "" ? END_HEADERS | END_STREAM : END_HEADERS;
    const headers = frame(1, flags, id, block.subarray(0, end));
    return content === "" ? [headers] : [headers, data(id, content, END_STREAM)];
  });
  const route = (filters: string): string =>
    `${serviceOf2("h2c", endpoint.port)}apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: all }\nspec: { parentRefs: [{ kind: Service, name: orders }], rules: [{ ${filters}backendRefs: [{ name: orders }] }] }\n`;
  const rig = await outboundRig({ rules: route("") });
  const clients = [new Client(rig.port), new Client(rig.port)];
  const first = new Map<string, string>();
  let count = 0;
  const ask = async (
    filters: string,
    length: number,
    hasLength: boolean,
    method: string,
    isOld: boolean,
  ): Promise<void> => {
    const client = clients[count++ & 1] as Client;
    content = method === "HEAD" || status === 204 || status === 304 ? "" : "c".repeat(length);
    const own: Pair = ["x-own", `${"z".repeat(count % 7)}-${count}`];
    const lengths: Pair[] = hasLength && status !== 204 ? [["content-length", String(length)]] : [];
    const common = fields;
    fields = [...common, own, ...lengths];
    client.received = "";
    client.send(`${method} / HTTP/1.${isOld ? "0\r\nConnection: keep-alive" : 1}\r\nHost: orders\r\n\r\n`);
    const isChunked = content !== "" && !hasLength;
    await client.receives(isChunked ? "\r\n0\r\n\r\n" : `\r\n\r\n${content}`);
    fields = common;
    expect(client.received).toContain(`\r\nx-own: ${own[1]}\r\n`);
    if (lengths.length > 0) expect(client.received.toLowerCase()).toContain(`\r\ncontent-length: ${length}\r\n`);
    const [head = ""] = client.received.split("\r\n\r\n", 1);
    const text = head.replace(/x-own: .*/, "OWN").replace(/content-length: \d+/i, "LENGTH");
    const key = JSON.stringify([filters, status, common, length === 0, hasLength, method, isOld, content === ""]);
    if (!first.has(key)) first.set(key, text);
    expect([key, text]).toEqual([key, first.get(key)]);
  };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(200, 201, 404, 503, 204, 304),
      fc.constantFrom(...ANSWERS),
      fc.constantFrom(0, 5),
      fc.boolean(),
      fc.constantFrom("GET", "HEAD"),
      fc.constantFrom(...FILTERS),
      async (code, section, length, hasLength, method, filters) => {
        applyRules(rig.path, route(filters));
        status = code;
        fields = section;
        for (let time = 0; time < 7; time++)
          await ask(
            filters,
            length === 0 ? 0 : length + ((7 * count) % 40),
            hasLength,
            time === 5 ? "GET" : method,
            time === 6 && hasLength,
          );
      },
    ),
    { numRuns: 150 },
  );
  expect(first.size).toBeGreaterThan(60);
});
