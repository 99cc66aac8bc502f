// Other sidecars' calls to the app beside this one. Every request goes to the app's own address; limits and faults come
// before that (inbound-gate.ts).

import { compilePolicy } from "../../rules/compile/policy.ts";
import type { TrafficPolicyResource } from "../../rules/resource.ts";
import { formatHostPort, type HostPort } from "../../runtime/address.ts";
import { buildCluster, type Cluster } from "../cluster.ts";
import { compileInboundLimits, type InboundLimits } from "../policy/inbound-limits.ts";
import type { Snapshot } from "../snapshot.ts";
import type { RoutedExchange, Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import type { SeriesSource } from "./destination.ts";
import { isGrpc } from "./grpc.ts";
import { InboundGate } from "./inbound-gate.ts";
import { type Listener, startListener } from "./listener.ts";
import { isHttp2To, SPEAKS_BYTES } from "./protocol.ts";
import { failure } from "./reasons.ts";

interface InboundOptions {
  readonly path: DataPath;
  readonly listen: HostPort;
  /** Where the app listens; undefined: there is none, and every request is answered `connect-failure`. */
  readonly app: HostPort | undefined;
  readonly reusePort?: boolean;
}

/** Listens for calls to the app. Rejects with Node's error when the port cannot be had. */
export function startInbound(options: InboundOptions): Promise<Listener> {
  return startListener({ ...options, router: new InboundRouter(options.path, options.app) });
}

/**
 * The way to the app has bounds of its own, far above those of callers: who may send how much is for limits to say.
 * No whole-request timeout: the caller has one, and knows why. No retries, because the caller's sidecar is nearer to a
 * choice, but of what the app has not looked at (RFC 9113 section 8.7): of that the caller only hears an answer.
 */
function appPolicy(): TrafficPolicyResource {
  const defaults = compilePolicy(undefined);
  return {
    ...defaults,
    connectionPool: {
      ...defaults.connectionPool,
      maxConnections: APP_CONNECTIONS_MAX,
      maxPendingRequests: APP_CONNECTIONS_MAX,
      maxRequests: APP_CONNECTIONS_MAX,
    },
    timeout: { ...defaults.timeout, requestMs: 0, grpcRequestMs: 0, perTryMs: 0 },
    retry: { ...defaults.retry, on: ["refused-stream"] },
    // There is one app, and nobody to go to instead.
    outlierDetection: undefined,
  };
}

const APP_CONNECTIONS_MAX = 16_384;

class InboundRouter implements Router {
  readonly direction = "inbound" as const;
  readonly cluster: Cluster | undefined;
  readonly #source: SeriesSource;
  readonly #path: DataPath;
  readonly #gate: InboundGate;
  #limits: InboundLimits | undefined = undefined;
  /** What `#limits` were made of: documents for the service as a whole and for the version beside this sidecar. */
  #limitsFor: Snapshot["inbound"] | undefined = undefined;

  constructor(path: DataPath, app: HostPort | undefined) {
    this.#path = path;
    this.#gate = new InboundGate(path, path.load);
    path.metrics.onRead(() => this.#readGauges());
    this.#source = { service: path.service, series: new Map() };
    if (app === undefined) {
      this.cluster = undefined;
      return;
    }
    const address = formatHostPort(app.host, app.port);
    const endpoint = { id: address, address, addresses: {}, weight: 1, zone: "", version: "", labels: {}, mesh: false };
    this.cluster = buildCluster(path.service, appPolicy(), [endpoint], undefined, path.snapshots.current.tools);
  }

  route(exchange: RoutedExchange): void {
    exchange.destination.source = this.#source;
    const limits = this.#limitsOf(exchange.snapshot);
    if (limits === undefined) this.#toApp(exchange);
    else this.#gate.pass(exchange, limits, () => this.#toApp(exchange));
  }

  #toApp(exchange: RoutedExchange): void {
    const { destination } = exchange;
    const cluster = this.cluster;
    if (cluster === undefined) return exchange.answer(failure("connect-failure", "the sidecar has no --app"), "");
    destination.cluster = cluster;
    destination.members = cluster.set;
    destination.isGrpc = isGrpc(exchange.head);
    const protocol = exchange.snapshot.inbound.get(this.#path.service)?.protocol ?? "http";
    destination.isHttp2 = isHttp2To(protocol, exchange.head);
    if (protocol === "tcp") {
      if (!exchange.head.isConnect)
        return exchange.answer(failure("no-such-service", `${this.#path.service} ${SPEAKS_BYTES}`), "");
      destination.isRawTunnel = true;
    }
    destination.retry = cluster.retry;
    destination.requestTimeoutMs = cluster.policy.timeout.requestMs;
    destination.perTryTimeoutMs = cluster.policy.timeout.perTryMs;
    destination.idleTimeoutMs = cluster.policy.timeout.idleMs;
    destination.hopFields = "time";
    exchange.forward();
  }

  /** What limits the service now; compiled when its documents change. Undefined: nothing. */
  #limitsOf(snapshot: Snapshot): InboundLimits | undefined {
    if (snapshot.inbound === this.#limitsFor) return this.#limits;
    this.#limitsFor = snapshot.inbound;
    const resources = [...snapshot.inbound.values()];
    const rateLimits = resources.flatMap((resource) => resource.rateLimits);
    const faults = resources.flatMap((resource) => resource.faults);
    const isNone = rateLimits.length === 0 && faults.length === 0;
    this.#limits = isNone ? undefined : compileInboundLimits({ rateLimits, faults }, this.#limits, this.#path.random);
    if ((this.#limits?.shedding.length ?? 0) > 0) this.#path.load.start();
    else this.#path.load.stop();
    return this.#limits;
  }

  #readGauges(): void {
    const { concurrency } = this.#path.metrics;
    for (const { origin, limit } of this.#limits?.concurrency ?? []) {
      concurrency.cell(origin, "limit").value = limit.limit;
      concurrency.cell(origin, "in-flight").value = limit.inFlight;
      concurrency.cell(origin, "waiting").value = limit.waiting;
    }
  }
}
