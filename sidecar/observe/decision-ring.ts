// The decisions of the last requests, to be asked by trace id or request id. Two rings, so that plain traffic does not
// push out what went wrong. Under load each keeps a share of its requests, chosen by their id: every sidecar on the way
// of a trace keeps it or none does. Bounded in entries, bytes and age.
import { type Decision, decisionOf } from "./decision.ts";
import type { ActName, ExchangeObserver, ExchangeRecord } from "./exchange-record.ts";
import { GRPC_FAILURES } from "./grpc-failures.ts";

export interface RingBounds {
  /** Decisions in each of the two rings. */
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** Older ones are not told any more. */
  readonly ageMsMax: number;
  /** Above so many in a second a ring keeps a share only. */
  readonly perSecond: number;
}

export const DEFAULT_RING_BOUNDS: RingBounds = {
  entriesMax: 4_096,
  bytesMax: 4 * 1024 * 1024,
  ageMsMax: 10 * 60_000,
  perSecond: 100,
};

/** Answers to one question. */
const FOUND_MAX = 64;
/** A request that took as long is kept beside those that failed. */
const SLOW_MS = 1_000;
const WINDOW_MS = 1_000;
/** One in 65,536 is kept at the least. */
const MASK_MAX = 0xffff;
/** Acts that are nothing out of the ordinary where their policy is in use. */
const USUAL_ACTS: ReadonlySet<string> = new Set(["mirror", "deadline", "resolve"] satisfies ActName[]);
/** What an entry takes besides its texts, roughly. */
const ENTRY_BYTES = 900;
const ATTEMPT_BYTES = 250;

export interface WallClock {
  now(): number;
  wall(): number;
}

export class DecisionRing implements ExchangeObserver {
  readonly #clock: WallClock;
  readonly #notable: Ring;
  readonly #plain: Ring;

  constructor(clock: WallClock, bounds: RingBounds = DEFAULT_RING_BOUNDS) {
    this.#clock = clock;
    this.#notable = new Ring(bounds);
    this.#plain = new Ring(bounds);
  }

  onExchange(record: ExchangeRecord): void {
    const ring = isNotable(record) ? this.#notable : this.#plain;
    // Who set the sampled flag, or asked for the record, will come for it.
    if (!ring.admits(record.endedMs, record.isDebugged || record.isSampled, record)) return;
    ring.add(decisionOf(record, this.#clock.wall() - (this.#clock.now() - record.startedMs)), record.endedMs);
  }

  /** What is remembered of this trace id or request id, in the order of time. */
  find(id: string): Decision[] {
    const nowMs = this.#clock.now();
    const found = [...this.#notable.find(id, nowMs), ...this.#plain.find(id, nowMs)];
    return found.sort((a, b) => a.atMs - b.atMs).slice(0, FOUND_MAX);
  }
}

/** Failed, slow, tried more than once, or a policy had a hand in it. */
function isNotable(record: ExchangeRecord): boolean {
  const { reason, status, grpcStatus, attemptCount } = record;
  if (
    reason !== "" ||
    status >= 500 ||
    attemptCount > 1 ||
    record.durationMs >= SLOW_MS ||
    (grpcStatus !== "" && GRPC_FAILURES.has(grpcStatus))
  )
    return true;
  for (let index = record.actsKept - 1; index >= 0; index--)
    if (!USUAL_ACTS.has(record.acts[index]?.name ?? "")) return true;
  return false;
}

interface Entry {
  readonly decision: Decision;
  /** The clock's time at the end of the exchange. */
  readonly endedMs: number;
  readonly bytes: number;
}

class Ring {
  readonly #bounds: RingBounds;
  readonly #entries: (Entry | undefined)[] = [];
  /** Where the next one goes, and where the oldest is; both only grow. */
  #next = 0;
  #oldest = 0;
  #bytes = 0;
  /** Requests are kept whose hash has these bits clear. */
  #mask = 0;
  #windowEndMs = 0;
  #keptInWindow = 0;

  constructor(bounds: RingBounds) {
    this.#bounds = bounds;
  }

  admits(nowMs: number, isWanted: boolean, record: ExchangeRecord): boolean {
    if (nowMs >= this.#windowEndMs) this.#beginWindow(nowMs);
    if (this.#mask !== 0 && !isWanted && (idHashOf(record) & this.#mask) !== 0) return false;
    if (++this.#keptInWindow > this.#bounds.perSecond) {
      this.#mask = Math.min(MASK_MAX, this.#mask * 2 + 1);
      this.#keptInWindow = 0;
    }
    return true;
  }

  /** Half as many as there may be: twice as large a share fits. */
  #beginWindow(nowMs: number): void {
    const hasPause = nowMs - this.#windowEndMs > WINDOW_MS;
    if (hasPause) this.#mask = 0;
    else if (this.#keptInWindow * 2 < this.#bounds.perSecond) this.#mask >>= 1;
    this.#windowEndMs = nowMs + WINDOW_MS;
    this.#keptInWindow = 0;
  }

  add(decision: Decision, endedMs: number): void {
    const { entriesMax, bytesMax } = this.#bounds;
    const entry = { decision, endedMs, bytes: bytesOf(decision) };
    while (
      this.#next > this.#oldest &&
      (this.#next - this.#oldest >= entriesMax || this.#bytes + entry.bytes > bytesMax)
    )
      this.#dropOldest();
    const place = this.#next++ % entriesMax;
    if (place < this.#entries.length) this.#entries[place] = entry;
    else this.#entries.push(entry);
    this.#bytes += entry.bytes;
  }

  find(id: string, nowMs: number): Decision[] {
    const { entriesMax, ageMsMax } = this.#bounds;
    while (this.#oldest < this.#next && nowMs - (this.#entries[this.#oldest % entriesMax]?.endedMs ?? 0) > ageMsMax)
      this.#dropOldest();
    const found: Decision[] = [];
    for (const entry of this.#entries) {
      if (entry === undefined) continue;
      const { traceId, requestId } = entry.decision;
      if (traceId === id || requestId === id) found.push(entry.decision);
    }
    return found;
  }

  #dropOldest(): void {
    const place = this.#oldest++ % this.#bounds.entriesMax;
    this.#bytes -= this.#entries[place]?.bytes ?? 0;
    this.#entries[place] = undefined;
  }
}

/** Of the id that it is found by. One that this sidecar made is not put together for that. */
function idHashOf(record: ExchangeRecord): number {
  const { traceId, hasOwnId, ownId } = record;
  if (traceId !== "") return hashOf(traceId);
  return hasOwnId ? hashOf(ownId.rest, ownId.stem) : hashOf(record.requestId);
}

/** What an id is chosen by: its last characters, where ids of every kind differ. Each that is looked at costs forty instructions. */
const HASHED_CHARACTERS = 4;

/** FNV-1a over them. @param before what stands before `id` and belongs to it */
function hashOf(id: string, before = ""): number {
  let hash = 0x811c9dc5;
  for (let index = before.length + Math.min(0, id.length - HASHED_CHARACTERS); index < before.length; index++)
    if (index >= 0) hash = Math.imul(hash ^ before.charCodeAt(index), 0x01000193);
  for (let index = Math.max(0, id.length - HASHED_CHARACTERS); index < id.length; index++)
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  // Its low bits alone are too regular over counters.
  return (hash ^ (hash >>> 15)) >>> 0;
}

function bytesOf({ target, authority, detail, match, attempts, skipped, acts, split }: Decision): number {
  const texts = target.length + authority.length + detail.length + match.length;
  return ENTRY_BYTES + texts + (attempts.length + skipped.length + acts.length + split.length) * ATTEMPT_BYTES;
}
