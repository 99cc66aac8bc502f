// Reads the recipes of examples/deploy: which containers there are, what they run, and in whose network namespace.
// Compose and Kubernetes come out in one shape, so that both are checked and run by the same tests.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { REPOSITORY } from "../harness.ts";

const DEPLOY = join(REPOSITORY, "examples/deploy");

export interface Probe {
  readonly path: string;
  readonly port: number;
}

export interface Container {
  readonly recipe: "compose" | "kubernetes";
  readonly name: string;
  /** Containers of one namespace share 127.0.0.1. */
  readonly namespace: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly probes: Readonly<Record<string, Probe>>;
  /** What is run before SIGTERM; empty for nothing. */
  readonly preStop: readonly string[];
  /** The container as it was written. */
  readonly source: Record<string, unknown>;
}

type Json = Record<string, unknown>;

/** The containers of compose.yaml. */
export function composeContainers(): Container[] {
  const services = record(record(parseYaml(read("compose.yaml"), { merge: true }))["services"]);
  return Object.entries(services).map(([name, value]) => {
    const service = record(value);
    const mode = service["network_mode"];
    return {
      recipe: "compose",
      name,
      namespace: typeof mode === "string" ? mode.replace(/^service:/, "") : name,
      image: String(service["image"]),
      command: strings(service["command"]),
      env: Object.fromEntries(Object.entries(record(service["environment"] ?? {})).map(([k, v]) => [k, String(v)])),
      probes: {},
      preStop: [],
      source: service,
    };
  });
}

/** Every document of the Kubernetes folder, in the order that the kustomization lists them. */
export function kubernetesDocuments(): Json[] {
  const { resources } = record(parseYaml(read("kubernetes/kustomization.yaml")));
  const files = strings(resources);
  const present = readdirSync(join(DEPLOY, "kubernetes")).filter((file) => file !== "kustomization.yaml");
  if (files.toSorted().join() !== present.toSorted().join())
    throw new Error(`kustomization.yaml lists ${files.join(", ")}; the folder has ${present.join(", ")}`);
  return files.flatMap((file) =>
    parseAllDocuments(read(`kubernetes/${file}`)).map((document) => {
      if (document.errors.length > 0) throw new Error(`${file}: ${document.errors.join("; ")}`);
      return record(document.toJS());
    }),
  );
}

/** The containers of every Deployment; a pod is a namespace. */
export function kubernetesContainers(): Container[] {
  return kubernetesDocuments()
    .filter((document) => document["kind"] === "Deployment")
    .flatMap((deployment) => {
      const pod = podSpec(deployment);
      const name = String(record(deployment["metadata"])["name"]);
      return [...list(pod["initContainers"]), ...list(pod["containers"])].map((container) => ({
        recipe: "kubernetes" as const,
        name: `${name}/${String(container["name"])}`,
        namespace: name,
        image: String(container["image"]),
        command: strings(container["command"]),
        env: Object.fromEntries(list(container["env"]).map((entry) => [String(entry["name"]), envValue(entry)])),
        probes: probesOf(container),
        preStop: preStopOf(container),
        source: container,
      }));
    });
}

export function podSpec(deployment: Json): Json {
  return record(record(record(deployment["spec"])["template"])["spec"]);
}

/** Compose service names stand for addresses; in Kubernetes the names of Services do. */
export function read(file: string): string {
  return readFileSync(join(DEPLOY, file), "utf8");
}

export function record(value: unknown): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`expected an object, got ${JSON.stringify(value)}`);
  return value as Json;
}

export function list(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function strings(value: unknown): string[] {
  if (!Array.isArray(value)) throw new Error(`expected a list (exec form), got ${JSON.stringify(value)}`);
  return value.map(String);
}

/** Values that the kubelet fills in are the loopback address here: every "pod" of a test is on this machine. */
function envValue(entry: Json): string {
  return entry["valueFrom"] === undefined ? String(entry["value"]) : "127.0.0.1";
}

function preStopOf({ lifecycle }: Json): string[] {
  if (lifecycle === undefined) return [];
  return strings(record(record(record(lifecycle)["preStop"])["exec"])["command"]);
}

function probesOf(container: Json): Record<string, Probe> {
  const probes: Record<string, Probe> = {};
  for (const kind of ["startupProbe", "readinessProbe", "livenessProbe"]) {
    if (container[kind] === undefined) continue;
    const get = record(record(container[kind])["httpGet"]);
    probes[kind] = { path: String(get["path"]), port: Number(get["port"]) };
  }
  return probes;
}
