// The field lines of one section (a head or trailers) as offsets into its text. Not a map: order, case and
// duplicates are kept as they came.
import { FIELD, FIELD_KINDS } from "./field.ts";
import type { HeadSource } from "./head-source.ts";

/** Room for this many fields at first; it doubles, up to the limit of the section. */
const FIELDS_AT_FIRST = 16;

export class FieldTable {
  /** The fields came in another protocol: there are neither text nor offsets, and Host stands first in a request. */
  source: HeadSource | undefined = undefined;
  #sourceStart = 0;
  /** What the offsets count in; set when the section is complete. */
  text = "";
  /** name start, name end, value start, value end: four per field. Value bounds are without surrounding whitespace. */
  offsets: Int32Array = new Int32Array(FIELDS_AT_FIRST * 4);
  kinds: Uint8Array = new Uint8Array(FIELDS_AT_FIRST);
  count = 0;
  /** Kinds present, and kinds present more than once: `1 << kind`. `unknown` counts for nothing. */
  present = 0;
  repeated = 0;
  /** Index of the first field of each kind; only valid where `present` says so. */
  readonly first: Uint16Array = new Uint16Array(FIELD_KINDS);

  clear(): void {
    this.text = "";
    this.source = undefined;
    this.count = 0;
    this.present = 0;
    this.repeated = 0;
  }

  /** Begins a field; its value bounds follow. */
  open(nameStart: number, nameEnd: number, kind: number): void {
    this.#count(kind);
    const at = (this.count - 1) << 2;
    this.offsets[at] = nameStart;
    this.offsets[at + 1] = nameEnd;
  }

  /** Ends the field that was opened last. */
  close(valueStart: number, valueEnd: number): void {
    const at = (this.count - 1) << 2;
    this.offsets[at + 2] = valueStart;
    this.offsets[at + 3] = valueEnd;
  }

  /** Instead of scanning. @param kinds kind for each of the source's */
  take(source: HeadSource, kinds: Uint8Array, isRequest: boolean): void {
    this.source = source;
    this.#sourceStart = isRequest ? 1 : 0;
    if (isRequest) this.#count(FIELD.host);
    const { kinds: sourceKinds, count } = source;
    for (let index = 0; index < count; index++) this.#count(kinds[sourceKinds[index] as number] as number);
  }

  #count(kind: number): void {
    const index = this.count++;
    if (index === this.kinds.length) this.#grow();
    this.kinds[index] = kind;
    if (kind === FIELD.unknown) return;
    const bit = 1 << kind;
    if ((this.present & bit) !== 0) this.repeated |= bit;
    else {
      this.present |= bit;
      this.first[kind] = index;
    }
  }

  has(kind: number): boolean {
    return (this.present & (1 << kind)) !== 0;
  }

  /** First value of a known kind. */
  known(kind: number): string | undefined {
    return (this.present & (1 << kind)) === 0 ? undefined : this.valueAt(this.first[kind] as number);
  }

  /** Is this the first value of a known kind? Cuts nothing out. */
  isKnown(kind: number, value: string): boolean {
    if ((this.present & (1 << kind)) === 0) return false;
    if (this.source !== undefined) return this.known(kind) === value;
    const at = ((this.first[kind] as number) << 2) + 2;
    const start = this.offsets[at] as number;
    return (this.offsets[at + 1] as number) - start === value.length && this.text.startsWith(value, start);
  }

  /** Does the first value of a known kind begin so? Cuts nothing out. */
  knownStartsWith(kind: number, beginning: string): boolean {
    if ((this.present & (1 << kind)) === 0) return false;
    if (this.source !== undefined) return this.known(kind)?.startsWith(beginning) === true;
    const at = ((this.first[kind] as number) << 2) + 2;
    const start = this.offsets[at] as number;
    return (this.offsets[at + 1] as number) - start >= beginning.length && this.text.startsWith(beginning, start);
  }

  nameAt(index: number): string {
    if (this.source !== undefined) return nameOf(this.source, index - this.#sourceStart);
    return this.text.slice(this.offsets[index << 2], this.offsets[(index << 2) + 1]);
  }

  valueAt(index: number): string {
    if (this.source !== undefined) return valueIn(this.source, index - this.#sourceStart);
    return this.text.slice(this.offsets[(index << 2) + 2], this.offsets[(index << 2) + 3]);
  }

  /** Where the line of field `index` begins, and where the line after it does; `end` is the end of the last line. */
  lineStart(index: number): number {
    return this.offsets[index << 2] as number;
  }

  /** Is this the name of field `index`? `lowerName` is lower case. */
  isNamed(index: number, lowerName: string): boolean {
    if (this.source !== undefined) return nameOf(this.source, index - this.#sourceStart) === lowerName;
    const start = this.offsets[index << 2] as number;
    const length = (this.offsets[(index << 2) + 1] as number) - start;
    if (length !== lowerName.length) return false;
    const text = this.text;
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(start + at);
      const lower = code >= 0x41 && code <= 0x5a ? code | 0x20 : code;
      if (lower !== lowerName.charCodeAt(at)) return false;
    }
    return true;
  }

  /** The value by lower-case name; repeated ones joined with ", ", cookies with "; " (RFC 9110 5.3, RFC 9113 8.2.3). */
  value(lowerName: string): string | undefined {
    let joined: string | undefined;
    for (let index = 0; index < this.count; index++) {
      if (!this.isNamed(index, lowerName)) continue;
      const value = this.valueAt(index);
      joined = joined === undefined ? value : joined + (lowerName === "cookie" ? "; " : ", ") + value;
    }
    return joined;
  }

  #grow(): void {
    const offsets = new Int32Array(this.offsets.length * 2);
    offsets.set(this.offsets);
    this.offsets = offsets;
    const kinds = new Uint8Array(this.kinds.length * 2);
    kinds.set(this.kinds);
    this.kinds = kinds;
  }
}

function nameOf({ names }: HeadSource, index: number): string {
  return index < 0 ? "host" : (names[index] as string);
}

function valueIn({ values, authority }: HeadSource, index: number): string {
  return index < 0 ? authority : (values[index] as string);
}
