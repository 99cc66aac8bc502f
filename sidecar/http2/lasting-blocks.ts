// What was sent of heads whose fields last (Http2Head.lasting), of one connection: while the encoder's table is what it was
// the same octets say the same fields. Not the decoder's counterpart, known-block.ts, which knows values between them.

/** Power of two. Each number has one place. */
const PLACES = 16;
/** Longer ones say what no table has. */
const BYTES_MAX = 96;

class LastingBlock {
  readonly number: number;
  /** Entries of the table: from here on... */
  readonly oldest: number;
  /** ... up to here. */
  readonly newest: number;
  readonly #octets: Uint8Array;

  constructor(number: number, newest: number, oldest: number, octets: Uint8Array) {
    this.number = number;
    this.newest = newest;
    this.oldest = oldest;
    this.#octets = Uint8Array.from(octets);
  }

  /** @returns the position behind it */
  putTo(out: Uint8Array, at: number): number {
    const octets = this.#octets;
    for (let index = 0; index < octets.length; index++) out[at + index] = octets[index] as number;
    return at + octets.length;
  }
}

export class LastingBlocks {
  #blocks: (LastingBlock | undefined)[] | undefined = undefined;

  /** What was sent of heads with this number, if a table with these entries is what it was then. */
  find(number: number, newest: number, oldest: number): LastingBlock | undefined {
    const block = this.#blocks?.[number & (PLACES - 1)];
    if (block === undefined || block.number !== number) return undefined;
    return block.newest === newest && block.oldest === oldest ? block : undefined;
  }

  /** @param octets copied */
  keep(number: number, newest: number, oldest: number, octets: Uint8Array): void {
    if (octets.length > BYTES_MAX) return;
    this.#blocks ??= new Array<LastingBlock | undefined>(PLACES).fill(undefined);
    this.#blocks[number & (PLACES - 1)] = new LastingBlock(number, newest, oldest, octets);
  }
}
