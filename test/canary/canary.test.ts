// The stories of examples/canary, told to their ends.
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { cleanUp, REPOSITORY, runProgram } from "../harness.ts";

afterEach(cleanUp);

it("a good version is promoted, a bad one and a slow one are rolled back", async () => {
  const { code, stdout, stderr } = await runProgram(join(REPOSITORY, "examples/canary/main.ts"));
  expect(code, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/good: exit code 0, promoted/);
  expect(stdout).toMatch(/bad: exit code 1, rolled-back/);
  expect(stdout).toMatch(/slow: exit code 1, rolled-back/);
  expect(stdout).toMatch(/all traffic is back at payments-v2: success rate/);
  expect(stdout).toMatch(/all traffic is back at payments-v2: p90 at most 100 % above stable/);
}, 120_000);
