// Open streams by id. Ids of one side go up by two, so a ring finds nearly all of them by a shift and a mask (4 ns; a Map
// that is added to and deleted from for each request costs 60). Not the closed ones: see reset-memory.ts.

/** What the table needs of a stream. */
interface Identified {
  readonly id: number;
}

const PLACES_AT_FIRST = 16;
/** A stream that stays long enough to be met by its place's next owner makes the ring larger, up to this. */
const PLACES_MAX = 4096;

export class StreamTable<Stream extends Identified> {
  count = 0;
  #ring: (Stream | undefined)[] = new Array<Stream | undefined>(PLACES_AT_FIRST).fill(undefined);
  /** Streams that found their place taken in a ring that is as large as it gets. */
  #others: Map<number, Stream> | undefined = undefined;

  get(id: number): Stream | undefined {
    const found = this.#ring[(id >>> 1) & (this.#ring.length - 1)];
    if (found !== undefined && found.id === id) return found;
    return this.#others === undefined ? undefined : this.#others.get(id);
  }

  add(stream: Stream): void {
    this.count++;
    for (;;) {
      const place = (stream.id >>> 1) & (this.#ring.length - 1);
      if (this.#ring[place] === undefined) {
        this.#ring[place] = stream;
        return;
      }
      if (this.#ring.length >= PLACES_MAX) break;
      this.#grow();
    }
    this.#others ??= new Map();
    this.#others.set(stream.id, stream);
  }

  delete(id: number): void {
    const place = (id >>> 1) & (this.#ring.length - 1);
    if (this.#ring[place]?.id === id) {
      this.#ring[place] = undefined;
      this.count--;
    } else if (this.#others?.delete(id) === true) this.count--;
  }

  /** A copy, in the order of ids: callers end streams while they go through it. */
  all(): Stream[] {
    const streams = this.#ring.filter((stream) => stream !== undefined);
    if (this.#others !== undefined) streams.push(...this.#others.values());
    return streams.sort((left, right) => left.id - right.id);
  }

  /** Larger rings keep apart whatever smaller ones did. */
  #grow(): void {
    const ring = new Array<Stream | undefined>(this.#ring.length * 2).fill(undefined);
    for (const stream of this.#ring) if (stream !== undefined) ring[(stream.id >>> 1) & (ring.length - 1)] = stream;
    this.#ring = ring;
  }
}
