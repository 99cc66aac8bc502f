// Ids of streams that were reset lately, and by whom: frames that were under way when we reset a stream are no fault of
// the peer, frames that it sends after its own reset or end are (RFC 9113 section 5.1). Not the streams themselves.

/** Resets within one round trip; where more were forgotten, frames on closed streams are forgiven. */
const IDS_MAX = 512;
const IDS_AT_FIRST = 16;

/** "ended": both sides had ended it. "unknown": reset, or ended, too long ago to tell. */
type ClosedBy = "us" | "peer" | "ended" | "unknown";

export class ResetMemory {
  /** Negative: reset by the peer. */
  #ids: Int32Array | undefined = undefined;
  #count = 0;

  add(id: number, isByPeer: boolean): void {
    if (this.#ids === undefined) this.#ids = new Int32Array(IDS_AT_FIRST);
    else if (this.#count === this.#ids.length && this.#count < IDS_MAX) {
      const larger = new Int32Array(this.#ids.length * 2);
      larger.set(this.#ids);
      this.#ids = larger;
    }
    this.#ids[this.#count++ & (this.#ids.length - 1)] = isByPeer ? -id : id;
  }

  /** Of a stream that is closed. */
  closedBy(id: number): ClosedBy {
    if (this.#ids === undefined) return "ended";
    if (this.#ids.includes(id)) return "us";
    if (this.#ids.includes(-id)) return "peer";
    return this.#count > this.#ids.length ? "unknown" : "ended";
  }
}
