// Trace context on the wire: what is read, what is refused, what is written.
import { describe, expect, test } from "vitest";
import type { TraceFormat } from "../../../rules/telemetry-resource.ts";
import { contextLines, contextReaders, emptyContext, readContext } from "./propagation.ts";
import { TraceIds } from "./trace-ids.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

function read(formats: readonly TraceFormat[], fields: Readonly<Record<string, string>>) {
  const context = emptyContext();
  context.traceId = "left over";
  readContext(contextReaders(formats), { value: (name) => fields[name] }, context);
  return context;
}

const BOTH = { traceId: TRACE, parentId: SPAN, isDebug: false };
const NOTHING = emptyContext();

describe("W3C traceparent", () => {
  test.each([
    [`00-${TRACE}-${SPAN}-01`, "sampled"],
    [`00-${TRACE}-${SPAN}-00`, "not-sampled"],
    [`00-${TRACE}-${SPAN}-03`, "sampled"],
    [`00-${TRACE}-${SPAN}-02`, "not-sampled"],
    [`cc-${TRACE}-${SPAN}-01`, "sampled"],
    [`cc-${TRACE}-${SPAN}-01-what-comes-later`, "sampled"],
  ])("%s is %s", (traceparent, decision) => {
    expect(read(["tracecontext"], { traceparent, tracestate: "a=1" })).toEqual({
      ...BOTH,
      decision,
      traceState: "a=1",
    });
  });

  test.each([
    "",
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-more`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-0x`,
    `0g-${TRACE}-${SPAN}-01`,
    `00_${TRACE}_${SPAN}_01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  ])('"%s" begins a new trace, without its tracestate', (traceparent) => {
    expect(read(["tracecontext"], { traceparent, tracestate: "a=1" })).toEqual(NOTHING);
  });
});

describe("B3", () => {
  test.each([
    [`${TRACE}-${SPAN}-1`, "sampled", false],
    [`${TRACE}-${SPAN}-0`, "not-sampled", false],
    [`${TRACE}-${SPAN}-d`, "sampled", true],
    [`${TRACE}-${SPAN}`, "unset", false],
    [`${TRACE}-${SPAN}-1-05e3ac9a4f6e3b90`, "sampled", false],
    [`${TRACE.toUpperCase()}-${SPAN}-1`, "sampled", false],
  ])("b3: %s is %s", (b3, decision, isDebug) => {
    expect(read(["b3"], { b3 })).toEqual({ ...BOTH, decision, isDebug, traceState: "" });
  });

  test("b3: 0 alone decides without naming a trace", () => {
    expect(read(["b3"], { b3: "0" })).toEqual({ ...NOTHING, decision: "not-sampled" });
    expect(read(["b3"], { b3: "d" })).toEqual({ ...NOTHING, decision: "sampled", isDebug: true });
  });

  test.each(["", "x", `${TRACE}-${SPAN}-x`, `${TRACE}-1`, `${TRACE}-${SPAN}-1-2-3`, "a-b-c-d-e-f"])(
    "b3: %s is nothing",
    (b3) => {
      expect(read(["b3"], { b3 })).toEqual(NOTHING);
    },
  );

  test("of several fields, with ids of 64 bits", () => {
    const fields = { "x-b3-traceid": TRACE.slice(16), "x-b3-spanid": SPAN, "x-b3-sampled": "true" };
    const traceId = TRACE.slice(16).padStart(32, "0");
    expect(read(["b3multi"], fields)).toMatchObject({ traceId, parentId: SPAN, decision: "sampled" });
    expect(read(["b3multi"], { ...fields, "x-b3-flags": "1" })).toMatchObject({ isDebug: true });
    expect(read(["b3multi"], { "x-b3-sampled": "0" })).toMatchObject({ traceId: "", decision: "not-sampled" });
    expect(read(["b3multi"], { "x-b3-traceid": TRACE })).toEqual(NOTHING);
  });
});

test("the first format that the request speaks wins", () => {
  const fields = { b3: `${TRACE}-${SPAN}-0`, traceparent: `00-${TRACE}-${SPAN}-01` };
  expect(read(["tracecontext", "b3"], fields).decision).toBe("sampled");
  expect(read(["b3", "tracecontext"], fields).decision).toBe("not-sampled");
  expect(read(["tracecontext", "b3"], { ...fields, traceparent: "garbage" }).decision).toBe("not-sampled");
  expect(read(["baggage"], fields)).toEqual(NOTHING);
});

test("what is written is read again", () => {
  const ids = new TraceIds();
  for (const formats of [["tracecontext"], ["b3"], ["b3multi"], ["b3", "tracecontext", "baggage"]] as TraceFormat[][]) {
    for (const isSampled of [true, false]) {
      const [traceId, spanId] = [ids.traceId(), ids.spanId()];
      const lines = contextLines(formats, { traceId, isSampled, isDebug: false }, spanId);
      expect(lines.endsWith("\r\n")).toBe(true);
      const fields = Object.fromEntries(
        lines
          .trim()
          .split("\r\n")
          .map((line) => line.split(": ")),
      );
      const decision = isSampled ? "sampled" : "not-sampled";
      expect(read(formats, fields)).toMatchObject({ traceId, parentId: spanId, decision });
    }
  }
});

test("ids are unique and of their form, page after page", () => {
  const ids = new TraceIds();
  const drawn = Array.from({ length: 2_000 }, () => [ids.traceId(), ids.spanId()]);
  for (const [trace, span] of drawn) {
    expect(trace).toMatch(/^[0-9a-f]{32}$/);
    expect(span).toMatch(/^[0-9a-f]{16}$/);
  }
  expect(new Set(drawn.map(([trace]) => trace)).size).toBe(drawn.length);
  expect(new Set(drawn.map(([, span]) => span)).size).toBe(drawn.length);
});
