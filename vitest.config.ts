// Unit tests sit beside the code; end-to-end tests, which start real processes, are in test/.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{rules,runtime,sidecar,control-plane,examples,bench,scripts}/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["node_modules/**", "dist/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
