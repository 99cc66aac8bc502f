// Which namespaces the fleet commands show: all of them, unless one is named. Unlike documents, which are listed
// by namespace, a fleet is looked at as a whole.
import type { Invocation } from "./command.ts";
import { usageFailure } from "./failure.ts";

/** The namespace to ask for; empty for all. */
export function fleetNamespace(invocation: Invocation): string {
  const isAll = invocation.flags.has("allNamespaces");
  if (isAll && invocation.flags.text("namespace") !== undefined) {
    throw usageFailure("-A and -n contradict each other; expected one of them");
  }
  return isAll ? "" : (invocation.namespace ?? "");
}
