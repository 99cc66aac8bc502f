// Live views and releases: mistakes are told, with what to type next.
import { status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { type FakeControlPlane, FakeFailure, startFakeControlPlane } from "../../../test/cli/fake-control-plane.ts";
import { runInMemory } from "../../../test/cli/memory-shell.ts";
import { scratchFiles } from "../../../test/cli/scratch.ts";

const scratchFile = scratchFiles();

let controlPlane: FakeControlPlane | undefined;

afterEach(async () => {
  await controlPlane?.stop();
  controlPlane = undefined;
});

const ORDERS = { namespace: "default", name: "orders", versions: ["v1", "v2"] };
const DECISION = { traceId: "", requestId: "request-7", method: "GET", target: "/", authority: "orders", status: 200 };
const RELEASE = {
  ...{ key: { namespace: "default", name: "orders" }, service: "orders", stable: "orders-v1", canary: "orders-v2" },
  ...{ phase: "progressing", message: "step 1 of 2", step: 1, verdict: "not-yet" },
};

async function run(argv: readonly string[], answers: Parameters<typeof startFakeControlPlane>[0] = {}) {
  controlPlane = await startFakeControlPlane({
    listServices: () => ({ services: [ORDERS] }),
    tap: () => [{ sidecars: 1 }, { sidecars: 1, decisions: [DECISION] }],
    watchTraffic: () => [{ sidecars: 1, rows: [] }],
    ...answers,
  });
  return runInMemory([...argv, "--server", controlPlane.address]);
}

test("tap says when nobody knows the service, and goes on", async () => {
  const result = await run(["tap", "order", "--count", "1"]);
  expect(result.code).toBe(0);
  expect(result.stderr).toContain(
    "warning: the mesh knows no service default/order yet (did you mean default/orders?); see: weft services",
  );
  expect(result.stdout).toContain("GET orders/");
});

test.each([
  ["CONNECT", "orders.default:80", "orders.default:80", "CONNECT orders.default:80"],
  ["GET", "http://orders/a", "orders", "GET http://orders/a"],
  ["GET", "/a", "orders", "GET orders/a"],
  ["OPTIONS", "*", "orders", "OPTIONS orders*"],
])("tap names the authority of %s %s once", async (method, target, authority, text) => {
  const decisions = [{ ...DECISION, method, target, authority }];
  const { stdout } = await run(["tap", "orders", "--count", "1"], { tap: () => [{ sidecars: 1, decisions }] });
  expect(stdout.trimEnd().endsWith(`  ${text}`)).toBe(true);
});

test("tap says when there is no such route, and goes on", async () => {
  const key = { kind: "HTTPRoute", namespace: "default", name: "orders" };
  const list = () => ({ documents: [{ key }], revision: 1 });
  const result = await run(["tap", "--route", "order", "--count", "1"], { list });
  expect(result.code).toBe(0);
  expect(result.stderr).toContain("warning: there is no route default/order yet (did you mean default/orders?)");
  await controlPlane?.stop();
  const known = await run(["tap", "--route", "orders", "--count", "1"], { list });
  expect(known.stderr).not.toContain("warning");
});

test("top says when nobody knows the service; of a known one nothing is said", async () => {
  expect((await run(["top", "nosuch"])).stderr).toContain("the mesh knows no service default/nosuch yet");
  await controlPlane?.stop();
  expect((await run(["top", "orders"])).stderr).toBe("");
});

test("tap -o wide ends the line with the id that explain --trace takes", async () => {
  const result = await run(["tap", "orders", "-o", "wide", "--count", "1"]);
  expect(result.stdout).toMatch(/ {2}request-7\n$/);
  await controlPlane?.stop();
  expect((await run(["tap", "orders", "--count", "1"])).stdout).not.toContain("request-7");
});

test.each([
  [["--max-rps", "1001"], "--max-rps: 1001 is too many; expected at most 1000"],
  [["--status", "500-400"], '--status: "500-400" holds nothing; expected 400-500'],
  [["--reason", "nope"], '--reason: "nope" is no reason\n  reasons are: bad-request, '],
  [["--reason", "no-rout"], '--reason: "no-rout" is no reason (did you mean no-route?)'],
  [["--reason", "circuit"], "(did you mean circuit-open?)"],
])("tap %j is bad usage", async (flags, message) => {
  const result = await run(["tap", "orders", ...flags]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain(message);
});

test("tap shows how a call of gRPC ended, whose status says nothing", async () => {
  const tries = [
    { outcome: "retried", status: 200, grpcStatus: "UNAVAILABLE" },
    { outcome: "answered", status: 200 },
  ];
  const attempts = tries.map((attempt) => ({
    kind: "first",
    backend: "default/orders",
    address: "10.0.0.1:80",
    ...attempt,
  }));
  const decision = { ...DECISION, grpcStatus: "INTERNAL", attempts, attemptCount: 2 };
  const answers = { tap: () => [{ sidecars: 1 }, { sidecars: 1, decisions: [decision] }] };
  const { stdout } = await run(["tap", "orders", "--count", "1"], answers);
  expect(stdout).toMatch(/ {2}200 INTERNAL {2}.*2 tries \(200 UNAVAILABLE\)/);
});

test.each([
  [{ name: "deadline", value: 6000.4 }, "deadline 6.00s"],
  [{ name: "fault-delay", subject: "default/slow", value: 20 }, "fault-delay default/slow 20.0ms"],
  [{ name: "fault-abort", subject: "default/bad", value: 503 }, "fault-abort default/bad status 503"],
  [{ name: "rate-limit", subject: "default/orders 0", value: 1 }, "rate-limit default/orders 0 refused"],
  [{ name: "concurrency-limit", subject: "default/orders" }, "concurrency-limit default/orders only reported"],
  [{ name: "shedding" }, "shedding priority 0"],
  [{ name: "hedge", subject: "10.0.0.1:1", value: 50 }, "hedge 10.0.0.1:1 after 50.0ms"],
  [{ name: "retry-skipped", subject: "budget" }, "retry-skipped budget"],
  [{ name: "of-tomorrow", subject: "x", value: 7 }, "of-tomorrow x 7"],
  [{ name: "__proto__", value: 7 }, "__proto__ 7"],
])("tap says of the act %j what its number is", async (act, text) => {
  const decisions = [{ ...DECISION, acts: [act] }];
  const { stdout } = await run(["tap", "orders", "--count", "1"], { tap: () => [{ sidecars: 1, decisions }] });
  expect(stdout.trimEnd().endsWith(`  ${text}`)).toBe(true);
});

test.each(["no-route", "any"])("tap --reason %s is asked of the sidecars", async (reason) => {
  expect((await run(["tap", "orders", "--reason", reason, "--count", "1"])).code).toBe(0);
  const asked = controlPlane?.requests.find(({ method }) => method === "tap");
  expect(asked?.request).toMatchObject({ filter: { reason } });
});

const PROBLEM = {
  ...{
    severity: 2,
    file: "bad.yaml",
    line: 3,
    column: 7,
    path: "spec.steps",
    message: "is missing",
    expected: "a list",
  },
  suggestion: "",
};

test("rollout start of a bad document: the findings are data with -o json, lines with their place without", async () => {
  const answers = { start: () => ({ problems: ["bad.yaml:3:7: ..."], diagnostics: [PROBLEM] }) };
  const file = scratchFile("bad.yaml", "kind: Rollout\n");
  const json = await run(["rollout", "start", "-f", file, "-o", "json"], answers);
  expect(json.code).toBe(2);
  expect(JSON.parse(json.stdout)).toMatchObject({
    error: { code: "invalid-rules", message: expect.stringContaining("nothing was started") },
    diagnostics: [
      { severity: "error", file: "bad.yaml", line: 3, column: 7, path: "spec.steps", message: "is missing" },
    ],
  });
  await controlPlane?.stop();
  const text = await run(["rollout", "start", "-f", file], answers);
  expect(text).toMatchObject({ code: 2, stdout: "" });
  expect(text.stderr).toContain("bad.yaml:3:7: spec.steps: is missing; expected a list");
});

test("rollout list judges what goes on, and nothing that has ended", async () => {
  const named = (name: string, phase: string) => ({ ...RELEASE, key: { namespace: "default", name }, phase });
  const rollouts = [named("one", "progressing"), named("two", "promoted"), named("three", "rolled-back")];
  const { stdout } = await run(["rollout", "list"], { listRollouts: () => ({ rollouts }) });
  const verdicts = stdout
    .split("\n")
    .slice(1, 4)
    .map((line) => line.trim().split(/ +/).at(-2));
  expect(verdicts).toEqual(["not-yet", "-", "-"]);
});

const FLAGS = ["rollout", "start", "--service", "orders", "--canary", "orders-v2"];

test("rollout start with flags does not take a release that goes on its bounds away", async () => {
  const result = await run(FLAGS, { listRollouts: () => ({ rollouts: [RELEASE] }) });
  expect(result.code).toBe(1);
  expect(result.stderr).toContain(
    "the release of orders-v2 is under way already\n  see it: weft rollout status orders",
  );
  expect(controlPlane?.requests.map(({ method }) => method)).not.toContain("start");
});

test("rollout start with flags begins anew what has ended", async () => {
  const ended = { ...RELEASE, phase: "rolled-back" };
  const answers = { listRollouts: () => ({ rollouts: [ended] }), start: () => ({ rollout: RELEASE }) };
  expect((await run(FLAGS, answers)).code).toBe(0);
  expect(controlPlane?.requests.map(({ method }) => method)).toContain("start");
});

test("what is refused, and what is not there, names the command that tells more", async () => {
  const promote = () => {
    throw new FakeFailure(status.FAILED_PRECONDITION, "orders-v2 was promoted 3 s ago");
  };
  const refused = await run(["rollout", "promote", "orders", "-n", "shop"], { promote });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("promoted 3 s ago\n  see what can be done: weft rollout status orders -n shop\n");
  await controlPlane?.stop();
  const getRollout = () => {
    throw new FakeFailure(status.NOT_FOUND, "there is no Rollout default/order");
  };
  const missing = await run(["rollout", "status", "order"], { getRollout });
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain("default/order\n  see what there is: weft rollout list -A\n");
});

test("rollout promote and resume say which step they are meant for, where that was said", async () => {
  const promote = () => ({ rollout: RELEASE });
  expect((await run(["rollout", "promote", "orders"], { promote, resume: promote })).code).toBe(0);
  expect(
    (await runInMemory(["rollout", "promote", "orders", "--step", "2", "--server", controlPlane?.address ?? ""])).code,
  ).toBe(0);
  await runInMemory(["rollout", "resume", "orders", "--step", "3", "--server", controlPlane?.address ?? ""]);
  const asked = controlPlane?.requests
    .filter(({ method }) => method === "promote" || method === "resume")
    .map(({ request }) => request);
  expect(asked).toMatchObject([{ step: 0 }, { step: 2 }, { step: 3 }]);
});

test.each([
  [["pause", "orders", "--step", "2"], "--step does nothing for pause; it goes with: promote, resume"],
  [["promote", "orders", "--step", "0"], '--step: "0" is not valid'],
  [["abort", "orders", "--full"], "--full does nothing for abort; it goes with: promote"],
  [["status", "-A"], "--all-namespaces does nothing for status; it goes with: list"],
  [["list", "--watch"], "--watch does nothing for list; it goes with: status"],
  [["start", "orders", "--steps", "5,50"], "--steps goes with --service and --canary"],
])("rollout %j is bad usage", async (argv, message) => {
  const result = await run(["rollout", ...argv]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain(message);
});

test("what was promoted can be undone by a command that names its own document, wherever that is", async () => {
  const rollout = { ...RELEASE, key: { namespace: "shop", name: "summer" }, phase: "promoted", weight: 100 };
  const { stdout } = await run(["rollout", "status", "summer", "-n", "shop"], { getRollout: () => ({ rollout }) });
  const begin = "weft rollout start summer -n shop --service orders --stable orders-v2 --canary";
  expect(stdout).toContain(`${begin} orders-v1 --steps 100   # undo it: all traffic back to orders-v1`);
  expect(stdout).toContain(`${begin} NEXT `);
});

test("the step that a release went back from is marked, and times are no longer than what is known", async () => {
  const steps = ["weight 5 %", "weight 50 %", "weight 100 %"].map((text) => ({ text }));
  const canarySide = { service: "default/orders-v2", requests: 9, p95Ms: 22.249999999999996 };
  const rollout = { ...RELEASE, phase: "rolled-back", step: 2, steps, canarySide };
  const answers = { getRollout: () => ({ rollout }) };
  const { stdout } = await run(["rollout", "status", "orders"], answers);
  expect(stdout).toContain("✔ 1. weight 5 %\n│  ├─ ✖ 2. weight 50 %\n│  └─ · 3. weight 100 %");
  await controlPlane?.stop();
  const json = JSON.parse((await run(["rollout", "status", "orders", "-o", "json"], answers)).stdout);
  expect(json.steps.map(({ state }: { state: string }) => state)).toEqual(["done", "stopped", "ahead"]);
  expect(json.sides[0].p95Ms).toBe(22.25);
});

test.each([
  ["paused", "error: the release is paused, and the time to wait for it is over\n"],
  ["progressing", "error: the release goes on, but the time to wait for it is over\n"],
])("a watch whose time is over says that the release is %s", async (phase, said) => {
  const rollout = { ...RELEASE, phase };
  // A stream that ends is begun again until the time is over.
  const answers = { getRollout: () => ({ rollout }), watchRollout: () => [{ rollout }] };
  const result = await run(["rollout", "status", "orders", "--watch", "--wait=700ms"], answers);
  expect(result.code).toBe(4);
  expect(result.stderr).toContain(said);
});

test("a watch that heard nothing does not say how the release is", async () => {
  const answers = { getRollout: () => ({ rollout: RELEASE }), watchRollout: () => [] };
  const result = await run(["rollout", "status", "orders", "--watch", "--wait=700ms"], answers);
  expect(result.code).toBe(4);
  expect(result.stderr).toContain("error: nothing was heard of the release, and the time to wait for it is over\n");
});

test.each([
  [
    ["--stable", "orders-v1", "--canary", "v2"],
    '--canary: "v2" is a version; expected its service (did you mean orders-v2?)',
  ],
  [["--stable", "v1"], '--stable: "v1" is a version; expected its service (did you mean orders-v1?)'],
  [["--hold", "5"], '--hold: "5" is no duration; expected one such as 30s, 2m or 1h30m'],
  [["--canary", "v2"], '--canary: "v2" is a version; expected its service (did you mean orders-v2?)'],
])("rollout start with %j is bad usage, and nothing is started", async (flags, message) => {
  const result = await run([...FLAGS, ...flags], { listRollouts: () => ({ rollouts: [] }) });
  expect(result.code).toBe(2);
  expect(result.stderr).toContain(message);
  expect(controlPlane?.requests.map(({ method }) => method)).not.toContain("start");
});

test("the last line of a watch has no verdict of the time before the end", async () => {
  const rollout = { ...RELEASE, phase: "promoted", weight: 100, message: "orders-v2 has all traffic" };
  const answers = { getRollout: () => ({ rollout }), watchRollout: () => [{ rollout }] };
  const result = await run(["rollout", "status", "orders", "--watch"], answers);
  expect(result).toMatchObject({ code: 0, stdout: "orders promoted, weight 100%: orders-v2 has all traffic\n" });
});

test("the last picture of a watch is whole, also on a terminal that is too low for it", async () => {
  const steps = Array.from({ length: 30 }, (_, index) => ({ text: `weight ${index + 1} %` }));
  const rollout = { ...RELEASE, phase: "rolled-back", steps };
  controlPlane = await startFakeControlPlane({
    getRollout: () => ({ rollout }),
    watchRollout: () => [{ rollout: { ...rollout, phase: "progressing" } }, { rollout }],
  });
  const argv = ["rollout", "status", "orders", "--watch", "--server", controlPlane.address];
  const result = await runInMemory(argv, { isTTY: true });
  expect(result.code).toBe(1);
  const last = result.stdout.slice(result.stdout.lastIndexOf("\u001b[J"));
  expect(last).toContain("30. weight 30 %");
  expect(last).toContain("weft rollout start orders");
});
