// Where people's questions about requests meet the sidecars that know: questions for one id, asked of every connected
// sidecar, taps, open in all of them, and how often they report their traffic. Keeps nothing of what passes; everything
// that waits has a bound.
import type { StreamResponse } from "../../proto/gen/weft/v1/discovery.ts";
import type { Decision, DecisionAnswer, TapFilter, TapReport } from "../../proto/gen/weft/v1/telemetry.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";

/** Questions that are open together; a person asks one. */
export const INQUIRIES_MAX = 64;
export const TAPS_MAX = 16;
/** How often traffic is reported while somebody looks at it. */
const WATCH_INTERVAL_MS = 1_000;
const REPORTS_PER_SECOND_MAX = 2_000;
/** Decisions that one question brings back. */
const DECISIONS_MAX = 1_000;
const DECISIONS_OF_ONE_MAX = 64;

type Message = NonNullable<StreamResponse["message"]>;

/** One connected sidecar. */
export interface Informant {
  /** Workload id, and `namespace/name` of its service. */
  readonly id: string;
  readonly service: string;
  /** @returns false when its stream takes no more now */
  send(message: Message): boolean;
}

export interface Findings {
  readonly decisions: readonly Decision[];
  readonly asked: number;
  /** Ids of those that did not answer in time. */
  readonly silent: readonly string[];
}

export interface TapEvents {
  onReport(report: Omit<TapReport, "tap">): void;
}

export interface OpenTap {
  /** Sidecars that are tapped. */
  readonly sidecars: number;
  close(): void;
}

interface Inquiry {
  readonly found: Decision[];
  readonly waiting: Set<Informant>;
  /** Ids of those that left. */
  readonly silent: string[];
  readonly done: () => void;
}

interface Tap {
  readonly filter: TapFilter;
  readonly maxPerSecond: number;
  readonly events: TapEvents;
}

export class TelemetryHub {
  readonly #clock: Clock;
  readonly #informants = new Set<Informant>();
  readonly #inquiries = new Map<number, Inquiry>();
  readonly #taps = new Map<number, Tap>();
  #lastNumber = 0;
  /** Who looks at traffic now. */
  #watchers = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A sidecar's stream stands. @returns what to call when it is over */
  join(informant: Informant): () => void {
    this.#informants.add(informant);
    for (const [number, tap] of this.#taps) this.#openAt(informant, number, tap);
    if (this.#watchers > 0) informant.send(this.#pace());
    return () => {
      this.#informants.delete(informant);
      for (const inquiry of this.#inquiries.values()) {
        if (inquiry.waiting.delete(informant)) inquiry.silent.push(informant.id);
        if (inquiry.waiting.size === 0) inquiry.done();
      }
    };
  }

  /** @returns undefined when too many questions are open */
  async ask(id: string, waitMs: number): Promise<Findings | undefined> {
    if (this.#inquiries.size >= INQUIRIES_MAX) return undefined;
    const number = ++this.#lastNumber;
    const answered = Promise.withResolvers<void>();
    const asked = [...this.#informants];
    const inquiry: Inquiry = { found: [], waiting: new Set(asked), silent: [], done: answered.resolve };
    this.#inquiries.set(number, inquiry);
    const timer: Timer = this.#clock.after(waitMs, answered.resolve);
    for (const informant of asked) informant.send({ $case: "decisionQuery", value: { query: number, id } });
    if (asked.length === 0) answered.resolve();
    await answered.promise;
    timer.cancel();
    this.#inquiries.delete(number);
    const decisions = inquiry.found.sort((a, b) => a.atMs - b.atMs);
    const silent = [...inquiry.silent, ...Array.from(inquiry.waiting, (informant) => informant.id)];
    return { decisions, asked: asked.length, silent };
  }

  /** What a sidecar knows; of a question that is over it is dropped. */
  answer(informant: Informant, { query, decisions }: DecisionAnswer): void {
    const inquiry = this.#inquiries.get(query);
    if (inquiry?.waiting.delete(informant) !== true) return;
    const room = Math.min(DECISIONS_OF_ONE_MAX, DECISIONS_MAX - inquiry.found.length);
    for (const decision of decisions.slice(0, Math.max(0, room))) inquiry.found.push(signed(decision, informant));
    if (inquiry.waiting.size === 0) inquiry.done();
  }

  /**
   * Opens a tap in every sidecar, and in those that come later.
   * @returns undefined when too many are open
   */
  openTap(filter: TapFilter, maxPerSecond: number, events: TapEvents): OpenTap | undefined {
    if (this.#taps.size >= TAPS_MAX) return undefined;
    const number = ++this.#lastNumber;
    const tap: Tap = { filter, maxPerSecond, events };
    this.#taps.set(number, tap);
    for (const informant of this.#informants) this.#openAt(informant, number, tap);
    const informants = this.#informants;
    return {
      get sidecars() {
        return informants.size;
      },
      close: () => {
        if (!this.#taps.delete(number)) return;
        for (const informant of informants) informant.send({ $case: "tapClose", value: { tap: number } });
      },
    };
  }

  report(informant: Informant, { tap, decisions, matched, dropped }: TapReport): void {
    const open = this.#taps.get(tap);
    // The sidecar does not know yet that it was closed, or missed it.
    if (open === undefined) informant.send({ $case: "tapClose", value: { tap } });
    else open.events.onReport({ decisions: decisions.map((one) => signed(one, informant)), matched, dropped });
  }

  get informants(): number {
    return this.#informants.size;
  }

  /** Somebody looks at traffic: sidecars report often until the returned function is called. */
  watchTraffic(): () => void {
    if (++this.#watchers === 1) this.#tellPace();
    return () => {
      if (--this.#watchers === 0) this.#tellPace();
    };
  }

  #tellPace(): void {
    for (const informant of this.#informants) informant.send(this.#pace());
  }

  /** Of a large mesh each reports less often, so that all together stay within what one process reads. */
  #pace(): Message {
    const intervalMs = WATCH_INTERVAL_MS * Math.ceil(this.#informants.size / REPORTS_PER_SECOND_MAX);
    return { $case: "trafficWatch", value: { intervalMs: this.#watchers > 0 ? intervalMs : 0 } };
  }

  #openAt(informant: Informant, number: number, { filter, maxPerSecond }: Tap): void {
    informant.send({ $case: "tapOpen", value: { tap: number, filter, maxPerSecond } });
  }
}

/** Who tells it is for this side to say. */
function signed(decision: Decision, { id, service }: Informant): Decision {
  return { ...decision, sidecar: id, sidecarService: service };
}
