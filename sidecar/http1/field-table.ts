// The field lines of one section (a head or trailers) as offsets into its text. Not a map: order, case and
// duplicates are kept as they came. All marks of all fields stand in one array: the less memory of its connection a
// request touches, the less it costs.
import { endsMediaType, isMediaType } from "../../runtime/media-type.ts";
import { FIELD } from "./field.ts";
import { LINE_END } from "./field-line.ts";
import { KIND_MASK, KIND_SHIFT, LINE, MARKS, NOMINATED } from "./field-marks.ts";
import type { HeadSource } from "./head-source.ts";
import type { KnownSection } from "./known-section.ts";
import { knownLines, NO_LINE } from "./line-memo.ts";

/** Room for this many fields at first; it doubles, up to the limit of the section. */
const FIELDS_AT_FIRST = 16;

/** The fields of sources that are alike. */
export class SourceKinds {
  /** A kind for each field. */
  readonly marks: Int32Array;
  readonly present: number;
  readonly repeated: number;
  readonly names: ReadonlySet<string>;
  /** What others have found out about them. */
  memo: unknown = undefined;

  constructor(marks: Int32Array, present: number, repeated: number, names: ReadonlySet<string>) {
    this.marks = marks;
    this.present = present;
    this.repeated = repeated;
    this.names = names;
  }
}

export class FieldTable {
  /** The fields came in another protocol: there are neither text nor offsets, and Host stands first in a request. */
  source: HeadSource | undefined = undefined;
  #sourceStart = 0;
  /** Of a source that is like others before it. */
  sourceKinds: SourceKinds | undefined = undefined;
  #text = "";
  /** The start line, where that and the section are known: the text is made of them when somebody asks for it. */
  #knownLine = "";
  /** Where the section lies, until its text is asked for. */
  #bytes: Buffer | undefined = undefined;
  #start = 0;
  #end = 0;
  count = 0;
  /** Kinds present, and kinds present more than once: `1 << kind`. `unknown` counts for nothing. */
  present = 0;
  repeated = 0;
  /** All of the section is one that came before (section-memo.ts). */
  section: KnownSection | undefined = undefined;
  #ownMarks: Int32Array = new Int32Array(FIELDS_AT_FIRST * MARKS);
  /**
   * Value bounds are without surrounding whitespace. Of a source's fields: the kind alone, one mark each. Of a known section they are
   * its own, which nobody changes.
   */
  #marks: Int32Array = this.#ownMarks;
  /** What the marks count from. */
  #base = 0;

  /** What the offsets count in, when the section is complete; "" of one from a source. */
  get text(): string {
    if (this.#text === "") this.#text = this.#makeText();
    return this.#text;
  }

  set text(text: string) {
    this.#text = text;
    this.#bytes = undefined;
  }

  #makeText(): string {
    if (this.#bytes !== undefined) return this.#bytes.latin1Slice(this.#start, this.#end);
    return this.section === undefined ? "" : this.#knownLine + this.section.lines + LINE_END;
  }

  /** The head is complete: this line, with its CRLF, and the section that was adopted. */
  standBehind(knownLine: string): void {
    this.#knownLine = knownLine;
  }

  /** The text from `start` on, the empty line left out. */
  linesFrom(start: number): string {
    const { section } = this;
    const line = this.#knownLine;
    if (section === undefined || line === "") return this.text.slice(start, this.length - LINE_END.length);
    if (start === 0) return line + section.lines;
    return start === line.length ? section.lines : this.text.slice(start, this.length - LINE_END.length);
  }

  /** The section is complete, and bytes[start, end) stay as they are for as long as it is used. */
  lieIn(bytes: Buffer, start: number, end: number): void {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /** Where the section lies, if its bytes are still there, and from where on. */
  get bytes(): Buffer | undefined {
    return this.#bytes;
  }

  get bytesStart(): number {
    return this.#start;
  }

  /** Octets of the section. */
  get length(): number {
    return this.#bytes === undefined ? this.text.length : this.#end - this.#start;
  }

  /** The octet at an offset. */
  octetAt(offset: number): number {
    const bytes = this.#bytes;
    return bytes === undefined ? this.text.charCodeAt(offset) : (bytes[this.#start + offset] as number);
  }

  /** Does `text` stand at an offset? */
  standsAt(offset: number, text: string): boolean {
    if (this.#bytes === undefined) return this.text.startsWith(text, offset);
    if (offset + text.length > this.length) return false;
    for (let at = 0; at < text.length; at++) if (this.octetAt(offset + at) !== text.charCodeAt(at)) return false;
    return true;
  }

  clear(): void {
    this.#text = "";
    this.#knownLine = "";
    this.#bytes = undefined;
    this.source = undefined;
    this.sourceKinds = undefined;
    this.section = undefined;
    this.#marks = this.#ownMarks;
    this.#base = 0;
    this.count = 0;
    this.present = 0;
    this.repeated = 0;
  }

  /** All fields at once: what stands at offset `base` is `section`. Nothing was read of it before. */
  adopt(section: KnownSection, base: number): void {
    this.section = section;
    this.#marks = section.marks;
    this.#base = base;
    this.count = section.count;
    this.present = section.present;
    this.repeated = section.repeated;
  }

  /** The marks of all fields, counted from offset `base`, where the section begins. It stands at `at` of these bytes, up to `end`. */
  marksFrom(base: number, words: DataView, at: number, end: number): Int32Array {
    const marks = this.#marks.slice(0, this.count * MARKS);
    for (let field = 0; field < marks.length; field += MARKS) {
      const start = this.nameStart(field / MARKS) - base;
      marks[field] = (start << KIND_SHIFT) | ((marks[field] as number) & (NOMINATED | KIND_MASK));
      for (let mark = field + 1; mark < field + LINE; mark++) marks[mark] = (marks[mark] as number) - base;
      marks[field + LINE] = knownLines.lineAt(words, at + start, end);
    }
    return marks;
  }

  /** Begins a field; its value bounds follow. */
  open(nameStart: number, nameEnd: number, kind: number): void {
    const at = this.count * MARKS;
    if (at === this.#marks.length) this.#grow();
    this.#marks[at] = (nameStart << KIND_SHIFT) | kind;
    this.#marks[at + 1] = nameEnd;
    this.#marks[at + LINE] = NO_LINE;
    this.#count(kind);
  }

  /** Ends the field that was opened last. */
  close(valueStart: number, valueEnd: number): void {
    const at = (this.count - 1) * MARKS;
    this.#marks[at + 2] = valueStart;
    this.#marks[at + 3] = valueEnd;
  }

  /** A field all at once, whose line is known (line-memo.ts). */
  addLine(kind: number, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, line: number): void {
    const at = this.count * MARKS;
    if (at === this.#marks.length) this.#grow();
    const marks = this.#marks;
    marks[at] = (nameStart << KIND_SHIFT) | kind;
    marks[at + 1] = nameEnd;
    marks[at + 2] = valueStart;
    marks[at + 3] = valueEnd;
    marks[at + LINE] = line;
    this.#count(kind);
  }

  /** Which known line field `index` was when it was read; NO_LINE for others. */
  lineAt(index: number): number {
    return this.source === undefined ? (this.#marks[index * MARKS + LINE] as number) : NO_LINE;
  }

  /** Instead of scanning. @param kinds kind for each of the source's */
  take(source: HeadSource, kinds: Uint8Array, isRequest: boolean): void {
    this.source = source;
    this.#sourceStart = isRequest ? 1 : 0;
    const { block } = source;
    if (block === undefined) return this.#takeKinds(source, kinds, isRequest);
    const { memo } = block;
    if (memo instanceof SourceKinds) return this.#adoptKinds(memo);
    this.#takeKinds(source, kinds, isRequest);
    const names = Array.from({ length: this.count }, (_, index) => this.nameAt(index));
    block.memo = new SourceKinds(this.#marks.slice(0, this.count), this.present, this.repeated, new Set(names));
  }

  #takeKinds(source: HeadSource, kinds: Uint8Array, isRequest: boolean): void {
    if (isRequest) this.#takeKind(FIELD.host);
    const { count } = source;
    for (let index = 0; index < count; index++) this.#takeKind(kinds[source.kindAt(index)] as number);
  }

  #adoptKinds(known: SourceKinds): void {
    this.sourceKinds = known;
    this.#marks = known.marks;
    this.count = known.marks.length;
    this.present = known.present;
    this.repeated = known.repeated;
  }

  #takeKind(kind: number): void {
    if (this.count === this.#marks.length) this.#grow();
    this.#marks[this.count] = kind;
    this.#count(kind);
  }

  #count(kind: number): void {
    this.count++;
    if (kind === FIELD.unknown) return;
    const bit = 1 << kind;
    if ((this.present & bit) === 0) this.present |= bit;
    else this.repeated |= bit;
  }

  has(kind: number): boolean {
    return (this.present & (1 << kind)) !== 0;
  }

  /** First value of a known kind. */
  known(kind: number): string | undefined {
    return (this.present & (1 << kind)) === 0 ? undefined : this.valueAt(this.indexOf(kind));
  }

  /** Is this the first value of a known kind? Cuts nothing out. */
  isKnown(kind: number, value: string): boolean {
    if ((this.present & (1 << kind)) === 0) return false;
    if (this.source !== undefined) return this.known(kind) === value;
    const index = this.indexOf(kind);
    const known = this.#knownValue(index);
    if (known !== undefined) return known === value;
    const start = this.valueStart(index);
    return this.valueEnd(index) - start === value.length && this.standsAt(start, value);
  }

  /** Is the first value of a known kind this media type? Cuts nothing out. */
  isMediaType(kind: number, type: string): boolean {
    if ((this.present & (1 << kind)) === 0) return false;
    if (this.source !== undefined) return isMediaType(this.known(kind), type);
    const index = this.indexOf(kind);
    const start = this.valueStart(index);
    const end = this.valueEnd(index);
    const typeEnd = start + type.length;
    if (typeEnd > end || !this.standsAt(start, type)) return false;
    return typeEnd === end || endsMediaType(this.octetAt(typeEnd));
  }

  nameAt(index: number): string {
    if (this.source !== undefined) return nameOf(this.source, index - this.#sourceStart);
    return this.text.slice(this.nameStart(index), this.nameEnd(index));
  }

  valueAt(index: number): string {
    if (this.source !== undefined) return valueIn(this.source, index - this.#sourceStart);
    return this.#knownValue(index) ?? this.text.slice(this.valueStart(index), this.valueEnd(index));
  }

  /** Value of a line that is known. */
  #knownValue(index: number): string | undefined {
    const line = this.#marks[index * MARKS + LINE] as number;
    return line === NO_LINE ? undefined : knownLines.valueOf(line);
  }

  /** Index of the first field that came as this known kind; `present` says that there is one. */
  indexOf(kind: number): number {
    let index = 0;
    while (index < this.count && (this.#kindMark(index) & KIND_MASK) !== kind) index++;
    return index;
  }

  /** Kind (field.ts) of field `index`. */
  kindAt(index: number): number {
    const mark = this.#kindMark(index);
    return (mark & NOMINATED) === 0 ? mark & KIND_MASK : FIELD.nominated;
  }

  /** Field `index` goes no further. */
  nominate(index: number): void {
    const at = this.source === undefined ? index * MARKS : index;
    if (this.#marks !== this.#ownMarks) this.#own();
    this.#marks[at] = (this.#marks[at] as number) | NOMINATED;
    this.present |= 1 << FIELD.nominated;
  }

  #kindMark(index: number): number {
    return this.#marks[this.source === undefined ? index * MARKS : index] as number;
  }

  // Of a section with a text; a line begins with its name.

  nameStart(index: number): number {
    return ((this.#marks[index * MARKS] as number) >>> KIND_SHIFT) + this.#base;
  }

  nameEnd(index: number): number {
    return (this.#marks[index * MARKS + 1] as number) + this.#base;
  }

  valueStart(index: number): number {
    return (this.#marks[index * MARKS + 2] as number) + this.#base;
  }

  valueEnd(index: number): number {
    return (this.#marks[index * MARKS + 3] as number) + this.#base;
  }

  /** Is this the name of field `index`? `lowerName` is lower case. */
  isNamed(index: number, lowerName: string): boolean {
    if (this.source !== undefined) return nameOf(this.source, index - this.#sourceStart) === lowerName;
    const start = this.nameStart(index);
    const length = this.nameEnd(index) - start;
    if (length !== lowerName.length) return false;
    for (let at = 0; at < length; at++) {
      const code = this.octetAt(start + at);
      const lower = code >= 0x41 && code <= 0x5a ? code | 0x20 : code;
      if (lower !== lowerName.charCodeAt(at)) return false;
    }
    return true;
  }

  /** The value by lower-case name; repeated ones joined with ", ", cookies with "; " (RFC 9110 5.3, RFC 9113 8.2.3). */
  value(lowerName: string): string | undefined {
    if (this.sourceKinds?.names.has(lowerName) === false) return undefined;
    let joined: string | undefined;
    for (let index = 0; index < this.count; index++) {
      if (!this.isNamed(index, lowerName)) continue;
      const value = this.valueAt(index);
      joined = joined === undefined ? value : joined + (lowerName === "cookie" ? "; " : ", ") + value;
    }
    return joined;
  }

  #grow(): void {
    const marks = new Int32Array(this.#marks.length * 2);
    marks.set(this.#marks);
    this.#ownMarks = marks;
    this.#marks = marks;
  }

  /** The marks are changed for this section alone. */
  #own(): void {
    if (this.#ownMarks.length < this.#marks.length) this.#ownMarks = new Int32Array(this.#marks.length);
    this.#ownMarks.set(this.#marks);
    this.#marks = this.#ownMarks;
  }
}

function nameOf(source: HeadSource, index: number): string {
  return index < 0 ? "host" : source.nameAt(index);
}

function valueIn(source: HeadSource, index: number): string {
  return index < 0 ? source.authority : source.valueAt(index);
}
