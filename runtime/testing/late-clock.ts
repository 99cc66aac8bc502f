// A clock for tests of stalls: its timers come when they are told, and find that more time has passed than that.
import { ManualClock } from "../manual-clock.ts";

export class LateClock extends ManualClock {
  /** Time that has passed while the process stood still, altogether. */
  lateMs = 0;

  override now(): number {
    return super.now() + this.lateMs;
  }
}
