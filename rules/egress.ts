// Which hosts outside the mesh may be called: the list of Mesh.spec.egress.allow.

/**
 * True when the list allows a host. Entries are `*` (every host), `api.example.com`, or `*.example.com` (every name
 * below, not the name itself), each with a port or for all ports. Names are compared without case.
 * @param port the port that is called
 */
export function isEgressAllowed(allow: readonly string[], hostname: string, port: number): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  return allow.some((entry) => {
    const colon = entry.lastIndexOf(":");
    const hasPort = colon > entry.lastIndexOf("]");
    if (hasPort && Number(entry.slice(colon + 1)) !== port) return false;
    const pattern = (hasPort ? entry.slice(0, colon) : entry).toLowerCase();
    if (pattern === "*") return name !== "";
    return pattern.startsWith("*.")
      ? name.length > pattern.length - 1 && name.endsWith(pattern.slice(1))
      : name === pattern;
  });
}
