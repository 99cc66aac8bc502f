// Heads of HTTP/2 whose text for HTTP/1.1 stands ready say what the encoder of HTTP/1.1 makes of them: requests of random
// fields come again and again with other values, to destinations that want other edits.
import fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";
import type { MeshResource } from "../../rules/resource.ts";
import { RequestDecoder } from "../http1/decoder.ts";
import { encodeRequestHead } from "../http1/encoder.ts";
import { HeadEdits } from "../http1/head-edits.ts";
import { fieldKind } from "../http2/field.ts";
import { Http2Head } from "../http2/head.ts";
import { HeadReader } from "../http2/head-rules.ts";
import { HpackDecoder } from "../http2/hpack-decoder.ts";
import { blockBytesMax, HpackEncoder } from "../http2/hpack-encoder.ts";
import { KnownBlocks } from "../http2/known-block.ts";
import { DEFAULT_HTTP2_LIMITS } from "../http2/limits.ts";
import { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Downstream } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { Destination } from "./destination.ts";
import { type HopFields, replacedKinds } from "./hop-fields.ts";
import { HTTP1_KINDS } from "./http2-heads.ts";
import { KnownText } from "./known-text.ts";
import { ForwardedHeads } from "./rewrite.ts";
import { cleanUp, createPath } from "./testing/rig.ts";

afterEach(cleanUp);

/** What one client sends over its connection, read with what is known of earlier blocks. */
class Reader {
  readonly #encoder = new HpackEncoder(4096, false);
  readonly #decoder = new HpackDecoder(4096);
  readonly #heads = new HeadReader(DEFAULT_HTTP2_LIMITS);
  readonly #known = new KnownBlocks(this.#decoder, DEFAULT_HTTP2_LIMITS.headerListBytesMax);

  read(sent: Http2Head): Http2Head | undefined {
    const bytes = Buffer.alloc(blockBytesMax(sent));
    const end = this.#encoder.encodeRequest(sent, bytes, 0);
    const head = new Http2Head();
    if (this.#known.read(head, "request", bytes, 0, end)) return head;
    const { generation } = this.#decoder;
    this.#heads.begin(head, "request");
    expect(this.#decoder.decode(bytes, 0, end, this.#heads)).toBeUndefined();
    if (this.#heads.finish() !== undefined) return undefined;
    if (generation === this.#decoder.generation)
      this.#known.learn(head, "request", this.#heads.pseudoFields, bytes, 0, end);
    return head;
  }
}

/** `RUNS=20000` runs more. */
const RUNS = Number(process.env["RUNS"] ?? 300);
const REMOTE = "10.0.0.7";

/** The text without anything that is kept from one request for the next. */
function expectedText(
  path: DataPath,
  settings: MeshResource["headers"],
  source: Http2Head,
  isEnd: boolean,
  hopFields: HopFields,
  requestId: string,
): string {
  const copy = new Http2Head();
  copy.copyFrom(source);
  const decoder = new RequestDecoder();
  expect(decoder.takeHead(copy, HTTP1_KINDS, isEnd)).toBe(true);
  const edits = new HeadEdits();
  edits.isOpen = true;
  edits.dropKinds = replacedKinds(hopFields);
  edits.append = path.hopLines.of(settings, REMOTE, copy.authority, undefined).of(decoder.head, hopFields === "all");
  edits.requestId = requestId;
  return encodeRequestHead(decoder.head, edits);
}

// ---- what is sent ----

const NAMES = [
  ...["x-own", "x-other", "x-request-id", "traceparent", "cookie", "authorization", "expect", "via", "trailer"],
  ...["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-envoy-expected-rq-timeout-ms"],
  ...["x-envoy-attempt-count", "x-weft-source", "content-type", "accept", "http2-settings"],
];
/** Now and then the other one. */
const mostly = <Value>(usual: Value, ...others: readonly Value[]): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 30, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

const OPEN_VALUES = fc.oneof(
  fc.constantFrom(
    "",
    "a: b",
    "content-length: 5",
    "0",
    "$&",
    "$1",
    "-1",
    "é\u00ff\u0080",
    "100-continue",
    "4503599627370496",
  ),
  fc.stringMatching(/^[0-9a-f]{12,40}$/),
  fc
    .uint8Array({ minLength: 8, maxLength: 40 })
    .map((octets) => Buffer.from(octets.map((octet) => octet | 0x80)).toString("latin1")),
);
const PATHS = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom("/", "/a", "/a?b=c", "//", "/$&", "/%00", "/-1", "/a?") },
  { weight: 12, arbitrary: fc.stringMatching(/^[0-9a-f]{12,40}$/).map((text) => `/${text}`) },
);
const LENGTHS = fc.constantFrom("0", "5", "00005", "12345", "4503599627370496", "9007199254740991");

interface Shape {
  readonly method: string;
  readonly authority: string;
  readonly acceptsTrailers: boolean;
  /** Some values are the same each time. */
  readonly fields: readonly (readonly [name: string, value: string | undefined])[];
  readonly path: string | undefined;
  readonly length: string | undefined;
}

const shape: fc.Arbitrary<Shape> = fc.record({
  method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "X"),
  authority: fc.constantFrom("orders", "orders:80", "[::1]:80"),
  acceptsTrailers: fc.boolean(),
  fields: fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom("same", "v", undefined, undefined)), {
    maxLength: 6,
  }),
  path: fc.constantFrom("/", "/same", undefined, undefined),
  length: fc.constantFrom("none", "none", undefined, "7"),
});

/** A request of a shape: which, what stands open in it, and what is asked of it. */
const step = fc.record({
  shape: fc.nat(),
  values: fc.array(OPEN_VALUES, { minLength: 6, maxLength: 6 }),
  path: PATHS,
  length: LENGTHS,
  /** Otherwise it is the other way round than the run has it. */
  isUsual: mostly(true, false),
  hop: mostly(0, 1, 2),
  settings: mostly(0, 1, 2, 3),
});

const HOP_FIELDS: readonly HopFields[] = ["all", "time", "none"];

type Step = typeof step extends fc.Arbitrary<infer Each> ? Each : never;

const SETTINGS: readonly Partial<MeshResource["headers"]>[] = [
  { requestId: true, forwarded: true, via: true },
  { requestId: false, forwarded: true, via: true },
  { requestId: true, forwarded: true, via: false },
  { requestId: true, forwarded: false, via: true },
];

function headOf(shape: Shape, values: readonly string[], path: string, length: string): Http2Head {
  const head = new Http2Head();
  Object.assign(head, { method: shape.method, scheme: "http", authority: shape.authority });
  head.path = shape.path ?? path;
  // What is open is said as never to be indexed: in the table it would stand open no more.
  const push = (name: string, fixed: string | undefined, open: string): void =>
    head.push(name, fixed ?? open, fieldKind(name), fixed === undefined ? 1 : 0);
  for (const [index, [name, value]] of shape.fields.entries()) push(name, value, values[index] ?? "");
  if (shape.length !== "none") push("content-length", shape.length, length);
  if (shape.acceptsTrailers) head.push("te", "trailers", fieldKind("te"), 0);
  return head;
}

it("says the same text as the encoder, each time that such a head comes", async () => {
  const path = await createPath();
  const decoder = new RequestDecoder();
  const record = new ExchangeRecord("outbound");
  const client = { http2Head: undefined as Http2Head | undefined, remoteAddress: REMOTE };
  const heads = new ForwardedHeads(client as unknown as Downstream, path, record);
  const destination = new Destination();
  const ready = vi.spyOn(KnownText.prototype, "with");
  const all = SETTINGS.map((some) => ({ ...path.snapshots.current.mesh.headers, ...some }));
  const count = { heads: 0, ready: 0 };
  const run = (shapes: Shape[], steps: Step[], endsAtOnce: boolean, usual: number): void => {
    const reader = new Reader();
    for (const { shape: which, values, path: target, length, isUsual, hop, settings: of } of steps) {
      const isEnd = endsAtOnce === isUsual;
      const hopFields = HOP_FIELDS[(hop + usual) % 3] as HopFields;
      const sent = headOf(shapes[which % shapes.length] as Shape, values, target, length);
      const source = reader.read(sent);
      if (source === undefined) continue;
      decoder.reset();
      expect(decoder.takeHead(source, HTTP1_KINDS, isEnd)).toBe(true);
      client.http2Head = source;
      destination.hopFields = hopFields;
      record.hasOwnId = false;
      record.requestId = "";
      const settings = all[(of + usual) % 4] as MeshResource["headers"];
      heads.begin(settings, decoder.head);
      const text = heads.textOf(settings, decoder.head, destination);
      const id = record.hasOwnId ? record.requestId : "";
      expect(text).toBe(expectedText(path, settings, source, isEnd, hopFields, id));
      count.heads++;
      if (ready.mock.results.some(({ value }) => value === text)) count.ready++;
      ready.mockClear();
    }
  };
  const steps = fc.array(step, { minLength: 60, maxLength: 90, size: "max" });
  fc.assert(fc.property(fc.array(shape, { minLength: 1, maxLength: 2 }), steps, fc.boolean(), fc.nat(11), run), {
    numRuns: RUNS,
  });
  expect(count.ready).toBeGreaterThan(count.heads / 4);
});
