// The kinds of documents: what each is called, in which API version, and how the CLI may abbreviate it. Light on
// purpose (no schema library behind it), so that the CLI can read it at start.

export interface KindFacts {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly description: string;
}

const GATEWAY = "gateway.networking.k8s.io/v1";
const WEFT = "weft.mesh/v1";

export const KIND_FACTS = [
  {
    kind: "HTTPRoute",
    apiVersion: GATEWAY,
    plural: "httproutes",
    shortNames: ["route", "routes", "hr"],
    description: "Routes of HTTP requests to a service",
  },
  {
    kind: "GRPCRoute",
    apiVersion: GATEWAY,
    plural: "grpcroutes",
    shortNames: ["gr"],
    description: "Routes of gRPC calls to a service",
  },
  {
    kind: "Service",
    apiVersion: WEFT,
    plural: "services",
    shortNames: ["svc"],
    description: "A service: its ports and its instances",
  },
  {
    kind: "TrafficPolicy",
    apiVersion: WEFT,
    plural: "trafficpolicies",
    shortNames: ["tp", "policy", "policies"],
    description: "How callers treat a service: balancing, timeouts, retries, breaker",
  },
  {
    kind: "RateLimit",
    apiVersion: WEFT,
    plural: "ratelimits",
    shortNames: ["rl"],
    description: "Limits on the requests that a service accepts",
  },
  {
    kind: "Fault",
    apiVersion: WEFT,
    plural: "faults",
    shortNames: [],
    description: "Delays or aborts a share of requests",
  },
  {
    kind: "Authorization",
    apiVersion: WEFT,
    plural: "authorizations",
    shortNames: ["authz"],
    description: "Who may call what",
  },
  {
    kind: "Authentication",
    apiVersion: WEFT,
    plural: "authentications",
    shortNames: ["authn"],
    description: "How callers prove who they are",
  },
  { kind: "Rollout", apiVersion: WEFT, plural: "rollouts", shortNames: ["ro"], description: "A canary release" },
  { kind: "Mesh", apiVersion: WEFT, plural: "meshes", shortNames: [], description: "Settings for the whole mesh" },
] as const satisfies readonly KindFacts[];

export type Kind = (typeof KIND_FACTS)[number]["kind"];

export const KINDS: readonly Kind[] = KIND_FACTS.map(({ kind }) => kind);

const BY_NAME: ReadonlyMap<string, (typeof KIND_FACTS)[number]> = new Map(
  KIND_FACTS.flatMap((facts) =>
    [facts.kind.toLowerCase(), facts.plural, ...facts.shortNames].map((name) => [name, facts] as const),
  ),
);

/** The kind that a person means by `httproute`, `HTTPRoutes` or `hr`; any case. */
export function findKind(name: string): (typeof KIND_FACTS)[number] | undefined {
  return BY_NAME.get(name.toLowerCase());
}

/** Every word that findKind knows, for completion and did-you-mean. */
export function kindNames(): readonly string[] {
  return [...BY_NAME.keys()];
}
