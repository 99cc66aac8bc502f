// The decoder's dynamic table (RFC 7541 section 2.3.2) as a ring of flat arrays: few of them, because with many
// connections each is out of cache. What a string was found to be of when it was decoded is kept with it, so that an
// indexed field costs neither a scan nor a string.

/** Octets that an entry costs beside its name and value (section 4.1). */
export const ENTRY_OVERHEAD = 32;

const ENTRIES_AT_FIRST = 16;
const BYTE_MASK = 0xff;
const NAME_SHIFT = 8;
const VALUE_SHIFT = 16;

/** Of what `traits` says of an entry. Each of the three is a byte. */
export function kindOf(traits: number): number {
  return traits & BYTE_MASK;
}

export function nameClassesOf(traits: number): number {
  return (traits >>> NAME_SHIFT) & BYTE_MASK;
}

export function valueClassesOf(traits: number): number {
  return traits >>> VALUE_SHIFT;
}

export class DynamicTable {
  names: string[] = [];
  values: string[] = [];
  /** Kind and classes of each entry; see `kindOf`. */
  traits: Uint32Array = new Uint32Array(ENTRIES_AT_FIRST);
  /** Entries at present; the newest has index 1 here. */
  count = 0;
  /** Octets as section 4.1 counts them. */
  size = 0;
  /** What the peer's encoder said last, at most the limit. */
  sizeMax: number;
  /** Where the next entry goes. */
  #next = 0;

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
  }

  /** Place in the arrays of entry `index`, 1 being the newest; the caller has compared with `count`. */
  placeOf(index: number): number {
    return (this.#next - index) & (this.traits.length - 1);
  }

  /** An entry larger than the whole table empties it and is not kept (section 4.4). */
  insert(name: string, value: string, kind: number, nameClasses: number, valueClasses: number): void {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    this.#evictTo(this.sizeMax - size);
    if (size > this.sizeMax) return;
    if (this.count === this.traits.length) this.#grow();
    const place = this.#next;
    this.names[place] = name;
    this.values[place] = value;
    this.traits[place] = kind | (nameClasses << NAME_SHIFT) | (valueClasses << VALUE_SHIFT);
    this.#next = (place + 1) & (this.traits.length - 1);
    this.count++;
    this.size += size;
  }

  resize(sizeMax: number): void {
    this.sizeMax = sizeMax;
    this.#evictTo(sizeMax);
  }

  #evictTo(size: number): void {
    while (this.size > size && this.count > 0) {
      const place = this.placeOf(this.count);
      this.size -= (this.names[place] as string).length + (this.values[place] as string).length + ENTRY_OVERHEAD;
      this.names[place] = "";
      this.values[place] = "";
      this.count--;
    }
  }

  /** Twice the room, oldest entry first. */
  #grow(): void {
    const { names, values, traits } = this;
    const places = Array.from({ length: this.count }, (_, index) => this.placeOf(this.count - index));
    this.names = places.map((place) => names[place] as string);
    this.values = places.map((place) => values[place] as string);
    this.traits = new Uint32Array(traits.length * 2);
    for (const [index, place] of places.entries()) this.traits[index] = traits[place] as number;
    this.#next = this.count;
  }
}
