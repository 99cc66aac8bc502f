// Lines about the hop are made once for the same request after request, and never for another one.
import { expect, test } from "vitest";
import type { MeshResource } from "../../rules/resource.ts";
import { RequestDecoder } from "../http1/decoder.ts";
import type { MessageHead } from "../http1/head.ts";
import { HopLines, HopLinesBook } from "./forwarding.ts";

const SETTINGS = { forwarded: true, via: true, requestId: true } as MeshResource["headers"];
const FIRST = "via: 1.1 weft\r\nx-forwarded-for: 10.0.0.7\r\n";
const PROTO = "x-forwarded-proto: http\r\n";

function head(host: string, ...lines: string[]): MessageHead {
  const decoder = new RequestDecoder();
  const bytes = Buffer.from(`${["GET / HTTP/1.1", `Host: ${host}`, ...lines].join("\r\n")}\r\n\r\n`, "latin1");
  expect(decoder.decodeHead(bytes, 0, bytes.length)).toBe(bytes.length);
  return decoder.head;
}

const SOURCE = "x-weft-source: default/web\r\n";

test("what a request says itself is not said again, whatever the request before it said", () => {
  const book = new HopLinesBook("default/web");
  const says = { proto: "x-forwarded-proto: https", host: "X-Forwarded-Host: shop" };
  const expected: readonly (readonly [MessageHead, string])[] = [
    [head("a"), `${FIRST}${PROTO}x-forwarded-host: a\r\n`],
    [head("a", says.proto), `${FIRST}x-forwarded-host: a\r\n`],
    [head("b", says.proto), `${FIRST}x-forwarded-host: b\r\n`],
    [head("b"), `${FIRST}${PROTO}x-forwarded-host: b\r\n`],
    [head("a", says.host), `${FIRST}${PROTO}`],
    [head("a", says.host, says.proto), FIRST],
    [head("a"), `${FIRST}${PROTO}x-forwarded-host: a\r\n`],
  ];
  let last: HopLines | undefined;
  for (const round of [1, 2]) {
    for (const [said, all] of expected) {
      last = book.of(SETTINGS, "10.0.0.7", said.authority, last);
      expect([round, last.of(said, false), last.of(said, true)]).toEqual([round, all, all + SOURCE]);
    }
  }
});

test("connections of one client share the lines, until the settings change", () => {
  const book = new HopLinesBook("default/web");
  const [one, other] = [head("a"), head("a")].map(({ authority }) =>
    book.of(SETTINGS, "10.0.0.7", authority, undefined),
  );
  expect(one).toBe(other);
  expect(book.of(SETTINGS, "10.0.0.8", "a", one).of(head("a"), false)).toContain("10.0.0.8");
  const changed = book.of({ ...SETTINGS, via: false }, "10.0.0.7", "a", one);
  expect(changed.of(head("a"), false)).not.toContain("via");
});

test("more authorities than are kept, each with its own lines", () => {
  const book = new HopLinesBook("default/web");
  for (let n = 0; n < 5_000; n++) {
    const asked = head(`host-${n % 3_000}`);
    const lines = book.of(SETTINGS, "10.0.0.7", asked.authority, undefined).of(asked, false);
    expect(lines).toBe(`${FIRST}${PROTO}x-forwarded-host: host-${n % 3_000}\r\n`);
  }
});

test.each([
  [1_023, true],
  [1_024, false],
])("after %d other authorities the lines of the first are there: %s", (others, isThere) => {
  const book = new HopLinesBook("default/web");
  const first = book.of(SETTINGS, "10.0.0.7", "first", undefined);
  for (let n = 0; n < others; n++) book.of(SETTINGS, "10.0.0.7", `host-${n}`, undefined);
  expect(book.of(SETTINGS, "10.0.0.7", "first", undefined) === first).toBe(isThere);
});

test("a mesh that forwards nothing gets the rest alone, and a client without an address has no line", () => {
  const linesWith = (settings: MeshResource["headers"], address: string) =>
    new HopLines(settings, "default/web", address, "a").of(head("a"), false);
  expect(linesWith({ ...SETTINGS, forwarded: false }, "10.0.0.7")).toBe("via: 1.1 weft\r\n");
  expect(linesWith(SETTINGS, "")).toBe(`via: 1.1 weft\r\n${PROTO}x-forwarded-host: a\r\n`);
});
