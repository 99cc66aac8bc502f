// The part of a request body that is kept: what came before a connection was there, and what may have to be sent
// again. Bounded; past the bound it forgets everything, and the request cannot be repeated any more.
import { latin1 } from "../../runtime/latin1.ts";
import type { MessageOutlet } from "./contract.ts";
import { copyOf, TEXT_PIECE_MAX } from "./outlet.ts";

export class BodyLog {
  readonly #pieces: (string | Buffer)[] = [];
  #bytes = 0;
  /** False once a part that was sent is not here any more. */
  isWhole = true;

  get bytes(): number {
    return this.#bytes;
  }

  /** For the next request. */
  clear(): void {
    if (this.#pieces.length > 0) this.#pieces.length = 0;
    this.#bytes = 0;
    this.isWhole = true;
  }

  /** Keeps a copy of bytes[start, end). */
  addBytes(bytes: Buffer, start: number, end: number): void {
    this.#pieces.push(end - start <= TEXT_PIECE_MAX ? latin1(bytes, start, end) : copyOf(bytes, start, end));
    this.#bytes += end - start;
  }

  /** What is here has been sent, or is too much to keep: the request cannot be repeated. */
  forget(): void {
    if (this.#pieces.length > 0) this.#pieces.length = 0;
    this.#bytes = 0;
    this.isWhole = false;
  }

  sendTo(outlet: MessageOutlet): void {
    for (const piece of this.#pieces) {
      if (typeof piece === "string") outlet.addBodyText(piece);
      else outlet.addBody(piece, 0, piece.length);
    }
  }
}
