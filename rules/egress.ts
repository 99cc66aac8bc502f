// Which hosts outside the mesh may be called: the list of Mesh.spec.egress.allow.

/** "listed": an entry names the host or its domain. "any": only `*` allows it. */
export type EgressVerdict = "listed" | "any" | "denied";

/**
 * What the list says of a host. Entries are `*` (every host), `api.example.com`, or `*.example.com` (every name below,
 * not the name itself), each with a port or for all ports. Names are compared without case and without a trailing dot.
 * @param hostname without port
 * @param port the port that is called
 */
export function egressVerdict(allow: readonly string[], hostname: string, port: number): EgressVerdict {
  if (allow.length === 0 || hostname === "") return "denied";
  const lower = hostname.toLowerCase();
  const name = lower.endsWith(".") ? lower.slice(0, -1) : lower;
  let verdict: EgressVerdict = "denied";
  for (const entry of allow) {
    const pattern = patternForPort(entry.toLowerCase(), port);
    if (pattern === "*") verdict = "any";
    else if (pattern !== "" && isNamed(name, pattern)) return "listed";
  }
  return verdict;
}

/** The entry without its port; empty when it is for another port. */
function patternForPort(entry: string, port: number): string {
  const colon = entry.lastIndexOf(":");
  if (colon <= entry.lastIndexOf("]")) return entry;
  return Number(entry.slice(colon + 1)) === port ? entry.slice(0, colon) : "";
}

function isNamed(name: string, pattern: string): boolean {
  if (!pattern.startsWith("*.")) return name === pattern;
  return name.length > pattern.length - 1 && name.endsWith(pattern.slice(1));
}
