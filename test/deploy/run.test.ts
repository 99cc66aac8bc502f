// Runs the command lines of the deployment recipes as processes. There is no container engine in the tests, so what a
// network namespace does is done by rewriting: every "container" keeps its own set of ports on this machine.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { cleanUp, eventually, freePort, PROGRAMS, REPOSITORY, runProgram, temporaryFolder } from "../harness.ts";
import { type Container, composeContainers, kubernetesContainers, read } from "./recipes.ts";

/** Where a sidecar listens by default, as flags: in a namespace of its own it needs none of them. */
const SIDECAR_LISTENERS = {
  "--outbound": "127.0.0.1:15001",
  "--inbound": "0.0.0.0:15006",
  "--admin": "127.0.0.1:15000",
  "--status": "0.0.0.0:15020",
};

const children = new Set<ChildProcess>();

afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});
afterAll(cleanUp);

/** Ports of one recipe's namespaces, and the rewriting that puts them into command lines. */
class Namespaces {
  readonly #ports = new Map<string, number>();
  readonly #folders = new Map<string, string>();

  /** The port of this machine that stands for `port` in `namespace`. */
  async port(namespace: string, port: string | number): Promise<number> {
    const key = `${namespace}:${port}`;
    let mapped = this.#ports.get(key);
    while (mapped === undefined || [...this.#ports].some(([other, taken]) => other !== key && taken === mapped)) {
      mapped = await freePort();
      this.#ports.set(key, mapped);
    }
    return mapped;
  }

  /** A word of a command line or an environment value, as it has to be on this machine. */
  async rewrite(container: Container, word: string): Promise<string> {
    const controlPlane = container.recipe === "compose" ? "control-plane" : "weft-control-plane";
    let text = word
      .replace("/var/lib/weft", this.#folder(container.name))
      .replace(/^\/shop\//, `${join(REPOSITORY, "examples/shop/services")}/`)
      .replace("0.0.0.0", "127.0.0.1")
      .replace("$(POD_IP)", "127.0.0.1");
    const address = /(127\.0\.0\.1|(?:weft-)?control-plane):(\d+)/.exec(text);
    if (address !== null) {
      const namespace = address[1] === controlPlane ? controlPlane : container.namespace;
      const mapped = `127.0.0.1:${await this.port(namespace, address[2] ?? "")}`;
      text = text.replace(address[0], mapped);
    }
    return text;
  }

  #folder(name: string): string {
    const folder = this.#folders.get(name) ?? temporaryFolder();
    this.#folders.set(name, folder);
    return folder;
  }
}

/** The container's command line and environment for this machine. */
async function processOf(
  namespaces: Namespaces,
  container: Container,
): Promise<{ args: string[]; env: NodeJS.ProcessEnv }> {
  const command = [...container.command];
  const program = command.shift() ?? "";
  const args: string[] = [];
  if (program === "weft-sidecar") {
    for (const [flag, address] of Object.entries(SIDECAR_LISTENERS))
      if (!command.some((word) => word.startsWith(flag))) command.push(flag, address);
  }
  if (Object.hasOwn(PROGRAMS, program)) args.push(PROGRAMS[program as keyof typeof PROGRAMS]);
  for (const word of command) args.push(await namespaces.rewrite(container, word));
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const env: NodeJS.ProcessEnv = { PATH, NODE_COMPILE_CACHE };
  for (const [name, value] of Object.entries(container.env)) {
    const isPort = name === "PORT";
    env[name] = isPort
      ? String(await namespaces.port(container.namespace, value))
      : await namespaces.rewrite(container, value);
  }
  return { args, env };
}

interface Started {
  readonly container: Container;
  readonly child: ChildProcess;
  readonly stderr: () => string;
}

async function start(namespaces: Namespaces, container: Container): Promise<Started> {
  const { args, env } = await processOf(namespaces, container);
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  children.add(child);
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return { container, child, stderr: () => stderr };
}

async function answers(port: number, path: string): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}${path}`).then(
    (response) => response.ok,
    () => false,
  );
}

/** What tells that a container is up, so that those that depend on it may start. */
async function waitUntilHealthy(namespaces: Namespaces, started: Started): Promise<void> {
  const { container } = started;
  const [port, path] =
    container.command[0] === "node"
      ? [8080, "/healthz"]
      : container.command[0] === "weft-sidecar"
        ? [15020, "/healthz/ready"]
        : [15014, "/healthz/ready"];
  const mapped = await namespaces.port(container.namespace, port);
  await eventually(`${container.name} is healthy`, () => {
    if (started.child.exitCode !== null) throw new Error(`${container.name} ended:\n${started.stderr()}`);
    return answers(mapped, path);
  });
}

function stop({ child, container, stderr }: Started): Promise<number | null> {
  return new Promise((settle, fail) => {
    const late = setTimeout(() => fail(new Error(`${container.name} does not heed SIGTERM\n${stderr()}`)), 15_000);
    child.once("exit", (code) => {
      clearTimeout(late);
      settle(code);
    });
    child.kill("SIGTERM");
  });
}

const recipes = [
  { name: "compose.yaml", containers: composeContainers(), controlPlane: "control-plane", web: "web-sidecar" },
  { name: "kubernetes/", containers: kubernetesContainers(), controlPlane: "weft-control-plane", web: "web" },
];

describe.each(recipes)("the command lines of $name", ({ containers, controlPlane, web }) => {
  it("make a shop that answers, is probed as healthy, and ends on SIGTERM", async () => {
    const namespaces = new Namespaces();
    const started: Started[] = [];
    for (const container of startOrder(containers)) {
      const next = await start(namespaces, container);
      started.push(next);
      await waitUntilHealthy(namespaces, next);
    }

    const server = `127.0.0.1:${await namespaces.port(controlPlane, 15010)}`;
    const rules = join(REPOSITORY, "examples/shop/rules/orders-v2.yaml");
    const applied = await runProgram("weft", ["--server", server, "apply", "-f", rules, "--wait"]);
    expect(applied.code, applied.stderr).toBe(0);

    const front = await namespaces.port(web, 15006);
    const answer = await eventually("the shop answers", async () => {
      const response = await fetch(`http://127.0.0.1:${front}/`);
      return response.ok ? ((await response.json()) as unknown) : undefined;
    });
    expect(answer).toMatchObject({
      service: "web",
      orders: { service: "orders", version: "v2", payments: { service: "payments", version: "v1" } },
    });

    for (const { container } of started) {
      for (const probe of Object.values(container.probes)) {
        const port = await namespaces.port(container.namespace, probe.port);
        expect(await answers(port, probe.path), `${container.name} ${probe.path}`).toBe(true);
      }
    }
    for (const next of started.toReversed()) expect(await stop(next), next.container.name).toBe(0);
  }, 90_000);
});

describe("a pod of Kubernetes that is to end", () => {
  it("has its hooks send callers elsewhere before its service is told to end", async () => {
    const namespaces = new Namespaces();
    const containers = kubernetesContainers();
    const needed = containers.filter(({ namespace }) => ["weft-control-plane", "payments"].includes(namespace));
    for (const container of startOrder(needed)) await waitUntilHealthy(namespaces, await start(namespaces, container));
    const server = `127.0.0.1:${await namespaces.port("weft-control-plane", 15010)}`;
    const endpoints = async () => {
      const { stdout } = await runProgram("weft", ["--server", server, "endpoints", "payments", "-o", "json"]);
      return (JSON.parse(stdout) as { endpoints: { ready: boolean }[] }).endpoints.map(({ ready }) => ready);
    };
    await eventually("the service is an endpoint", async () => (await endpoints()).includes(true));

    const [sidecar, service] = needed.filter(({ namespace }) => namespace === "payments");
    if (sidecar === undefined || service === undefined) throw new Error("payments is no pair of containers");
    const codes = Promise.all([runHook(namespaces, sidecar), runHook(namespaces, service)]);
    await eventually("the endpoint is withdrawn", async () => !(await endpoints()).includes(true));
    expect(await answers(await namespaces.port("payments", 8080), "/healthz")).toBe(true);
    expect(await codes).toEqual([0, 0]);
  }, 90_000);
});

/** The container's preStop hook, as the kubelet would run it; its exit code. */
async function runHook(namespaces: Namespaces, container: Container): Promise<number | null> {
  const [program, ...written] = container.preStop;
  expect(program, container.name).toBe("node");
  const args = await Promise.all(written.map((word) => namespaces.rewrite(container, word)));
  const child = spawn(process.execPath, args, { stdio: "ignore" });
  children.add(child);
  return new Promise((settle) => child.once("exit", settle));
}

describe("the health check of the image", () => {
  it("succeeds while the program is ready and fails when it is not there", async () => {
    const namespaces = new Namespaces();
    const container = composeContainers().find(({ name }) => name === "control-plane");
    if (container === undefined) throw new Error("compose.yaml has no control-plane");
    const started = await start(namespaces, container);
    await waitUntilHealthy(namespaces, started);
    expect(await runHealthCheck(namespaces, container)).toBe(0);
    await stop(started);
    expect(await runHealthCheck(namespaces, container)).toBe(1);
  });
});

/** The command of the image's HEALTHCHECK, as the container's engine would run it. */
async function runHealthCheck(namespaces: Namespaces, container: Container): Promise<number | null> {
  const written = /HEALTHCHECK[\s\S]*?CMD (\[.*\])/.exec(read("Dockerfile"))?.[1];
  const [, ...args] = JSON.parse(written ?? "[]") as string[];
  const url = await namespaces.rewrite(container, container.env["HEALTH_URL"] ?? "");
  const child = spawn(process.execPath, args, { env: { HEALTH_URL: url }, stdio: "ignore" });
  children.add(child);
  return new Promise((settle) => child.once("exit", settle));
}

/** Control plane first; then each sidecar before its service, callees before callers. */
function startOrder(containers: readonly Container[]): Container[] {
  const rank = ({ command, name }: Container): number => {
    if (command[0] === "weft-control-plane") return 0;
    const depth = ["payments", "orders", "web"].findIndex((service) => name.startsWith(service));
    return 1 + depth * 2 + (command[0] === "node" ? 1 : 0);
  };
  return containers.toSorted((left, right) => rank(left) - rank(right));
}
