// The reader that tests hold metrics against refuses what a scraper would; and whatever names and numbers are counted, what
// is exposed of them is read back the same, in both formats.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MetricsRegistry } from "../../control-plane/metrics.ts";
import { renderMetrics } from "../../sidecar/observe/exposition.ts";
import { CellFamily, HistogramFamily } from "../../sidecar/observe/families.ts";
import { readExposition } from "./exposition.ts";

const HISTOGRAM = `# HELP h_seconds H.
# TYPE h_seconds histogram
h_seconds_bucket{a="b",le="1.0"} 1
h_seconds_bucket{a="b",le="+Inf"} 2
h_seconds_sum{a="b"} 3
h_seconds_count{a="b"} 2
`;
const COUNTER = `# HELP c_total C.
# TYPE c_total counter
c_total{a="b"} 1
`;
const OPEN = COUNTER.replaceAll("# HELP c_total", "# HELP c").replaceAll("# TYPE c_total", "# TYPE c");

describe("the reader", () => {
  test("takes what is right", () => {
    const families = readExposition(HISTOGRAM + COUNTER, "prometheus");
    expect(families.get("c_total")?.samples).toEqual([{ name: "c_total", labels: { a: "b" }, value: 1 }]);
    const text = `${OPEN.replace("} 1", '} 1 # {trace_id="x"} 0.5 1700000000.5')}# EOF\n`;
    const [sample] = readExposition(text, "openmetrics").get("c")!.samples;
    expect(sample?.exemplar).toEqual({ labels: { trace_id: "x" }, value: 0.5, timestamp: 1_700_000_000.5 });
  });

  test.each([
    ["a blank line", `${COUNTER}\n${HISTOGRAM}`, /a blank line/],
    ["no end of the last line", COUNTER.slice(0, -1), /no end/],
    ["no TYPE", 'c_total{a="b"} 1\n', /without TYPE/],
    ["no HELP", "# TYPE c_total counter\nc_total 1\n", /HELP/],
    [
      "two TYPEs",
      COUNTER.replace("# TYPE c_total counter\n", "# TYPE c_total counter\n# TYPE c_total counter\n"),
      /second TYPE/,
    ],
    ["a family twice", COUNTER + HISTOGRAM + COUNTER, /there before/],
    ["a sample twice", `${COUNTER}c_total{a="b"} 2\n`, /there before/],
    ["a counter that is not named so", COUNTER.replaceAll("c_total", "c"), /not named so/],
    ["a counter below zero", COUNTER.replace("} 1", "} -1"), /no count/],
    ["no number", COUNTER.replace("} 1", "} one"), /no number/],
    ["JavaScript's infinity", COUNTER.replace("} 1", "} Infinity"), /no number/],
    ["a label twice", COUNTER.replace('{a="b"}', '{a="b",a="b"}'), /there twice/],
    ["a line end in a label", COUNTER.replace("b", "b\nc"), /./],
    ["an escape that there is not", COUNTER.replace('"b"', '"\\b"'), /no escape/],
    ["a quantile", COUNTER.replace("a=", "quantile="), /quantiles/],
    ["buckets that shrink", HISTOGRAM.replace('le="1.0"} 1', 'le="1.0"} 3'), /less than/],
    [
      "bounds that do not grow",
      HISTOGRAM.replace('"1.0"} 1\n', '"1.0"} 1\nh_seconds_bucket{a="b",le="0.5"} 1\n'),
      /not above/,
    ],
    ["no last bucket", HISTOGRAM.replace('h_seconds_bucket{a="b",le="+Inf"} 2\n', ""), /Inf/],
    ["a count that is another", HISTOGRAM.replace('count{a="b"} 2', 'count{a="b"} 3'), /not that of/],
    ["no sum", HISTOGRAM.replace('h_seconds_sum{a="b"} 3\n', ""), /without its sum/],
    ["a UNIT", `# UNIT c_total x\n${COUNTER}`, /OpenMetrics/],
    ["an exemplar", COUNTER.replace("} 1", '} 1 # {a="b"} 1 1'), /behind the value/],
  ])("refuses %s", (_what, text, complaint) => {
    expect(() => readExposition(text, "prometheus")).toThrow(complaint);
  });

  test.each([
    ["no end mark", OPEN, /# EOF/],
    ["a counter's family with its suffix", `${COUNTER}# EOF\n`, /not a sample/],
    ["a name of two families", `${OPEN}# TYPE c_total gauge\n# HELP c_total C.\nc_total{x="y"} 1\n# EOF\n`, /./],
    ["a unit that the name has not", `# UNIT c bytes\n${OPEN}# EOF\n`, /unit/],
    ["a bound that is no float", `${HISTOGRAM.replace("1.0", "1")}# EOF\n`, /no float/],
    ["an exemplar of another bucket", `${HISTOGRAM.replace("} 1\n", '} 1 # {a="b"} 7 1\n')}# EOF\n`, /in the bucket/],
    ["an exemplar of a sum", `${HISTOGRAM.replace("} 3\n", '} 3 # {a="b"} 1 1\n')}# EOF\n`, /where none/],
    ["a long exemplar", `${OPEN.replace("} 1", `} 1 # {a="${"x".repeat(128)}"} 1 1`)}# EOF\n`, /too long/],
    ["a quote in a HELP", `${OPEN.replace(" C.", ' a "C".')}# EOF\n`, /not escaped/],
  ])("of OpenMetrics refuses %s", (_what, text, complaint) => {
    expect(() => readExposition(text, "openmetrics")).toThrow(complaint);
  });
});

const label = fc.string({ unit: "grapheme", maxLength: 20 }).filter((text) => !/\r|\p{Surrogate}/u.test(text));
const cell = fc.record({ values: fc.tuple(label, label), value: fc.double({ min: 0, noNaN: true }) });
const help = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => text.trim() === text && !text.includes("\r"));

describe("whatever is counted", () => {
  test.each(["prometheus", "openmetrics"] as const)("sidecar: cells and histograms are read back (%s)", (format) => {
    fc.assert(
      fc.property(
        fc.array(cell, { maxLength: 8 }),
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true })),
        help,
        (cells, durations, text) => {
          const counter = new CellFamily("counter", "c_total", text, ["a", "b"]);
          const expected = new Map<string, number>();
          for (const { values, value } of cells) {
            counter.cell(...values).value = value;
            expected.set(values.join("\u0000"), value);
          }
          const histogram = new HistogramFamily("h_seconds", text, ["a"]);
          for (const [index, ms] of durations.entries()) {
            const one = histogram.histogram(cells[0]?.values[0] ?? "");
            one.record(ms);
            one.mark({ traceId: "a".repeat(32), spanId: "b".repeat(16), value: ms, wallMs: 1_700_000_000_000 + index });
          }
          const families = readExposition(renderMetrics([{ families: () => [counter, histogram] }], format), format);
          const name = format === "prometheus" ? "c_total" : "c";
          expect(families.get(name)?.help).toBe(text);
          const read = families
            .get(name)!
            .samples.map(({ labels, value }) => [`${labels["a"]}\u0000${labels["b"]}`, value] as const);
          expect(new Map(read)).toEqual(expected);
          const count = families.get("h_seconds")!.samples.find((sample) => sample.name === "h_seconds_count");
          expect(count?.value ?? 0).toBe(durations.length);
        },
      ),
    );
  });

  test.each(["prometheus", "openmetrics"] as const)("control plane: the same (%s)", (format) => {
    fc.assert(
      fc.property(
        label,
        fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1 }),
        help,
        (value, seconds, text) => {
          const metrics = new MetricsRegistry();
          const histogram = metrics.histogram("h_seconds", text);
          metrics.counter("c_total", text).add({ a: value }, 2);
          metrics.gauge("g", text, () => [[{ a: value }, 3]]);
          for (const one of seconds) histogram.observe(one, { a: value });
          const families = readExposition(metrics.render(format), format);
          expect(families.get("g")?.samples).toEqual([{ name: "g", labels: { a: value }, value: 3 }]);
          const count = families.get("h_seconds")!.samples.find((sample) => sample.name === "h_seconds_count");
          expect(count).toMatchObject({ labels: { a: value }, value: seconds.length });
        },
      ),
    );
  });
});
