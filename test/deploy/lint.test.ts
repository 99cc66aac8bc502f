// What can be said of the deployment recipes without running them: flags exist, ports and probes agree, nothing runs
// as root, every process gets its signals.
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { cleanUp, PROGRAMS, type ProgramName, REPOSITORY, runProgram } from "../harness.ts";
import {
  type Container,
  composeContainers,
  kubernetesContainers,
  kubernetesDocuments,
  list,
  podSpec,
  read,
  record,
} from "./recipes.ts";

/** Where a program listens unless told otherwise, and the paths that it serves there. */
const PROBED: Readonly<Record<string, { port: number; paths: readonly string[] }>> = {
  "weft-sidecar": { port: 15020, paths: ["/healthz/live", "/healthz/ready"] },
  "weft-control-plane": { port: 15014, paths: ["/healthz/live", "/healthz/ready"] },
};

const containers = [...composeContainers(), ...kubernetesContainers()];
const programs = containers.filter(({ command }) => Object.hasOwn(PROGRAMS, command[0] ?? ""));

afterAll(cleanUp);

function flagsOf(container: Container): string[] {
  return container.command.filter((word) => word.startsWith("--")).map((word) => word.split("=")[0] ?? "");
}

describe("containers", () => {
  it("are all there: a control plane, and a sidecar and a service for each of the shop's four", () => {
    for (const recipe of ["compose", "kubernetes"]) {
      const commands = containers.filter((container) => container.recipe === recipe).map(({ command }) => command[0]);
      expect(commands.toSorted()).toEqual(
        ["weft-control-plane", ...Array(4).fill("weft-sidecar"), ...Array(4).fill("node")].toSorted(),
      );
    }
  });

  it("use only flags that the programs have", async () => {
    for (const name of ["weft-sidecar", "weft-control-plane"] satisfies ProgramName[]) {
      const help = await runProgram(name, ["--help"]);
      expect(help.code).toBe(0);
      for (const container of programs.filter(({ command }) => command[0] === name)) {
        const unknown = flagsOf(container).filter((flag) => !new RegExp(`${flag}\\b(?!-)`).test(help.stdout));
        expect(unknown, `${container.name} uses a flag that ${name} --help does not know`).toEqual([]);
        expect(flagsOf(container).length).toBeGreaterThan(0);
      }
    }
  });

  it("share a namespace in pairs: the service finds its sidecar, the sidecar its service", () => {
    for (const service of containers.filter(({ command }) => command[0] === "node")) {
      const sidecar = programs.find(
        ({ recipe, namespace }) => recipe === service.recipe && namespace === service.namespace,
      );
      const text = sidecar?.command.join(" ").replaceAll("=", " ") ?? "";
      expect(text, `${service.name} has no sidecar in its namespace`).toContain("weft-sidecar");
      expect(text).toContain(`--app 127.0.0.1:${service.env["PORT"]}`);
      expect(text).toContain(`--version ${service.env["VERSION"]}`);
      expect(service.env["MESH"]).toBe("http://127.0.0.1:15001");
      const script = service.command[1] ?? "";
      expect(existsSync(join(REPOSITORY, "examples/shop/services", script.replace("/shop/", "")))).toBe(true);
    }
  });
});

describe("kubernetes", () => {
  const deployments = kubernetesDocuments().filter((document) => document["kind"] === "Deployment");

  it("probes the ports and paths that the programs serve", () => {
    for (const container of kubernetesContainers()) {
      expect(Object.keys(container.probes).length, container.name).toBeGreaterThan(0);
      const served = PROBED[container.command[0] ?? ""];
      for (const probe of Object.values(container.probes)) {
        if (served === undefined) expect(probe).toEqual({ path: "/healthz", port: Number(container.env["PORT"]) });
        else expect(served).toMatchObject({ port: probe.port, paths: expect.arrayContaining([probe.path]) });
      }
      const declared = list(container.source["ports"]).map((port) => port["containerPort"]);
      for (const probe of Object.values(container.probes)) expect(declared).toContain(probe.port);
    }
  });

  it("runs sidecars as native sidecar containers that hold the service back until they are ready", () => {
    const sidecars = kubernetesContainers().filter(({ command }) => command[0] === "weft-sidecar");
    expect(sidecars).toHaveLength(4);
    for (const { source, probes } of sidecars) {
      expect(source["restartPolicy"]).toBe("Always");
      expect(probes["startupProbe"]?.path).toBe("/healthz/ready");
    }
    for (const deployment of deployments) {
      for (const container of list(podSpec(deployment)["containers"]))
        expect(record(container)["command"]).not.toContain("weft-sidecar");
    }
  });

  it("tells callers of a pod that ends while its service still runs, in the time that pods have", () => {
    for (const service of kubernetesContainers().filter(({ command }) => command[0] === "node")) {
      const sidecar = programs.find(
        ({ recipe, namespace }) => recipe === "kubernetes" && namespace === service.namespace,
      );
      expect(sidecar?.preStop.join(" "), service.name).toContain("fetch('http://127.0.0.1:15000/drain'");
      const toldMs = Number(/, (\d+)\)$/.exec(sidecar?.preStop.at(-1) ?? "")?.[1] ?? 0);
      const endedMs = Number(/, (\d+)\)$/.exec(service.preStop.at(-1) ?? "")?.[1] ?? 0);
      expect(endedMs - toldMs, service.name).toBeGreaterThanOrEqual(1_000);
    }
    for (const deployment of deployments) {
      const graceSeconds = Number(podSpec(deployment)["terminationGracePeriodSeconds"] ?? 30);
      const hasSidecar = list(podSpec(deployment)["initContainers"]).length > 0;
      // Hooks, then the drain of 30 s.
      if (hasSidecar) expect(graceSeconds).toBeGreaterThan(4 + 30);
    }
  });

  it("lets in to the control plane who needs it: sidecars to the rules, anybody to the metrics", () => {
    const policy = kubernetesDocuments().find((document) => document["kind"] === "NetworkPolicy") ?? {};
    expect(record(policy["spec"])["ingress"]).toEqual([
      { from: [{ podSelector: { matchLabels: { "weft.mesh/sidecar": "true" } } }], ports: [{ port: 15010 }] },
      { ports: [{ port: 15014 }] },
    ]);
  });

  it("runs nothing as root, with bounded memory and a read-only file system", () => {
    for (const deployment of deployments) {
      const pod = podSpec(deployment);
      expect(pod["securityContext"]).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      expect(pod["automountServiceAccountToken"]).toBe(false);
    }
    for (const { source, name } of kubernetesContainers()) {
      expect(record(record(source["resources"])["limits"])["memory"], name).toBeDefined();
      expect(record(record(source["resources"])["requests"])["cpu"], name).toBeDefined();
      expect(source["securityContext"], name).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
    }
  });

  it("points every Service at ports that its pods have, and every sidecar at the control plane's Service", () => {
    const services = kubernetesDocuments().filter((document) => document["kind"] === "Service");
    expect(services.length).toBeGreaterThan(0);
    for (const service of services) {
      const spec = record(service["spec"]);
      const app = record(spec["selector"])["app"];
      const pods = deployments.filter(
        (deployment) =>
          record(record(record(record(deployment["spec"])["template"])["metadata"])["labels"])["app"] === app,
      );
      expect(pods.length, `no pod for Service ${app}`).toBeGreaterThan(0);
      for (const pod of pods) {
        const named = [...list(podSpec(pod)["initContainers"]), ...list(podSpec(pod)["containers"])]
          .flatMap((container) => list(container["ports"]))
          .map((port) => port["name"]);
        for (const port of list(spec["ports"])) expect(named).toContain(port["targetPort"]);
      }
    }
    for (const { command } of kubernetesContainers().filter((container) => container.command[0] === "weft-sidecar"))
      expect(command).toContain("--control-plane=weft-control-plane:15010");
  });
});

describe("compose", () => {
  it("starts a service when its sidecar is ready, and a sidecar when the control plane is", () => {
    for (const { name, namespace, command, source } of composeContainers()) {
      if (command[0] === "weft-control-plane") continue;
      const needed = command[0] === "node" ? namespace : "control-plane";
      expect(source["depends_on"], name).toMatchObject({ [needed]: { condition: "service_healthy" } });
    }
  });

  it("publishes the control plane and the shop on this machine only, from the container that owns the namespace", () => {
    for (const { name, source } of composeContainers()) {
      if (source["network_mode"] !== undefined) expect(source["ports"], name).toBeUndefined();
      for (const port of (source["ports"] ?? []) as string[]) expect(port, name).toMatch(/^127\.0\.0\.1:/);
    }
  });

  it("runs nothing with more rights than it needs", () => {
    for (const { name, source } of composeContainers()) {
      expect(source, name).toMatchObject({ read_only: true, cap_drop: ["ALL"] });
    }
  });
});

describe("units of systemd", () => {
  const units = ["weft-control-plane", "orders"].map((name) => read(`systemd/${name}.service`).replace(/\\\n\s*/g, ""));

  it("use only flags that the programs have", async () => {
    for (const unit of units) {
      const [path = "", ...words] = (/^ExecStart=(.*)$/m.exec(unit)?.[1] ?? "").split(" ");
      const { stdout } = await runProgram(basename(path) as ProgramName, ["--help"]);
      const own = words.includes("--") ? words.slice(0, words.indexOf("--")) : words;
      const flags = own.filter((word) => word.startsWith("--"));
      expect(flags.length).toBeGreaterThan(1);
      expect(flags.filter((flag) => !new RegExp(`${flag}\\b(?!-)`).test(stdout))).toEqual([]);
      const folder = /^StateDirectory=(.*)$/m.exec(unit)?.[1] ?? "none";
      expect(own.some((word) => word.startsWith(`/var/lib/${folder}`))).toBe(true);
    }
  });

  it("leave it to the sidecar to stop its service, and the time for it", () => {
    const unit = units[1] ?? "";
    expect(unit).toContain("\nKillMode=mixed\n");
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(30);
  });
});

describe("the image", () => {
  const dockerfile = read("Dockerfile");
  const instructions = dockerfile
    .replace(/\\\n/g, " ")
    .split("\n")
    .filter((line) => /^[A-Z]+ /.test(line));

  it("runs without root and without a shell between the signal and the process", () => {
    expect(instructions).toContain("USER 65532:65532");
    const started = instructions.filter((line) => /^(CMD|ENTRYPOINT) /.test(line));
    expect(started.length).toBeGreaterThan(0);
    for (const line of started) expect(line).toMatch(/^CMD \["/);
    expect(instructions.filter((line) => line.startsWith("USER root"))).toEqual([]);
  });

  it("has a health check in exec form", () => {
    const [check, ...others] = instructions.filter((line) => line.startsWith("HEALTHCHECK "));
    expect(others).toEqual([]);
    expect(check).toMatch(/CMD \["node", /);
  });

  it("copies what exists and ends with the stage of the programs", () => {
    for (const line of instructions.filter((text) => /^COPY (?!--from)/.test(text))) {
      for (const source of line.split(/\s+/).slice(1, -1))
        expect(existsSync(join(REPOSITORY, source)), line).toBe(true);
    }
    expect(instructions.filter((line) => line.startsWith("FROM ")).at(-1)).toBe("FROM weft");
  });

  it("is named by every container of the recipes", () => {
    const version = (JSON.parse(read("../../package.json")) as { version: string }).version;
    for (const { image } of containers) expect(image).toMatch(new RegExp(`^weft(-shop)?:${version}$`));
  });
});
