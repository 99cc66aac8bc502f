// Three releases run to their ends: a good version, one that fails, one that is slow. Starts a mesh with nothing in it
// but payments and somebody who calls it, and types the commands that a person would. `node examples/canary/main.ts
// [good|bad|slow ...]`; ends with 0 when every story ended as it is told.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { Load } from "../shop/load.ts";
import { freePorts } from "../shop/plan.ts";
import { Processes, type ReadyLine, runToEnd } from "../shop/processes.ts";

interface Story {
  readonly name: string;
  readonly stable: string;
  readonly canary: string;
  /** How the new version behaves: the shop's services read it from their environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly ends: "promoted" | "rolled-back";
}

const STORIES: readonly Story[] = [
  { name: "good", stable: "v1", canary: "v2", env: {}, ends: "promoted" },
  { name: "bad", stable: "v2", canary: "v3", env: { ERROR_PERCENT: "30" }, ends: "rolled-back" },
  { name: "slow", stable: "v2", canary: "v4", env: { LATENCY_MS: "200" }, ends: "rolled-back" },
];
const EXIT_CODES = { promoted: 0, "rolled-back": 1 } as const;

const REPOSITORY = resolve(import.meta.dirname, "../..");
const CLI = join(REPOSITORY, "control-plane/cli/main.ts");
const REQUESTS_PER_SECOND = 100;
const READY_TIMEOUT_MS = 30_000;
const ENV = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("WEFT_")));

process.exitCode = await main(process.argv.slice(2));

async function main(names: readonly string[]): Promise<number> {
  const stories = STORIES.filter(({ name }) => names.length === 0 || names.includes(name));
  const unknown = names.filter((name) => !STORIES.some((story) => story.name === name));
  if (unknown.length > 0) {
    console.error(`unknown story ${unknown.join(", ")}; expected ${STORIES.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  const data = mkdtempSync(join(tmpdir(), "weft-canary-"));
  const processes = new Processes({ env: ENV, onDeath: (death) => console.error(death.message) });
  processes.guardFolder(data);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => processes.killAll());
  try {
    return await tell(stories, processes, data);
  } finally {
    await processes.stopAll();
    rmSync(data, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function tell(stories: readonly Story[], processes: Processes, data: string): Promise<number> {
  const controlPlane = await processes.start({
    name: "control-plane",
    args: [join(REPOSITORY, "control-plane/main.ts"), "--data", data, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"],
  });
  const server = String(controlPlane["grpc"]);
  // What a story sends to after the one before is there from the beginning, and behaves.
  const versions = new Map<string, Story["env"]>();
  for (const { stable, canary, env } of stories) versions.set(stable, {}).set(canary, env);
  const [web] = await Promise.all([
    startSidecar(processes, server, "web", "v1"),
    ...Array.from(versions, ([version, env]) => startPayments(processes, server, version, env)),
  ]);
  await waitForEndpoints(server, versions.size);
  const load = new Load({
    url: new URL(`http://${String(web["outbound"])}/`),
    headers: { host: "payments" },
    requestsPerSecond: REQUESTS_PER_SECOND,
  });
  const codes: number[] = [];
  for (const story of stories) codes.push(await run(story, server));
  await load.stop();
  return codes.every((code) => code === 0) ? 0 : 1;
}

/** @returns 0 when it ended as it should */
async function run({ name, ends }: Story, server: string): Promise<number> {
  const file = relative(process.cwd(), join(import.meta.dirname, `${name}.yaml`));
  const args = ["rollout", "start", "-f", file, "--wait=2m"];
  console.log(`\n--- ${name} ---\n$ weft ${args.join(" ")}`);
  const code = await type(server, args);
  const isRight = code === EXIT_CODES[ends];
  await type(server, ["rollout", "history", "payments", "--limit", "3"]);
  console.log(`${name}: exit code ${code}, ${isRight ? ends : `expected ${EXIT_CODES[ends]} (${ends})`}`);
  return isRight ? 0 : 1;
}

function type(server: string, args: readonly string[]): Promise<number> {
  return new Promise((settle, fail) => {
    const child = spawn(process.execPath, [CLI, "--server", server, ...args], { env: ENV, stdio: "inherit" });
    child.once("error", fail);
    child.once("close", (code) => settle(code ?? -1));
  });
}

async function startPayments(
  processes: Processes,
  server: string,
  version: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const [port] = await freePorts(1);
  const app = join(REPOSITORY, "examples/shop/services/payments.ts");
  const extra = ["--app", `127.0.0.1:${port}`, "--", process.execPath, app];
  await startSidecar(processes, server, "payments", version, extra, { ...env, VERSION: version, PORT: String(port) });
}

function startSidecar(
  processes: Processes,
  server: string,
  service: string,
  version: string,
  extra: readonly string[] = ["--app", "127.0.0.1:9"],
  env: Readonly<Record<string, string>> = {},
): Promise<ReadyLine> {
  const listeners = ["outbound", "inbound", "admin", "status"].flatMap((name) => [`--${name}`, "127.0.0.1:0"]);
  return processes.start({
    name: `${service}-${version}`,
    args: [
      ...[join(REPOSITORY, "sidecar/main.ts"), "--service", service, "--version", version],
      ...["--control-plane", server, ...listeners, ...extra],
    ],
    env,
    wraps: extra.includes("--"),
  });
}

/** Traffic before every version is known to be ready would be answered 503, and rightly so. */
async function waitForEndpoints(server: string, count: number): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const { code, output } = await runToEnd([CLI, "--server", server, "endpoints", "payments", "-o", "json"], ENV);
    const { endpoints } = (code === 0 ? JSON.parse(output) : { endpoints: [] }) as { endpoints: { ready: boolean }[] };
    if (endpoints.filter(({ ready }) => ready).length === count) return;
  }
  throw new Error("not every version became ready");
}
