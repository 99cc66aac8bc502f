// The status in a HealthCheckResponse, read as protobuf says: fields that are not known here are skipped, and of several
// the last one counts. By hand, because the library of protobuf takes 8 MiB of every sidecar that loads it.

/** `HealthCheckResponse.status`. */
const STATUS_FIELD = 1;

const VARINT = 0;
const BITS_64 = 1;
const LENGTH_DELIMITED = 2;
const GROUP_START = 3;
const GROUP_END = 4;
const BITS_32 = 5;

/** No varint is this. */
const BROKEN = -1;
/** Octets of 7 bits that 64 bits may take. */
const VARINT_OCTETS_MAX = 10;

/** @returns the status as a number, 0 where there is none; undefined when the message is no protobuf */
export function servingStatusIn(message: Uint8Array): number | undefined {
  const reader = new FieldReader(message);
  let status = 0;
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    if (tag === ((STATUS_FIELD << 3) | VARINT)) {
      status = reader.varint();
      if (status === BROKEN) return undefined;
    } else if (!reader.skip(tag)) return undefined;
  }
  return status;
}

class FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Its lower 32 bits, or BROKEN. */
  varint(): number {
    let value = 0;
    for (let count = 0; count < VARINT_OCTETS_MAX; count++) {
      const octet = this.#bytes[this.#at++];
      if (octet === undefined) return BROKEN;
      // A shift by 32 or more would begin from 0 again.
      if (count < 5) value |= (octet & 0x7f) << (7 * count);
      if (octet < 0x80) return value >>> 0;
    }
    return BROKEN;
  }

  /** Goes behind the field that `tag` begins. @returns false where there is none */
  skip(tag: number): boolean {
    if (tag === BROKEN || tag >>> 3 === 0) return false;
    switch (tag & 7) {
      case VARINT:
        return this.varint() !== BROKEN;
      case BITS_64:
        return this.#advance(8);
      case LENGTH_DELIMITED:
        return this.#advance(this.varint());
      case GROUP_START:
        return this.#skipGroup(tag >>> 3);
      case BITS_32:
        return this.#advance(4);
      default:
        return false;
    }
  }

  #skipGroup(field: number): boolean {
    for (;;) {
      const tag = this.varint();
      if (tag !== BROKEN && (tag & 7) === GROUP_END) return tag >>> 3 === field;
      if (!this.skip(tag)) return false;
    }
  }

  #advance(octets: number): boolean {
    if (octets === BROKEN || octets > this.#bytes.length - this.#at) return false;
    this.#at += octets;
    return true;
  }
}
