// Names of services as they come in a Host header or an authority: `orders`, `orders.default:80`,
// `orders.default.svc.cluster.local`. Says which service a name would mean, not whether that service exists.

export interface ServiceHost {
  /** `namespace/name`, lower case. */
  readonly service: string;
  /** 0 when the host names no port. */
  readonly port: number;
}

/** RFC 1123 label, as Kubernetes names are: letters, digits and inner hyphens, at most 63 characters. */
const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const PORT = /^[0-9]{1,5}$/;
const PORT_MAX = 65_535;
/** 253 characters of name (RFC 1035 section 2.3.4, without the root), a dot, a colon and five digits. */
const HOST_LENGTH_MAX = 260;

/**
 * Reads a mesh name. A bare name is taken in `ownNamespace`; case does not matter; one trailing dot is allowed,
 * and so is an empty port (RFC 3986 section 3.2.3). Returns undefined for anything that is no mesh name form:
 * addresses, names of three or more labels that do not end in `.svc` or `.svc.cluster.local`, broken ports.
 */
export function parseServiceHost(host: string, ownNamespace: string): ServiceHost | undefined {
  if (host.length > HOST_LENGTH_MAX) return undefined;
  const colon = host.indexOf(":");
  const port = colon < 0 ? 0 : parsePort(host.slice(colon + 1));
  if (port === undefined) return undefined;
  const name = (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
  const labels = (name.endsWith(".") ? name.slice(0, -1) : name).split(".");
  const [service = "", namespace = ownNamespace] = labels;
  if (!isMeshForm(labels) || !LABEL.test(service) || !LABEL.test(namespace)) return undefined;
  return { service: `${namespace}/${service}`, port };
}

function parsePort(text: string): number | undefined {
  if (text === "") return 0;
  if (!PORT.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= PORT_MAX ? port : undefined;
}

function isMeshForm(labels: readonly string[]): boolean {
  if (labels.length <= 2) return true;
  const suffix = labels.slice(2).join(".");
  return suffix === "svc" || suffix === "svc.cluster.local";
}
