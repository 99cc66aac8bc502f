// Envoy: with the features that the sidecar has on under load, and bare, as nginx and HAProxy are. One worker, keep-alive on
// both sides, no log.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../test/harness.ts";
import { ROUTES, routePath } from "../load/messages.ts";
import type { Peer } from "./contract.ts";
import { isInstalled, launch } from "./launch.ts";

interface EnvoyKind {
  readonly name: string;
  readonly isGrpc: boolean;
  /** Routes, split, balancing by load, timeouts, retries with a budget, breaker, ejection, fields of the hop. */
  readonly hasFeatures: boolean;
}

const TYPES = "type.googleapis.com/envoy.extensions";
const PLENTY = 16_384;

function configuration(kind: EnvoyKind, port: number, [first = 0, second = first]: readonly number[]): object {
  const clusters = kind.hasFeatures
    ? [cluster("orders-v1", [first, second], kind), cluster("orders-v2", [second], kind)]
    : [cluster("orders-v1", [first], kind)];
  return {
    static_resources: { listeners: [listener(kind, port)], clusters },
    // It guards its memory by bounds of its own, which would count as features that are off here.
    layered_runtime: { layers: [{ name: "static", static_layer: {} }] },
  };
}

function listener(kind: EnvoyKind, port: number): object {
  const manager = {
    "@type": `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: "in",
    codec_type: kind.isGrpc ? "HTTP2" : "HTTP1",
    ...(kind.hasFeatures ? { use_remote_address: true, via: "1.1 envoy" } : { generate_request_id: false }),
    route_config: {
      virtual_hosts: [
        { name: "all", domains: ["*"], routes: [...(kind.hasFeatures ? routes() : []), lastRoute(kind)] },
      ],
    },
    http_filters: [
      { name: "envoy.filters.http.router", typed_config: { "@type": `${TYPES}.filters.http.router.v3.Router` } },
    ],
  };
  return {
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    tcp_backlog_size: 4_096,
    filter_chains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] }],
  };
}

function routes(): object[] {
  return Array.from({ length: ROUTES }, (_, number) => {
    const path = routePath(number);
    return { match: number % 2 === 0 ? { path } : { path_separated_prefix: path }, route: featuredAction() };
  });
}

function lastRoute({ hasFeatures }: EnvoyKind): object {
  return { match: { prefix: "/" }, route: hasFeatures ? featuredAction() : { cluster: "orders-v1" } };
}

function featuredAction(): object {
  const weighted = [
    { name: "orders-v1", weight: 95 },
    { name: "orders-v2", weight: 5 },
  ];
  return {
    weighted_clusters: { clusters: weighted },
    timeout: "15s",
    idle_timeout: "300s",
    retry_policy: {
      retry_on: "connect-failure,reset,retriable-status-codes",
      retriable_status_codes: [502, 503, 504],
      num_retries: 2,
      per_try_timeout: "5s",
    },
  };
}

function cluster(name: string, ports: readonly number[], { isGrpc, hasFeatures }: EnvoyKind): object {
  const endpoints = ports.map((port) => ({
    endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } },
  }));
  const bounds = { max_connections: PLENTY, max_pending_requests: PLENTY, max_requests: PLENTY };
  const budget = hasFeatures ? { retry_budget: { budget_percent: { value: 20 } } } : {};
  const http2 = {
    "@type": `${TYPES}.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: { http2_protocol_options: {} },
  };
  return {
    name,
    type: "STATIC",
    connect_timeout: "5s",
    lb_policy: hasFeatures ? "LEAST_REQUEST" : "ROUND_ROBIN",
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: endpoints }] },
    circuit_breakers: { thresholds: [{ ...bounds, ...budget }] },
    ...(hasFeatures ? { outlier_detection: { consecutive_5xx: 5 } } : {}),
    ...(isGrpc
      ? { typed_extension_protocol_options: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2 } }
      : {}),
  };
}

function envoyOf(kind: EnvoyKind): Peer {
  return {
    name: kind.name,
    async start({ endpointPorts, folder }) {
      if (!isInstalled("envoy")) return undefined;
      const port = await freePort();
      const file = join(folder, `envoy-${port}.json`);
      writeFileSync(file, JSON.stringify(configuration(kind, port, endpointPorts)));
      const flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"];
      return launch({ name: kind.name, command: ["envoy", "-c", file, ...flags], port });
    },
  };
}

export const envoy: Peer = envoyOf({ name: "Envoy", isGrpc: false, hasFeatures: true });
export const bareEnvoy: Peer = envoyOf({ name: "Envoy, bare", isGrpc: false, hasFeatures: false });
export const envoyGrpc: Peer = envoyOf({ name: "Envoy", isGrpc: true, hasFeatures: true });
export const bareEnvoyGrpc: Peer = envoyOf({ name: "Envoy, bare", isGrpc: true, hasFeatures: false });
