// Where the connections of a local port go that stands for one service of bytes, and what is said in the log of those
// that go nowhere: the app sees no more than a reset. Not the way of their bytes: that is tcp-client.ts.
import type { MessageHead } from "../http1/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Resolution } from "../resolver.ts";
import type { ServiceEntry } from "../snapshot.ts";
import { connectHead } from "./connect-head.ts";
import type { RoutedExchange, Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { OutboundRouter } from "./outbound.ts";
import { failure } from "./reasons.ts";

/** A service of bytes that the app reaches by a local port of its own. */
export interface TcpService {
  /** As it was asked for: `postgres:5432`. */
  readonly name: string;
  /** `namespace/name`. */
  readonly service: string;
  /** 0: the first port of the service that speaks bytes. */
  readonly port: number;
}

/** A log line tells of all connections that were refused since the one before, and comes no more often than this. */
const REFUSALS_EVERY_MS = 10_000;

export class TcpRouter implements Router {
  readonly direction = "outbound" as const;
  /** What each connection asks for. */
  head: MessageHead;
  readonly #path: DataPath;
  readonly #asked: TcpService;
  readonly #outbound: OutboundRouter;
  #port: number;
  #refused = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(path: DataPath, asked: TcpService) {
    this.#path = path;
    this.#asked = asked;
    this.#outbound = new OutboundRouter(path);
    this.#port = asked.port;
    this.head = connectHead(asked.service, asked.port);
  }

  route(exchange: RoutedExchange, resolution: Resolution | undefined): void {
    const { service, port: asked } = this.#asked;
    const entry = exchange.snapshot.services.get(service);
    if (entry === undefined) return this.#withoutService(exchange, resolution);
    const port = bytesPort(entry, asked);
    if (port === undefined) {
      exchange.destination.source = entry;
      const which = asked === 0 ? "no port" : `no port ${asked}`;
      return exchange.answer(failure("no-such-service", `${service} has ${which} of protocol tcp`), "");
    }
    if (port !== this.#port) {
      this.#port = port;
      this.head = connectHead(service, port);
    }
    exchange.record.head = this.head;
    exchange.destination.isRawTunnel = true;
    this.#outbound.toService(exchange, entry, port);
  }

  #withoutService(exchange: RoutedExchange, resolution: Resolution | undefined): void {
    const { service } = this.#asked;
    if (resolution === undefined) return exchange.hold(service);
    const reason = resolution === "unavailable" ? "control-plane-unavailable" : "no-such-service";
    exchange.answer(failure(reason, service), "");
  }

  /**
   * A connection is closed without a tunnel.
   * @param answer head of what HTTP would have been told, by this sidecar or by the endpoint's
   */
  onRefused(answer: string, { detail }: ExchangeRecord): void {
    this.#refused++;
    const nowMs = this.#path.clock.now();
    if (nowMs - this.#toldMs < REFUSALS_EVERY_MS) return;
    const { name, service } = this.#asked;
    const reason = /^x-weft-reason: (\S+)/im.exec(answer)?.[1] ?? "";
    const facts = { tcp: name, service, status: answer.slice(9, 12), reason, detail, connections: this.#refused };
    this.#path.log.warn(facts, "tcp connections refused");
    this.#toldMs = nowMs;
    this.#refused = 0;
  }
}

/** What a port speaks is declared and never guessed, so a service that declares nothing has none of these. */
function bytesPort({ resource }: ServiceEntry, asked: number): number | undefined {
  for (const { port, protocol } of resource.ports)
    if (protocol === "tcp" && (asked === 0 || asked === port)) return port;
  return undefined;
}
