// Lines about the hop are made once for the same request after request, and never for another one.
import { expect, test } from "vitest";
import type { MeshResource } from "../../rules/resource.ts";
import { RequestDecoder } from "../http1/decoder.ts";
import type { MessageHead } from "../http1/head.ts";
import { HopLines } from "./forwarding.ts";

const SETTINGS = { forwarded: true, via: true, requestId: true } as MeshResource["headers"];
const FIRST = "via: 1.1 weft\r\nx-forwarded-for: 10.0.0.7\r\n";
const PROTO = "x-forwarded-proto: http\r\n";

function head(host: string, ...lines: string[]): MessageHead {
  const decoder = new RequestDecoder();
  const bytes = Buffer.from(`${["GET / HTTP/1.1", `Host: ${host}`, ...lines].join("\r\n")}\r\n\r\n`, "latin1");
  expect(decoder.decodeHead(bytes, 0, bytes.length)).toBe(bytes.length);
  return decoder.head;
}

test("what a request says itself is not said again, whatever the request before it said", () => {
  const lines = new HopLines(SETTINGS, "10.0.0.7");
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
  for (const round of [1, 2]) for (const [said, all] of expected) expect([round, lines.of(said)]).toEqual([round, all]);
});

test("the same lines are the same text", () => {
  const lines = new HopLines(SETTINGS, "10.0.0.7");
  const twice = [head("a"), head("a")].map((said) => lines.of(said));
  expect(twice[0]).toBe(twice[1]);
});

test("a mesh that forwards nothing gets the rest alone, and a client without an address has no line", () => {
  const without = { ...SETTINGS, forwarded: false };
  expect(new HopLines(without, "10.0.0.7").of(head("a"))).toBe("via: 1.1 weft\r\n");
  expect(new HopLines(SETTINGS, "").of(head("a"))).toBe(`via: 1.1 weft\r\n${PROTO}x-forwarded-host: a\r\n`);
});
