// What a process has used, also when it cannot be read.
import { expect, test } from "vitest";
import { usageOf } from "./process-figures.ts";

test("the resident size that was known last is told while there is no file descriptor to read it", () => {
  let read = (): number => 7;
  const usage = usageOf({ cpuUsage: () => ({ user: 1_500_000, system: 500_000 }), memoryUsage: { rss: () => read() } });
  expect(usage()).toEqual({ cpuSeconds: 2, residentBytes: 7 });
  read = () => {
    throw new Error("EMFILE: too many open files, uv_resident_set_memory");
  };
  expect(usage()).toEqual({ cpuSeconds: 2, residentBytes: 7 });
});
