// The package as a user gets it: built, packed, installed into an empty folder, and run from there by its bins.
import { execFileSync, type SpawnOptions as NodeSpawnOptions, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../ask.ts";
import { cleanUp, eventually, REPOSITORY, temporaryFolder, within } from "../harness.ts";

const BINS = ["weft", "weft-sidecar", "weft-control-plane"] as const;
const INSTALL_TIMEOUT_MS = 240_000;

/** The folder into which the package was installed. */
let home = "";
let packed: string[] = [];
const children = new Set<ReturnType<typeof spawn>>();

/** The machine's own PATH: without the folder that puts the right Node in front for npm scripts. */
const PATH = (process.env["PATH"] ?? "")
  .split(delimiter)
  .filter((folder) => !folder.includes("node_modules"))
  .join(delimiter);

beforeAll(() => {
  const dist = join(temporaryFolder(), "dist");
  execFileSync(process.execPath, [join(REPOSITORY, "scripts/build.ts"), dist], { stdio: "pipe" });
  home = temporaryFolder();
  const report = npm(["pack", dist, "--json", "--pack-destination", home]);
  const [tarball] = JSON.parse(report) as [{ filename: string; files: { path: string }[] }];
  packed = tarball.files.map(({ path }) => path);
  writeFileSync(join(home, "package.json"), '{"name":"consumer","private":true}');
  npm(["install", "--prefer-offline", "--no-audit", "--no-fund", `./${tarball.filename}`]);
}, INSTALL_TIMEOUT_MS);

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await cleanUp();
});

function npm(args: readonly string[]): string {
  return execFileSync("npm", args, {
    cwd: home,
    encoding: "utf8",
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function environment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(npm_|WEFT_|NODE_)/.test(name));
  return { ...Object.fromEntries(entries), PATH };
}

function bin(name: (typeof BINS)[number]): string {
  return join(home, "node_modules/.bin", name);
}

function run(name: (typeof BINS)[number], ...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(bin(name), args, { cwd: home, encoding: "utf8", env: environment() });
  return { code: status, stdout, stderr };
}

/** Starts an installed program and waits for its ready line. */
async function start(name: (typeof BINS)[number], args: readonly string[]) {
  const options: NodeSpawnOptions = { cwd: home, env: environment(), stdio: ["ignore", "pipe", "pipe"] };
  const child = spawn(bin(name), args, options);
  children.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const line = await eventually(`${name} is ready`, () => {
    if (child.exitCode !== null) throw new Error(`${name} ended:\n${output}`);
    return /^\{"ready":true.*\n/m.exec(output)?.[0];
  });
  const exited = new Promise<number | null>((settle) => child.once("exit", settle));
  return {
    ready: JSON.parse(line) as Record<string, string>,
    stop: () => {
      child.kill("SIGTERM");
      return within(15_000, exited, () => `${name} does not heed SIGTERM\n${output}`);
    },
  };
}

describe("the packed package", () => {
  it("holds JavaScript, the wire contract, bins, licence and readme, and nothing of development", () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        "package.json",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "proto/weft/v1/discovery.proto",
        "sidecar/workers/main.js",
        "sidecar/discovery/stand-alone/main.js",
        ...BINS.map((name) => `bin/${name}.js`),
      ]),
    );
    expect(packed.filter((path) => /\.ts$|test|(^|\/)(bench|examples|scripts)\//.test(path))).toEqual([]);
  });

  it("depends on what runs and on nothing else", () => {
    const manifest = JSON.parse(readFileSync(join(home, "node_modules/weft/package.json"), "utf8"));
    expect(Object.keys(manifest)).not.toContain("devDependencies");
    expect(Object.keys(manifest)).not.toContain("scripts");
    const installed = readdirSync(join(home, "node_modules"));
    expect(installed.filter((name) => /typescript|vitest|biome/.test(name))).toEqual([]);
  });

  it.each(BINS)("%s shows its help", (name) => {
    const { code, stdout, stderr } = run(name, "--help");
    expect(stderr.replace(/^.*ExperimentalWarning.*$/gm, "")).toBe("");
    expect(code).toBe(0);
    expect(stdout).toContain(name);
  });

  it("hands exit codes on", () => {
    expect(run("weft", "--no-such-flag").code).toBe(2);
    expect(run("weft", "--server", "127.0.0.1:1", "get").code).toBe(3);
  });

  it("carries a request from a control plane's rules through a sidecar", async () => {
    const controlPlane = await start("weft-control-plane", [
      ...["--data", join(home, "data"), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"],
    ]);
    const server = controlPlane.ready["grpc"]!;
    const sidecar = await start("weft-sidecar", [
      ...["--service", "web", "--app", "127.0.0.1:1", "--control-plane", server],
      ...["--outbound", "127.0.0.1:0", "--inbound", "127.0.0.1:0", "--admin", "off", "--status", "127.0.0.1:0"],
      ...["--drain", "1s"],
    ]);
    const rules = join(home, "rules.yaml");
    writeFileSync(
      rules,
      `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: shop }]
  rules: [{ filters: [{ type: RequestRedirect, requestRedirect: { hostname: moved.example, statusCode: 302 } }] }]
---
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: shop }
spec: { endpoints: [{ address: "127.0.0.1:1" }] }
`,
    );
    const applied = run("weft", "--server", server, "apply", "-f", rules, "--wait");
    expect(applied.code, applied.stderr).toBe(0);
    const location = await eventually("the rule acts", async () => {
      const answer = await ask({ address: sidecar.ready["outbound"]!, headers: { host: "shop" } });
      return answer.headers.location;
    });
    expect(location).toContain("moved.example");
    expect(await sidecar.stop()).toBe(0);
    expect(await controlPlane.stop()).toBe(0);
  }, 60_000);

  it("says what to do when the Node at hand is too old and no other was brought along", (context) => {
    const version = execFileSync("node", ["--version"], { env: environment(), encoding: "utf8" });
    if (Number.parseInt(version.slice(1), 10) >= 26) context.skip("the machine's own Node is new enough");
    const brought = join(home, "node_modules/node");
    expect(existsSync(brought)).toBe(true);
    rmSync(brought, { recursive: true });
    const { code, stderr } = run("weft", "--help");
    expect(code).toBe(1);
    expect(stderr).toContain("Weft needs Node 26 or newer");
    expect(stderr).toContain("npm rebuild node");
  });
});
