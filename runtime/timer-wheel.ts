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

/** One timeout of one owner; built once with its owner and armed again and again. */
export class WheelTimer {
  readonly owner: TimerOwner;
  /** Told to the owner, which may have several timers. */
  readonly kind: number;
  /** The tick at which it is due; meaningful while linked. */
  dueTick = 0;
  /** Both undefined exactly while the timer is not armed. */
  next: WheelTimer | undefined = undefined;
  previous: WheelTimer | undefined = undefined;

  constructor(owner: TimerOwner, kind = 0) {
    this.owner = owner;
    this.kind = kind;
  }

  get isArmed(): boolean {
    return this.next !== undefined;
  }
}

const NOBODY: TimerOwner = { onTimer: () => {} };

export class TimerWheel {
  readonly #clock: Clock;
  /** Ring sentinels, one per slot. */
  readonly #slots: WheelTimer[] = [];
  /** Timers that fell due in this turn and were not told yet; cancelling takes them out of here too. */
  readonly #due = emptyRing();
  #armed = 0;
  /** All slots up to this tick have been emptied of what was due. */
  #tick: number;
  #wake: Timer | undefined = undefined;
  #wakeTick = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#tick = Math.floor(clock.now() / TICK_MS);
    for (let slot = 0; slot < SLOTS; slot++) this.#slots.push(emptyRing());
  }

  /** How many timers are armed. */
  get armedCount(): number {
    return this.#armed;
  }

  /** (Re)arms: `owner.onTimer(kind)` is called once, between `delayMs` and two ticks later. */
  arm(timer: WheelTimer, delayMs: number, nowMs: number = this.#clock.now()): void {
    if (timer.next === undefined) this.#armed++;
    else unlink(timer);
    if (this.#armed === 1) this.#tick = Math.floor(nowMs / TICK_MS);
    const due = Math.max(Math.ceil((nowMs + delayMs) / TICK_MS), this.#tick + 1);
    timer.dueTick = due;
    link(this.#slots[due & SLOT_MASK] ?? this.#due, timer);
    if (this.#wake === undefined || due < this.#wakeTick) this.#sleepUntil(Math.min(due, this.#tick + SLEEP_TICKS_MAX));
  }

  /** Idempotent. */
  cancel(timer: WheelTimer): void {
    if (timer.next === undefined) return;
    unlink(timer);
    this.#armed--;
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
    for (let tick = this.#tick + 1; tick <= last; tick++) this.#collect(tick, nowTick);
    this.#tick = Math.max(this.#tick, nowTick);
    try {
      this.#tellDue();
    } finally {
      if (this.#armed > 0) this.#sleepUntil(this.#nextUsedTick());
    }
  }

  #collect(tick: number, nowTick: number): void {
    const slot = this.#slots[tick & SLOT_MASK];
    if (slot === undefined) return;
    for (let timer = slot.next; timer !== undefined && timer !== slot; ) {
      const following: WheelTimer | undefined = timer.next;
      if (timer.dueTick <= nowTick) {
        unlink(timer);
        link(this.#due, timer);
      }
      timer = following;
    }
  }

  #tellDue(): void {
    for (let timer = this.#due.next; timer !== undefined && timer !== this.#due; timer = this.#due.next) {
      unlink(timer);
      this.#armed--;
      timer.owner.onTimer(timer.kind);
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
