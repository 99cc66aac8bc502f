// What is let in of a client's bytes: the socket is read unless the exchange cannot take more, or bytes that came early
// wait. Those are bounded by not reading on: one read. Not what the bytes say.
import type { SeatedLink } from "./contract.ts";
import { copyOf } from "./outlet.ts";

const NOTHING = Buffer.alloc(0);

type ReadLink = Pick<SeatedLink, "pauseReading" | "resumeReading">;

export class Intake {
  /** The exchange or its attempt cannot take more of the body. */
  isPaused = false;
  /** Bytes are being dealt with: the socket is told afterwards, by `update`. */
  isInUse = false;
  /** There are bytes behind the request in progress: those of `held`, from `heldAt` on. Meanwhile the socket is not read. */
  hasHeld = false;
  /** Stays while it is read on, so that what is left of it can be held again. */
  held: Buffer = NOTHING;
  heldAt = 0;
  #isReading = true;
  #link: ReadLink | undefined = undefined;

  /** @param link that is being read */
  attach(link: ReadLink): void {
    this.#link = link;
  }

  /** The connection is read on, by whoever has it then. */
  detach(): void {
    this.hasHeld = false;
    this.isPaused = false;
    this.update();
    this.#link = undefined;
  }

  pause(): void {
    this.isPaused = true;
    if (!this.isInUse) this.update();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    if (!this.isInUse) this.update();
  }

  /** bytes[start, end) are for later: to the end where they are what was held before. */
  hold(bytes: Buffer, start: number, end: number): void {
    if (bytes === this.held) this.heldAt = start;
    else {
      // Once per read: copied with each of its requests, as many as a read has room for took six times the CPU for each.
      const rest = copyOf(bytes, start, end);
      this.held = this.hasHeld ? Buffer.concat([this.held.subarray(this.heldAt), rest]) : rest;
      this.heldAt = 0;
    }
    this.hasHeld = true;
  }

  /** Reads or does not, as it is now. */
  update(): void {
    if (!this.hasHeld) this.held = NOTHING;
    const wants = !this.isPaused && !this.hasHeld;
    if (wants === this.#isReading) return;
    this.#isReading = wants;
    if (wants) this.#link?.resumeReading();
    else this.#link?.pauseReading();
  }
}
