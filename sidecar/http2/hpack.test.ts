// HPACK (RFC 7541): the vectors of appendix C, each rule that a decoder must keep to, round trips, and damaged blocks.
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { FIELD_NAMES, fieldKind } from "./field.ts";
import { Http2Head, newNumber } from "./head.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { blockBytesMax, HpackEncoder, writeInteger } from "./hpack-encoder.ts";
import { CODE_BITS, decodeHuffman, encodeHuffman, huffmanLength } from "./huffman.ts";
import { LastingBlocks } from "./lasting-blocks.ts";
import { FieldList } from "./testing/field-list.ts";

function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ""), "hex");
}

function decodeAll(decoder: HpackDecoder, block: Buffer): [string, string][] {
  const list = new FieldList();
  expect(decoder.decode(block, 0, block.length, list)).toBeUndefined();
  return list.fields;
}

function refusalOf(block: string | Buffer, decoder = new HpackDecoder(4096)): string | undefined {
  const bytes = typeof block === "string" ? hex(block) : block;
  return decoder.decode(bytes, 0, bytes.length, new FieldList())?.detail;
}

const REQUESTS: [string, string][][] = [
  [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "www.example.com"],
  ],
  [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "www.example.com"],
    ["cache-control", "no-cache"],
  ],
  [
    [":method", "GET"],
    [":scheme", "https"],
    [":path", "/index.html"],
    [":authority", "www.example.com"],
    ["custom-key", "custom-value"],
  ],
];
const RESPONSES: [string, string][][] = [
  [
    [":status", "302"],
    ["cache-control", "private"],
    ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
    ["location", "https://www.example.com"],
  ],
  [
    [":status", "307"],
    ["cache-control", "private"],
    ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
    ["location", "https://www.example.com"],
  ],
  [
    [":status", "200"],
    ["cache-control", "private"],
    ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
    ["location", "https://www.example.com"],
    ["content-encoding", "gzip"],
    ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ],
];

describe("the vectors of RFC 7541 appendix C", () => {
  const single: [section: string, block: string, field: [string, string], size: number][] = [
    ["C.2.1", "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ["custom-key", "custom-header"], 55],
    ["C.2.2", "040c 2f73 616d 706c 652f 7061 7468", [":path", "/sample/path"], 0],
    ["C.2.3", "1008 7061 7373 776f 7264 0673 6563 7265 74", ["password", "secret"], 0],
    ["C.2.4", "82", [":method", "GET"], 0],
  ];
  it.each(single)("%s", (section, block, field, size) => {
    const decoder = new HpackDecoder(4096);
    const list = new FieldList();
    expect(decoder.decode(hex(block), 0, hex(block).length, list)).toBeUndefined();
    expect(list.fields).toEqual([field]);
    expect(list.sensitive).toEqual(section === "C.2.3" ? ["password"] : []);
    expect(decoder.tableSize).toBe(size);
  });

  const sequences: [
    section: string,
    tableBytes: number,
    blocks: string[],
    lists: [string, string][][],
    sizes: number[],
  ][] = [
    [
      "C.3",
      4096,
      [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
      ],
      REQUESTS,
      [57, 110, 164],
    ],
    [
      "C.4",
      4096,
      [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
      ],
      REQUESTS,
      [57, 110, 164],
    ],
    [
      "C.5",
      256,
      [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d" +
          "546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f" +
          "6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b" +
          "2076 6572 7369 6f6e 3d31",
      ],
      RESPONSES,
      [222, 222, 215],
    ],
    [
      "C.6",
      256,
      [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7" +
          "8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335" +
          "dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
      ],
      RESPONSES,
      [222, 222, 215],
    ],
  ];
  it.each(sequences)("%s", (_section, tableBytes, blocks, lists, sizes) => {
    const decoder = new HpackDecoder(tableBytes);
    for (const [index, block] of blocks.entries()) {
      expect(decodeAll(decoder, hex(block))).toEqual(lists[index]);
      expect(decoder.tableSize).toBe(sizes[index]);
    }
  });

  it("C.1: integers", () => {
    const out = Buffer.alloc(8);
    const cases: [value: number, mask: number, form: number, octets: string][] = [
      [10, 0x1f, 0, "0a"],
      [1337, 0x1f, 0, "1f9a0a"],
      [42, 0xff, 0, "2a"],
    ];
    for (const [value, mask, form, octets] of cases) {
      expect(out.subarray(0, writeInteger(out, 0, form, mask, value)).toString("hex")).toBe(octets);
    }
  });
});

describe("what a decoder refuses", () => {
  const cases: [rule: string, block: string, detail: string][] = [
    ["6.1: index 0", "80", "bad-index"],
    ["2.3.3: an index past both tables", "be", "bad-index"],
    ["2.3.3: a name's index past both tables", "7f00 0161", "bad-index"],
    ["2.3.3: a name's index past both tables, not entered", "0f2f 0161", "bad-index"],
    ["2.3.3: a name's index past both tables, never entered", "1f2f 0161", "bad-index"],
    ["5.1: an integer that does not end", "ff80", "block-cut-short"],
    ["5.1: an integer whose last octets are missing", "ffff ffff", "block-cut-short"],
    ["5.1: a length that is larger than any block", "007f ffff ff7f", "block-cut-short"],
    ["5.1: a table's size of more than 2^28", "3fff ffff ff0f", "bad-integer"],
    ["5.1: an integer of more than 2^28", "ffff ffff ff0f", "bad-integer"],
    ["5.1: an integer drawn out with zeros", "ff80 8080 8080 8000", "bad-integer"],
    ["5.2: a string longer than the block", "0005 6162", "block-cut-short"],
    ["5.2: a name without a value", "0001 61", "block-cut-short"],
    ["5.2: no string at all", "40", "block-cut-short"],
    ["5.2: EOS within a string", "0084 ffff ffff 0161", "bad-huffman"],
    ["5.2: padding of more than seven bits", "0082 1fff 0161", "bad-huffman"],
    ["5.2: padding that is not of EOS", "0081 1a 0161", "bad-huffman"],
    ["5.2: eight bits of padding that are all of EOS", "0082 1fff 0161", "bad-huffman"],
    ["5.2: a Huffman string cut in the middle", "0085 1c64", "block-cut-short"],
    ["6.3: a table larger than was allowed", "3fe2 1f", "bad-table-size"],
    ["6.3: a second size that is larger than was allowed", "20 3fe2 1f", "bad-table-size"],
    ["4.2: a table's size behind a field", "8220", "late-table-size"],
  ];
  it.each(cases)("%s", (_rule, block, detail) => {
    expect(refusalOf(block)).toBe(detail);
  });

  it("4.2: no word on a table that was made smaller", () => {
    const decoder = new HpackDecoder(4096);
    decoder.setTableLimit(100);
    expect(refusalOf("82", decoder)).toBe("missing-table-size");
    const other = new HpackDecoder(4096);
    other.setTableLimit(100);
    expect(refusalOf("3f45 82", other)).toBeUndefined();
    expect(refusalOf("3f46", other)).toBe("bad-table-size");
  });

  it("4.4: an entry larger than the table empties it and is a field all the same", () => {
    const decoder = new HpackDecoder(64);
    decodeAll(decoder, hex("4001 6101 62"));
    expect(decoder.tableSize).toBe(34);
    const large = Buffer.concat([
      hex("4001 611e"),
      Buffer.alloc(30, "x"),
      hex("4001 617f 81 00"),
      Buffer.alloc(256, "y"),
    ]);
    expect(decodeAll(decoder, large.subarray(0, 34))).toEqual([["a", "x".repeat(30)]]);
    expect(decoder.tableSize).toBe(63);
    const larger = Buffer.concat([hex("4001 6128"), Buffer.alloc(40, "z")]);
    expect(decodeAll(decoder, larger)).toEqual([["a", "z".repeat(40)]]);
    expect(decoder.tableSize).toBe(0);
    expect(refusalOf("be", decoder)).toBe("bad-index");
  });

  it("4.4: an entry may take its name from the one that it pushes out", () => {
    const decoder = new HpackDecoder(40);
    decodeAll(decoder, hex("4003 6162 6301 78"));
    expect(decoder.tableSize).toBe(36);
    expect(decodeAll(decoder, hex("7e02 7979"))).toEqual([["abc", "yy"]]);
    expect(decoder.tableSize).toBe(37);
    expect(decodeAll(decoder, hex("be"))).toEqual([["abc", "yy"]]);
    expect(refusalOf("bf", decoder)).toBe("bad-index");
  });

  it("2.3.2: the same entry may stand in the table twice", () => {
    const decoder = new HpackDecoder(4096);
    decodeAll(decoder, hex("4001 6101 62 4001 6101 62"));
    expect(decodeAll(decoder, hex("be bf"))).toEqual([
      ["a", "b"],
      ["a", "b"],
    ]);
  });

  it("6.3: the size that was allowed, several of them, and an empty block", () => {
    const decoder = new HpackDecoder(4096);
    expect(decodeAll(decoder, hex("3fe1 1f 20 3fe1 1f 82"))).toEqual([[":method", "GET"]]);
    expect(decodeAll(decoder, Buffer.alloc(0))).toEqual([]);
  });

  it("4.3: a smaller size evicts the oldest", () => {
    const decoder = new HpackDecoder(4096);
    decodeAll(decoder, hex("4001 6101 62 4001 6301 64"));
    expect(decodeAll(decoder, hex("3f03 be"))).toEqual([["c", "d"]]);
    expect(refusalOf("bf", decoder)).toBe("bad-index");
    decodeAll(decoder, hex("20 3fe1 1f"));
    expect(decoder.tableSize).toBe(0);
    expect(decoder.tableUpdates).toBe(2);
  });
});

describe("Huffman", () => {
  it("is a whole code: every octet comes back, and the lengths sum to one", () => {
    expect(CODE_BITS.reduce((sum, bits) => sum + 2 ** -bits, 0)).toBe(1);
    for (let octet = 0; octet < 256; octet++) {
      const text = String.fromCharCode(octet, octet, 97, octet);
      const out = Buffer.alloc(32);
      const end = encodeHuffman(text, out, 0);
      expect(end).toBe(huffmanLength(text));
      const back = Buffer.alloc(64);
      expect(back.subarray(0, decodeHuffman(out, 0, end, back)).toString("latin1")).toBe(text);
    }
  });

  it("brings back any text, and never reads damaged bytes as the same", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
        const text = Buffer.from(octets).toString("latin1");
        const out = Buffer.alloc(octets.length * 4 + 8);
        const end = encodeHuffman(text, out, 0);
        const back = Buffer.alloc(octets.length * 8 + 8);
        const length = decodeHuffman(out, 0, end, back);
        expect(back.subarray(0, length).toString("latin1")).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it("takes any bytes: what decodes encodes back to them", () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 6 }), (octets) => {
        const back = Buffer.alloc(64);
        const length = decodeHuffman(octets, 0, octets.length, back);
        if (length < 0) return;
        accepted++;
        const out = Buffer.alloc(64);
        const end = encodeHuffman(back.subarray(0, length).toString("latin1"), out, 0);
        expect(out.subarray(0, end).equals(octets)).toBe(true);
      }),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(20);
  });
});

const fieldName = fc.oneof(
  fc.constantFrom(...FIELD_NAMES.filter((name) => name !== "" && !name.startsWith(":"))),
  fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
  fc.constantFrom("x-a", "x-b", "x-c"),
);
const fieldValue = fc.oneof(
  fc.constantFrom("", "a", "application/grpc", "trailers", "x".repeat(300)),
  fc.string({ maxLength: 60, unit: "binary-ascii" }),
  fc.uint8Array({ maxLength: 40 }).map((octets) => Buffer.from(octets).toString("latin1")),
);
const fieldList = fc.array(fc.tuple(fieldName, fieldValue, fc.boolean()), { maxLength: 20 });
const step = fc.oneof(
  { weight: 8, arbitrary: fieldList.map((fields) => ({ fields })) },
  { weight: 1, arbitrary: fc.nat(6000).map((size) => ({ size })) },
);

function headOf(fields: readonly (readonly [string, string, boolean])[]): Http2Head {
  const head = new Http2Head();
  head.status = 200;
  for (const [name, value, isSensitive] of fields) head.push(name, value, fieldKind(name), isSensitive ? 1 : 0);
  return head;
}

const lastingFields = fc.array(
  fc.tuple(
    fc.oneof(fc.constantFrom("x-a", "x-b", "via", "accept", "cookie", "authorization", "x-request-id"), fieldName),
    fc.oneof(fc.constantFrom("a", "b", "some value"), fieldValue),
    fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  ),
  { minLength: 1, maxLength: 4 },
);
type Pairs = [name: string, value: string, isSensitive: boolean][];
const NONE: Pairs = [];
const lastStep = fc.record({
  which: fc.oneof(fc.constantFrom(0, 0, 1), fc.nat(17)),
  more: fc.oneof({ weight: 9, arbitrary: fc.constant(NONE) }, { weight: 1, arbitrary: fieldList }),
  path: fc.constantFrom("/", "/a", "/some/path"),
  size: fc.oneof({ weight: 20, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(6000) }),
});
type LastStep = typeof lastStep extends fc.Arbitrary<infer Each> ? Each : never;

describe("an encoder", () => {
  it("is understood whatever it sends, with tables that change size, and both keep the same table", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), fc.nat(5000), (steps, usesHuffman, cap) => {
        const encoder = new HpackEncoder(cap, usesHuffman);
        const decoder = new HpackDecoder(6000);
        for (const each of steps) {
          if ("size" in each) {
            encoder.setPeerTableSize(each.size);
            continue;
          }
          const head = headOf(each.fields);
          const out = Buffer.alloc(blockBytesMax(head));
          const end = encoder.encodeResponse(head, out, 0);
          const list = new FieldList();
          expect(decoder.decode(out, 0, end, list)).toBeUndefined();
          expect(list.fields).toEqual([[":status", "200"], ...each.fields.map(([name, value]) => [name, value])]);
          for (const [name, , isSensitive] of each.fields) if (isSensitive) expect(list.sensitive).toContain(name);
          expect(decoder.tableSize).toBe(encoder.tableSize);
        }
      }),
      { numRuns: 400 },
    );
  });

  it("is understood where heads have fields that last, and keeps to the room that they need", () => {
    const find = vi.spyOn(LastingBlocks.prototype, "find");
    let found = 0;
    const run = (lasting: Pairs[], steps: LastStep[], usesHuffman: boolean, cap: number): void => {
      const encoder = new HpackEncoder(cap, usesHuffman);
      const decoder = new HpackDecoder(6000);
      // Several want the same place.
      const numbers = lasting.map(() => {
        let number = newNumber();
        while (number % 16 > 2) number = newNumber();
        return number;
      });
      for (const { which, more, path, size } of steps) {
        if (size >= 0) encoder.setPeerTableSize(size);
        const list = lasting[which % lasting.length] as Pairs;
        const all = [...list, ...more];
        const head = Object.assign(headOf(all), { method: "GET", scheme: "http", authority: "orders", path });
        head.setLasting(list.length, numbers[which % lasting.length] as number);
        const room = blockBytesMax(head);
        const out = Buffer.alloc(room + 1000, 0xaa);
        const end = encoder.encodeRequest(head, out, 0);
        expect(end).toBeLessThanOrEqual(room);
        expect(out.subarray(end).every((octet) => octet === 0xaa)).toBe(true);
        const read = new FieldList();
        expect(decoder.decode(out, 0, end, read)).toBeUndefined();
        expect(read.fields.slice(4)).toEqual(all.map(([name, value]) => [name, value]));
        expect(Object.fromEntries(read.fields.slice(0, 4))).toMatchObject({ ":path": path, ":authority": "orders" });
        for (const [name, , isSensitive] of all) if (isSensitive) expect(read.sensitive).toContain(name);
        expect(decoder.tableSize).toBe(encoder.tableSize);
        found += find.mock.results.filter(({ value }) => value !== undefined).length;
        find.mockClear();
      }
    };
    const heads = fc.array(lastingFields, { minLength: 1, maxLength: 18 });
    fc.assert(fc.property(heads, fc.array(lastStep, { maxLength: 80, size: "max" }), fc.boolean(), fc.nat(5000), run), {
      numRuns: 400,
    });
    find.mockRestore();
    expect(found).toBeGreaterThan(500);
  });

  it("enters what is sent twice, and nothing that is sent once", () => {
    const encoder = new HpackEncoder(4096, false);
    const out = Buffer.alloc(4096);
    for (let call = 0; call < 100; call++) {
      const head = headOf([
        ["x-request-id", `id-${call * 7919}-${call}`, false],
        ["content-type", "application/grpc", false],
      ]);
      const end = encoder.encodeResponse(head, out, 0);
      if (call > 1) expect(end).toBeLessThan(40);
    }
    expect(encoder.tableSize).toBe("content-type".length + "application/grpc".length + 32);
  });

  it("enters a path that is sent for the third time, and does not take one for another that differs in a character", () => {
    const encoder = new HpackEncoder(4096, false);
    const out = Buffer.alloc(4096);
    const sizeOf = (path: string): number => {
      const head = headOf([]);
      head.method = "GET";
      head.scheme = "http";
      head.path = path;
      return encoder.encodeRequest(head, out, 0);
    };
    for (let round = 0; round < 100; round++)
      for (const place of [4, 9, 30])
        expect(
          sizeOf(
            `/api/resource-00000000000000000000/items`.replace(/./g, (c, at) =>
              at === place ? String.fromCharCode(0x61 + (round % 26)) : c,
            ),
          ),
        ).toBe(44);
    expect(encoder.tableSize).toBe(0);
    expect([1, 2, 3, 4].map(() => sizeOf("/package.Service/Method"))).toEqual([27, 27, 27, 3]);
    expect(encoder.tableSize).toBe(":path".length + "/package.Service/Method".length + 32);
  });

  it("7.1.3: never enters secrets, and says so", () => {
    const encoder = new HpackEncoder(4096, false);
    const decoder = new HpackDecoder(4096);
    const head = headOf([
      ["authorization", "Bearer abcdefghijkl", false],
      ["cookie", "short=1", false],
      ["x-key", "marked", true],
    ]);
    for (let turn = 0; turn < 3; turn++) {
      const out = Buffer.alloc(1024);
      const list = new FieldList();
      const end = encoder.encodeResponse(head, out, 0);
      expect(decoder.decode(out, 0, end, list)).toBeUndefined();
      expect(list.sensitive).toEqual(["authorization", "cookie", "x-key"]);
    }
    expect(encoder.tableSize).toBe(0);
  });

  it("4.2: says the smallest size first where the table shrank and grew between two blocks", () => {
    const encoder = new HpackEncoder(4096, false);
    encoder.setPeerTableSize(0);
    encoder.setPeerTableSize(4096);
    const out = Buffer.alloc(1024);
    const end = encoder.encodeResponse(headOf([]), out, 0);
    expect(out.subarray(0, end).toString("hex")).toBe("203fe11f88");
  });

  it("is understood when it has forgotten names, and its table keeps its size", () => {
    const encoder = new HpackEncoder(4096, false);
    const decoder = new HpackDecoder(4096);
    for (let name = 0; name < 1000; name++) {
      const head = headOf([[`x-${name % 300}`, "v", false]]);
      const out = Buffer.alloc(256);
      const end = encoder.encodeResponse(head, out, 0);
      expect(decodeAll(decoder, out.subarray(0, end)).at(-1)).toEqual([`x-${name % 300}`, "v"]);
    }
    expect(encoder.tableSize).toBeLessThanOrEqual(4096);
  });

  it.each([
    [127, true],
    [128, false],
  ])("after %d other names knows what it has sent of the first: %s", (others, isKnown) => {
    const encoder = new HpackEncoder(4096, false);
    const out = Buffer.alloc(256);
    const send = (name: string): void => {
      encoder.encodeResponse(headOf([[name, "value", false]]), out, 0);
    };
    send("x-first");
    for (let index = 0; index < others; index++) send(`x-made-up-${index}`);
    expect(encoder.tableSize).toBe(0);
    send("x-first");
    expect(encoder.tableSize > 0).toBe(isKnown);
  });
});

describe("a decoder, given anything", () => {
  it("refuses or decodes, and never throws or keeps more than its table", () => {
    let decoded = 0;
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 8 }), (blocks) => {
        const decoder = new HpackDecoder(200);
        for (const block of blocks) {
          const bytes = Buffer.from(block);
          if (decoder.decode(bytes, 0, bytes.length, new FieldList()) !== undefined) return;
          decoded++;
          expect(decoder.tableSize).toBeLessThanOrEqual(200);
        }
      }),
      { numRuns: 3000 },
    );
    expect(decoded).toBeGreaterThan(100);
  });

  it("reads a good block with one bit changed without harm to the next connection", () => {
    fc.assert(
      fc.property(fieldList, fc.nat(), (fields, flip) => {
        const out = Buffer.alloc(8192);
        const end = new HpackEncoder(4096, flip % 2 === 0).encodeResponse(headOf(fields), out, 0);
        const good = Buffer.from(out.subarray(0, end));
        const bad = Buffer.from(good);
        const at = flip % (end * 8);
        bad[at >> 3] = (bad[at >> 3] ?? 0) ^ (1 << (at & 7));
        new HpackDecoder(4096).decode(bad, 0, end, new FieldList());
        expect(decodeAll(new HpackDecoder(4096), good)).toEqual([
          [":status", "200"],
          ...fields.map(([name, value]) => [name, value]),
        ]);
      }),
      { numRuns: 500 },
    );
  });
});
