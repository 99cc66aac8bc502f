// What the admin page says about one service and its endpoints: plain data, and the text of it. How the data path
// keeps them is its own business.

export interface EndpointView {
  readonly id: string;
  readonly address: string;
  readonly version: string;
  readonly zone: string;
  readonly weight: number;
  /** The weight as slow start and observed load make it. */
  readonly share: number;
  /** "healthy", or why it gets no traffic. */
  readonly health: string;
  /** The same by part of the overlay, "" where a part has nothing against it. */
  readonly parts: { readonly active: string; readonly passive: string; readonly circuit: string };
  /** What active checks found. */
  readonly activeCheck: string;
  /** How often it was ejected, less the good intervals since. */
  readonly ejections: number;
  /** State of its own circuit breaker; "none" where it has none. */
  readonly circuit: string;
  readonly activeRequests: number;
  readonly openConnections: number;
}

export interface ClusterView {
  /** `namespace/name`. */
  readonly service: string;
  readonly algorithm: string;
  /** State of the service's circuit breaker; "none" where it has none. */
  readonly circuit: string;
  readonly ports: readonly string[];
  readonly rules: number;
  readonly endpoints: readonly EndpointView[];
}

/** One line per fact, `service::endpoint::name::value`, which grep likes and Envoy's users know. */
export function clustersText(clusters: readonly ClusterView[]): string {
  if (clusters.length === 0) return "no services: none was asked for yet, or the configuration is not loaded";
  return clusters.flatMap(clusterLines).join("\n");
}

function clusterLines({ service, algorithm, circuit, ports, rules, endpoints }: ClusterView): string[] {
  return [
    `${service}::load_balancer::${algorithm}`,
    `${service}::circuit_breaker::${circuit}`,
    `${service}::ports::${ports.join(",")}`,
    `${service}::rules::${rules}`,
    `${service}::endpoints::${endpoints.length}`,
    ...endpoints.flatMap((endpoint) => {
      const facts: [string, string | number][] = [
        ["id", endpoint.id],
        ["version", endpoint.version],
        ["zone", endpoint.zone],
        ["weight", endpoint.weight],
        ["share", Number(endpoint.share.toFixed(3))],
        ["health", endpoint.health],
        ["health_active", endpoint.parts.active === "" ? endpoint.activeCheck : `unhealthy: ${endpoint.parts.active}`],
        ["health_passive", endpoint.parts.passive === "" ? "healthy" : `ejected: ${endpoint.parts.passive}`],
        ["ejections", endpoint.ejections],
        ["circuit_breaker", endpoint.circuit],
        ["rq_active", endpoint.activeRequests],
        ["cx_active", endpoint.openConnections],
      ];
      return facts.map(([name, value]) => `${service}::${endpoint.address}::${name}::${value}`);
    }),
  ];
}
