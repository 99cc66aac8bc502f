// The telemetry service: what happened to requests, for people. Asks the sidecars; remembers nothing.
import { status } from "@grpc/grpc-js";
import type * as wire from "../../proto/gen/weft/v1/telemetry.ts";
import { type Clock, every } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import * as limits from "../limits.ts";
import type { Registry } from "../registry/registry.ts";
import type { TapEvents, TelemetryHub } from "../telemetry/telemetry-hub.ts";
import { DIMENSIONS, type TrafficWindow, WINDOW_SECONDS } from "../telemetry/traffic-window.ts";
import { ApiError, StreamWriter, unary } from "./call.ts";

export interface TelemetryServiceOptions {
  readonly hub: TelemetryHub;
  readonly window: TrafficWindow;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Telemetry {
  readonly service: wire.TelemetryServiceServer;
  /** Ends what would go on for ever. */
  endAll(): void;
}

const stopping = { code: status.UNAVAILABLE, details: "the control plane is stopping" };

export function createTelemetryService(options: TelemetryServiceOptions): Telemetry {
  const open = new Set<{ fail(failure: typeof stopping): void }>();
  const service: wire.TelemetryServiceServer = {
    findDecisions: unary(options.log, (request) => findDecisions(options, request)),
    tap: (call) => {
      const writer = new StreamWriter<wire.TapResponse>(call);
      open.add(writer);
      writer.onEnd(() => open.delete(writer));
      const problem = checkFilter(call.request.filter);
      if (problem === undefined) streamTap(options, call.request, writer);
      else writer.fail({ code: status.INVALID_ARGUMENT, details: problem });
    },
    watchTraffic: (call) => {
      const writer = new StreamWriter<wire.WatchTrafficResponse>(call);
      open.add(writer);
      writer.onEnd(() => open.delete(writer));
      streamTraffic(options, call.request, writer);
    },
  };
  return {
    service,
    endAll: () => {
      for (const writer of [...open]) writer.fail(stopping);
    },
  };
}

function streamTap(
  { hub, clock }: TelemetryServiceOptions,
  request: wire.TapRequest,
  writer: StreamWriter<wire.TapResponse>,
): void {
  const maxPerSecond = Math.min(request.maxPerSecond || limits.TAP_PER_SECOND, limits.TAP_PER_SECOND_MAX);
  const stream = new TapStream(writer, maxPerSecond);
  const tap = hub.openTap(request.filter ?? EVERYTHING, maxPerSecond, stream);
  if (tap === undefined) {
    writer.fail({ code: status.RESOURCE_EXHAUSTED, details: "too many taps are open; close one of them first" });
    return;
  }
  stream.beat(tap.sidecars);
  const beat = every(clock, limits.TAP_BEAT_MS, () => stream.beat(tap.sidecars));
  writer.onEnd(() => {
    beat.cancel();
    tap.close();
  });
}

function streamTraffic(
  { hub, window, clock }: TelemetryServiceOptions,
  { by, namespace, service }: wire.WatchTrafficRequest,
  writer: StreamWriter<wire.WatchTrafficResponse>,
): void {
  const dimension = DIMENSIONS.find((known) => known === (by || "service"));
  if (dimension === undefined) {
    writer.fail({ code: status.INVALID_ARGUMENT, details: `by "${by}" is none of: ${DIMENSIONS.join(" ")}` });
    return;
  }
  const unwatch = hub.watchTraffic();
  const tell = (): void => {
    if (writer.isCrowded) return;
    const rows = window.rows({ by: dimension, namespace, service });
    writer.write({
      rows: rows.slice(0, limits.TRAFFIC_ROWS_MAX),
      omitted: Math.max(0, rows.length - limits.TRAFFIC_ROWS_MAX),
      sidecars: hub.informants,
      windowMs: WINDOW_SECONDS * 1_000,
    });
  };
  // Sidecars report at once when they hear that somebody looks: the first answer waits for them.
  const timers = [clock.after(limits.TRAFFIC_FIRST_MS, tell), every(clock, limits.TRAFFIC_BEAT_MS, tell)];
  writer.onEnd(() => {
    for (const timer of timers) timer.cancel();
    unwatch();
  });
}

async function findDecisions(
  { hub, registry }: TelemetryServiceOptions,
  { id, waitMs }: wire.FindDecisionsRequest,
): Promise<wire.FindDecisionsResponse> {
  if (id === "") throw new ApiError(status.INVALID_ARGUMENT, "id is missing");
  if (id.length > limits.TRACE_ID_CHARACTERS_MAX)
    throw new ApiError(status.INVALID_ARGUMENT, `id is longer than ${limits.TRACE_ID_CHARACTERS_MAX} characters`);
  const boundedMs = Math.min(waitMs || limits.INQUIRY_WAIT_MS, limits.INQUIRY_WAIT_MAX_MS);
  const findings = await hub.ask(id, boundedMs);
  if (findings === undefined)
    throw new ApiError(status.RESOURCE_EXHAUSTED, "too many questions are open; ask again in a moment");
  const gone = registry.registrations().flatMap(({ workload, isConnected }) => (isConnected ? [] : [workload.id]));
  return {
    decisions: [...findings.decisions],
    asked: findings.asked,
    silent: [...new Set([...findings.silent, ...gone])].sort(),
  };
}

function checkFilter(filter: wire.TapFilter | undefined): string | undefined {
  if (filter === undefined) return undefined;
  const { service, route, reason, statuses, headers } = filter;
  const texts = [service, route, reason, ...headers.flatMap(({ name, value }) => [name, value])];
  if (texts.some((text) => text.length > limits.TAP_TEXT_CHARACTERS_MAX))
    return `a text of the filter is longer than ${limits.TAP_TEXT_CHARACTERS_MAX} characters`;
  if (statuses.length > limits.TAP_CONDITIONS_MAX || headers.length > limits.TAP_CONDITIONS_MAX)
    return `the filter has more than ${limits.TAP_CONDITIONS_MAX} statuses or headers`;
  return undefined;
}

const EVERYTHING: wire.TapFilter = {
  ...{ service: "", direction: "", route: "", reason: "" },
  ...{ statuses: [], slowerMs: 0, headers: [] },
};

/** One tap on its way to one reader. What the reader is too slow for is counted. */
class TapStream implements TapEvents {
  readonly #writer: StreamWriter<wire.TapResponse>;
  readonly #maxPerSecond: number;
  #sidecars = 0;
  /** Told in this second. */
  #told = 0;
  /** Since the last response. */
  #matched = 0;
  #dropped = 0;

  constructor(writer: StreamWriter<wire.TapResponse>, maxPerSecond: number) {
    this.#writer = writer;
    this.#maxPerSecond = maxPerSecond;
  }

  onReport({ decisions, matched, dropped }: Omit<wire.TapReport, "tap">): void {
    const room = this.#writer.isCrowded ? 0 : Math.max(0, this.#maxPerSecond - this.#told);
    const told = decisions.slice(0, room);
    this.#told += told.length;
    this.#matched += matched;
    this.#dropped += dropped + decisions.length - told.length;
    if (told.length > 0) this.#write(told);
  }

  /** Once a second: the reader learns that the tap lives, of sidecars that come and go, and of what was dropped. */
  beat(sidecars: number): void {
    this.#sidecars = sidecars;
    this.#told = 0;
    if (!this.#writer.isCrowded) this.#write([]);
  }

  #write(decisions: wire.Decision[]): void {
    const [matched, dropped] = [this.#matched, this.#dropped];
    this.#matched = 0;
    this.#dropped = 0;
    this.#writer.write({ decisions, matched, dropped, sidecars: this.#sidecars });
  }
}
