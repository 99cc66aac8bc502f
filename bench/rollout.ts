// A release under load, through real sidecars: how truly the share is delivered, how fast a burst of errors and an
// `abort` take all requests from the canary, and what 50 releases cost while endpoints are restarted. The judgement in the
// long run is rollout-simulation.
import { cleanUp, temporaryFolder } from "../test/harness.ts";
import { type Instance, ReleaseMesh, startInstance } from "../test/rollout/release-mesh.ts";
import { type BenchOptions, type BenchResult, type Figure, percentile } from "./result.ts";
import { countShare } from "./rollout/share.ts";

const SHARE_REQUESTS = 100_000;
const SHARE_PERCENT = 25;
const BURSTS = 10;
const BURST_REQUESTS_PER_SECOND = 200;
const INTERVAL_MS = 1_000;
const ABORTS = 100;
const RELEASES = 50;
const RELEASE_REQUESTS_PER_SECOND = 100;
/** Without a request for so long, the last one was the last. */
const QUIET_MS = 400;
/** Never ends by itself while it is measured. */
const LONG = "{ weight: 50, hold: 1h }, { weight: 100 }";

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const times = (count: number, least: number) => Math.max(least, Math.round(count * scale));
  const mesh = await ReleaseMesh.start(temporaryFolder(), ["v1", "v1", "v2", "v2"]);
  try {
    const figures: Figure[] = [];
    for (const isSticky of [false, true]) {
      note(`share of ${SHARE_REQUESTS} requests, ${isSticky ? "sticky" : "per request"}`);
      figures.push(await share(mesh, times(SHARE_REQUESTS, 2_000), isSticky));
    }
    note(`${times(BURSTS, 2)} bursts of errors`);
    figures.push(...(await bursts(mesh, times(BURSTS, 2))));
    note(`${times(ABORTS, 5)} aborts`);
    figures.push(...(await aborts(mesh, times(ABORTS, 5))));
    note(`${times(RELEASES, 2)} releases with restarts`);
    figures.push(...(await releases(mesh, times(RELEASES, 2))));
    return { bench: "rollout", title: "releases under load, through real sidecars", figures };
  } finally {
    mesh.close();
    await cleanUp();
  }
}

async function share(mesh: ReleaseMesh, requests: number, isSticky: boolean): Promise<Figure> {
  const steps = `{ weight: ${SHARE_PERCENT}, hold: 1h }, { weight: 100 }`;
  await mesh.release(steps, "", isSticky ? "  sticky: { header: x-user }\n" : "");
  await mesh.until("the weight is there", ({ weight }) => weight === SHARE_PERCENT);
  const percent = await countShare(mesh.web.address("outbound"), requests);
  await mesh.remove();
  return {
    name: `error of the delivered share, ${isSticky ? "sticky" : "per request"}`,
    value: Math.abs(percent - SHARE_PERCENT),
    unit: "points",
    target: { kind: "at-most", value: 0.2 },
    detail: `${percent.toFixed(3)} % of ${requests} requests${isSticky ? ", each of another user" : ""}`,
  };
}

/** From the first bad answer to the last request that the canary gets. */
async function bursts(mesh: ReleaseMesh, count: number): Promise<Figure[]> {
  const takenMs: number[] = [];
  const load = mesh.load(BURST_REQUESTS_PER_SECOND, { mayFail: true });
  for (let burst = 0; burst < count; burst++) {
    await mesh.release(LONG, "successRate: { min: 99 }");
    await mesh.until(
      "the canary is judged",
      ({ canarySide }) => (canarySide?.requests ?? 0) > BURST_REQUESTS_PER_SECOND,
    );
    const brokenMs = Date.now();
    await Promise.all(["v2", "v2-3"].map((name) => mesh.behave(name, { failShare: 0.5 })));
    await mesh.until("it is rolled back", ({ phase }) => phase === "rolled-back");
    takenMs.push((await lastRequestMs(mesh)) - brokenMs);
    await Promise.all(["v2", "v2-3"].map((name) => mesh.behave(name, {})));
    await mesh.remove();
  }
  await load.stop();
  const detail = `${count} bursts of 50 % errors at ${BURST_REQUESTS_PER_SECOND} requests/s, intervals of ${INTERVAL_MS} ms`;
  const name = "burst of errors to the last canary request";
  return [
    { name: `${name}, worst`, value: Math.max(...takenMs), unit: "ms", target: { kind: "at-most", value: 2 * INTERVAL_MS }, detail }, // biome-ignore format: one thought
    { name: `${name}, p50`, value: percentile(takenMs, 50), unit: "ms" },
  ];
}

/** From the call to the last request that the canary gets. */
async function aborts(mesh: ReleaseMesh, count: number): Promise<Figure[]> {
  const takenMs: number[] = [];
  const load = mesh.load(BURST_REQUESTS_PER_SECOND);
  for (let abort = 0; abort < count; abort++) {
    await mesh.release(LONG);
    const { requests } = await mesh.seen("v2");
    await mesh.until("the canary answers", async () => (await mesh.seen("v2")).requests > requests);
    const saidMs = Date.now();
    await mesh.say("abort");
    takenMs.push((await lastRequestMs(mesh)) - saidMs);
    await mesh.remove();
  }
  const { failures } = await load.stop();
  const name = "abort to the last canary request";
  return [
    { name: `${name}, p99`, value: percentile(takenMs, 99), unit: "ms", target: { kind: "at-most", value: 300 }, detail: `${count} aborts` }, // biome-ignore format: one thought
    { name: `${name}, p50`, value: percentile(takenMs, 50), unit: "ms" },
    { name: "requests that failed meanwhile", value: failures.length, unit: "", target: { kind: "at-most", value: 0 } },
  ];
}

/** Good releases to their ends, while one instance after the other is stopped and started again. */
async function releases(mesh: ReleaseMesh, count: number): Promise<Figure[]> {
  const load = mesh.load(RELEASE_REQUESTS_PER_SECOND);
  let isOver = false;
  let restarts = 0;
  const restarting = (async () => {
    const instances: Instance[] = Object.values(mesh.instances);
    const versions = Object.keys(mesh.instances).map((name) => name.slice(0, 2));
    for (let turn = 0; !isOver; turn++) {
      const index = turn % instances.length;
      const { app, sidecar } = instances[index] as Instance;
      await sidecar.stop();
      await app.stop();
      instances[index] = await startInstance(mesh.mesh, versions[index] ?? "");
      restarts++;
    }
  })();
  let promoted = 0;
  for (let release = 0; release < count; release++) {
    await mesh.release("{ weight: 20 }, { weight: 50 }, { weight: 100 }");
    const { phase } = await mesh.until("it ends", (now) => now.endedAtMs > 0, 120_000);
    if (phase === "promoted") promoted++;
    await mesh.remove();
  }
  isOver = true;
  await restarting;
  const { failures, sent } = await load.stop();
  return [
    {
      ...{ name: "requests that failed", value: failures.length, unit: "", target: { kind: "at-most", value: 0 } },
      detail: `of ${sent}, over ${count} releases with ${restarts} restarts of endpoints${failures.length === 0 ? "" : `: ${failures.slice(0, 3).join("; ")}`}`,
    },
    { name: "good releases promoted", value: promoted, unit: "", target: { kind: "at-least", value: count } },
  ];
}

/** Wall-clock time of the canary's last request, when there are no more. */
async function lastRequestMs(mesh: ReleaseMesh): Promise<number> {
  for (;;) {
    const seen = await Promise.all(["v2", "v2-3"].map((name) => mesh.seen(name)));
    const lastMs = Math.max(...seen.map((side) => side.lastMs));
    if (Date.now() - lastMs > QUIET_MS) return lastMs;
    await new Promise((next) => setTimeout(next, 20));
  }
}
