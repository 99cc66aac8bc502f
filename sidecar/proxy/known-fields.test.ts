// A request of HTTP/1.1 goes on in HTTP/2 with the same fields when it comes for the first time and for the sixth, whatever
// came in between and on which connection; only the id that the sidecar gives it is another each time.
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { lastHeaders, OK } from "../http2/testing/frames.ts";
import { rawAnswering, serviceOf2 } from "./testing/raw-http2.ts";
import { applyRules, Client, cleanUp, outboundRig } from "./testing/rig.ts";

afterEach(cleanUp);

const SECTIONS = [
  ["X-Odd: some value"],
  ["X-Odd: other value"],
  ["X-Odd: some value", "X-Odd:  again "],
  ["X-Request-Id: given"],
  ["X-Forwarded-For: 10.0.0.7"],
  ["X-Forwarded-For: 10.0.0.8", "Cookie: a=b"],
  ["Via: 1.1 other", "Accept: */*"],
  ["X-Weft-Source: default/web"],
  ["X-Envoy-Attempt-Count: 3"],
  ["X-Envoy-Expected-Rq-Timeout-Ms: 9000"],
  ["Connection: keep-alive", "X-Odd: some value"],
  ["Connection: x-odd", "X-Odd: some value"],
  ["TE: trailers"],
];

/** Of the mesh. */
const SETTINGS = [
  "{ forwarded: true, via: true }",
  "{ forwarded: true, via: false }",
  "{ forwarded: false, via: true }",
  "{ forwarded: true, via: true, requestId: false }",
];

test("fields that stand ready are those that were read, and each request has an id of its own", async () => {
  const endpoint = await rawAnswering((id) => [lastHeaders(id, OK)]);
  const rulesOf = (settings: string): string =>
    `apiVersion: weft.mesh/v1\nkind: Mesh\nmetadata: { name: mesh }\nspec: { headers: ${settings} }\n---\n${serviceOf2("h2c", endpoint.port)}`;
  const rig = await outboundRig({ rules: rulesOf("{}") });
  const clients = [new Client(rig.port), new Client(rig.port)];
  /** By request: its fields the first time. */
  const first = new Map<string, unknown>();
  const ids = new Set<string>();
  let count = 0;
  let settings = "{}";
  const send = async (path: string, lines: readonly string[], length: number, on: number): Promise<void> => {
    const content = length === 0 ? "" : `Content-Length: ${length}\r\n`;
    const request = `${length === 0 ? "GET" : "PUT"} ${path} HTTP/1.1\r\nHost: orders\r\n${content}${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
    const client = clients[on] as Client;
    client.received = "";
    await client.send(request + "x".repeat(length)).receives("\r\n\r\n");
    const { fields } = endpoint.logs[0]?.stream(1 + 2 * count++) ?? { fields: {} as Record<string, string> };
    const { "x-request-id": id = "", "x-envoy-expected-rq-timeout-ms": left = "", ...rest } = fields;
    if (id !== "given" && id !== "") {
      expect(ids.has(id)).toBe(false);
      ids.add(id);
    }
    // Milliseconds pass before there is a connection.
    const seen = { ...rest, id: id.length, secondsLeft: Math.round(Number(left) / 1_000) };
    const key = settings + request;
    if (!first.has(key)) first.set(key, seen);
    expect([key, seen]).toEqual([key, first.get(key)]);
  };
  const shape = fc.tuple(fc.constantFrom("/a", "/b/c"), fc.constantFrom(...SECTIONS), fc.constantFrom(0, 0, 3));
  const run = async ([path, lines, length]: [string, string[], number], mesh: string, on: number): Promise<void> => {
    // Some times with these settings, and at once some more with others.
    for (let time = 0; time < 8; time++) {
      settings = time < 6 ? mesh : (SETTINGS[on] as string);
      if (time === 0 || time === 6) applyRules(rig.path, rulesOf(settings));
      await send(path, lines, length, (on + (time >> 2)) & 1);
    }
  };
  await fc.assert(fc.asyncProperty(shape, fc.constantFrom(...SETTINGS), fc.nat(3), run), { numRuns: 150 });
  expect(ids.size).toBeGreaterThan(100);
});
