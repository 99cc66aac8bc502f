// `weft tap` and `weft top` as people type them: in pipes whose reader has enough, with sidecars and control planes that die
// meanwhile; and who may ask for the decision in an answer. Every process is a real one.
import { spawn } from "node:child_process";
import { networkInterfaces } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ask } from "../ask.ts";
import { cleanUp, eventually, freePort, PROGRAMS, startProgram, temporaryFolder } from "../harness.ts";
import { type Mesh, type MeshService, startMesh, startService } from "../mesh.ts";

const ends: (() => unknown)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

interface Run {
  stdout: string;
  stderr: string;
  readonly exited: Promise<number | null>;
}

/** A line for a shell, in which `weft` is the program. */
function shell(mesh: Mesh, line: string): Run {
  const weft = `weft() { "${process.execPath}" "${PROGRAMS.weft}" "$@"; }`;
  const env = { ...process.env, WEFT_SERVER: mesh.server };
  const child = spawn("bash", ["-c", `set -o pipefail; ${weft}; ${line}`], { env, stdio: ["ignore", "pipe", "pipe"] });
  ends.push(() => child.kill("SIGKILL"));
  const run: Run = {
    stdout: "",
    stderr: "",
    exited: new Promise((settle) => child.once("close", (code) => settle(code))),
  };
  child.stdout.on("data", (chunk: Buffer) => {
    run.stdout += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    run.stderr += chunk;
  });
  return run;
}

/** Asks for `orders` until it is told to stop; answers do not matter. @returns what stops it */
function traffic(web: MeshService): () => void {
  let isOver = false;
  void (async () => {
    while (!isOver) {
      await ask({ address: web.outbound, path: "/x", headers: { host: "orders" } }).catch(() => {});
      await new Promise((next) => setTimeout(next, 20));
    }
  })();
  return () => {
    isOver = true;
  };
}

async function startPair(mesh: Mesh, orders = 1): Promise<{ web: MeshService; orders: MeshService[] }> {
  const services = await Promise.all(Array.from({ length: orders }, () => startService(mesh, "orders", "v1")));
  const web = await startService(mesh, "web", "v1");
  await eventually("an answer of orders", async () => {
    return (await ask({ address: web.outbound, headers: { host: "orders" } })).status === 200;
  });
  return { web, orders: services };
}

describe("ends quietly when its reader has enough:", () => {
  let mesh: Mesh;
  let stop: () => void;

  beforeAll(async () => {
    mesh = await startMesh();
    const { web } = await startPair(mesh);
    stop = traffic(web);
  });
  afterAll(async () => {
    stop();
    await cleanUp();
  });

  test.each([
    ["weft tap orders | head -1", /^\d\d:\d\d:\d\d\.\d{3} {2}200 /],
    ["weft tap orders -o json | head -1 | cut -c1-12", /^\{"time":"20/],
    ["weft top --watch | head -1", /^\d{4}-\S+Z\tdefault\/orders\t/],
    ["weft top orders --by version --watch -o json | head -1", /^\{"/],
  ])("%s", async (line, expected) => {
    const run = shell(mesh, line);
    expect(await run.exited).toBe(0);
    expect(run.stdout).toMatch(expected);
    expect(run.stdout.trimEnd().split("\n")).toHaveLength(1);
    const remarks = run.stderr.split("\n").filter((text) => text !== "" && !text.includes("tap: "));
    expect(remarks).toEqual([]);
  });
});

/** An address of this machine that is not its loopback. */
const external = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

describe("each with a mesh of its own", () => {
  afterEach(cleanUp);

  test("a tap and a top live through a sidecar that is killed and one that comes", async () => {
    const mesh = await startMesh();
    const { web, orders } = await startPair(mesh, 2);
    ends.push(traffic(web));
    const tap = shell(mesh, "exec 2>&1; weft tap orders --direction inbound -o json");
    const top = shell(mesh, "weft top orders --watch -o json");
    const lines = (run: Run) => run.stdout.split("\n").length;
    await eventually("both begin", () => lines(tap) > 3 && lines(top) > 2);
    orders[0]!.sidecar.signal("SIGKILL");
    const [tapped, seen] = [lines(tap), lines(top)];
    await eventually("both go on", () => lines(tap) > tapped + 20 && lines(top) > seen + 2, 40_000);
    const late = await startService(mesh, "orders", "v9");
    await eventually(
      "the one that came is tapped",
      () => tap.stdout.includes(String(late.sidecar.ready["id"])),
      40_000,
    );
  });

  test("with a control plane that restarts both end saying so, requests go on, and both can begin again", async () => {
    const port = await freePort();
    const data = temporaryFolder();
    const start = () =>
      startProgram("weft-control-plane", ["--data", data, "--grpc", `127.0.0.1:${port}`, "--http", "127.0.0.1:0"]);
    const controlPlane = await start();
    const mesh = { controlPlane, server: controlPlane.address("grpc") };
    const { web } = await startPair(mesh);
    ends.push(traffic(web));
    const runs = [shell(mesh, "weft tap orders"), shell(mesh, "weft top --watch")];
    await eventually("both begin", () => runs.every(({ stdout }) => stdout.split("\n").length > 2));
    await controlPlane.kill();
    for (const run of runs) {
      expect(await run.exited).toBe(3);
      expect(run.stderr).toContain("lost the control plane");
    }
    expect((await ask({ address: web.outbound, headers: { host: "orders" } })).status).toBe(200);
    await start();
    const again = [shell(mesh, "weft tap orders --count 3"), shell(mesh, "weft top --watch | head -2")];
    for (const run of again) expect(await run.exited, run.stderr).toBe(0);
  });

  test("a tap with a word that is no reason shows nothing and says which there are", async () => {
    const mesh = await startMesh();
    const run = shell(mesh, "weft tap --reason nope");
    expect(await run.exited).toBe(2);
    expect(run.stdout).toBe("");
    expect(run.stderr).toMatch(/"nope" is no reason[\s\S]*no-such-service/);
  });

  test.skipIf(external === undefined)("only the loopback may ask for the decision in an answer", async () => {
    const listeners = ["--outbound", "0.0.0.0:0", "--admin", "off", "--status", "off"];
    const sidecar = await startProgram("weft-sidecar", [
      "--service",
      "web",
      ...listeners,
      "--control-plane",
      "127.0.0.1:1",
    ]);
    const port = sidecar.address("outbound").split(":").at(-1);
    const asked = async (host: string) => {
      const headers = { host: "localhost.nowhere", "x-weft-debug": "1" };
      return (await ask({ address: `${host}:${port}`, headers })).headers["x-weft-decision"];
    };
    expect(await asked("127.0.0.1")).toMatch(/direction=outbound/);
    expect(await asked(external ?? "")).toBeUndefined();
  });
});
