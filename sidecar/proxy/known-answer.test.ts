// An answer of HTTP/1.1 goes on in HTTP/2 with the same fields when it comes for the first time and for the sixth, whatever
// came in between and whatever is added on the way.
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { RawClient } from "./testing/raw-http2.ts";
import { applyRules, cleanUp, outboundRig, serviceOf, startEndpoint } from "./testing/rig.ts";

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

test("fields that stand ready are those that were read", async () => {
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
