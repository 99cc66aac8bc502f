// Runs the documents of this folder: every message whole, cut in two at every byte, and byte by byte. The outcome
// must be the documented one each time.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { REFUSAL_DETAILS } from "../../sidecar/http1/refusal.ts";
import { logOf, type StreamKind } from "./message-log.ts";
import { askedProtocols, escapeBytes, readWireDocument, type WireCase } from "./wire-document.ts";

const folder = new URL(".", import.meta.url);
const documents = readdirSync(folder).filter((name) => name.endsWith(".md") && name !== "README.md");

/** Above this size a message is cut at every 97th byte only. */
const CUT_EVERYWHERE_BYTES = 4096;

for (const name of documents) {
  describe(name, () => {
    const cases = readWireDocument(readFileSync(new URL(name, folder), "utf8"));
    it("has cases", () => expect(cases.length).toBeGreaterThan(0));
    for (const wireCase of cases) {
      it(`${wireCase.line}: ${wireCase.title}`, () => check(wireCase));
    }
  });
}

describe("the list of refusals", () => {
  it("has a message for each, and the page names each", () => {
    const logs = documents.map((name) => readFileSync(new URL(name, folder), "utf8")).join("\n");
    const page = readFileSync(new URL("../../docs/http1.md", folder), "utf8");
    const shown = new Set([...logs.matchAll(/^refused \d+ \S+ (\S+)$/gm)].map((match) => match[1]));
    expect(REFUSAL_DETAILS.filter((detail) => !shown.has(detail))).toEqual([]);
    expect(REFUSAL_DETAILS.filter((detail) => !page.includes(`\`${detail}\``))).toEqual([]);
  });
});

function streamOf(wireCase: WireCase): StreamKind {
  const method = wireCase.options.find((option) => /^[A-Z]+$/.test(option));
  return {
    kind: wireCase.kind,
    ...(method === undefined ? {} : { method }),
    askedProtocols: askedProtocols(wireCase),
    form: wireCase.options.includes("wire") || wireCase.forwarded !== undefined ? "wire" : "data",
  };
}

function check(wireCase: WireCase): void {
  const { bytes } = wireCase;
  const stream = streamOf(wireCase);
  const whole = logOf(stream, [bytes]);
  expect(whole.lines.join("\n")).toBe(wireCase.log);
  if (wireCase.forwarded !== undefined) expect(escapeBytes(whole.forwarded)).toBe(wireCase.forwarded);
  const step = bytes.length > CUT_EVERYWHERE_BYTES ? 97 : 1;
  for (let cut = 1; cut < bytes.length; cut += step) {
    const parts = logOf(stream, [bytes.subarray(0, cut), bytes.subarray(cut)]);
    expect(parts.lines, `cut at ${cut}`).toEqual(whole.lines);
    if (!whole.isRefused) expect(parts.forwarded, `cut at ${cut}`).toBe(whole.forwarded);
  }
  const single = logOf(
    stream,
    Array.from(bytes, (octet) => Uint8Array.of(octet)),
  );
  expect(single.lines, "byte by byte").toEqual(whole.lines);
  if (!whole.isRefused) expect(single.forwarded, "byte by byte").toBe(whole.forwarded);
}
