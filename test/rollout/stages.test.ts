// The stages of a release with real processes: copies first, testers before users, users who stay where they are, on
// every sidecar, in every worker process, and after a restart; and those who are told of it.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Rollout } from "../../proto/gen/weft/v1/rollouts.ts";
import { cleanUp, eventually, temporaryFolder } from "../harness.ts";
import { startSidecar } from "../mesh.ts";
import { ReleaseMesh } from "./release-mesh.ts";

let mesh: ReleaseMesh;
let hook: Server | undefined;

beforeAll(async () => {
  mesh = await ReleaseMesh.start(temporaryFolder());
});

afterEach(async () => {
  hook?.close();
  await Promise.all(["v1", "v2"].map((version) => mesh.behave(version, {})));
  await mesh.remove();
});

afterAll(async () => {
  mesh.close();
  await cleanUp();
});

describe("copies", () => {
  it("are judged before any user gets an answer of the canary", async () => {
    await mesh.behave("v2", { failShare: 0.5 });
    await mesh.release("{ mirror: 100, hold: 10m }, { weight: 100 }");
    await mesh.settled();
    const load = mesh.load(100);
    const { canarySide } = await mesh.until("it is rolled back", ({ phase }) => phase === "rolled-back");
    expect(canarySide?.requests).toBeGreaterThan(20);
    expect((await load.stop()).failures).toEqual([]);
  });

  it("of a good canary let the release go on, with safe methods only", async () => {
    await mesh.release("{ mirror: 100, hold: 1s }, { weight: 50, hold: 10m }, { weight: 100 }");
    await mesh.settled();
    const before = (await mesh.seen("v2")).requests;
    const writes = mesh.load(50, { method: "POST" });
    await mesh.until("two analyses are over", ({ verdictAtMs, startedAtMs }) => verdictAtMs > startedAtMs + 2_000);
    expect((await mesh.seen("v2")).requests).toBe(before);
    expect((await writes.stop()).failures).toEqual([]);
    const reads = mesh.load(50);
    await mesh.until("the next step", ({ step }) => step === 2);
    expect((await reads.stop()).failures).toEqual([]);
  });
});

it("testers come before users: by header, by cookie, whatever the weight", async () => {
  await mesh.release(
    '{ match: { headers: [{ name: x-tester, value: "1" }] }, hold: 10m }, { match: { cookie: beta }, hold: 10m }, { weight: 100 }',
  );
  await mesh.settled();
  expect(await mesh.ask({ "x-tester": "1" })).toBe("v2");
  expect(await mesh.ask({ "x-tester": "0" })).toBe("v1");
  expect(await mesh.ask()).toBe("v1");
  await mesh.say("promote");
  await mesh.settled();
  expect(await mesh.ask({ cookie: "a=b; beta=1" })).toBe("v2");
  expect(await mesh.ask({ cookie: "notbeta=1" })).toBe("v1");
});

it("a user stays on one version: on every sidecar, in every worker, after restarts, and with more weight", async () => {
  const users = Array.from({ length: 60 }, (_, number) => `user-${number}`);
  const other = await startSidecar(mesh.mesh, "shop", "v1", "127.0.0.1:9", ["--concurrency", "2"]);
  const versions = async (sidecar = mesh.web) => {
    const found = new Map<string, string>();
    for (const user of users) found.set(user, await mesh.askAt(sidecar, { "x-user": user }));
    return found;
  };
  await mesh.release(
    "{ weight: 30, hold: 10m }, { weight: 60, hold: 10m }, { weight: 100 }",
    "",
    "  sticky: { header: x-user }\n",
  );
  await mesh.settled();
  const first = await versions();
  expect(new Set(first.values())).toEqual(new Set(["v1", "v2"]));
  expect(await versions(other)).toEqual(first);
  await mesh.restartControlPlane();
  const again = await startSidecar(mesh.mesh, "web", "v1", "127.0.0.1:9");
  await mesh.settled();
  expect(await versions(again)).toEqual(first);
  await mesh.say("promote");
  await mesh.settled();
  const more = await versions();
  for (const [user, version] of first) if (version === "v2") expect(more.get(user)).toBe("v2");
  const canaryUsers = (found: ReadonlyMap<string, string>) => [...found.values()].filter((version) => version === "v2");
  expect(canaryUsers(more).length).toBeGreaterThan(canaryUsers(first).length);
  await Promise.all([other.kill(), again.kill()]);
});

it("figures of a sidecar with several worker processes count once, also when one of them dies", async () => {
  const wide = await startSidecar(mesh.mesh, "shop", "v1", "127.0.0.1:9", ["--concurrency", "2"]);
  await mesh.release("{ weight: 50, hold: 10m }, { weight: 100 }");
  const load = mesh.load(100, { from: wide, mayFail: true });
  const counted = ({ canarySide, stableSide }: Rollout) => (canarySide?.requests ?? 0) + (stableSide?.requests ?? 0);
  await mesh.until("200 are counted", (now) => counted(now) > 200);
  const dump = await fetch(`http://${wide.address("admin")}/config_dump`);
  const { workers } = (await dump.json()) as { readonly workers: readonly { readonly pid: number }[] };
  process.kill(workers[0]!.pid, "SIGKILL");
  const now = await mesh.until("others are counted", (later) => counted(later) > 350);
  const { sent } = await load.stop();
  expect(counted(now)).toBeLessThanOrEqual(sent);
  expect(now.canarySide?.failures).toBe(0);
  await wide.kill();
});

it("webhooks are told of each transition, and of those before a crash after it", async () => {
  const seen: string[] = [];
  let isDown = true;
  hook = createServer((request, response) => {
    let body = "";
    request.on("data", (bytes: Buffer) => {
      body += bytes.toString();
    });
    request.on("end", () => {
      response.writeHead(isDown ? 503 : 200).end();
      if (!isDown) seen.push((JSON.parse(body) as { type: string }).type);
    });
  });
  await new Promise<void>((settle) => hook?.listen(0, "127.0.0.1", settle));
  const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`;
  await mesh.release("{ weight: 50, hold: 10m }, { weight: 100 }", "", `  notify: [{ url: "${url}" }]\n`);
  await mesh.restartControlPlane();
  isDown = false;
  await mesh.say("abort");
  await eventually("both are told", () => seen.length >= 2);
  expect(seen).toEqual(["started", "rolled-back"]);
});
