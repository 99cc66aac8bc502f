// Header blocks that are known say what full decoding says: sequences of blocks over one connection, from an encoder that
// chooses forms at random and damages some, are read with KnownBlocks and without, and both agree after each block.
import fc from "fast-check";
import { expect, it } from "vitest";
import { fieldKind } from "./field.ts";
import { type HeadBlock, Http2Head } from "./head.ts";
import { type HeadPart, HeadReader } from "./head-rules.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { writeInteger } from "./hpack-encoder.ts";
import { encodeHuffman } from "./huffman.ts";
import { KnownBlocks } from "./known-block.ts";
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from "./limits.ts";
import { STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from "./static-table.ts";
import { FieldList } from "./testing/field-list.ts";

const TABLE_BYTES = 4096;
/** `RUNS=20000` runs more. */
const RUNS = Number(process.env["RUNS"] ?? 800);

// ---- the encoder ----

/** "index": entered when it is sent first, and said by its index from there on. */
type Form = "index" | "enter" | "without" | "never";

interface FieldSpec {
  readonly name: string;
  /** One of them each time. */
  readonly values: readonly string[];
  readonly form: Form;
  /** The name is a literal although a table has it. */
  readonly spellsName: boolean;
  readonly nameHuffman: boolean;
  readonly valueHuffman: boolean;
  /** Of the static entries of this name the last is meant, and not the first. */
  readonly last: boolean;
}

interface Template {
  readonly part: HeadPart;
  readonly fields: readonly FieldSpec[];
}

class Encoder {
  readonly #entries: [name: string, value: string][] = [];
  #sizeMax = TABLE_BYTES;
  readonly #out = Buffer.alloc(65_536);
  #at = 0;

  /** @param sizes table sizes that the block begins with */
  encode(fields: readonly FieldSpec[], picks: readonly number[], sizes: readonly number[]): Buffer {
    this.#at = 0;
    for (const size of sizes) {
      this.#at = writeInteger(this.#out, this.#at, 0x20, 0x1f, size);
      this.#sizeMax = size;
      this.#evict();
    }
    for (const [index, field] of fields.entries()) {
      const pick = picks[index % picks.length] ?? 0;
      this.#field(field, field.values[pick % field.values.length] ?? "");
    }
    return Buffer.from(this.#out.subarray(0, this.#at));
  }

  #field(field: FieldSpec, value: string): void {
    const { name, form } = field;
    const whole = form === "index" ? this.#indexOf(name, value, false) : 0;
    if (whole > 0) {
      this.#at = writeInteger(this.#out, this.#at, 0x80, 0x7f, whole);
      return;
    }
    const isEntering = form === "index" || form === "enter";
    const prefix = isEntering ? 0x40 : form === "never" ? 0x10 : 0;
    const index = field.spellsName ? 0 : this.#indexOf(name, undefined, field.last);
    this.#at = writeInteger(this.#out, this.#at, prefix, isEntering ? 0x3f : 0x0f, index);
    if (index === 0) this.#string(name, field.nameHuffman);
    this.#string(value, field.valueHuffman);
    if (!isEntering) return;
    this.#entries.unshift([name, value]);
    this.#evict();
  }

  #string(text: string, isHuffman: boolean): void {
    const octets = Buffer.alloc(text.length * 4 + 8);
    const length = isHuffman ? encodeHuffman(text, octets, 0) : octets.write(text, "latin1");
    this.#at = writeInteger(this.#out, this.#at, isHuffman ? 0x80 : 0, 0x7f, length);
    this.#at += octets.copy(this.#out, this.#at, 0, length);
  }

  #indexOf(name: string, value: string | undefined, last: boolean): number {
    let found = 0;
    for (let index = 1; index <= STATIC_ENTRIES; index++) {
      if (STATIC_NAMES[index] !== name || (value !== undefined && STATIC_VALUES[index] !== value)) continue;
      found = index;
      if (!last) return found;
    }
    if (found > 0) return found;
    const at = this.#entries.findIndex((entry) => entry[0] === name && (value === undefined || entry[1] === value));
    return at < 0 ? 0 : STATIC_ENTRIES + 1 + at;
  }

  #evict(): void {
    const size = (): number => this.#entries.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    while (size() > this.#sizeMax) this.#entries.pop();
  }
}

// ---- both readers ----

/** What a receiver does with a block, with what it knows and without. */
class Reader {
  readonly head = new Http2Head();
  readonly decoder = new HpackDecoder(TABLE_BYTES);
  readonly #heads: HeadReader;
  readonly #known: KnownBlocks | undefined;

  constructor(limits: Http2Limits, isKnowing: boolean) {
    this.#heads = new HeadReader(limits);
    this.#known = isKnowing ? new KnownBlocks(this.decoder, limits.headerListBytesMax) : undefined;
  }

  /** @returns what is wrong, and whether it was not decoded in full */
  read(part: HeadPart, block: Buffer): { connection?: string; message?: string; isKnown?: boolean } {
    const { head, decoder } = this;
    // Behind other bytes and before others, as in a frame.
    const bytes = Buffer.concat([Buffer.from([0x82, 0x05, 0x2f]), block, Buffer.from([0x84, 0x00, 0x82])]);
    const end = bytes.length - 3;
    if (this.#known?.read(head, part, bytes, 3, end) === true) return { isKnown: true };
    const { generation } = decoder;
    this.#heads.begin(head, part);
    const refusal = decoder.decode(bytes, 3, end, this.#heads);
    const fault = this.#heads.finish();
    if (refusal !== undefined) return { connection: refusal.detail };
    if (fault !== undefined) return { message: fault.detail };
    if (generation === decoder.generation) this.#known?.learn(head, part, this.#heads.pseudoFields, bytes, 3, end);
    return {};
  }
}

function told(head: Http2Head): unknown {
  const fields = Array.from({ length: head.count }, (_, index) => [
    head.nameAt(index),
    head.valueAt(index),
    head.kindAt(index),
    head.sensitiveAt(index),
  ]);
  const { method, scheme, authority, path, protocol, status } = head;
  const { listBytes, contentLength, acceptsTrailers, ownsText, isConnect, pathOnly, query } = head;
  const start = { method, scheme, authority, path, protocol, status, isConnect, pathOnly, query };
  return { start, fields, listBytes, contentLength, acceptsTrailers, ownsText };
}

/** All entries of a table, by asking for one after the other. */
function entries(decoder: HpackDecoder): [string, string][] {
  const list = new FieldList();
  const block = Buffer.alloc(8);
  for (let index = STATIC_ENTRIES + 1; ; index++) {
    const end = writeInteger(block, 0, 0x80, 0x7f, index);
    if (decoder.decode(block, 0, end, list) !== undefined) return list.fields;
  }
}

/** The head without the values that its block says are not the same each time. */
function rest(head: Http2Head, { values }: HeadBlock): unknown {
  const copy = new Http2Head();
  copy.copyFrom(head);
  for (const { index, kind } of values) {
    if (index < 0) copy.setPath("");
    else {
      expect(head.kindAt(index)).toBe(kind);
      copy.setValueAt(index, "");
    }
    if (kind === fieldKind("content-length")) copy.contentLength = 0;
  }
  return told(copy);
}

// ---- what is sent ----

const LONG = "x".repeat(125);
const ANY_VALUES = ["a", "", "b", "4bf92f3577b34da6a3ce929d0e0e4736", LONG, `${LONG}xy`, "caf\xe9", "a\tb", "a: b"];
const BAD_VALUES = [" a", "a ", "a\u0000", "a\r\nb: c", "\u007f", "\t"];
const LENGTHS = [
  "5",
  "0",
  "00005",
  "12",
  "+5",
  "5, 5",
  "",
  "9007199254740991",
  "9007199254740993",
  "12345678901234567",
];

const VALUES: Readonly<Record<string, readonly string[]>> = {
  ":method": ["GET", "POST", "OPTIONS", "CONNECT", "HEAD", "", "G T"],
  ":scheme": ["http", "https", "ftp", "", "1", "h t"],
  ":path": ["/", "/a", "/b?c=d", `/${LONG}`, "", "*", "a", "/a b", "/a#b", "/\x80", "//"],
  ":authority": ["orders", "orders:80", "", "a b", "[::1]", "[::1", "u@orders", "ORDERS"],
  ":protocol": ["websocket", "", "h2c"],
  ":status": ["200", "204", "304", "103", "101", "404", "503", "99", "2000", "abc"],
  host: ["orders", "orders:80", "other", "ORDERS", ""],
  "content-length": LENGTHS,
  te: ["trailers", "Trailers", "gzip", ""],
};

const NAMES = [
  ...["x-request-id", "traceparent", "b3", "cookie", "content-length", "authorization", "content-type", "via"],
  ...["x-own", "x-other", "grpc-timeout", "user-agent", "expect", "set-cookie", "date"],
];
const BAD_NAMES = [
  "host",
  "te",
  "connection",
  "transfer-encoding",
  "upgrade",
  "X-Own",
  "content_length",
  ":other",
  "",
  "a b",
  ":path",
];

/** The other one once in so many times. */
const rarely = <Value>(usual: fc.Arbitrary<Value>, other: fc.Arbitrary<Value>, once = 60): fc.Arbitrary<Value> =>
  fc.oneof({ weight: once - 1, arbitrary: usual }, { weight: 1, arbitrary: other });

const ANY_FORM = fc.constantFrom<Form>("index", "index", "without", "without", "without", "never");

/** @param only the first so many of its values are good ones */
function fieldSpec(names: fc.Arbitrary<string>, only: number, forms = ANY_FORM): fc.Arbitrary<FieldSpec> {
  return fc
    .record({
      name: names,
      form: rarely(forms, fc.constant<Form>("enter"), 100),
      spellsName: rarely(fc.constant(false), fc.constant(true), 6),
      nameHuffman: fc.boolean(),
      valueHuffman: fc.boolean(),
      last: fc.boolean(),
      width: fc.integer({ min: 1, max: 6 }),
      first: rarely(fc.constant(0), fc.nat(20)),
      bad: rarely(fc.constant(-1), fc.nat(20), 6),
    })
    .map(({ width, first, bad, ...spec }) => {
      const all = VALUES[spec.name] ?? ANY_VALUES;
      const start = first % all.length;
      const values = all.slice(start, start + (VALUES[spec.name] === undefined ? width : Math.min(width, only)));
      // What is said by its index is the same each time, or no block would ever come again.
      if (spec.form === "index") values.length = 1;
      else if (bad >= 0)
        values.push((VALUES[spec.name] ?? BAD_VALUES)[bad % (VALUES[spec.name] ?? BAD_VALUES).length] ?? "");
      return { ...spec, values };
    });
}

/** Literals of the others have rules that only full decoding knows. */
const named = (name: string, only = 1): fc.Arbitrary<FieldSpec> =>
  fieldSpec(fc.constant(name), only, only > 1 ? ANY_FORM : rarely(fc.constant<Form>("index"), ANY_FORM, 20));
const mostly = (spec: fc.Arbitrary<FieldSpec>): fc.Arbitrary<FieldSpec[]> =>
  rarely(
    spec.map((field) => [field]),
    fc.constant([]),
  );
const sometimes = (spec: fc.Arbitrary<FieldSpec>): fc.Arbitrary<FieldSpec[]> =>
  rarely(
    fc.constant<FieldSpec[]>([]),
    spec.map((field) => [field]),
    8,
  );
const usual = fieldSpec(rarely(fc.constantFrom(...NAMES), fc.constantFrom(...BAD_NAMES)), 2);
const fields = fc
  .tuple(
    fc.uniqueArray(usual, { maxLength: 5, selector: ({ name }) => name }),
    sometimes(usual),
    sometimes(fieldSpec(fc.constant("te"), 1)),
    sometimes(fieldSpec(fc.constant("content-length"), 10)),
  )
  .map(([list, ...more]) => [...list, ...more.flat()]);

const starts: readonly fc.Arbitrary<{ part: HeadPart; start: FieldSpec[] }>[] = [
  fc
    .tuple(
      mostly(named(":method")),
      mostly(named(":scheme")),
      mostly(named(":path", 4)),
      mostly(named(":authority")),
      rarely(
        fc.constant<FieldSpec[]>([]),
        named(":protocol").map((spec) => [spec]),
        12,
      ),
      fc.nat(3),
    )
    .map(([method, scheme, path, authority, protocol, turn]) => {
      const all = [method, scheme, path, authority, protocol].flat();
      return { part: "request", start: [...all.slice(turn), ...all.slice(0, turn)] };
    }),
  fc.tuple(mostly(named(":status")), fc.nat(5)).map(([status, turn]) => ({
    part: "response",
    start: status.map((spec) => ({ ...spec, values: [VALUES[":status"]?.[turn === 4 ? 5 : turn] ?? ""] })),
  })),
  rarely(
    fc.constant<FieldSpec[]>([]),
    named(":status").map((spec) => [spec]),
  ).map((start) => ({ part: "trailers", start })),
];

const template: fc.Arbitrary<Template> = fc
  .tuple(fc.oneof(...starts), fields, rarely(fc.constant(false), fc.constant(true)))
  .map(([{ part, start }, list, isLate]) => ({ part, fields: isLate ? [...list, ...start] : [...start, ...list] }));

const damage = fc.record({ kind: fc.constantFrom("flip", "insert", "drop"), at: fc.nat(), octet: fc.nat(255) });
const blockStep = fc.record({
  template: fc.nat(),
  picks: fc.array(fc.nat(20), { minLength: 1, maxLength: 12 }),
  damage: rarely(fc.constant(undefined), damage),
  /** Sizes of the table that it begins with. */
  sizes: rarely(fc.constant<number[]>([]), fc.array(fc.nat(TABLE_BYTES), { minLength: 1, maxLength: 2 }), 200),
  /** The same octets are sent as another part of a message. */
  as: rarely(fc.constant(undefined), fc.constantFrom<HeadPart>("request", "response", "trailers")),
});
const limitStep = fc.record({ limit: fc.nat(TABLE_BYTES), isObeyed: rarely(fc.constant(true), fc.constant(false)) });
const steps = fc.array(fc.oneof({ weight: 200, arbitrary: blockStep }, { weight: 1, arbitrary: limitStep }), {
  minLength: 40,
  maxLength: 120,
  size: "max",
});
const limits = fc
  .record({
    headerListBytesMax: rarely(fc.constant(16_384), fc.integer({ min: 150, max: 500 })),
    fieldsMax: rarely(fc.constant(100), fc.nat(5)),
    allowsConnectProtocol: fc.boolean(),
  })
  .map((some): Http2Limits => ({ ...DEFAULT_HTTP2_LIMITS, ...some }));

type Step = typeof steps extends fc.Arbitrary<(infer Each)[]> ? Each : never;

function damaged(block: Buffer, { kind, at, octet }: { kind: string; at: number; octet: number }): Buffer {
  const place = at % (block.length + 1);
  if (kind === "insert") return Buffer.concat([block.subarray(0, place), Buffer.from([octet]), block.subarray(place)]);
  if (kind === "drop") return Buffer.concat([block.subarray(0, place), block.subarray(place + 1)]);
  const copy = Buffer.from(block);
  if (place < copy.length) copy[place] = (copy[place] ?? 0) ^ (1 << (octet & 7));
  return copy;
}

it("read the same, known or not, and leave the same table", () => {
  const count = { blocks: 0, known: 0, knownOf: { request: 0, response: 0, trailers: 0 }, refused: 0, probed: 0 };
  const run = (templates: Template[], list: Step[], some: Http2Limits): void => {
    const encoder = new Encoder();
    const subject = new Reader(some, true);
    const reference = new Reader(some, false);
    const rests = new Map<HeadBlock, unknown>();
    let owed: number[] = [];
    let limit = TABLE_BYTES;
    for (const step of list) {
      if ("limit" in step) {
        for (const { decoder } of [subject, reference]) decoder.setTableLimit(step.limit);
        limit = step.limit;
        owed = step.isObeyed ? [limit] : [];
        continue;
      }
      const { part, fields: specs } = templates[step.template % templates.length] as Template;
      const sizes = [...owed, ...step.sizes.map((size) => Math.min(size, limit))];
      owed = [];
      const good = encoder.encode(specs, step.picks, sizes);
      const block = step.damage === undefined ? good : damaged(good, step.damage);
      const isRead = subject.read(step.as ?? part, block);
      const { isKnown = false, ...is } = isRead;
      expect(is).toEqual(reference.read(step.as ?? part, block));
      expect(told(subject.head)).toEqual(told(reference.head));
      expect(subject.decoder.tableSize).toBe(reference.decoder.tableSize);
      count.blocks++;
      if (isKnown) {
        count.known++;
        count.knownOf[step.as ?? part]++;
        const known = subject.head.block as HeadBlock;
        if (!rests.has(known)) rests.set(known, rest(subject.head, known));
        expect({ ...(rest(subject.head, known) as object), listBytes: 0 }).toEqual({
          ...(rests.get(known) as object),
          listBytes: 0,
        });
      } else expect(subject.head.block).toBeUndefined();
      if (is.message !== undefined) count.refused++;
      if (is.connection === undefined && step.damage === undefined) continue;
      expect(entries(subject.decoder)).toEqual(entries(reference.decoder));
      count.probed++;
      if (is.connection !== undefined) return;
    }
    expect(entries(subject.decoder)).toEqual(entries(reference.decoder));
  };
  fc.assert(fc.property(fc.array(template, { minLength: 1, maxLength: 3 }), steps, limits, run), {
    numRuns: RUNS,
  });
  expect(count.known).toBeGreaterThan((count.blocks - count.refused) / 2.5);
  for (const known of Object.values(count.knownOf)) expect(known).toBeGreaterThan(100);
  expect(count.refused).toBeGreaterThan(100);
  expect(count.probed).toBeGreaterThan(50);
});
