// The Rollout document that `weft rollout start` begins with: the one of -f, or one made of flags.

import { usageFailure } from "./failure.ts";
import { NAMESPACE_DEFAULT } from "./options.ts";
import type { RolloutCall } from "./rollout-call.ts";
import { parseServiceName } from "./service-name.ts";
import { readSources, type SourceFile } from "./sources.ts";

const HOLD_DEFAULT = "2m";

/** Undefined: start over the release that is named. */
export async function releaseSource({ invocation, connection }: RolloutCall): Promise<SourceFile | undefined> {
  const { flags, shell } = invocation;
  const files = flags.texts("filename");
  const service = flags.text("service");
  const canary = flags.text("canary");
  if (files.length > 0) {
    const [source, ...others] = await readSources(files, { recursive: false, shell });
    if (source === undefined || others.length > 0) throw usageFailure("-f: one file with one Rollout is expected");
    return source;
  }
  if (service === undefined && canary === undefined) return undefined;
  if (service === undefined || canary === undefined) throw usageFailure("--service and --canary belong together");
  const namespace = invocation.namespace ?? NAMESPACE_DEFAULT;
  const stable = flags.text("stable") ?? (await onlyOther(connection, service, canary, namespace));
  const name = invocation.args[1] ?? service;
  const document = {
    ...{ apiVersion: "weft.mesh/v1", kind: "Rollout", metadata: { name, namespace } },
    spec: { service, stable, canary, steps: stepsOf(flags.text("steps"), flags.text("hold") ?? HOLD_DEFAULT) },
  };
  return { name: "flags", content: Buffer.from(JSON.stringify(document)) };
}

function stepsOf(text = "5,25,50,100", hold: string): object[] {
  const weights = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (weights.some((weight) => !(weight >= 0 && weight <= 100)))
    throw usageFailure(`--steps: "${text}" is not valid; expected percentages such as 5,25,50,100`);
  return weights.map((weight, index) => (index === weights.length - 1 ? { weight } : { weight, hold }));
}

/** The version that runs beside the canary, if it is the only one. */
async function onlyOther(
  connection: RolloutCall["connection"],
  service: string,
  canary: string,
  namespace: string,
): Promise<string> {
  const fleet = await connection.fleet();
  const { services } = await connection.call(fleet, fleet.listServices, { namespace });
  const { name } = parseServiceName(service, namespace);
  const versions = services.find((known) => known.name === name)?.versions ?? [];
  const others = versions.map((version) => `${name}-${version}`).filter((version) => version !== canary);
  const [only] = others;
  if (only !== undefined && others.length === 1) return only;
  const found = others.length === 0 ? "no other version runs" : `these run: ${others.join(", ")}`;
  throw usageFailure(`--stable SERVICE is missing, and cannot be guessed: ${found}`);
}
