// One head or trailers: pseudo-fields apart, fields in the order in which they came, all that is known of them in one
// array: with many streams each array is out of cache. Reusable: reading fills it, edits change it in place, `copyFrom`
// makes another of it. Not the rules for it (head-rules.ts), and not bytes: the strings are shared with HPACK's tables, so
// the same value is the same string.
import { fieldKind } from "./field.ts";

/** What there is of a field: its name, and behind it these. Traits are its kind, and whether it is sensitive. */
const STRIDE = 3;
const VALUE = 1;
const TRAITS = 2;
const KIND_SHIFT = 1;

/** In place of a field's index: the value is that of `:path`. */
export const PATH = -1;

/** A value of a block that is not the same each time. */
export interface OpenValue {
  /** Of the field in the head, or PATH. */
  readonly index: number;
  readonly kind: number;
  /** It may come again, and is no secret. */
  readonly isKept: boolean;
}

/** Blocks that say the same but for some values, one after the other (known-block.ts). */
export interface HeadBlock {
  readonly values: readonly OpenValue[];
  /** What others have found out about their heads. */
  memo: unknown;
}

let lastNumber = 0;

/** For heads of which fields last. */
export function newNumber(): number {
  return ++lastNumber;
}

export class Http2Head {
  // Pseudo-fields; "" and 0 where absent. Request:
  method = "";
  scheme = "";
  /** From `:authority`, or from `host` where that is absent. `host` is never among the fields of a decoded head. */
  authority = "";
  path = "";
  /** Of a path that stays: what the encoder tells it by (hpack-encoder.ts); 0: it finds out. */
  pathMark = 0;
  /** Extended CONNECT (RFC 8441). */
  protocol = "";
  /** Response: 100..999. */
  status = 0;

  /** Of each field name, value and traits; the first `count` are valid. */
  readonly #fields: (string | number)[] = [];
  count = 0;

  /** Decoded: its size as RFC 9113 section 6.5.2 counts it. */
  listBytes = 0;
  /** Decoded: -1 when absent. To be kept in step with the field by who edits it. */
  contentLength = -1;
  /** Decoded: `te: trailers` was among the fields (it stays there). */
  acceptsTrailers = false;

  /**
   * Decoded: the strings stand for themselves. False of a head that others fill, whose strings may be pieces of a larger
   * text: the encoder copies what its table keeps, so that it does not keep that text.
   */
  ownsText = false;

  /** Decoded, and not edited since: the blocks that it is one of. Nobody edits a decoded head but by `set`, `remove` and `setPath`. */
  block: HeadBlock | undefined = undefined;

  /** The first `lasting` fields are, for good, those of all heads with this number; 0: nobody has said so. */
  lasting = 0;
  number = 0;
  /** Octets of their names and values. */
  lastingLength = 0;

  #pathOnly: string | undefined;
  #query = "";

  get isConnect(): boolean {
    return this.method === "CONNECT";
  }

  /** The path without the query; `path` must not change after it was asked for, but by `setPath` or `clear`. */
  get pathOnly(): string {
    if (this.#pathOnly === undefined) this.#splitPath();
    return this.#pathOnly ?? "";
  }

  /** The query without its "?"; "" when there is none. */
  get query(): string {
    if (this.#pathOnly === undefined) this.#splitPath();
    return this.#query;
  }

  /** The first `count` fields stay what they are, and are those of all heads with this number (`newNumber`). */
  setLasting(count: number, number: number): void {
    this.lasting = count;
    this.number = number;
    this.lastingLength = 0;
    for (let index = 0; index < count; index++)
      this.lastingLength += this.nameAt(index).length + this.valueAt(index).length;
  }

  setPath(path: string): void {
    this.path = path;
    this.block = undefined;
    this.#pathOnly = undefined;
  }

  /** `path` is about to be another one. */
  forgetPath(): void {
    this.#pathOnly = undefined;
  }

  nameAt(index: number): string {
    return this.#fields[index * STRIDE] as string;
  }

  valueAt(index: number): string {
    return this.#fields[index * STRIDE + VALUE] as string;
  }

  /** As in field.ts. */
  kindAt(index: number): number {
    return (this.#fields[index * STRIDE + TRAITS] as number) >> KIND_SHIFT;
  }

  /** 1: sent as a never-indexed literal, and must go on as one (RFC 7541 section 7.1.3). */
  sensitiveAt(index: number): number {
    return (this.#fields[index * STRIDE + TRAITS] as number) & 1;
  }

  /** Another value for field `index`. */
  setValueAt(index: number, value: string): void {
    this.#fields[index * STRIDE + VALUE] = value;
  }

  /** More of the value of field `index`, which is sensitive if any part of it is. */
  joinAt(index: number, more: string, sensitive: number): void {
    this.setValueAt(index, this.valueAt(index) + more);
    const at = index * STRIDE + TRAITS;
    this.#fields[at] = (this.#fields[at] as number) | sensitive;
  }

  /** Is there a field of this known kind? */
  has(kind: number): boolean {
    return this.indexOfKind(kind) >= 0;
  }

  /** First value of a known kind. */
  known(kind: number): string | undefined {
    const index = this.indexOfKind(kind);
    return index < 0 ? undefined : this.valueAt(index);
  }

  /** Index of the first field of a known kind; -1. */
  indexOfKind(kind: number): number {
    for (let index = 0; index < this.count; index++) if (this.kindAt(index) === kind) return index;
    return -1;
  }

  /** Value by lower-case name, repeated ones joined with ", " (cookie: "; "). A miss costs no allocation. */
  value(lowerName: string): string | undefined {
    let joined: string | undefined;
    for (let index = 0; index < this.count; index++) {
      if (this.nameAt(index) !== lowerName) continue;
      const value = this.valueAt(index);
      joined = joined === undefined ? value : joined + (lowerName === "cookie" ? "; " : ", ") + value;
    }
    return joined;
  }

  /** Forgets everything. The strings stay referenced until they are overwritten. */
  clear(): void {
    this.method = "";
    this.scheme = "";
    this.authority = "";
    this.path = "";
    this.protocol = "";
    this.status = 0;
    this.count = 0;
    this.listBytes = 0;
    this.contentLength = -1;
    this.acceptsTrailers = false;
    this.ownsText = false;
    this.block = undefined;
    this.#pathOnly = undefined;
  }

  copyFrom(other: Http2Head): void {
    this.method = other.method;
    this.scheme = other.scheme;
    this.authority = other.authority;
    this.path = other.path;
    this.protocol = other.protocol;
    this.status = other.status;
    this.contentLength = other.contentLength;
    this.acceptsTrailers = other.acceptsTrailers;
    this.ownsText = other.ownsText;
    this.block = undefined;
    this.#pathOnly = undefined;
    const end = other.count * STRIDE;
    for (let at = 0; at < end; at++) this.#fields[at] = other.#fields[at] as string | number;
    this.count = other.count;
  }

  /** One more field at the end. `lowerName` is lower case; the caller vouches for both. */
  add(lowerName: string, value: string): void {
    this.push(lowerName, value, fieldKind(lowerName), 0);
  }

  /** The same where the kind is known already. */
  push(lowerName: string, value: string, kind: number, sensitive: number): void {
    const at = this.count++ * STRIDE;
    const fields = this.#fields;
    fields[at] = lowerName;
    fields[at + VALUE] = value;
    fields[at + TRAITS] = (kind << KIND_SHIFT) | sensitive;
  }

  /** One field instead of all of this name: where the first one stood, or at the end. */
  set(lowerName: string, value: string): void {
    this.block = undefined;
    for (let index = 0; index < this.count; index++) {
      if (this.nameAt(index) !== lowerName) continue;
      this.setValueAt(index, value);
      this.#removeFrom(index + 1, lowerName);
      return;
    }
    this.add(lowerName, value);
  }

  /** Leaves out every field of this lower-case name. */
  remove(lowerName: string): void {
    this.block = undefined;
    this.#removeFrom(0, lowerName);
  }

  #removeFrom(start: number, lowerName: string): void {
    let kept = start;
    for (let index = start; index < this.count; index++) {
      if (this.nameAt(index) === lowerName) continue;
      if (kept !== index) this.#move(index, kept);
      kept++;
    }
    this.count = kept;
  }

  #move(from: number, to: number): void {
    for (let part = 0; part < STRIDE; part++)
      this.#fields[to * STRIDE + part] = this.#fields[from * STRIDE + part] as string | number;
  }

  #splitPath(): void {
    const path = this.method === "CONNECT" && this.protocol === "" ? "" : this.path;
    const mark = path.indexOf("?");
    this.#pathOnly = mark < 0 ? path : path.slice(0, mark);
    this.#query = mark < 0 ? "" : path.slice(mark + 1);
  }
}
