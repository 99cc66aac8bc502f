// Profiles and the log level at run time, on the admin port of real sidecars: of the process that carries the traffic, also
// where there are several.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { cleanUp, eventually, type RunningProgram, temporaryFolder } from "../harness.ts";
import { call, page, serviceDocument, startHttpApp, startSidecar } from "../sidecar/sidecar-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

async function startWeb(flags: readonly string[] = []): Promise<RunningProgram> {
  const app = await startHttpApp("good");
  closing.push(() => app.close());
  const rules = join(temporaryFolder(), "rules.yaml");
  writeFileSync(rules, serviceDocument("orders", app.address));
  return startSidecar("web", { flags: ["--rules", rules, ...flags] });
}

/** Requests for as long as `step` runs, every one of which is answered. */
async function underTraffic<Value>(web: RunningProgram, step: () => Promise<Value>): Promise<Value> {
  let isOver = false;
  const sending = (async () => {
    while (!isOver) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => call(web.address("outbound"), "orders")));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
  })();
  try {
    return await step();
  } finally {
    isOver = true;
    await sending;
  }
}

interface CpuProfile {
  readonly nodes: readonly { readonly callFrame: { readonly url: string; readonly functionName: string } }[];
  readonly samples: readonly number[];
  readonly startTime: number;
  readonly endTime: number;
}

interface HeapNode {
  readonly callFrame: { readonly url: string };
  readonly children: readonly HeapNode[];
}

/** What each request goes through, and nothing else does. */
const DATA_PATH = new Set(["onHeldBytes", "decodeHead", "toService", "findRoute", "sendAll", "recordExchange"]);

/** Calls of the data path that are in a profile. */
function dataPathIn(profile: CpuProfile): number {
  return profile.nodes.filter(({ callFrame }) => DATA_PATH.has(callFrame.functionName)).length;
}

async function cpu(web: RunningProgram, query = ""): Promise<CpuProfile> {
  const answer = await page(web, "admin", `/profile/cpu?seconds=0.7${query}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as CpuProfile;
}

test("a CPU profile and a heap profile under traffic, which goes on", async () => {
  const web = await startWeb();
  await underTraffic(web, async () => {
    const profile = await cpu(web);
    expect(profile.samples.length).toBeGreaterThan(10);
    expect((profile.endTime - profile.startTime) / 1_000).toBeGreaterThan(600);
    expect(dataPathIn(profile)).toBeGreaterThan(0);
    const heap = await page(web, "admin", "/profile/heap?seconds=1");
    const { head, samples } = (await heap.json()) as { head: HeapNode; samples: readonly object[] };
    expect(samples.length).toBeGreaterThan(0);
    expect(head.children.length).toBeGreaterThan(0);
  });
  expect((await page(web, "admin", "/profile/cpu?seconds=61")).status).toBe(400);
  expect((await page(web, "admin", "/profile/cpu?worker=1")).status).toBe(404);
});

test("with --concurrency it is of a worker, the first unless another is named; 0 is their parent", async () => {
  const web = await startWeb(["--concurrency", "2"]);
  await underTraffic(web, async () => {
    expect(dataPathIn(await cpu(web))).toBeGreaterThan(0);
    expect(dataPathIn(await cpu(web, "&worker=2"))).toBeGreaterThan(0);
    expect(dataPathIn(await cpu(web, "&worker=0"))).toBe(0);
    const heap = await page(web, "admin", "/profile/heap?seconds=0.5&worker=2");
    expect(((await heap.json()) as { head: object }).head).toBeDefined();
  });
  const missing = await page(web, "admin", "/profile/heap?worker=3");
  expect([missing.status, await missing.text()]).toEqual([404, "no worker process 3\n"]);
});

test("one profile at a time of a worker; one whose worker dies is answered, and the next can be taken", async () => {
  const web = await startWeb(["--concurrency", "2"]);
  const both = await Promise.all([1, 2].map(() => page(web, "admin", "/profile/cpu?seconds=0.5")));
  expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
  const dump = (await (await page(web, "admin", "/config_dump")).json()) as { workers: { pid: number }[] };
  const cut = page(web, "admin", "/profile/cpu?seconds=30");
  await eventually("the profile is under way", async () => (await page(web, "admin", "/profile/cpu")).status === 409);
  process.kill(dump.workers[0]!.pid, "SIGKILL");
  const answer = await cut;
  expect([answer.status, await answer.text()]).toEqual([503, "worker process 1: the worker process has ended\n"]);
  await eventually("the next worker's profile", async () => {
    return (await page(web, "admin", "/profile/cpu?seconds=0.1")).status === 200;
  });
});

test.each([[[]], [["--concurrency", "2"]]])("the log level changes at run time (%j)", async (flags) => {
  const web = await startWeb(["--log-level", "error", ...flags]);
  const level = async () => (await (await page(web, "admin", "/logging")).text()).trim();
  expect(await level()).toBe("level: error");
  const set = (to: string) => fetch(`http://${web.address("admin")}/logging?level=${to}`, { method: "POST" });
  expect((await set("debug")).status).toBe(200);
  expect(await level()).toBe("level: debug");
  expect((await set("loud")).status).toBe(400);
  expect(await level()).toBe("level: debug");
});
