// The table and the lines of `weft top`.
import { describe, expect, test } from "vitest";
import { topView } from "../../view/top.ts";
import { painter } from "./text.ts";
import { sparkline, topLines, topRecords } from "./top.ts";

const plain = painter(false);
const row = {
  name: "default/orders",
  requestsPerSecond: 12.345,
  failuresPerSecond: 1.2345,
  p50Ms: 1.26,
  p95Ms: 48.9,
  p99Ms: 2_345,
  history: [0, 1, 4, 8],
};
const response = { rows: [row], omitted: 3, sidecars: 2, windowMs: 10_000 };

describe("figures", () => {
  test("as a table", () => {
    const lines = topLines(topView("service", response, 0), plain);
    expect(lines).toEqual([
      "SERVICE          RPS    SUCCESS   P50     P95    P99     LAST 30S",
      "default/orders   12.3   90.00%    1.3ms   49ms   2.35s    ▂▅█",
      "... and 3 more",
    ]);
  });

  test("of nothing say why there are none: of routes nothing is known from before somebody looked", () => {
    const none = { ...response, rows: [] };
    const said = (by: string, sidecars = 2) => topLines(topView(by, { ...none, sidecars }, 0), plain);
    expect(said("service")).toEqual(["No traffic in the last minute: 2 sidecars saw none."]);
    expect(said("service", 0)).toEqual(["No traffic in the last minute: no sidecar is connected."]);
    expect(said("route")[0]).toContain("routes are counted from now on");
    expect(said("route", 0)).toEqual(said("service", 0));
  });

  test("as lines for a pipe, without what a terminal would act on", () => {
    const view = topView("route", { ...response, rows: [{ ...row, name: "a\u001b[2J\tb" }] }, 0);
    expect(topRecords(view)).toEqual(["1970-01-01T00:00:00.000Z\ta\\x1b[2J b\t12.35\t90\t1.26\t48.9\t2345"]);
  });

  test("of nothing: who was asked", () => {
    const nothing = topView("service", { ...response, rows: [] }, 0);
    expect(topLines(nothing, plain)).toEqual(["No traffic in the last minute: 2 sidecars saw none."]);
    expect(topLines({ ...nothing, sidecars: 0 }, plain)[0]).toContain("no sidecar is connected");
  });

  test("without requests in the window there is no success rate", () => {
    const still = topView(
      "service",
      { ...response, rows: [{ ...row, requestsPerSecond: 0, failuresPerSecond: 0 }] },
      0,
    );
    expect(still.rows[0]).not.toHaveProperty("successRate");
    expect(topLines(still, plain)[1]).toMatch(/ 0\.0 +- /);
  });
});

test.each<[number[], string]>([
  [[], ""],
  [[0, 0], ""],
  [[1, 1], "██"],
  [[0.001, 100], "▁█"],
])("a sparkline of %j is %j", (values, text) => {
  expect(sparkline(values)).toBe(text);
});
