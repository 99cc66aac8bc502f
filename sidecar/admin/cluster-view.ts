// What the admin page says about one service and its endpoints: plain data, and the text of it. How the data path
// keeps them is its own business.

export interface EndpointView {
  readonly id: string;
  readonly address: string;
  readonly version: string;
  readonly zone: string;
  readonly weight: number;
  /** "healthy", or why it gets no traffic. */
  readonly health: string;
  readonly activeRequests: number;
  readonly openConnections: number;
}

export interface ClusterView {
  /** `namespace/name`. */
  readonly service: string;
  readonly algorithm: string;
  readonly ports: readonly string[];
  readonly rules: number;
  readonly endpoints: readonly EndpointView[];
}

/** One line per fact, `service::endpoint::name::value`, which grep likes and Envoy's users know. */
export function clustersText(clusters: readonly ClusterView[]): string {
  if (clusters.length === 0) return "no services: none was asked for yet, or the configuration is not loaded";
  return clusters.flatMap(clusterLines).join("\n");
}

function clusterLines({ service, algorithm, ports, rules, endpoints }: ClusterView): string[] {
  return [
    `${service}::load_balancer::${algorithm}`,
    `${service}::ports::${ports.join(",")}`,
    `${service}::rules::${rules}`,
    `${service}::endpoints::${endpoints.length}`,
    ...endpoints.flatMap((endpoint) => {
      const facts: [string, string | number][] = [
        ["id", endpoint.id],
        ["version", endpoint.version],
        ["zone", endpoint.zone],
        ["weight", endpoint.weight],
        ["health", endpoint.health],
        ["rq_active", endpoint.activeRequests],
        ["cx_active", endpoint.openConnections],
      ];
      return facts.map(([name, value]) => `${service}::${endpoint.address}::${name}::${value}`);
    }),
  ];
}
