// What every part of the data path stands on: time, timers, limits, figures, and where the snapshot is. Built once per
// process; listeners share it.
import type { Clock } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import { ProcessLoad } from "../../runtime/process-load.ts";
import type { Random } from "../../runtime/random.ts";
import { chooseSocketMode } from "../../runtime/shared-socket.ts";
import { SocketBudget } from "../../runtime/socket-budget.ts";
import type { SocketMode } from "../../runtime/socket-output.ts";
import { TimerWheel } from "../../runtime/timer-wheel.ts";
import { type HeldReads, type Stage, Turn } from "../../runtime/turn.ts";
import { TurnClock } from "../../runtime/turn-clock.ts";
import { DEFAULT_HTTP1_LIMITS, type Http1Limits } from "../http1/limits.ts";
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from "../http2/limits.ts";
import { type DataPathLimits, DEFAULT_LIMITS } from "../limits.ts";
import type { ExchangeObserver } from "../observe/exchange-record.ts";
import { Metrics } from "../observe/metrics.ts";
import type { Tracing } from "../observe/tracing/tracing.ts";
import type { ServiceResolver } from "../resolver.ts";
import { emptySnapshot, type Snapshot, SnapshotHolder } from "../snapshot.ts";
import type { ConnectStreams } from "../upstream/stream-pool.ts";
import { clusterLog } from "./cluster-log.ts";
import type { StagedContent, StagedExchange } from "./contract.ts";
import { HopLinesBook } from "./forwarding.ts";
import { readGauges } from "./gauges.ts";
import type { Http2Tools } from "./http2-transport.ts";
import { Http2Upstream } from "./http2-upstream.ts";
import { type RequestIds, requestIds } from "./request-id.ts";

export interface DataPathOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Namespace of this sidecar: bare host names are looked up in it. */
  readonly namespace: string;
  /** `namespace/name` of the service beside this sidecar. */
  readonly service: string;
  /** Where this sidecar runs, for zone preference; default: unknown. */
  readonly zone?: string;
  readonly limits?: Partial<DataPathLimits>;
  readonly http1Limits?: Partial<Http1Limits>;
  readonly http2Limits?: Partial<Http2Limits>;
  /** Told to use 'data' events, or which mode the machine was found to support; absent: tried now. */
  readonly socketMode?: SocketMode;
}

export interface DataPath {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly namespace: string;
  readonly service: string;
  readonly limits: DataPathLimits;
  readonly http1Limits: Http1Limits;
  readonly http2: Http2Tools;
  readonly socketMode: SocketMode;
  /** Of all listeners and pools. */
  readonly sockets: SocketBudget;
  readonly wheel: TimerWheel;
  /** What is done for all requests of one turn together. */
  readonly turn: TurnStages;
  readonly metrics: Metrics;
  /** How short of time and memory the process is. */
  readonly load: ProcessLoad;
  readonly snapshots: SnapshotHolder;
  /** What exchanges hold between requests, so that idle connections keep no old snapshot alive. */
  readonly noSnapshot: Snapshot;
  readonly requestIds: RequestIds;
  /** What requests say about this hop. */
  readonly hopLines: HopLinesBook;
  /** When a call of the app last came to nothing, by the clock (see nearest-hop.ts). */
  callFailedMs: number;
  /** Requests that wait for the control plane now. */
  resolvingCount: number;
  /** How services that the snapshot does not hold are asked for; set by whoever starts discovery. */
  resolver: ServiceResolver | undefined;
  /** Told of every exchange that ends, in this order, with its record. */
  readonly observers: ExchangeObserver[];
  /** Decides which requests are traced; undefined while nothing is. */
  tracing: Tracing | undefined;
}

/** The stages of a turn, in their order: answers are read and finished before requests are read and sent on. */
export interface TurnStages {
  readonly answers: HeldReads;
  readonly finish: Stage<StagedExchange>;
  readonly requests: HeldReads;
  readonly route: Stage<StagedExchange>;
  readonly forward: Stage<StagedExchange>;
  readonly send: Stage<StagedExchange>;
  readonly content: Stage<StagedContent>;
}

function turnStages(turn: Turn): TurnStages {
  const answers = turn.reads();
  const finish = turn.stage((exchange: StagedExchange) => exchange.take("finish"));
  const requests = turn.reads();
  const route = turn.stage((exchange: StagedExchange) => exchange.take("route"), requests);
  const forward = turn.stage((exchange: StagedExchange) => exchange.take("forward"), requests);
  const send = turn.stage((exchange: StagedExchange) => exchange.take("send"), requests);
  const content = turn.stage((content: StagedContent) => content.take(), requests);
  return { answers, finish, requests, route, forward, send, content };
}

/** Builds the data path of a process with an empty snapshot. */
export async function createDataPath(options: DataPathOptions): Promise<DataPath> {
  const socketMode = options.socketMode ?? (await chooseSocketMode());
  if (socketMode !== "handle") options.log.warn({ socketMode }, "this Node's sockets take more CPU than others' would");
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const clock = new TurnClock(options.clock);
  const wheel = new TimerWheel(clock);
  const metrics = new Metrics();
  const turn = new Turn((run) => setImmediate(run), clock);
  const stages = turnStages(turn);
  const { answers } = stages;
  const { flushes } = turn;
  const sockets = new SocketBudget(limits.descriptorsMax);
  const base = { clock, wheel, sockets, socketMode, writeBufferBytes: limits.writeBufferBytes, flushes, answers };
  const http2 = http2Tools({ ...base, turn }, options, limits, metrics);
  const connectStreams: ConnectStreams = (target, settings, owner, isMesh) =>
    new Http2Upstream(target, settings, owner, http2, isMesh);
  const events = clusterLog(options.log, metrics);
  const noSnapshot = emptySnapshot({
    pool: base,
    connectStreams,
    random: options.random,
    zone: options.zone ?? "",
    events,
  });
  const snapshots = new SnapshotHolder(noSnapshot);
  snapshots.onSwap((next, previous) => noteSwap(metrics, options.service, next, previous));
  metrics.onRead(() => readGauges(metrics, snapshots.current, clock.now()));
  return {
    clock,
    random: options.random,
    log: options.log,
    namespace: options.namespace,
    service: options.service,
    limits,
    http1Limits: { ...DEFAULT_HTTP1_LIMITS, ...options.http1Limits },
    http2,
    socketMode,
    sockets,
    wheel,
    turn: stages,
    metrics,
    load: new ProcessLoad(options.clock),
    snapshots,
    noSnapshot,
    requestIds: requestIds(),
    hopLines: new HopLinesBook(options.service),
    callFailedMs: Number.NEGATIVE_INFINITY,
    resolvingCount: 0,
    resolver: undefined,
    observers: [],
    tracing: undefined,
  };
}

/** @param shared what connections of HTTP/1.1 stand on too, and the turn */
function http2Tools(
  shared: Omit<Http2Tools, "limits" | "onBug" | "onRefused">,
  { http2Limits, log }: DataPathOptions,
  { headTimeoutMs, bodyIdleTimeoutMs }: DataPathLimits,
  metrics: Metrics,
): Http2Tools {
  return {
    ...shared,
    limits: { ...DEFAULT_HTTP2_LIMITS, headTimeoutMs, stallTimeoutMs: bodyIdleTimeoutMs, ...http2Limits },
    onBug: (error) => {
      metrics.internalErrors.cell("http2-upstream").value++;
      log.error({ err: error }, "an error in the sidecar ended a connection to an endpoint");
    },
    onRefused: (rule) => {
      metrics.http2Refusals.cell("endpoint", rule).value++;
    },
  };
}

/** Series of services that are not in the snapshot any more are dropped. */
function noteSwap(metrics: Metrics, own: string, next: Snapshot, previous: Snapshot): void {
  metrics.snapshotRevision.cell().value = next.revision;
  for (const service of previous.services.keys()) {
    if (next.services.has(service)) continue;
    metrics.retain((name) => next.services.has(name) || name === own);
    return;
  }
}
