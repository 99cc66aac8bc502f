// The difference between two configurations, so that a worker is sent what changed and not everything each time.
import type { Resource } from "../../rules/resource.ts";
import type { ConfigurationChange } from "./protocol.ts";

interface Configuration {
  readonly resources: ReadonlyMap<string, Resource>;
  readonly revision: number;
}

/** Resources are compared by identity: whoever holds them keeps the object of what did not change. */
export function configurationChange(before: Configuration, after: Configuration): ConfigurationChange {
  const changed = new Map<string, Resource>();
  for (const [name, resource] of after.resources) {
    if (before.resources.get(name) !== resource) changed.set(name, resource);
  }
  const removed = [...before.resources.keys()].filter((name) => !after.resources.has(name));
  return { revision: after.revision, changed, removed };
}
