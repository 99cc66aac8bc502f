// Fields to HPACK header blocks (RFC 7541). A value goes into the table when it is sent for the second time, a path for the
// third: what is unique to a request (ids, timestamps) never pushes out what repeats. Not frames.
import { ownCopy, putLatin1 } from "../../runtime/latin1.ts";
import { ENTRY_OVERHEAD } from "./dynamic-table.ts";
import { FIELD, FIELD_KINDS, FIELD_NAMES, IS_UNIQUE } from "./field.ts";
import { HEADER_TABLE_DEFAULT } from "./frame.ts";
import type { Http2Head } from "./head.ts";
import { encodeHuffman, huffmanLength } from "./huffman.ts";
import { LastingBlocks } from "./lasting-blocks.ts";
import { NameMemory, WAYS } from "./name-memory.ts";
import { STATIC_ENTRIES, STATIC_INDEX_OF_KIND } from "./static-table.ts";

/** Unknown names that are remembered; past it all of them are forgotten: the peer's choice of names must not grow us. */
const NAMES_MAX = 128;
/** Of a value at most so many characters are looked at. */
const SAMPLES = 16;
/** Paths often differ in one of them. */
const PATH_SAMPLES = 128;
/**
 * One of thousands of paths comes a second time by chance now and then. Entered it would push out what repeats, and change
 * the index of all that stays.
 */
const PATH_REPEATS_MIN = 2;
/** A value that would take more of the table than this share is not worth what it pushes out. */
const ENTRY_SHARE_MAX = 0.5;
/** Guessed more easily than longer ones, so that a table would help who probes for them (section 7.1.3). */
const SHORT_COOKIE_BYTES = 20;
/** What a literal's first octet says besides its index. */
const WITHOUT_INDEXING = 0x00;
const NEVER_INDEXED = 0x10;
const WITH_INDEXING = 0x40;

export class HpackEncoder {
  readonly #sizeCap: number;
  readonly #usesHuffman: boolean;
  readonly #known: (NameMemory | undefined)[] = new Array<NameMemory | undefined>(FIELD_KINDS).fill(undefined);
  #unknown: Map<string, NameMemory> | undefined = undefined;
  #sizeMax: number;
  #size = 0;
  /** Entries are numbered from 1 on; those from #oldest to #newest are in the table. */
  #newest = 0;
  #oldest = 1;
  /** Size of each entry, by its number. */
  #sizes: Int32Array = new Int32Array(16);
  readonly #lasting = new LastingBlocks();
  /** How often it was remembered that a value was sent. */
  #notes = 0;
  /** The smallest size since the last block, which the next one has to say (section 4.2); -1: no change. */
  #smallest = -1;

  /**
   * @param sizeCap the most of the peer's table that is used
   * @param usesHuffman whether literals are shortened by a quarter, at 3 ns for each octet here and there
   */
  constructor(sizeCap: number, usesHuffman: boolean) {
    this.#sizeCap = sizeCap;
    this.#usesHuffman = usesHuffman;
    this.#sizeMax = HEADER_TABLE_DEFAULT;
    if (sizeCap < HEADER_TABLE_DEFAULT) this.setPeerTableSize(HEADER_TABLE_DEFAULT);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableSize(bytes: number): void {
    const size = Math.min(bytes, this.#sizeCap);
    if (size === this.#sizeMax) return;
    this.#smallest = this.#smallest < 0 ? size : Math.min(this.#smallest, size);
    this.#sizeMax = size;
    this.#evictTo(size);
  }

  /** Octets in the table, for tests and figures. */
  get tableSize(): number {
    return this.#size;
  }

  /** Request pseudo-fields and fields. `out` has room for `blockBytesMax`. @returns the position behind the block */
  encodeRequest(head: Http2Head, out: Buffer, at: number): number {
    return this.#mostlyLasting(head, out, this.#requestLine(head, out, this.#begin(out, at)));
  }

  /** The fields of a head of which some may last. */
  #mostlyLasting(head: Http2Head, out: Buffer, at: number): number {
    const { lasting } = head;
    if (lasting === 0) return this.#fields(head, 0, head.count, out, at);
    const block = this.#lasting.find(head.number, this.#newest, this.#oldest);
    const end = block === undefined ? this.#encodeLasting(head, out, at) : block.putTo(out, at);
    return this.#fields(head, lasting, head.count, out, end);
  }

  #encodeLasting(head: Http2Head, out: Buffer, at: number): number {
    const newest = this.#newest;
    const notes = this.#notes;
    const end = this.#fields(head, 0, head.lasting, out, at);
    // What was entered, or remembered as sent, is said in another way the next time.
    if (newest === this.#newest && notes === this.#notes)
      this.#lasting.keep(head.number, newest, this.#oldest, out.subarray(at, end));
    return end;
  }

  #requestLine(head: Http2Head, out: Buffer, at: number): number {
    const method = head.method;
    if (method === "POST") out[at++] = 0x83;
    else if (method === "GET") out[at++] = 0x82;
    else at = this.#field(":method", method, FIELD.method, 0, head.ownsText, out, at);
    const isPlainConnect = head.protocol === "" && method === "CONNECT";
    if (!isPlainConnect) {
      if (head.scheme === "http") out[at++] = 0x86;
      else if (head.scheme === "https") out[at++] = 0x87;
      else at = this.#field(":scheme", head.scheme, FIELD.scheme, 0, head.ownsText, out, at);
      if (head.path === "/") out[at++] = 0x84;
      else at = this.#path(head, out, at);
    }
    if (head.authority !== "")
      at = this.#field(":authority", head.authority, FIELD.authority, 0, head.ownsText, out, at);
    if (head.protocol !== "") at = this.#field(":protocol", head.protocol, FIELD.protocol, 0, head.ownsText, out, at);
    return at;
  }

  encodeResponse(head: Http2Head, out: Buffer, at: number): number {
    at = this.#begin(out, at);
    const index = statusIndex(head.status);
    if (index > 0) out[at++] = 0x80 | index;
    else at = this.#field(":status", String(head.status), FIELD.status, 0, true, out, at);
    return this.#mostlyLasting(head, out, at);
  }

  encodeTrailers(head: Http2Head, out: Buffer, at: number): number {
    return this.#fields(head, 0, head.count, out, this.#begin(out, at));
  }

  #fields(head: Http2Head, first: number, behind: number, out: Buffer, at: number): number {
    const { ownsText } = head;
    for (let index = first; index < behind; index++) {
      const kind = head.kindAt(index);
      const value = head.valueAt(index);
      const sensitive = head.sensitiveAt(index);
      const memory = kind === FIELD.unknown ? undefined : this.#known[kind];
      // Most say what they said last. What is secret or unique never was in the table.
      if (memory !== undefined && memory.foundEntry >= this.#oldest && sensitive === 0 && memory.found === value)
        at = this.#indexed(memory.foundEntry, out, at);
      else at = this.#field(head.nameAt(index), value, kind, sensitive, ownsText, out, at);
    }
    return at;
  }

  /** Says what became of the table's size, the smallest first (section 4.2). */
  #begin(out: Buffer, at: number): number {
    if (this.#smallest < 0) return at;
    if (this.#smallest < this.#sizeMax) at = writeInteger(out, at, 0x20, 0x1f, this.#smallest);
    this.#smallest = -1;
    return writeInteger(out, at, 0x20, 0x1f, this.#sizeMax);
  }

  #field(
    name: string,
    value: string,
    kind: number,
    sensitive: number,
    ownsText: boolean,
    out: Buffer,
    at: number,
  ): number {
    const memory = this.#memoryOf(name, kind);
    if (sensitive === 1 || isSecret(kind, value)) return this.#literal(memory, value, NEVER_INDEXED, out, at);
    if (IS_UNIQUE[kind] === 1) return this.#literal(memory, value, WITHOUT_INDEXING, out, at);
    const isFound = memory.foundEntry >= this.#oldest && memory.found === value;
    const mark = isFound ? 0 : markOf(value, SAMPLES);
    if (isFound || this.#find(memory, value, mark)) return this.#indexed(memory.foundEntry, out, at);
    if (this.#isWorthEntering(memory, value, mark, 1)) return this.#enter(memory, value, mark, ownsText, out, at);
    return this.#literal(memory, value, WITHOUT_INDEXING, out, at);
  }

  #path({ path, pathMark, ownsText }: Http2Head, out: Buffer, at: number): number {
    const memory = this.#memoryOf(":path", FIELD.path);
    // Paths mostly differ from the one before, often in their middle alone, and pieces of a text are slow to compare.
    const isFound = ownsText && memory.foundEntry >= this.#oldest && memory.found === path;
    const mark = isFound || pathMark !== 0 ? pathMark : pathMarkOf(path);
    if (isFound || this.#find(memory, path, mark)) return this.#indexed(memory.foundEntry, out, at);
    if (this.#isWorthEntering(memory, path, mark, PATH_REPEATS_MIN))
      return this.#enter(memory, path, mark, ownsText, out, at);
    return this.#literal(memory, path, WITHOUT_INDEXING, out, at);
  }

  #indexed(entry: number, out: Buffer, at: number): number {
    const index = STATIC_ENTRIES + 1 + this.#newest - entry;
    if (index >= 0x7f) return writeInteger(out, at, 0x80, 0x7f, index);
    out[at] = 0x80 | index;
    return at + 1;
  }

  /** Is this value in the table? If so it is what was found last. */
  #find(memory: NameMemory, value: string, mark: number): boolean {
    const { values, marks, entries } = memory;
    for (let way = 0; way < WAYS; way++) {
      const entry = entries[way] as number;
      if (marks[way] !== mark || entry < this.#oldest || values[way] !== value) continue;
      memory.found = values[way] as string;
      memory.foundEntry = entry;
      return true;
    }
    return false;
  }

  #memoryOf(name: string, kind: number): NameMemory {
    if (kind === FIELD.unknown) return this.#unknownMemoryOf(name);
    const known = this.#known[kind];
    if (known !== undefined) return known;
    const made = new NameMemory(FIELD_NAMES[kind] as string, STATIC_INDEX_OF_KIND[kind] as number);
    this.#known[kind] = made;
    return made;
  }

  #unknownMemoryOf(name: string): NameMemory {
    this.#unknown ??= new Map();
    const known = this.#unknown.get(name);
    if (known !== undefined) return known;
    if (this.#unknown.size >= NAMES_MAX) this.#unknown.clear();
    const own = ownCopy(name);
    const made = new NameMemory(own, 0);
    this.#unknown.set(own, made);
    return made;
  }

  /** Has this value come again so many times? Remembers that it was sent. */
  #isWorthEntering(memory: NameMemory, value: string, mark: number, repeatsMin: number): boolean {
    if (memory.name.length + value.length + ENTRY_OVERHEAD > this.#sizeMax * ENTRY_SHARE_MAX) return false;
    this.#notes++;
    const { seen, repeats } = memory;
    for (let way = 0; way < WAYS; way++) {
      if (seen[way] !== mark) continue;
      repeats[way] = (repeats[way] as number) + 1;
      return (repeats[way] as number) >= repeatsMin;
    }
    seen[memory.nextSeen] = mark;
    repeats[memory.nextSeen] = 0;
    memory.nextSeen = (memory.nextSeen + 1) & (WAYS - 1);
    return false;
  }

  /** As a literal that enters the table. */
  #enter(memory: NameMemory, value: string, mark: number, ownsText: boolean, out: Buffer, at: number): number {
    const end = this.#literal(memory, value, WITH_INDEXING, out, at);
    const size = memory.name.length + value.length + ENTRY_OVERHEAD;
    this.#evictTo(this.#sizeMax - size);
    const number = ++this.#newest;
    if (number - this.#oldest >= this.#sizes.length) this.#grow();
    this.#sizes[number & (this.#sizes.length - 1)] = size;
    this.#size += size;
    memory.values[memory.next] = ownsText ? value : ownCopy(value);
    memory.marks[memory.next] = mark;
    memory.entries[memory.next] = number;
    memory.lastEntry = number;
    memory.next = (memory.next + 1) & (WAYS - 1);
    return end;
  }

  #evictTo(size: number): void {
    while (this.#size > size && this.#oldest <= this.#newest) {
      this.#size -= this.#sizes[this.#oldest & (this.#sizes.length - 1)] as number;
      this.#oldest++;
    }
  }

  #grow(): void {
    const sizes = new Int32Array(this.#sizes.length * 2);
    for (let number = this.#oldest; number < this.#newest; number++) {
      sizes[number & (sizes.length - 1)] = this.#sizes[number & (this.#sizes.length - 1)] as number;
    }
    this.#sizes = sizes;
  }

  #literal(memory: NameMemory, value: string, form: number, out: Buffer, at: number): number {
    const mask = form === WITH_INDEXING ? 0x3f : 0x0f;
    let index = memory.staticIndex;
    if (index === 0 && memory.lastEntry >= this.#oldest) index = STATIC_ENTRIES + 1 + this.#newest - memory.lastEntry;
    at = writeInteger(out, at, form, mask, index);
    if (index === 0) at = this.#string(memory.name, out, at);
    return this.#string(value, out, at);
  }

  #string(text: string, out: Buffer, at: number): number {
    const length = text.length;
    if (this.#usesHuffman) {
      const encoded = huffmanLength(text);
      if (encoded < length) return encodeHuffman(text, out, writeInteger(out, at, 0x80, 0x7f, encoded));
    }
    at = writeInteger(out, at, 0, 0x7f, length);
    return putLatin1(out, text, at);
  }
}

/** Room for a field beside its name and value: form and index, two lengths. */
const FIELD_ROOM = 16;
/** Table size updates, and pseudo-fields' names. */
const HEAD_ROOM = 128;

/** At most so many octets does the block of this head take; plain literals are the longest form. */
export function blockBytesMax(head: Http2Head): number {
  const { lasting, lastingLength } = head;
  let bytes =
    HEAD_ROOM +
    head.method.length +
    head.scheme.length +
    head.authority.length +
    head.path.length +
    head.protocol.length +
    head.count * FIELD_ROOM +
    lastingLength;
  for (let index = lasting; index < head.count; index++) {
    bytes += head.nameAt(index).length + head.valueAt(index).length;
  }
  return bytes;
}

function isSecret(kind: number, value: string): boolean {
  return (
    kind === FIELD.authorization ||
    kind === FIELD.proxyAuthorization ||
    (kind === FIELD.cookie && value.length < SHORT_COOKIE_BYTES)
  );
}

function statusIndex(status: number): number {
  switch (status) {
    case 200:
      return 8;
    case 204:
      return 9;
    case 206:
      return 10;
    case 304:
      return 11;
    case 400:
      return 12;
    case 404:
      return 13;
    case 500:
      return 14;
    default:
      return 0;
  }
}

/** By this the encoder tells paths apart. Never 0. */
export function pathMarkOf(path: string): number {
  return markOf(path, PATH_SAMPLES);
}

/** Never 0. A few characters tell most values apart; taking one for another only enters it a little early. */
function markOf(value: string, samples: number): number {
  const length = value.length;
  let mark = length + 1;
  const step = length > samples ? Math.floor(length / (samples >> 1)) : 1;
  for (let at = length - 1; at >= 0; at -= step) mark = (Math.imul(mark, 31) + value.charCodeAt(at)) | 0;
  return mark === 0 ? 1 : mark;
}

/** Section 5.1. @returns the position behind it */
export function writeInteger(out: Uint8Array, at: number, form: number, mask: number, value: number): number {
  if (value < mask) {
    out[at] = form | value;
    return at + 1;
  }
  out[at++] = form | mask;
  let rest = value - mask;
  while (rest >= 0x80) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}
