// What the document of a release says of it, and what is to be read off a document and a state together. Pure.
import { qualifiedName } from "../../rules/diagnostic.ts";
import type { Document } from "../../rules/document.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import type { RolloutState } from "./phase.ts";
import { stepText } from "./plan.ts";
import type { Versions } from "./traffic-intake.ts";

export function webhooksOf({ spec }: Document<RolloutSpec>): string[] {
  return (spec.notify ?? []).map(({ url }) => url);
}

export function keyOf({ metadata }: Document): string {
  return qualifiedName(metadata.namespace, metadata.name);
}

export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

export function versionsOf({ metadata, spec }: Document<RolloutSpec>): Versions {
  const qualified = (name: string) => qualifiedName(metadata.namespace, name);
  return { service: qualified(spec.service), stable: qualified(spec.stable), canary: qualified(spec.canary) };
}

/** A release of other versions is another release. */
export function isAbout(state: RolloutState, { service, stable, canary }: RolloutSpec): boolean {
  return state.service === service && state.stable === stable && state.canary === canary;
}

export function hasOtherTraffic(before: RolloutState | undefined, after: RolloutState): boolean {
  if (before === undefined) return true;
  if (before.isAlone !== after.isAlone) return true;
  return before.weight !== after.weight || before.step !== after.step || before.canary !== after.canary;
}

export function messageFor(spec: RolloutSpec, { phase, step: index, weight, canary }: RolloutState): string {
  if (phase.name === "promoted") return `${canary} is promoted`;
  if (phase.name === "rolled-back") return `${canary} is rolled back: ${phase.reason}`;
  const own = spec.steps[index];
  const what = own === undefined ? "" : ` (${stepText(own)})`;
  return `${canary} at ${weight} %, step ${index + 1} of ${spec.steps.length}${what}, ${phase.name}`;
}
