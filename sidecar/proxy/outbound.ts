// The app's calls to others: which service a request is for, which rule it goes by, which backend it goes to.

import { parseServiceHost, type ServiceHost } from "../../rules/host.ts";
import type { RouteHit } from "../../rules/routing/request-view.ts";
import { redirectLocation } from "../../rules/routing/rewrite.ts";
import { findRoute, hasRoutes } from "../../rules/routing/table.ts";
import type { HostPort } from "../../runtime/address.ts";
import { ownCopy } from "../../runtime/latin1.ts";
import { membersFor } from "../cluster.ts";
import type { Resolution } from "../resolver.ts";
import { type BackendPlan, type FilterPlan, NO_FILTERS, type RulePlan } from "../route/rule-plan.ts";
import { retryPlanOf, type ServiceEntry } from "../snapshot.ts";
import { chooseBackend } from "./choose-backend.ts";
import type { RoutedExchange, Router } from "./contract.ts";
import { isPreflight, preflightLines } from "./cors.ts";
import type { DataPath } from "./data-path.ts";
import { EgressClusters, egressOf } from "./egress.ts";
import { isGrpc } from "./grpc.ts";
import { HeadView } from "./head-view.ts";
import { type Listener, startListener } from "./listener.ts";
import { isHttp2Hop, isTcpTunnel, namedPort, SPEAKS_BYTES } from "./protocol.ts";
import { failure } from "./reasons.ts";
import { retryAfterLine } from "./respond.ts";

interface OutboundOptions {
  readonly path: DataPath;
  readonly listen: HostPort;
  readonly reusePort?: boolean;
}

/** Listens for the app's calls. Rejects with Node's error when the port cannot be had. */
export function startOutbound(options: OutboundOptions): Promise<Listener> {
  return startListener({ ...options, router: new OutboundRouter(options.path) });
}

/** Spellings of hosts remembered with what they mean; callers choose them, so their number is bounded. */
const HOSTS_MAX = 1_024;
/** Longer ones name nothing that is called often. */
const HOST_LENGTH_MAX = 256;
const CONTROL_PLANE_RETRY_MS = 1_000;

export class OutboundRouter implements Router {
  readonly direction = "outbound" as const;
  readonly #egress = new EgressClusters();
  readonly #path: DataPath;
  readonly #view = new HeadView();
  readonly #hosts = new Map<string, ServiceHost | "outside">();

  constructor(path: DataPath) {
    this.#path = path;
    this.#view.fromNamespace = path.namespace;
  }

  route(exchange: RoutedExchange, resolution: Resolution | undefined): void {
    const { head, snapshot } = exchange;
    const host = this.#hostOf(head.authority);
    const entry = host === "outside" ? undefined : snapshot.services.get(host.service);
    if (entry !== undefined && host !== "outside") return this.toService(exchange, entry, host.port);
    const verdict = egressOf(snapshot.mesh.egress.allow, head.authority, head.isConnect);
    if (verdict === "listed") return this.#toOutside(exchange);
    if (host !== "outside" && resolution === undefined) return exchange.hold(host.service);
    if (verdict === "any") return this.#toOutside(exchange);
    if (resolution === "unavailable" && host !== "outside")
      return exchange.answer(
        failure("control-plane-unavailable", host.service),
        retryAfterLine(CONTROL_PLANE_RETRY_MS),
      );
    exchange.answer(failure("no-such-service", host === "outside" ? head.authority : host.service), "");
  }

  #hostOf(authority: string): ServiceHost | "outside" {
    let host = this.#hosts.get(authority);
    if (host === undefined) {
      host = parseServiceHost(authority, this.#path.namespace) ?? "outside";
      if (this.#hosts.size >= HOSTS_MAX) this.#hosts.clear();
      if (authority.length <= HOST_LENGTH_MAX) this.#hosts.set(ownCopy(authority), host);
    }
    return host;
  }

  /** Sends it where the routes of the service say. @param askedPort 0: none was named */
  toService(exchange: RoutedExchange, entry: ServiceEntry, askedPort: number): void {
    const destination = exchange.destination;
    destination.source = entry;
    const port = portOf(entry, askedPort);
    if (port === undefined)
      return exchange.answer(failure("no-such-service", `${entry.service} has no port ${askedPort}`), "");
    if (entry.hasBytesPort && !exchange.head.isConnect && namedPort(entry.resource, port).protocol === "tcp")
      return exchange.answer(failure("no-such-service", `${entry.service} port ${port} ${SPEAKS_BYTES}`), "");
    if (entry.table === undefined) return this.#toCluster(exchange, entry, entry, port);
    const view = this.#view;
    view.head = exchange.head;
    view.port = port;
    const hit = findRoute(entry.table, view);
    if (hit !== undefined) return this.#toRule(exchange, entry, hit, port);
    if (hasRoutes(entry.table, port, view.fromNamespace))
      return exchange.answer(failure("no-route", entry.service), "");
    this.#toCluster(exchange, entry, entry, port);
  }

  #toRule(exchange: RoutedExchange, entry: ServiceEntry, hit: RouteHit, port: number): void {
    const plan = entry.rules[hit.ruleNumber];
    if (plan === undefined) return exchange.answer(failure("internal-error"), "");
    const destination = exchange.destination;
    destination.rule = plan;
    destination.match = hit.match;
    destination.ruleFilters = plan.filters;
    if (!plan.filters.isEmpty && this.#isAnswered(exchange, plan.filters, hit, port)) return;
    this.#toBackend(exchange, entry, plan, hit, port);
  }

  #toBackend(exchange: RoutedExchange, entry: ServiceEntry, plan: RulePlan, hit: RouteHit, port: number): void {
    const backend = chooseBackend(plan, this.#view, exchange, this.#path.random);
    if (backend === undefined) return exchange.answer(failure("invalid-backend", "the rule sends traffic nowhere"), "");
    const { filters } = backend;
    if (backend.invalid !== "") return exchange.answer(failure("invalid-backend", backend.invalid), "");
    const target = exchange.snapshot.services.get(backend.service);
    const backendPort = target === undefined ? undefined : portOf(target, backend.port);
    if (target === undefined || backendPort === undefined)
      return exchange.answer(failure("invalid-backend", backendInWords(backend)), "");
    exchange.destination.backendFilters = filters;
    if (!filters.isEmpty && this.#isAnswered(exchange, filters, hit, port)) return;
    this.#toCluster(exchange, entry, target, backendPort);
  }

  /** Filters that answer themselves. */
  #isAnswered(exchange: RoutedExchange, filters: FilterPlan, hit: RouteHit, port: number): boolean {
    const head = exchange.head;
    if (filters.cors !== undefined && isPreflight(head)) {
      const lines = preflightLines(filters.cors, head);
      exchange.destination.ruleFilters = NO_FILTERS;
      exchange.answer(failure("cors-preflight"), lines);
      return true;
    }
    if (filters.redirect === undefined) return false;
    const { path, query } = head;
    const request = { scheme: "http", host: head.authority, port, path, query };
    const location = redirectLocation(filters.redirect, hit.match, request);
    exchange.answer(failure("redirect", "", filters.redirect.status), `location: ${location}\r\n`);
    return true;
  }

  /** @param entry the service that was called @param target the one that the request goes to */
  #toCluster(exchange: RoutedExchange, entry: ServiceEntry, target: ServiceEntry, port: number): void {
    const destination = exchange.destination;
    const { cluster } = target;
    const named = namedPort(target.resource, port);
    const { timeout } = cluster.policy;
    const { rule } = destination;
    destination.cluster = cluster;
    destination.members = membersFor(cluster, port);
    destination.isGrpc = isGrpc(exchange.head);
    destination.isRawTunnel ||= isTcpTunnel(named.protocol, exchange.head);
    destination.isHttp2 = !destination.isRawTunnel && isHttp2Hop(named, cluster.isMesh, exchange.head);
    destination.retry = retryPlanOf(entry, rule, cluster);
    destination.requestTimeoutMs = rule?.requestMs ?? (destination.isGrpc ? timeout.grpcRequestMs : timeout.requestMs);
    destination.perTryTimeoutMs = rule?.backendRequestMs ?? timeout.perTryMs;
    destination.idleTimeoutMs = timeout.idleMs;
    destination.hopFields = "all";
    exchange.forward();
  }

  #toOutside(exchange: RoutedExchange): void {
    const { head, snapshot, destination } = exchange;
    const entry = this.#egress.entryFor(head.authority, head.isConnect, snapshot);
    if (entry === undefined) return exchange.answer(failure("no-such-service", head.authority), "");
    const { cluster } = entry;
    destination.source = entry.source;
    destination.cluster = cluster;
    destination.members = cluster.set;
    destination.retry = cluster.retry;
    destination.isRawTunnel = head.isConnect;
    destination.requestTimeoutMs = cluster.policy.timeout.requestMs;
    destination.idleTimeoutMs = cluster.policy.timeout.idleMs;
    exchange.forward();
  }
}

/** The service's port for what was asked (0: the first); undefined when it has no such port. */
function portOf(entry: ServiceEntry, asked: number): number | undefined {
  const { ports, implied } = entry.resource;
  const first = ports[0];
  if (first !== undefined && (asked === 0 || asked === first.port)) return first.port;
  if (implied) return asked;
  for (const { port } of ports) if (port === asked) return asked;
  return undefined;
}

function backendInWords({ service, port }: BackendPlan): string {
  return port === 0 ? service : `${service} port ${port}`;
}
