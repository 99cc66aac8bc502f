// Who is sampled: the share that the settings ask for.
import { expect, test } from "vitest";
import { compileMeshSpec } from "../../../rules/compile/mesh.ts";
import { ManualClock } from "../../../runtime/manual-clock.ts";
import { seededRandom } from "../../../runtime/random.ts";
import { CellFamily } from "../families.ts";
import { Tracing } from "./tracing.ts";

test.each([
  [0, 0, 0],
  [1, 60, 140],
  [25, 2_350, 2_650],
  [100, 10_000, 10_000],
])("of 10,000 requests that nobody decided on, %d percent are sampled", (sampling, least, most) => {
  const settings = compileMeshSpec({ tracing: { endpoint: "collector:4317", sampling } }).tracing;
  if (settings === undefined) throw new Error("no tracing");
  const writer = { exchange: () => {}, mirror: () => {}, close: () => Promise.resolve() };
  const traced = new CellFamily("counter", "weft_traced_requests_total", "", ["why"]);
  const tracing = new Tracing({
    settings,
    writer,
    clock: new ManualClock(),
    random: seededRandom(7),
    share: 1,
    traced,
  });
  const sampled = Array.from({ length: 10_000 }, () => tracing.sample()).filter(Boolean).length;
  expect(sampled).toBeGreaterThanOrEqual(least);
  expect(sampled).toBeLessThanOrEqual(most);
});
