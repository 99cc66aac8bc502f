// What the parent process and its workers say to each other over the channel that Node opens between them. Both are the
// same program of the same version, so nothing is validated. Types, no code.
import type { Resource } from "../../rules/resource.ts";
import type { HostPort } from "../../runtime/address.ts";
import type { LogLevel } from "../../runtime/log.ts";
import type { ClusterView } from "../admin/cluster-view.ts";
import type { ProfileOrder } from "../admin/profiler.ts";
import type { Http1Limits } from "../http1/limits.ts";
import type { DataPathLimits } from "../limits.ts";
import type { Decision } from "../observe/decision.ts";
import type { KnownIdentity } from "../observe/otlp/identity.ts";
import type { FamilyReport } from "../observe/report.ts";
import type { TapOrder, TapReport } from "../observe/tap.ts";
import type { TcpService } from "../proxy/tcp-router.ts";
import type { Resolution } from "../resolver.ts";
import type { ListenerName, OutboundUse } from "../traffic.ts";

/** What a worker has to know before it can do anything. */
export interface WorkerSettings {
  /** From 1. */
  readonly number: number;
  readonly namespace: string;
  /** `namespace/name`. */
  readonly service: string;
  readonly limits: Partial<DataPathLimits>;
  readonly http1Limits: Partial<Http1Limits>;
  readonly zone: string;
  readonly logLevel: LogLevel;
  readonly identity: KnownIdentity;
  /** Worker processes of this sidecar. */
  readonly processes: number;
}

/** What changed since the last configuration that the worker committed. */
export interface ConfigurationChange {
  readonly revision: number;
  readonly changed: ReadonlyMap<string, Resource>;
  readonly removed: readonly string[];
}

export interface ListenOrder {
  readonly listener: ListenerName;
  readonly at: HostPort;
  /** For inbound. */
  readonly app?: HostPort;
  /** For an outbound port that stands for this service of bytes. */
  readonly tcp?: TcpService;
}

export interface DrainOrder {
  readonly listener: ListenerName;
  readonly deadlineMs: number;
}

export interface WorkerReport {
  readonly families: readonly FamilyReport[];
  readonly outbound: OutboundUse;
}

/** Everything that a worker is told to do: what it takes, and what it gives back. */
export interface Orders {
  start(settings: WorkerSettings): void;
  /** Builds the next snapshot. It is not acted on before "commit"; "abort" drops it. */
  prepare(change: ConfigurationChange): void;
  commit(): void;
  abort(): void;
  /** Gives the bound address. */
  listen(order: ListenOrder): string;
  announceDrain(): void;
  drain(order: DrainOrder): void;
  report(): WorkerReport;
  clusters(): readonly ClusterView[];
  countRoutes(isOn: boolean): void;
  findDecisions(id: string): readonly Decision[];
  openTap(order: TapOrder): void;
  closeTap(tap: number): void;
  setLogLevel(level: LogLevel): void;
  identify(instance: string): void;
  reopenLogs(): void;
  profile(order: ProfileOrder): object;
  close(): void;
}

export type OrderName = keyof Orders;
export type Takes<Name extends OrderName> = Parameters<Orders[Name]>[0];
export type Gives<Name extends OrderName> = ReturnType<Orders[Name]>;

export type ToWorker =
  | { readonly type: "order"; readonly id: number; readonly order: OrderName; readonly takes: unknown }
  /** The answer to a worker's question. */
  | { readonly type: "resolved"; readonly question: number; readonly resolution: Resolution };

export type FromWorker =
  | { readonly type: "done"; readonly id: number; readonly gives: unknown }
  /** What an open tap saw. */
  | { readonly type: "tapped"; readonly report: TapReport }
  | { readonly type: "failed"; readonly id: number; readonly failure: OrderFailure }
  /** Asks the parent for a service that the worker's snapshot does not hold. */
  | { readonly type: "resolve"; readonly question: number; readonly service: string };

/** An error on its way between processes. */
export interface OrderFailure {
  readonly message: string;
  /** Node's, such as EADDRINUSE. */
  readonly code?: string;
  /** Of an update that was refused. */
  readonly resource?: string;
  readonly path?: string;
}
