// Processes are started, watched and ended without leaving any behind, whatever they do.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { cleanUp, eventually, temporaryFolder } from "../../test/harness.ts";
import { type DeathError, Processes } from "./processes.ts";

const READY = "console.log(JSON.stringify({ ready: true, pid: process.pid }));";

afterEach(cleanUp);

function script(text: string): string {
  const file = join(temporaryFolder(), "program.mjs");
  writeFileSync(file, text);
  return file;
}

function follow(): { processes: Processes; deaths: DeathError[] } {
  const deaths: DeathError[] = [];
  return { deaths, processes: new Processes({ env: process.env, onDeath: (death) => deaths.push(death) }) };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it("hands over the ready line and ends the process when asked, without calling it a death", async () => {
  const { processes, deaths } = follow();
  const ready = await processes.start({ name: "calm", args: [script(`${READY} setInterval(() => {}, 1000);`)] });
  expect(processes.pidOf("calm")).toBe(ready["pid"]);
  await processes.stopAll();
  expect(isAlive(Number(ready["pid"]))).toBe(false);
  expect(deaths).toEqual([]);
});

it("says why a process that ends before it is ready did so", async () => {
  const { processes } = follow();
  const args = [script('console.error("no such table: rules"); process.exit(3);')];
  await expect(processes.start({ name: "broken", args })).rejects.toThrow(
    /broken ended unexpectedly \(exit code 3\)[\s\S]*no such table: rules/,
  );
  await processes.stopAll();
});

it("reports a later death once, with the last lines that were said", async () => {
  const { processes, deaths } = follow();
  const args = [script(`${READY} console.error("about to go"); setTimeout(() => process.exit(9), 50);`)];
  await processes.start({ name: "mortal", args });
  const death = await eventually("the death is reported", () => deaths[0]);
  expect(death.message).toContain("mortal ended unexpectedly (exit code 9)");
  expect(death.message).toContain("about to go");
  await processes.stopAll();
  expect(deaths).toHaveLength(1);
});

it("ends the children of a process that dies, too", async () => {
  const { processes, deaths } = follow();
  const child = script("setInterval(() => {}, 1000);");
  const parent = script(`import { spawn } from "node:child_process";
const { pid } = spawn(process.execPath, [${JSON.stringify(child)}], { stdio: "inherit" });
console.log(JSON.stringify({ ready: true, child: pid }));
setInterval(() => {}, 1000);`);
  const ready = await processes.start({ name: "parent", args: [parent] });
  process.kill(processes.pidOf("parent") ?? 0, "SIGKILL");
  await eventually("the death is reported", () => deaths[0]);
  await eventually("the child is gone", () => !isAlive(Number(ready["child"])));
  await processes.stopAll();
});

it("kills a process that does not heed SIGTERM", async () => {
  const processes = new Processes({ env: process.env, onDeath: () => {}, stopTimeoutMs: 300 });
  const args = [script(`process.on("SIGTERM", () => {}); ${READY} setInterval(() => {}, 1000);`)];
  const ready = await processes.start({ name: "deaf", args });
  await processes.stopAll();
  expect(isAlive(Number(ready["pid"]))).toBe(false);
});
