// Ending in order: other sidecars stop sending, inbound requests finish, the app is told to stop, its own calls keep
// working until it has gone, and only then the listeners close. Only the order and the times; each part is passed in.
import { type Clock, sleep } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";

/** From the announcement to when the other sidecars have surely heard it; meanwhile new requests are still served. */
export const WITHDRAW_MS = 250;
/** Without a wrapped app that could be waited for: this much silence of its calls means that they are over. */
export const OUTBOUND_QUIET_MS = 5_000;
/** An app that ended by itself leaves nothing to wait for but the last bytes of what it asked for. */
const APP_GONE_DRAIN_MS = 1_000;
/** Kept of the time for what the app still calls, at most a quarter of it: those calls end in order, not by a cut. */
const OUTBOUND_DRAIN_MAX_MS = 5_000;
const LOOK_EVERY_MS = 50;

/** The wrapped app, or the one beside the sidecar of which only its port is known; undefined where there is neither. */
export interface AppToStop {
  /** Tells the app to stop; absent where somebody else does. */
  readonly signal?: (signal: NodeJS.Signals) => void;
  readonly hasGone: () => boolean;
}

export interface ShutdownParts {
  /** Withdraws the endpoint; from then on inbound answers end their connections. Returns whether anybody was told. */
  readonly withdraw: () => boolean;
  /** Ends inbound connections as their requests finish; resolves when none is left, or all were cut at the deadline. */
  readonly drainInbound: (deadlineMs: number) => Promise<void>;
  /** The same for the app's own calls. */
  readonly drainOutbound: (deadlineMs: number) => Promise<void>;
  readonly app: AppToStop | undefined;
  /** Requests of the app in progress and so far: a number that grows says that the app still calls. */
  readonly outboundUse: () => { readonly active: number; readonly total: number };
  /** Closes everything; what is still open is cut. */
  readonly close: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly drainMs: number;
}

/**
 * Why it ends. "terminate": SIGTERM, the app is being stopped as well and may still call; "interrupt": somebody at a
 * terminal wants it to end, so only requests in progress are waited for; "app-gone": the wrapped app ended.
 */
export type ShutdownCause = "terminate" | "interrupt" | "app-gone";

/** Runs once; the caller ends the process after it. */
export async function shutDown(parts: ShutdownParts, cause: ShutdownCause): Promise<void> {
  const { clock, log, app } = parts;
  const drainMs = cause === "app-gone" ? Math.min(APP_GONE_DRAIN_MS, parts.drainMs) : parts.drainMs;
  const endMs = clock.now() + drainMs;
  const lastMs = endMs - Math.min(OUTBOUND_DRAIN_MAX_MS, drainMs / 4);
  log.info({ cause, drainMs }, "draining");
  if (parts.withdraw()) await sleep(clock, Math.min(WITHDRAW_MS, drainMs / 4));
  // An app that is to be told to stop needs a share of the time, however long its inbound streams would go on.
  const inboundMs = app?.signal === undefined ? lastMs - clock.now() : (endMs - clock.now()) / 2;
  await parts.drainInbound(inboundMs);
  if (app?.signal !== undefined && !app.hasGone()) await stopApp(parts, app.signal, cause, endMs);
  else if (cause === "terminate") await passing(clock, lastMs, appIsDone(parts));
  const leftMs = endMs - clock.now();
  if (leftMs > 0) await parts.drainOutbound(leftMs);
  else log.warn({ active: parts.outboundUse().active }, "drain time is over; cutting what is left");
  await parts.close();
}

async function stopApp(
  { app, clock, log }: ShutdownParts,
  signal: (signal: NodeJS.Signals) => void,
  cause: ShutdownCause,
  endMs: number,
): Promise<void> {
  signal(cause === "interrupt" ? "SIGINT" : "SIGTERM");
  const hasGone = app?.hasGone ?? (() => true);
  await passing(clock, endMs, hasGone);
  if (hasGone()) return;
  log.warn("the app did not end in the drain time; killing it");
  signal("SIGKILL");
  await passing(clock, clock.now() + APP_GONE_DRAIN_MS, hasGone);
}

/** The app that somebody else stops has gone, or has not called anybody for a while. */
function appIsDone({ app, clock, outboundUse }: ShutdownParts): () => boolean {
  let total = outboundUse().total;
  let quietSinceMs = clock.now();
  return () => {
    if (app?.hasGone() === true) return true;
    const use = outboundUse();
    if (use.total !== total || use.active > 0) {
      total = use.total;
      quietSinceMs = clock.now();
    }
    return clock.now() - quietSinceMs >= OUTBOUND_QUIET_MS;
  };
}

/** Waits until something is so, or the time is over. */
async function passing(clock: Clock, endMs: number, isSo: () => boolean): Promise<void> {
  while (!isSo() && clock.now() < endMs) await sleep(clock, LOOK_EVERY_MS);
}
