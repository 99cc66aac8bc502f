// Time, passed in: the one place that reads clocks and sets timers for control paths. The data path's many
// short timeouts go through the timer wheel instead.

/** A pending call; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds; only differences mean anything. */
  now(): number;
  /** Milliseconds since the epoch. */
  wall(): number;
  /** Calls back once after `delayMs`. Only that of `foregroundClock` keeps the process alive for it. */
  after(delayMs: number, callback: () => void): Timer;
}

/** The global of that name is a getter, which costs as much as the clock. */
const monotonic = performance;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => monotonic.now(),
  wall: () => Date.now(),
  after: (delayMs, callback) => {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** The same for a program in the foreground, which may have nothing to do but wait: pending calls keep the process alive. */
export const foregroundClock: Clock = {
  ...systemClock,
  after: (delayMs, callback) => {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs` on the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** Calls back every `intervalMs`, counted from the end of the call before. */
export function every(clock: Clock, intervalMs: number, callback: () => void): Timer {
  let timer = clock.after(intervalMs, tick);
  let cancelled = false;
  function tick(): void {
    callback();
    if (!cancelled) timer = clock.after(intervalMs, tick);
  }
  return {
    cancel: () => {
      cancelled = true;
      timer.cancel();
    },
  };
}
