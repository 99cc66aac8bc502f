// The soak in short: twenty seconds instead of ten minutes (`npm run soak`).
import { expect, test } from "vitest";
import { soak } from "./soak.ts";

test("clients that abort and endpoints that misbehave leave nothing behind, and every answer is counted", async () => {
  const report = await soak({ seconds: 20, clients: 24, note: () => {} });
  expect(report.findings).toEqual([]);
  // Not by luck: there was load, and each kind of end came up.
  expect(report.completed).toBeGreaterThan(500);
  expect(report.aborted).toBeGreaterThan(20);
  expect(report.cut).toBeGreaterThan(0);
  for (const reason of ["client-closed", "circuit-open"])
    expect(Object.keys(report.late.finished).join()).toContain(` ${reason}`);
}, 90_000);
