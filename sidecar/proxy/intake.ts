// What is let in of a client's bytes: the socket is read unless the exchange cannot take more, or bytes that came early
// wait. Those are bounded by not reading on: one read. Not what the bytes say.
import type { SeatedLink } from "./contract.ts";
import { copyOf } from "./outlet.ts";

type ReadLink = Pick<SeatedLink, "pauseReading" | "resumeReading">;

export class Intake {
  /** The exchange or its attempt cannot take more of the body. */
  isPaused = false;
  /** Bytes are being dealt with: the socket is told afterwards, by `update`. */
  isInUse = false;
  /** Bytes behind the request in progress. While there are any the socket is not read. */
  held: Buffer | undefined = undefined;
  #isReading = true;
  #link: ReadLink | undefined = undefined;

  /** @param link that is being read */
  attach(link: ReadLink): void {
    this.#link = link;
  }

  /** The connection is read on, by whoever has it then. */
  detach(): void {
    this.held = undefined;
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

  /** bytes[start, end) are for later. */
  hold(bytes: Buffer, start: number, end: number): void {
    const rest = copyOf(bytes, start, end);
    this.held = this.held === undefined ? rest : Buffer.concat([this.held, rest]);
  }

  /** Reads or does not, as it is now. */
  update(): void {
    const wants = !this.isPaused && this.held === undefined;
    if (wants === this.#isReading) return;
    this.#isReading = wants;
    if (wants) this.#link?.resumeReading();
    else this.#link?.pauseReading();
  }
}
