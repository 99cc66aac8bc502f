// The data path's timeouts: a hashed timing wheel (Varghese and Lauck, 1987, scheme 6) whose timers are linked into
// the objects that own them, so that arming and cancelling allocate nothing. Coarse on purpose (one tick late at
// most, never early). Control paths use Clock.after, which is exact and allocates.
import type { Clock, Timer } from "./clock.ts";

/** Whoever owns timers is told which of them fell due. */
export interface TimerOwner {
  onTimer(kind: number): void;
}

const TICK_MS = 10;
/** Power of two. One revolution is 10.24 s; a timer further away is passed over once per revolution. */
const SLOTS = 1024;
const SLOT_MASK = SLOTS - 1;
/** The wheel sleeps over empty slots, but never longer than this many ticks. */
const SLEEP_TICKS_MAX = 25;

/** `dueTick` of a timer that is not armed. Ticks are small whole numbers, which V8 keeps in the timer itself. */
const NEVER = -1;

/** One timeout of one owner; built once with its owner and armed again and again. */
export class WheelTimer {
  // First what arming looks at: it mostly lies in one line of the cache then.
  /** The tick at which it is due; NEVER while it is not armed. */
  dueTick = NEVER;
  /** The tick in whose slot it stands while linked: its due tick or an earlier one. */
  linkedTick = 0;
  /** Both undefined exactly while it stands in no slot. */
  next: WheelTimer | undefined = undefined;
  previous: WheelTimer | undefined = undefined;
  readonly owner: TimerOwner;
  /** Told to the owner, which may have several timers. */
  readonly kind: number;

  constructor(owner: TimerOwner, kind = 0) {
    this.owner = owner;
    this.kind = kind;
  }

  get isArmed(): boolean {
    return this.dueTick !== NEVER;
  }
}

const NOBODY: TimerOwner = { onTimer: () => {} };

/**
 * Arming for later and cancelling leave a timer where it stands and only change `dueTick`; its slot, when it comes,
 * moves it on or lets it go. A request that arms and cancels three timers so touches no list at all (2 ns each instead
 * of 10). The price: a cancelled timer is held until its slot comes, so owners that end call `release`.
 */
export class TimerWheel {
  readonly #clock: Clock;
  /** Ring sentinels, one per slot. */
  readonly #slots: WheelTimer[] = [];
  /** Timers that fell due in this turn and were not told yet; cancelling reaches them here too. */
  readonly #due = emptyRing();
  #linked = 0;
  /** All slots up to this tick have been emptied of what was due. */
  #tick = 0;
  #wake: Timer | undefined = undefined;
  #wakeTick = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#tick = Math.floor(clock.now() / TICK_MS);
    for (let slot = 0; slot < SLOTS; slot++) this.#slots.push(emptyRing());
  }

  /** The clock as of now, for owners of timers that have no other clock. */
  now(): number {
    return this.#clock.now();
  }

  /** How many timers stand in slots, cancelled ones included. */
  get linkedCount(): number {
    return this.#linked;
  }

  /**
   * (Re)arms: `owner.onTimer(kind)` is called once, between `delayMs` and two ticks later.
   * @param nowMs the clock's time, where the caller knows it already
   */
  arm(timer: WheelTimer, delayMs: number, nowMs: number = this.#clock.now()): void {
    const due = Math.ceil((nowMs + delayMs) / TICK_MS);
    timer.dueTick = due;
    if (timer.next !== undefined && timer.linkedTick <= due) return;
    if (timer.next === undefined) {
      this.#linked++;
      if (this.#linked === 1) this.#tick = Math.floor(nowMs / TICK_MS);
    } else unlink(timer);
    this.#link(timer);
  }

  /** Idempotent. */
  cancel(timer: WheelTimer): void {
    timer.dueTick = NEVER;
  }

  /** Cancels, and holds the timer no longer. Idempotent. */
  release(timer: WheelTimer): void {
    timer.dueTick = NEVER;
    if (timer.next === undefined) return;
    unlink(timer);
    this.#linked--;
  }

  #link(timer: WheelTimer): void {
    const tick = Math.max(timer.dueTick, this.#tick + 1);
    timer.linkedTick = tick;
    link(this.#slots[tick & SLOT_MASK] ?? this.#due, timer);
    if (this.#wake === undefined || tick < this.#wakeTick)
      this.#sleepUntil(Math.min(tick, this.#tick + SLEEP_TICKS_MAX));
  }

  #sleepUntil(tick: number): void {
    if (this.#wake !== undefined && this.#wakeTick <= tick) return;
    this.#wake?.cancel();
    this.#wakeTick = tick;
    this.#wake = this.#clock.after(Math.max(0, tick * TICK_MS - this.#clock.now()), () => this.#turn());
  }

  #turn(): void {
    this.#wake = undefined;
    const nowTick = Math.floor(this.#clock.now() / TICK_MS);
    // After a long stall one revolution visits every slot; more would visit them twice.
    const last = Math.min(nowTick, this.#tick + SLOTS);
    const first = this.#tick + 1;
    this.#tick = Math.max(this.#tick, nowTick);
    for (let tick = first; tick <= last; tick++) this.#visit(tick, nowTick);
    try {
      this.#tellDue();
    } finally {
      if (this.#linked > 0) this.#sleepUntil(this.#nextUsedTick());
    }
  }

  #visit(tick: number, nowTick: number): void {
    const slot = this.#slots[tick & SLOT_MASK];
    if (slot === undefined) return;
    for (let timer = slot.next; timer !== undefined && timer !== slot; ) {
      const following: WheelTimer | undefined = timer.next;
      // Another revolution's timers stay.
      if (timer.linkedTick <= nowTick) {
        unlink(timer);
        if (timer.dueTick === NEVER) this.#linked--;
        else if (timer.dueTick <= nowTick) link(this.#due, timer);
        else this.#link(timer);
      }
      timer = following;
    }
  }

  #tellDue(): void {
    for (let timer = this.#due.next; timer !== undefined && timer !== this.#due; timer = this.#due.next) {
      unlink(timer);
      this.#linked--;
      if (timer.dueTick > this.#tick) {
        // Armed again, for later, by a callback before it in this turn.
        this.#linked++;
        this.#link(timer);
      } else if (timer.dueTick !== NEVER) {
        timer.dueTick = NEVER;
        timer.owner.onTimer(timer.kind);
      }
    }
  }

  #nextUsedTick(): number {
    if (this.#due.next !== this.#due) return this.#tick + 1;
    for (let ahead = 1; ahead < SLEEP_TICKS_MAX; ahead++) {
      const slot = this.#slots[(this.#tick + ahead) & SLOT_MASK];
      if (slot !== undefined && slot.next !== slot) return this.#tick + ahead;
    }
    return this.#tick + SLEEP_TICKS_MAX;
  }
}

function emptyRing(): WheelTimer {
  const sentinel = new WheelTimer(NOBODY);
  sentinel.next = sentinel;
  sentinel.previous = sentinel;
  return sentinel;
}

/** At the end of the ring, so that timers due at the same tick are told in the order they were armed. */
function link(ring: WheelTimer, timer: WheelTimer): void {
  const last = ring.previous ?? ring;
  timer.previous = last;
  timer.next = ring;
  last.next = timer;
  ring.previous = timer;
}

function unlink(timer: WheelTimer): void {
  if (timer.previous !== undefined) timer.previous.next = timer.next;
  if (timer.next !== undefined) timer.next.previous = timer.previous;
  timer.next = undefined;
  timer.previous = undefined;
}
