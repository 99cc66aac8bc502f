// HPACK header blocks to fields (RFC 7541). Whole blocks only: who reads frames gathers what comes in pieces. What the
// fields mean is for the sink; here they are names and values, and the classes of octets that these are of.
import { latin1 } from "../../runtime/latin1.ts";
import { DynamicTable, kindOf, nameClassesOf, valueClassesOf } from "./dynamic-table.ts";
import { fieldKind, IS_UNIQUE } from "./field.ts";
import { decodeHuffman, HUFFMAN_GROWTH } from "./huffman.ts";
import { classesOfBytes, valueClassOfBytes } from "./octet.ts";
import { REFUSALS, type Refusal, type RefusalDetail } from "./refusal.ts";
import {
  STATIC_ENTRIES,
  STATIC_KINDS,
  STATIC_NAME_CLASSES,
  STATIC_NAMES,
  STATIC_VALUE_CLASSES,
  STATIC_VALUES,
} from "./static-table.ts";
import { StringMemo } from "./string-memo.ts";

/** Takes the fields of a block in their order. */
export interface FieldSink {
  /**
   * @param nameClasses as in octet.ts; 0 for a name that is not in lower case
   * @param sensitive 1 for a never-indexed literal
   */
  add(name: string, value: string, kind: number, nameClasses: number, valueClasses: number, sensitive: number): void;
}

/** Each says seven bits; more than four say more than 2^28, which no index and no length here is. */
const CONTINUATION_BYTES_MAX = 4;
const FAILED = -1;
const SCRATCH_BYTES = 4096;

/** Shared by all connections: they mostly carry the same calls. Sensitive literals are kept out of it. */
const memo = new StringMemo();
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

export class HpackDecoder {
  readonly #table: DynamicTable;
  /** What our SETTINGS allow: the larger of old and new until they are acknowledged. */
  #sizeLimit: number;
  /** The limit was lowered under the table's size: the next block has to say so first (RFC 7541 section 4.2). */
  #owesResize = false;
  #bytes: Buffer = scratch;
  #at = 0;
  #end = 0;
  #fault: RefusalDetail | undefined = undefined;
  /** Classes of the string that was read last. */
  #classes = 0;
  /** Changes of the table's size in the last block. */
  tableUpdates = 0;
  /** Whenever the table changes, or what has to be said of it, this is another number. */
  generation = 0;

  constructor(tableBytes: number) {
    this.#sizeLimit = tableBytes;
    this.#table = new DynamicTable(tableBytes);
  }

  /** Our SETTINGS_HEADER_TABLE_SIZE was acknowledged: from here on the peer must keep to it. */
  setTableLimit(tableBytes: number): void {
    this.#sizeLimit = tableBytes;
    if (this.#table.sizeMax > tableBytes) this.#owesResize = true;
    this.generation++;
  }

  /** Octets in the table, for tests and figures. */
  get tableSize(): number {
    return this.#table.size;
  }

  /**
   * Decodes the block bytes[start, end). The table is changed even where the sink refuses fields.
   * @returns why the connection cannot go on, or undefined
   */
  decode(bytes: Buffer, start: number, end: number, sink: FieldSink): Refusal | undefined {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#fault = undefined;
    this.tableUpdates = 0;
    let hasField = false;
    while (this.#at < end) {
      const octet = bytes[this.#at] as number;
      let isGood: boolean;
      if (octet >= 0x20 && octet < 0x40) isGood = hasField ? this.#fail("late-table-size") : this.#resize(octet);
      else if (this.#owesResize) isGood = this.#fail("missing-table-size");
      else {
        hasField = true;
        isGood = octet >= 0x80 ? this.#indexed(octet, sink) : this.#literal(octet, sink);
      }
      if (!isGood) return REFUSALS[this.#fault ?? "block-cut-short"];
    }
    return undefined;
  }

  /**
   * The value of a literal alone, its length first, at bytes[at]; the block ends at `end`. Its classes are in `classes`.
   * @param isKept whether it may come again, and is no secret
   * @param isPlain of its classes nothing will be asked but VALUE
   */
  valueAt(bytes: Buffer, at: number, end: number, isKept: boolean, isPlain: boolean): string | undefined {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    return this.#string(isKept, isPlain);
  }

  /** Of the value that was read last: as in octet.ts. */
  get classes(): number {
    return this.#classes;
  }

  #fail(detail: RefusalDetail): boolean {
    this.#fault = detail;
    return false;
  }

  /** Section 6.1. */
  #indexed(octet: number, sink: FieldSink): boolean {
    const index = this.#integer(octet, 0x7f);
    if (index <= 0) return this.#fault === undefined ? this.#fail("bad-index") : false;
    if (index <= STATIC_ENTRIES) {
      sink.add(
        STATIC_NAMES[index] as string,
        STATIC_VALUES[index] as string,
        STATIC_KINDS[index] as number,
        STATIC_NAME_CLASSES[index] as number,
        STATIC_VALUE_CLASSES[index] as number,
        0,
      );
      return true;
    }
    const table = this.#table;
    if (index - STATIC_ENTRIES > table.count) return this.#fail("bad-index");
    const place = table.placeOf(index - STATIC_ENTRIES);
    const traits = table.traits[place] as number;
    sink.add(
      table.names[place] as string,
      table.values[place] as string,
      kindOf(traits),
      nameClassesOf(traits),
      valueClassesOf(traits),
      0,
    );
    return true;
  }

  /** Section 6.2: 01 with indexing, 0000 without, 0001 never. */
  #literal(octet: number, sink: FieldSink): boolean {
    const isIndexing = octet >= 0x40;
    const sensitive = !isIndexing && octet >= 0x10 ? 1 : 0;
    const index = this.#integer(octet, isIndexing ? 0x3f : 0x0f);
    if (index === FAILED) return false;
    let name: string;
    let kind: number;
    let nameClasses: number;
    if (index === 0) {
      const text = this.#string(true, false);
      if (text === undefined) return false;
      name = text;
      nameClasses = this.#classes;
      kind = fieldKind(name);
    } else if (index <= STATIC_ENTRIES) {
      name = STATIC_NAMES[index] as string;
      kind = STATIC_KINDS[index] as number;
      nameClasses = STATIC_NAME_CLASSES[index] as number;
    } else {
      const table = this.#table;
      if (index - STATIC_ENTRIES > table.count) return this.#fail("bad-index");
      const place = table.placeOf(index - STATIC_ENTRIES);
      const traits = table.traits[place] as number;
      name = table.names[place] as string;
      kind = kindOf(traits);
      nameClasses = nameClassesOf(traits);
    }
    const isUnique = IS_UNIQUE[kind] === 1;
    const value = this.#string(sensitive === 0 && !isUnique, isUnique);
    if (value === undefined) return false;
    if (isIndexing) {
      this.#table.insert(name, value, kind, nameClasses, this.#classes);
      this.generation++;
    }
    sink.add(name, value, kind, nameClasses, this.#classes, sensitive);
    return true;
  }

  /** Section 6.3. */
  #resize(octet: number): boolean {
    const size = this.#integer(octet, 0x1f);
    if (size === FAILED) return false;
    if (size > this.#sizeLimit) return this.#fail("bad-table-size");
    this.#owesResize = false;
    this.tableUpdates++;
    this.#table.resize(size);
    this.generation++;
    return true;
  }

  /** Section 5.1; `octet` stands at the position. @returns FAILED where it does not end or says too much */
  #integer(octet: number, mask: number): number {
    this.#at++;
    const prefix = octet & mask;
    return prefix < mask ? prefix : this.#longInteger(mask);
  }

  #longInteger(prefix: number): number {
    let value = prefix;
    for (let shift = 0; shift < 7 * CONTINUATION_BYTES_MAX; shift += 7) {
      if (this.#at >= this.#end) {
        this.#fault = "block-cut-short";
        return FAILED;
      }
      const octet = this.#bytes[this.#at++] as number;
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    this.#fault = "bad-integer";
    return FAILED;
  }

  /**
   * Section 5.2. Leaves its classes in `#classes`.
   * @param isKept whether it may come again, and is no secret
   * @param isPlain of its classes nothing will be asked but VALUE
   */
  #string(isKept: boolean, isPlain: boolean): string | undefined {
    if (this.#at >= this.#end) return undefined;
    const octet = this.#bytes[this.#at] as number;
    const isHuffman = octet >= 0x80;
    const length = this.#integer(octet, 0x7f);
    if (length === FAILED) return undefined;
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) return undefined;
    this.#at = end;
    const place = isKept ? memo.placeOf(this.#bytes, start, end) : -1;
    if (place >= 0 && memo.isAt(place, this.#bytes, start, end, isHuffman)) {
      this.#classes = memo.classesAt(place);
      return memo.textAt(place);
    }
    const text = isHuffman ? this.#huffmanText(start, end) : this.#plainText(start, end, isPlain);
    if (place >= 0 && text !== undefined) {
      memo.keep(place, this.#bytes, start, end, isHuffman);
      memo.setText(place, text, this.#classes);
    }
    return text;
  }

  #plainText(start: number, end: number, isPlain: boolean): string {
    const classes = isPlain ? valueClassOfBytes : classesOfBytes;
    this.#classes = classes(this.#bytes, start, end);
    return start === end ? "" : latin1(this.#bytes, start, end);
  }

  #huffmanText(start: number, end: number): string | undefined {
    const room = Math.ceil((end - start) * HUFFMAN_GROWTH);
    // Kept only where it is of the usual size: one huge head must not cost memory for ever.
    const out = room <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafeSlow(room);
    const length = decodeHuffman(this.#bytes, start, end, out);
    if (length < 0) {
      this.#fault = "bad-huffman";
      return undefined;
    }
    this.#classes = classesOfBytes(out, 0, length);
    return length === 0 ? "" : latin1(out, 0, length);
  }
}
