// Endpoints and control planes that die in the middle of a release, with real processes that are killed.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { cleanUp, eventually, temporaryFolder } from "../harness.ts";
import { type Instance, ReleaseMesh, startInstance } from "./release-mesh.ts";

/** Many processes are started here, and on a busy machine each takes its time. */
vi.setConfig({ testTimeout: 150_000, hookTimeout: 150_000 });

let mesh: ReleaseMesh;

afterEach(async () => {
  mesh.close();
  await cleanUp();
});

async function stop({ app, sidecar }: Instance): Promise<void> {
  await sidecar.stop();
  await app.kill();
}

describe("endpoints", () => {
  beforeEach(async () => {
    mesh = await ReleaseMesh.start(temporaryFolder(), ["v1", "v1", "v2"]);
  });

  it("of the canary that vanish cost no request, take its weight, and get it back when they return", async () => {
    await mesh.release("{ weight: 50, hold: 10m }, { weight: 100 }");
    const load = mesh.load(100);
    await stop(mesh.instances["v2"]!);
    const held = await mesh.until("the step is held", ({ message }) => message.includes("no ready endpoints"));
    expect(held).toMatchObject({ phase: "progressing", weight: 0 });
    expect(await mesh.ask()).toBe("v1");
    await startInstance(mesh.mesh, "v2");
    await mesh.until("the canary has its weight again", ({ weight }) => weight === 50);
    expect((await load.stop()).failures).toEqual([]);
  });

  it("of the canary bound its weight: one of them is good for half of what two of stable do", async () => {
    const { weight, message } = await mesh.release("{ weight: 70, hold: 1s }, { weight: 100 }");
    expect(weight).toBe(50);
    expect(message).toMatch(/are good for 50 % of the traffic, not for 70 %; start more of them/);
  });

  it("of stable that vanish hold the step, and when all are gone nothing is decided", async () => {
    await mesh.release("{ weight: 20, hold: 10m }, { weight: 50 }");
    const load = mesh.load(100);
    await stop(mesh.instances["v1"]!);
    const held = await mesh.until("the step is held", ({ message }) => message.includes("fell to 1 of 2"));
    expect(held).toMatchObject({ step: 1, weight: 20 });
    await stop(mesh.instances["v1-1"]!);
    await mesh.until("nobody is left", ({ message }) => message.includes("orders-v1 has no ready endpoints"));
    await eventually("the canary answers all", async () => (await mesh.ask()) === "v2");
    expect(await mesh.status()).toMatchObject({ step: 1, weight: 20, phase: "progressing" });
    expect((await load.stop()).failures).toEqual([]);
  });
});

describe("a control plane that is killed", () => {
  it("goes on where it was in every phase, and nothing happens twice", async () => {
    mesh = await ReleaseMesh.start(temporaryFolder());
    const load = mesh.load(100);
    await mesh.release(
      "{ mirror: 100, hold: 1s }, { weight: 20, hold: 1s }, { weight: 50, pause: true }, { weight: 100, hold: 1s }",
    );
    await mesh.restartControlPlane(); // mirroring
    await mesh.until("step 2", ({ step }) => step === 2);
    await mesh.restartControlPlane(); // weighing
    await mesh.until("step 3 waits", ({ step, phase }) => step === 3 && phase === "paused");
    await mesh.restartControlPlane(); // paused
    expect(await mesh.status()).toMatchObject({ step: 3, phase: "paused", weight: 50 });
    await mesh.say("resume");
    await mesh.restartControlPlane(); // just resumed
    await mesh.until("it is promoted", ({ phase }) => phase === "promoted");
    await mesh.restartControlPlane(); // ended
    expect(await mesh.status()).toMatchObject({ phase: "promoted", weight: 100 });
    const types = (await mesh.events()).map(({ type }) => type);
    expect(types).toEqual(["started", "step", "step", "paused", "resumed", "step", "promoted"]);
    expect(await mesh.ask()).toBe("v2");
    expect((await load.stop()).failures).toEqual([]);
  });

  it("after a rollback stays rolled back", async () => {
    mesh = await ReleaseMesh.start(temporaryFolder());
    await mesh.behave("v2", { failShare: 0.5 });
    const load = mesh.load(100, { mayFail: true });
    await mesh.release("{ weight: 50, hold: 10m }, { weight: 100 }");
    await mesh.until("it is rolled back", ({ phase }) => phase === "rolled-back");
    await mesh.restartControlPlane();
    expect(await mesh.status()).toMatchObject({ phase: "rolled-back", weight: 0 });
    // A sidecar that had not got the last weights gets them when it has found the control plane again.
    await eventually("v1 answers ten in a row", async () => {
      for (let sent = 0; sent < 10; sent++) if ((await mesh.ask()) !== "v1") return false;
      return true;
    });
    await load.stop();
  });
});
