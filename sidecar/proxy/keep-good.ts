// A response on its way to the client that is kept beside, for when its service is down: its head when it comes, its content
// as it passes, kept when it was whole. What may be kept is policy/last-good.ts.
import { encodeResponseHead } from "../http1/encoder.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";
import { isKeepable, keyOf, type LastGood, RESPONSE_BYTES_MAX } from "../policy/last-good.ts";

/** Fields that are the answer's own when it is given again. */
const RENEWED_KINDS = (1 << FIELD.xWeftReason) | (1 << FIELD.xWeftRetry) | (1 << FIELD.retryAfter);
const RENEWED_LINES = /^(?:age|date):.*\r\n/gim;

export class KeptResponse {
  readonly #store: LastGood;
  readonly #key: string;
  readonly #lines: string;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  /**
   * @param edits of the response as far as its rule asks for them
   * @returns undefined when this response is not to be kept
   */
  static begin(
    store: LastGood,
    request: MessageHead,
    response: MessageHead,
    edits: HeadEdits,
  ): KeptResponse | undefined {
    if (response.contentLength > RESPONSE_BYTES_MAX || !isKeepable(response)) return undefined;
    const key = keyOf(request);
    return key === undefined ? undefined : new KeptResponse(store, key, linesOf(response, edits));
  }

  private constructor(store: LastGood, key: string, lines: string) {
    this.#store = store;
    this.#key = key;
    this.#lines = lines;
  }

  /** @returns false when it has become too large to keep */
  add(bytes: Buffer, start: number, end: number): boolean {
    this.#bytes += end - start;
    if (this.#bytes > RESPONSE_BYTES_MAX) return false;
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
    return true;
  }

  /** All of it has come. */
  keep(nowMs: number): void {
    this.#store.keep(this.#key, { lines: this.#lines, body: Buffer.concat(this.#pieces), keptMs: nowMs });
  }
}

function linesOf(head: MessageHead, edits: HeadEdits): string {
  const { framing, dropKinds } = edits;
  edits.framing = "none";
  edits.dropKinds |= RENEWED_KINDS;
  edits.isOpen = true;
  const text = encodeResponseHead(head, edits);
  edits.framing = framing;
  edits.dropKinds = dropKinds;
  edits.isOpen = false;
  return text.slice(text.indexOf("\r\n") + 2).replace(RENEWED_LINES, "");
}
