// Content that was read with the head of its request, and waits where it was read until the request has taken its steps
// of the turn (turn-steps.ts). Not content that comes later: that is handed on at once.
import type { StagedContent } from "./contract.ts";
import type { TurnStages } from "./data-path.ts";
import type { TurnSteps } from "./turn-steps.ts";

/** Who reads the request. */
export interface ContentOwner {
  /** bytes[start, end) of the content waited; nothing did where both are 0. Never throws. */
  onContent(bytes: Buffer, start: number, end: number, isEnd: boolean): void;
}

export class TurnContent implements StagedContent {
  readonly #owner: ContentOwner;
  readonly #steps: TurnSteps;
  readonly #stages: TurnStages;
  /** From the head of the request until its steps are taken. */
  isAwaited = false;
  /** What waits, if #end is above 0. */
  #start = 0;
  #end = 0;
  #isEnd = false;
  #bytes: Buffer = NOTHING;

  constructor(owner: ContentOwner, steps: TurnSteps, stages: TurnStages) {
    this.#owner = owner;
    this.#steps = steps;
    this.#stages = stages;
  }

  /** A head stood in `bytes`. @returns whether what is behind it may wait: it stays there until the end of the turn */
  begin(bytes: Buffer): boolean {
    const { requests } = this.#stages;
    if (bytes !== requests.bytes && bytes !== requests.lent) return false;
    this.#bytes = bytes;
    this.isAwaited = true;
    this.#stages.content.add(this);
    return true;
  }

  /**
   * bytes[start, end) of the content wait.
   * @returns false where they are to be dealt with now: all that was before them has been
   */
  add(bytes: Buffer, start: number, end: number, isEnd: boolean): boolean {
    if (!this.isAwaited) return false;
    if (this.#end > 0 || bytes !== this.#bytes) {
      this.take();
      return false;
    }
    const { requests } = this.#stages;
    if (bytes === requests.bytes) requests.keep();
    this.#start = start;
    this.#end = end;
    this.#isEnd = isEnd;
    return true;
  }

  /** At the end of the turn; sooner where there is more that does not wait. */
  take(): void {
    if (!this.isAwaited) return;
    this.#steps.hurry();
    // The last of them may have ended the request.
    if (!this.isAwaited) return;
    const bytes = this.#bytes;
    const start = this.#start;
    const end = this.#end;
    const isEnd = this.#isEnd;
    this.#forget();
    this.#owner.onContent(bytes, start, end, isEnd);
    if (end > 0) this.#letGo(bytes);
  }

  /** Nobody wants it. */
  drop(): void {
    if (!this.isAwaited) return;
    if (this.#end > 0) this.#letGo(this.#bytes);
    this.#forget();
  }

  #letGo(bytes: Buffer): void {
    const { requests } = this.#stages;
    if (bytes === requests.bytes) requests.letGo();
  }

  #forget(): void {
    this.isAwaited = false;
    this.#start = 0;
    this.#end = 0;
    this.#isEnd = false;
    this.#bytes = NOTHING;
  }
}

const NOTHING = Buffer.alloc(0);
