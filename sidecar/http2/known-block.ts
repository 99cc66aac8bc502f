// Header blocks that come again and again, and are the same but for some values that no table holds: ids, paths, lengths.
// What such a block says is known but for those values. It is learned from a block that was decoded in full and left the
// dynamic table as it was, and it holds for as long as the table stays so. A block that is not like it in every octet, or
// says more than it may, is decoded in full: whatever is wrong is found there.
import { decimal } from "../../runtime/decimal.ts";
import { FIELD, IS_UNIQUE } from "./field.ts";
import { type HeadBlock, Http2Head, type OpenValue, PATH } from "./head.ts";
import { type HeadPart, LENGTH_DIGITS_MAX } from "./head-rules.ts";
import type { HpackDecoder } from "./hpack-decoder.ts";
import { DIGIT, TARGET, VALUE } from "./octet.ts";

/** Power of two. Each block has one place, so that a peer which sends others costs time and no memory. */
const PLACES = 16;
/** Octets besides the values that may differ. */
const FIXED_MAX = 192;
const VALUES_MAX = 6;
/** Values of more octets say their length in more than one. */
const LENGTH_MASK = 0x7f;
const SLASH = 0x2f;
/** Indices of `:path` in the static table (RFC 7541 appendix A). */
const PATH_NAMES: readonly number[] = [4, 5];
const NAME_MASK = 0x0f;
/** From here on, up to a change of the table's size, it is a literal that is never indexed (section 6.2.3). */
const NEVER_INDEXED = 0x10;

/** What is known of such blocks. */
class KnownBlock implements HeadBlock {
  readonly part: HeadPart;
  /** Of the decoder's table. */
  readonly generation: number;
  /** The octets that do not differ. */
  readonly fixed: Uint8Array;
  /** How many of them stand before each value. */
  readonly stops: Uint8Array;
  readonly values: readonly OpenValue[];
  /** Without those values. */
  readonly head: Http2Head;
  /** Size of the list without those. */
  readonly listBytes: number;
  /** What others have found out about such heads. */
  memo: unknown = undefined;

  constructor(part: HeadPart, generation: number, shape: Shape, values: readonly OpenValue[], source: Http2Head) {
    this.part = part;
    this.generation = generation;
    this.fixed = shape.fixed.slice(0, shape.fixedLength);
    this.stops = shape.stops.slice(0, shape.count);
    this.values = values;
    this.head = new Http2Head();
    this.head.copyFrom(source);
    let { listBytes } = source;
    for (const { index } of values) {
      listBytes -= index === PATH ? source.path.length : source.valueAt(index).length;
      // Some are secrets.
      if (index === PATH) this.head.setPath("");
      else this.head.setValueAt(index, "");
    }
    this.listBytes = listBytes;
  }
}

/** Of one connection, and one direction of it. */
export class KnownBlocks {
  readonly #decoder: HpackDecoder;
  readonly #listBytesMax: number;
  #blocks: (KnownBlock | undefined)[] | undefined = undefined;
  /** Of what stood at each place last: a block is kept when it comes for the second time. */
  #seen: Int32Array | undefined = undefined;

  constructor(decoder: HpackDecoder, listBytesMax: number) {
    this.#decoder = decoder;
    this.#listBytesMax = listBytesMax;
  }

  /**
   * Makes `head` what the block bytes[start, end) says.
   * @returns false where it has to be decoded; `head` is anything then
   */
  read(head: Http2Head, part: HeadPart, bytes: Buffer, start: number, end: number): boolean {
    const block = this.#blocks?.[placeOf(bytes, start, end)];
    if (block === undefined || block.generation !== this.#decoder.generation || block.part !== part) return false;
    if (!isLike(block, bytes, start, end)) return false;
    // Mostly it still says what the block before said.
    if (head.block === block) head.forgetPath();
    else head.copyFrom(block.head);
    const { values } = block;
    let listBytes = block.listBytes;
    for (let at = 0; at < values.length; at++) {
      const size = this.#readValue(head, values[at] as OpenValue, bytes, positions[at] as number, end);
      if (size < 0) return false;
      listBytes += size;
    }
    if (listBytes > this.#listBytesMax) return false;
    head.listBytes = listBytes;
    head.block = block;
    return true;
  }

  /** @returns its length; -1 where it breaks a rule */
  #readValue(head: Http2Head, open: OpenValue, bytes: Buffer, at: number, end: number): number {
    const { index, kind, isKept } = open;
    const isPlain = IS_UNIQUE[kind] === 1;
    const value = this.#decoder.valueAt(bytes, at, end, isKept, isPlain);
    if (value === undefined) return -1;
    const { classes } = this.#decoder;
    if (index === PATH) {
      if ((classes & TARGET) === 0 || value.charCodeAt(0) !== SLASH) return -1;
      head.path = value;
      return value.length;
    }
    if ((classes & VALUE) === 0) return -1;
    if (kind === FIELD.contentLength) {
      const length = (classes & DIGIT) === 0 ? -1 : decimal(value, LENGTH_DIGITS_MAX);
      if (length < 0 || length > Number.MAX_SAFE_INTEGER) return -1;
      head.contentLength = length;
    }
    head.setValueAt(index, value);
    return value.length;
  }

  /**
   * The block was decoded in full, and no rule is broken.
   * @param pseudoFields how many there were
   */
  learn(head: Http2Head, part: HeadPart, pseudoFields: number, bytes: Buffer, start: number, end: number): void {
    if (head.isConnect || head.protocol !== "" || !readShape(bytes, start, end)) return;
    // Fields that were joined or left out: which is which is not told by their order any more.
    if (shape.fields !== pseudoFields + head.count) return;
    const { generation } = this.#decoder;
    const place = placeOf(bytes, start, end);
    this.#seen ??= new Int32Array(PLACES);
    const mark = markOf(generation);
    if (this.#seen[place] !== mark) {
      this.#seen[place] = mark;
      return;
    }
    const values = openValues(head, pseudoFields);
    if (values === undefined) return;
    this.#blocks ??= new Array<KnownBlock | undefined>(PLACES).fill(undefined);
    this.#blocks[place] = new KnownBlock(part, generation, shape, values, head);
  }
}

/** The first fields tell most blocks of a connection apart. */
function placeOf(bytes: Buffer, start: number, end: number): number {
  if (end - start < 3) return (bytes[start] as number) & (PLACES - 1);
  const second = bytes[start + 1] as number;
  const third = bytes[start + 2] as number;
  return ((bytes[start] as number) + second * 5 + third * 11) & (PLACES - 1);
}

/** Where the values of the block stand that `isLike` has looked at: their length first. */
const positions = new Int32Array(VALUES_MAX);

function isLike({ fixed, stops }: KnownBlock, bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  let fixedAt = 0;
  for (let value = 0; value < stops.length; value++) {
    const stop = stops[value] as number;
    if (end - at <= stop - fixedAt) return false;
    while (fixedAt < stop) if (bytes[at++] !== fixed[fixedAt++]) return false;
    const length = (bytes[at] as number) & LENGTH_MASK;
    if (length === LENGTH_MASK) return false;
    positions[value] = at;
    at += 1 + length;
  }
  if (end - at !== fixed.length - fixedAt) return false;
  while (at < end) if (bytes[at++] !== fixed[fixedAt++]) return false;
  return true;
}

// ---- learning ----

/** A block taken apart: octets that stand for themselves, and values between them. One at a time. */
interface Shape {
  readonly fixed: Uint8Array;
  fixedLength: number;
  readonly stops: Uint8Array;
  /** Of the values that may differ. */
  count: number;
  /** The field that each is of, counted from the first of the block. */
  readonly ordinals: Uint8Array;
  /** What begins each: form, and the index of the name or its beginning. */
  readonly forms: Uint8Array;
  /** Fields in all. */
  fields: number;
}

const shape: Shape = {
  fixed: new Uint8Array(FIXED_MAX),
  fixedLength: 0,
  stops: new Uint8Array(VALUES_MAX),
  count: 0,
  ordinals: new Uint8Array(VALUES_MAX),
  forms: new Uint8Array(VALUES_MAX),
  fields: 0,
};

/** Octets that stand for themselves. @returns the position behind them; -1 where they are too many */
function copyFixed(bytes: Buffer, start: number, end: number): number {
  if (end < 0 || shape.fixedLength + end - start > FIXED_MAX) return -1;
  for (let at = start; at < end; at++) shape.fixed[shape.fixedLength++] = bytes[at] as number;
  return end;
}

/** @returns the position behind an integer that is within the block (RFC 7541 section 5.1), as all of one are that was decoded */
function skipInteger(bytes: Buffer, at: number, mask: number): number {
  if (((bytes[at] as number) & mask) !== mask) return at + 1;
  let last = at + 1;
  while ((bytes[last] as number) >= 0x80) last++;
  return last + 1;
}

/** @returns the position behind a string whose length takes one octet; -1: it takes more */
function skipString(bytes: Buffer, at: number): number {
  const length = (bytes[at] as number) & LENGTH_MASK;
  return length === LENGTH_MASK ? -1 : at + 1 + length;
}

/** Takes a block apart that was decoded. @returns false for one that changes the table, or is too large to be kept */
function readShape(bytes: Buffer, start: number, end: number): boolean {
  shape.fixedLength = 0;
  shape.count = 0;
  shape.fields = 0;
  for (let at = start; at < end; shape.fields++) {
    const octet = bytes[at] as number;
    if (octet >= 0x80) {
      at = copyFixed(bytes, at, skipInteger(bytes, at, 0x7f));
      if (at < 0) return false;
      continue;
    }
    if (octet >= 0x20 || shape.count === VALUES_MAX) return false;
    const nameAt = skipInteger(bytes, at, NAME_MASK);
    const hasName = (octet & NAME_MASK) === 0;
    at = copyFixed(bytes, at, hasName ? skipString(bytes, nameAt) : nameAt);
    if (at < 0) return false;
    shape.stops[shape.count] = shape.fixedLength;
    shape.ordinals[shape.count] = shape.fields;
    shape.forms[shape.count++] = octet;
    at = skipString(bytes, at);
    if (at < 0) return false;
  }
  return true;
}

/** Of the shape: which octets it is made of. Never 0. */
function markOf(generation: number): number {
  let mark = generation + 1;
  for (let at = 0; at < shape.fixedLength; at++) mark = (Math.imul(mark, 31) + (shape.fixed[at] as number)) | 0;
  return mark === 0 ? 1 : mark;
}

/** Which values of the shape may differ; undefined where one of them has rules that are not looked at here. */
function openValues(head: Http2Head, pseudoFields: number): OpenValue[] | undefined {
  const values: OpenValue[] = [];
  for (let at = 0; at < shape.count; at++) {
    const index = (shape.ordinals[at] as number) - pseudoFields;
    const form = shape.forms[at] as number;
    const kind = index < 0 ? FIELD.path : head.kindAt(index);
    if (index < 0 ? !PATH_NAMES.includes(form & NAME_MASK) : !isOpen(head, kind)) return undefined;
    values.push({ index: Math.max(PATH, index), kind, isKept: form < NEVER_INDEXED && IS_UNIQUE[kind] === 0 });
  }
  return values;
}

/** May its value be any? */
function isOpen({ status }: Http2Head, kind: number): boolean {
  if (kind === FIELD.contentLength) return status === 0 || (status >= 200 && status !== 204);
  return kind === FIELD.unknown || kind === FIELD.cookie || kind > FIELD.upgrade;
}
