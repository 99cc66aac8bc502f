// A store that cannot be written: changes fail, and who asks how things are is told, until a write succeeds. The lock that
// somebody else holds on the database stands for a full disk, which a test cannot have.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, it } from "vitest";
import { cleanUp, runProgram, startProgram, temporaryFolder } from "../harness.ts";

afterEach(cleanUp);

const SERVICE = "apiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: orders }\nspec: {}\n";

it("is what weft check and the metrics say of it, until a write succeeds", async () => {
  const data = temporaryFolder();
  const ports = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
  const controlPlane = await startProgram("weft-control-plane", ["--data", data, ...ports]);
  const weft = (args: string[], input = "") =>
    runProgram("weft", ["--server", controlPlane.address("grpc"), ...args], { input });
  const failures = async () => {
    const metrics = await (await fetch(`http://${controlPlane.address("http")}/metrics`)).text();
    return Number(/^weft_store_write_failures_total (\d+)$/m.exec(metrics)?.[1]);
  };
  // It is there before anything failed, so that the first failure is a rise.
  expect(await failures()).toBe(0);
  const other = new DatabaseSync(join(data, "weft.db"));
  other.exec("BEGIN IMMEDIATE");
  const refused = await weft(["apply", "-f", "-"], SERVICE);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("database is locked");
  const unwell = await weft(["check"]);
  expect(unwell.code).toBe(1);
  expect(unwell.stdout).toMatch(
    /failed +store sqlite\n +its last write failed, at 20.*Z: database is locked\n +-> no rule/,
  );
  expect(await failures()).toBe(1);
  other.exec("ROLLBACK");
  other.close();
  expect((await weft(["apply", "-f", "-"], SERVICE)).code).toBe(0);
  expect((await weft(["check"])).stdout).toMatch(/ok +store sqlite\n/);
  expect(await failures()).toBe(1);
});
