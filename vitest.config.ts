// Unit tests sit beside the code; end-to-end tests, which start real processes, are in test/.
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/order.ts";

export default defineConfig({
  test: {
    include: ["{rules,runtime,sidecar,control-plane,examples,bench,scripts}/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["node_modules/**", "dist/**"],
    globalSetup: "test/global-setup.ts",
    // Far above what a test takes on a machine that is busy with something else; what hangs fails by its own patience.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    // For the programs that tests start, which are sources: each would strip itself of its types anew, 0.1 s of CPU.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/weft") },
    // Real processes on a machine that others load: in CI a test may fail once, and the report names it as flaky. A
    // test that is named there is a bug to find; nowhere else is anything tried twice.
    retry: process.env["CI"] === "true" ? 1 : 0,
  },
});
