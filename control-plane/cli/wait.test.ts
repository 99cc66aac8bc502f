// --wait: what the fleet answers becomes lines, an exit code and advice.
import { afterEach, expect, test } from "vitest";
import { type FakeControlPlane, startFakeControlPlane } from "../../test/cli/fake-control-plane.ts";
import { type MemoryShellOptions, runInMemory } from "../../test/cli/memory-shell.ts";
import { ROUTE_YAML, scratchFiles } from "../../test/cli/scratch.ts";

const file = scratchFiles();
let controlPlane: FakeControlPlane | undefined;

afterEach(async () => {
  await controlPlane?.stop();
  controlPlane = undefined;
});

const APPLIED = { accepted: true, revision: 7, changes: [] };
const LIVE = { workloadId: "web-1", service: "web", namespace: "default", state: 1, pushMs: 11.6 };
const PENDING = { workloadId: "web-2", service: "web", namespace: "default", state: 2 };
const REFUSED = {
  workloadId: "cart-1",
  service: "cart",
  namespace: "shop",
  state: 3,
  refusal: { nonce: 1, resource: "service:shop/cart", fieldPath: "rules[0].matches[0]", reason: "no such pattern" },
};

async function applyAndWait(messages: readonly unknown[], argv: string[] = [], options: MemoryShellOptions = {}) {
  controlPlane = await startFakeControlPlane({ apply: () => APPLIED, waitRevision: () => messages });
  const wait = argv.some((word) => word.startsWith("--wait")) ? [] : ["--wait"];
  const path = file("a.yaml", ROUTE_YAML);
  return runInMemory(["apply", "--server", controlPlane.address, "-f", path, ...wait, ...argv], options);
}

test("ends with 0 when every affected sidecar is live", async () => {
  const result = await applyAndWait([
    { revision: 7, sidecars: [PENDING] },
    { revision: 7, done: true, sidecars: [LIVE, { ...LIVE, workloadId: "web-2" }] },
  ]);
  expect(result.code).toBe(0);
  expect(result.stdout.split("\n")).toEqual([
    "revision 7 (unchanged)",
    "live     web-1 (default/web)  12 ms",
    "live     web-2 (default/web)  12 ms",
    "revision 7 is live on 2 sidecars",
    "",
  ]);
  expect(result.stderr).toBe("waiting for revision 7: 0 live, 1 pending, 0 refused\n");
});

test("says that nobody is affected when that is so", async () => {
  const result = await applyAndWait([{ revision: 7, done: true, sidecars: [] }]);
  expect(result.code).toBe(0);
  expect(result.stdout).toContain("revision 7 is live: it affects no connected sidecar\n");
});

test("a refusal ends with 1 and names resource, field and reason first", async () => {
  const result = await applyAndWait([{ revision: 7, done: true, sidecars: [LIVE, REFUSED] }]);
  expect(result.code).toBe(1);
  expect(result.stdout.split("\n")[1]).toBe(
    "refused  cart-1 (shop/cart): service:shop/cart rules[0].matches[0]: no such pattern",
  );
  expect(result.stderr).toMatch(/error: revision 7 was refused.*\n.*weft rollback/);
});

test("a timeout ends with 4 and names who is pending", async () => {
  const result = await applyAndWait([{ revision: 7, sidecars: [LIVE, PENDING] }], ["--wait=300ms"]);
  expect(result.code).toBe(4);
  expect(result.stdout).toContain("pending  web-2 (default/web)\n");
  expect(result.stderr).toMatch(/timed out waiting for revision 7; not live yet: web-2\n.*the rules are applied/);
});

test("with -o json the whole story is one document", async () => {
  const result = await applyAndWait([{ revision: 7, done: true, sidecars: [LIVE, REFUSED] }], ["-o", "json"]);
  expect(result.code).toBe(1);
  expect(JSON.parse(result.stdout)).toEqual({
    revision: 7,
    dryRun: false,
    changes: [],
    diagnostics: [],
    wait: {
      outcome: "refused",
      revision: 7,
      sidecars: [
        { id: "web-1", service: "web", namespace: "default", state: "live", pushMs: 11.6 },
        {
          id: "cart-1",
          service: "cart",
          namespace: "shop",
          state: "refused",
          refusal: { resource: "service:shop/cart", path: "rules[0].matches[0]", reason: "no such pattern" },
        },
      ],
    },
  });
});

test("Ctrl-C while waiting ends with 130 and says that the rules are applied", async () => {
  const result = await applyAndWait([{ revision: 7, sidecars: [PENDING] }], [], {
    onStderr: (text, interrupt) => {
      if (text.startsWith("waiting for")) interrupt();
    },
  });
  expect(result.code).toBe(130);
  expect(result.stderr).toMatch(/interrupted: revision 7 is applied, only the waiting ended; .*weft sidecars/);
});

test("on a terminal the progress is one line that is cleared at the end", async () => {
  const messages = [
    { revision: 7, sidecars: [PENDING] },
    { revision: 7, done: true, sidecars: [LIVE] },
  ];
  const result = await applyAndWait(messages, [], { isTTY: true });
  expect(result.stderr).toBe("\r\u001b[Kwaiting for revision 7: 0 live, 1 pending, 0 refused\r\u001b[K");
});

test("losing the control plane while waiting ends with 3, and the rules count as applied", async () => {
  const result = await applyAndWait([{ revision: 7, sidecars: [PENDING] }], [], {
    onStderr: (text) => {
      if (text.startsWith("waiting for")) void controlPlane?.stop();
    },
  });
  expect(result.code).toBe(3);
  expect(result.stderr).toMatch(/lost contact while waiting: .*\n.*revision 7 is applied/);
});

test.each(["--wait=abc", "--wait=0s", "--wait=-3s"])("%s is bad usage, and nothing is applied", async (flag) => {
  const result = await applyAndWait([], [flag]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain("expected one such as 500ms, 30s or 1m30s");
  expect(controlPlane?.requests).toEqual([]);
});
