// The data path under soak, in a process of its own so that what it holds can be counted: both listeners, rules of the
// parent's choice, and figures on request. Speaks over the channel that Node opens between the two.
import { openSync } from "node:fs";
import { systemClock } from "../../runtime/clock.ts";
import { startInbound } from "../../sidecar/proxy/inbound.ts";
import { startOutbound } from "../../sidecar/proxy/outbound.ts";
import { applyRules, createPath } from "../../sidecar/proxy/testing/rig.ts";

/** What the subject holds, after a collection. */
export interface Figures {
  readonly heapBytes: number;
  readonly sockets: number;
  /** Linked into the wheel, cancelled ones included. */
  readonly timers: number;
  /** Series of all metrics, and pending timers of the event loop. */
  readonly series: number;
  readonly loopTimers: number;
  /** Connections of clients and to endpoints, requests in progress and in queues. */
  readonly clientConnections: number;
  readonly activeRequests: number;
  readonly poolConnections: number;
  readonly pendingRequests: number;
  readonly internalErrors: number;
  /** Finished requests by direction, status and reason. */
  readonly finished: Readonly<Record<string, number>>;
  /** States of circuit breakers, by service and state. */
  readonly circuits: Readonly<Record<string, number>>;
}

export type ToSubject =
  | { readonly type: "start"; readonly rules: string; readonly app: string }
  | { readonly type: "ask" };
export type FromSubject =
  | { readonly type: "started"; readonly outbound: string; readonly inbound: string }
  | { readonly type: "figures"; readonly figures: Figures };

const HOST = "127.0.0.1";
// The rig's own clock goes by turns of the event loop, and falls behind on a busy machine: what is left would only seem so.
const path = await createPath({ clock: systemClock });
// A descriptor that stays open, so that the count of others is not taken for a leak when one is opened for a moment.
openSync("/dev/null", "r");

process.on("message", (message: ToSubject) => {
  if (message.type === "start") void start(message.rules, message.app);
  else say({ type: "figures", figures: figures() });
});
process.on("disconnect", () => process.exit(0));

async function start(rules: string, app: string): Promise<void> {
  applyRules(path, rules);
  const outbound = await startOutbound({ path, listen: { host: HOST, port: 0 } });
  const port = Number(app.slice(app.lastIndexOf(":") + 1));
  const inbound = await startInbound({ path, listen: { host: HOST, port: 0 }, app: { host: HOST, port } });
  say({ type: "started", outbound: outbound.address, inbound: inbound.address });
}

function say(message: FromSubject): void {
  process.send?.(message);
}

function figures(): Figures {
  globalThis.gc?.();
  const families = path.metrics.families();
  const active = process.getActiveResourcesInfo();
  const finished: Record<string, number> = {};
  for (const { values, value } of path.metrics.requests.cells.entries.values()) {
    const key = [values[0], values[4], values[5]].join(" ");
    finished[key] = (finished[key] ?? 0) + value.value;
  }
  const circuits: Record<string, number> = {};
  for (const { values, value } of path.metrics.circuits.cells.entries.values())
    circuits[values.join(" ")] = value.value;
  const sum = (family: (typeof path.metrics)["poolPending"]): number =>
    [...family.cells.entries.values()].reduce((total, { value }) => total + value.value, 0);
  return {
    heapBytes: process.memoryUsage().heapUsed,
    sockets: active.filter((name) => name === "TCPSocketWrap").length,
    timers: path.wheel.linkedCount,
    series: families.reduce((total, family) => total + ("cells" in family ? family.cells.entries.size : 0), 0),
    loopTimers: active.filter((name) => name === "Timeout").length,
    clientConnections: sum(path.metrics.clientConnectionsActive),
    activeRequests: sum(path.metrics.requestsActive),
    poolConnections: sum(path.metrics.poolConnections),
    pendingRequests: sum(path.metrics.poolPending),
    internalErrors: sum(path.metrics.internalErrors),
    finished,
    circuits,
  };
}
