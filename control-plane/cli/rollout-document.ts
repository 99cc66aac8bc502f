// The Rollout document that `weft rollout start` begins with: the one of -f, or one made of flags.

import type { ServiceSummary } from "../../proto/gen/weft/v1/fleet.ts";
import type { RolloutKey } from "../../proto/gen/weft/v1/rollouts.ts";
import { parseDuration } from "../../rules/durations.ts";
import { hasEnded, rolloutView } from "../view/rollout.ts";
import { CliFailure, usageFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";
import { NAMESPACE_DEFAULT } from "./options.ts";
import type { RolloutCall } from "./rollout-call.ts";
import { readSources, type SourceFile } from "./sources.ts";

const HOLD_DEFAULT = "2m";

/** Undefined: start over the release that is named. */
export async function releaseSource(call: RolloutCall): Promise<SourceFile | undefined> {
  const { invocation, connection } = call;
  const { flags, shell } = invocation;
  const files = flags.texts("filename");
  const service = flags.text("service");
  const canary = flags.text("canary");
  if (files.length > 0) {
    const [source, ...others] = await readSources(files, { recursive: false, shell });
    if (source === undefined || others.length > 0) throw usageFailure("-f: one file with one Rollout is expected");
    return source;
  }
  const alone = ["stable", "steps", "hold"].find((flag) => flags.has(flag));
  if (service === undefined && canary === undefined) {
    if (alone !== undefined) throw usageFailure(`--${alone} goes with --service and --canary`);
    return undefined;
  }
  if (service === undefined || canary === undefined) throw usageFailure("--service and --canary belong together");
  const steps = stepsOf(flags.text("steps"), flags.text("hold"));
  const namespace = invocation.namespace ?? NAMESPACE_DEFAULT;
  const services = await servicesOf(connection, namespace);
  const versions = services.find((known) => known.name === service)?.versions ?? [];
  // A Service document may be called as a version is.
  const isVersion = (named: string) => versions.includes(named) && !services.some((known) => known.name === named);
  refuseVersions(flags, service, isVersion);
  const stable = flags.text("stable") ?? onlyOther(service, canary, versions);
  const name = invocation.args[1] ?? service;
  await refuseWhileUnderWay(call, { namespace, name });
  const document = {
    ...{ apiVersion: "weft.mesh/v1", kind: "Rollout", metadata: { name, namespace } },
    spec: { service, stable, canary, steps },
  };
  return { name: "flags", content: Buffer.from(JSON.stringify(document)) };
}

function stepsOf(text = "5,25,50,100", hold = HOLD_DEFAULT): object[] {
  if (parseDuration(hold) === undefined)
    throw usageFailure(`--hold: "${hold}" is no duration; expected one such as 30s, 2m or 1h30m`);
  const weights = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (weights.some((weight) => !(weight >= 0 && weight <= 100)))
    throw usageFailure(`--steps: "${text}" is not valid; expected percentages such as 5,25,50,100`);
  return weights.map((weight, index) => (index === weights.length - 1 ? { weight } : { weight, hold }));
}

/**
 * A file edits a release that goes on, as an apply does. Flags say nothing of bounds and notes, so they would take away
 * those of the document that is there.
 */
async function refuseWhileUnderWay({ connection, client }: RolloutCall, key: RolloutKey): Promise<void> {
  const { rollouts } = await connection.call(client, client.listRollouts, { namespace: key.namespace });
  const known = rollouts.find((rollout) => rollout.key?.name === key.name);
  if (known === undefined || hasEnded(rolloutView(known))) return;
  throw new CliFailure("failed", `the release of ${known.canary} is under way already`, {
    next: [
      `see it: weft rollout status ${key.name}`,
      `end it: weft rollout abort ${key.name}; change it: weft rollout start -f FILE`,
    ],
  });
}

async function servicesOf(
  connection: RolloutCall["connection"],
  namespace: string,
): Promise<readonly ServiceSummary[]> {
  const fleet = await connection.fleet();
  return (await connection.call(fleet, fleet.listServices, { namespace })).services;
}

/** A version is called by the name of its own service. */
function refuseVersions(flags: Flags, service: string, isVersion: (named: string) => boolean): void {
  for (const flag of ["canary", "stable"]) {
    const named = flags.text(flag);
    if (named === undefined || !isVersion(named)) continue;
    const hint = `did you mean ${service}-${named}?`;
    throw usageFailure(`--${flag}: "${named}" is a version; expected its service (${hint})`);
  }
}

/** The version that runs beside the canary, if it is the only one. */
function onlyOther(service: string, canary: string, versions: readonly string[]): string {
  const others = versions.map((version) => `${service}-${version}`).filter((version) => version !== canary);
  const [only] = others;
  if (only !== undefined && others.length === 1) return only;
  const found = others.length === 0 ? "no other version runs" : `these run: ${others.join(", ")}`;
  throw usageFailure(`--stable SERVICE is missing, and cannot be guessed: ${found}`);
}
