// Heads that stand ready as octets say what the encoder would write, whatever fields came and whichever of them stay out; each
// has its own id; and octets that somebody keeps are changed no more.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Prepared } from "../../runtime/turn-writer.ts";
import { RequestDecoder } from "./decoder.ts";
import { encodeRequestHead, goesOnAsKnown } from "./encoder.ts";
import { FIELD, HOP_BY_HOP } from "./field.ts";
import type { MessageHead } from "./head.ts";
import { HeadEdits } from "./head-edits.ts";

const LINES = [
  "Content-Length: 5",
  "content-length:07",
  "Transfer-Encoding: chunked",
  "transfer-encoding:  Chunked",
  "Connection: close",
  "Connection: keep-alive",
  "Connection: x-some",
  "connection: keep-alive, te",
  "Connection: upgrade",
  "Upgrade: websocket",
  "Keep-Alive: timeout=5, max=7",
  "TE: trailers",
  "X-Some: one",
  "X-Forwarded-For: 10.0.0.7",
  "X-Weft-Source: default/web",
  "X-Envoy-Attempt-Count: 2",
  "Via: 1.1 other",
  "x-odd:\tvalue  ",
  `X-Long: ${"v".repeat(200)}`,
  "Accept: */*",
];

const DROPS = [0, 1 << FIELD.via, (1 << FIELD.xWeftSource) | (1 << FIELD.xEnvoyAttemptCount)];
const HOP = "via: 1.1 weft\r\nx-forwarded-proto: http\r\n";
const ATTEMPT = "x-envoy-attempt-count: 1\r\n";
const ID = { stem: "0123-45", rest: "abc" };

/** The head that came for the fourth time, so that all that can be known of it is. */
function knownHead(text: string): MessageHead {
  const decoder = new RequestDecoder();
  const bytes = Buffer.from(text, "latin1");
  for (let time = 0; time < 4; time++) {
    decoder.reset();
    expect(decoder.decodeHead(bytes, 0, bytes.length)).toBe(bytes.length);
  }
  return decoder.head;
}

function find(head: MessageHead, dropKinds = 0, id = ID, attemptLines = ATTEMPT): Prepared | undefined {
  const { section, present } = head.fields;
  const line = head.knownLine;
  if (line === undefined || section === undefined) throw new Error("the head is not known");
  const dropped = present & (HOP_BY_HOP | dropKinds);
  return line.heads.find(line.text, section, dropped, HOP, id, attemptLines);
}

function written(head: MessageHead, dropKinds: number, id: string): string {
  const edits = new HeadEdits();
  edits.isOpen = true;
  edits.dropKinds = dropKinds;
  edits.append = HOP;
  edits.requestId = id;
  return `${encodeRequestHead(head, edits)}${ATTEMPT}\r\n`;
}

let paths = 0;

function request(fields: string): string {
  return `GET /known/${paths++} HTTP/1.1\r\nHost: orders\r\n${fields}\r\n`;
}

describe("heads that stand ready", () => {
  test("are what the encoder writes", () => {
    const lines = fc.uniqueArray(fc.constantFrom(...LINES), { maxLength: 6 });
    let ready = 0;
    const run = (fields: string[], dropKinds: number, hasId: boolean): void => {
      // Several of them do not go together; that is for other tests.
      const said = (names: RegExp): number => fields.filter((line) => names.test(line)).length;
      fc.pre(said(/^(content-length|transfer-encoding)/i) < 2);
      const head = knownHead(request(fields.map((line) => `${line}\r\n`).join("")));
      if (head.knownLine === undefined || !goesOnAsKnown(head)) return;
      const id = hasId ? ID : { stem: "", rest: "" };
      expect([find(head, dropKinds, id), find(head, dropKinds, id)]).toEqual([undefined, undefined]);
      const prepared = find(head, dropKinds, id);
      const expected = written(head, dropKinds, id.stem + id.rest);
      expect([prepared?.text, prepared?.take().toString("latin1")]).toEqual([expected, expected]);
      ready++;
    };
    fc.assert(fc.property(lines, fc.constantFrom(...DROPS), fc.boolean(), run), { numRuns: 300 });
    expect(ready).toBeGreaterThan(50);
  });

  test.each([
    ["a length that peers may misread", "Content-Length: 05\r\n"],
    ["an upgrade", "Connection: upgrade\r\nUpgrade: websocket\r\n"],
    ["a field that the connection names", "Connection: x-some\r\nX-Some: one\r\n"],
    ["trailers that are welcome", "Connection: te\r\nTE: trailers\r\n"],
  ])("are none where something is written in another way: %s", (_what, fields) => {
    expect(goesOnAsKnown(knownHead(request(fields)))).toBe(false);
  });

  test("are none of a head whose line or fields are new", () => {
    const decoder = new RequestDecoder();
    const bytes = Buffer.from(request("X-New: one\r\n"));
    decoder.decodeHead(bytes, 0, bytes.length);
    expect(goesOnAsKnown(decoder.head)).toBe(false);
  });

  test("have the id of the request that takes them, whatever others took in between", () => {
    const head = knownHead(request("X-Ids: many\r\n"));
    find(head);
    find(head);
    const ids = [
      { stem: "0123-45", rest: "abc" },
      { stem: "0123-45", rest: "abd" },
      { stem: "0123-46", rest: "000" },
      { stem: "0123-45", rest: "abe" },
    ];
    const heads = ids.map((id) => find(head, 0, id));
    for (const at of [3, 0, 2, 1, 1, 0]) {
      const id = ids[at] as (typeof ids)[number];
      expect(heads[at]?.take().toString("latin1")).toBe(written(head, 0, id.stem + id.rest));
    }
  });

  test("leave alone what a socket keeps", () => {
    const head = knownHead(request("X-Kept: yes\r\n"));
    find(head);
    find(head);
    const [first, second] = [find(head, 0, ID), find(head, 0, { stem: ID.stem, rest: "xyz" })];
    const kept = first?.take();
    first?.lose();
    const sent = second?.take();
    expect(sent?.toString("latin1")).toBe(written(head, 0, `${ID.stem}xyz`));
    expect(kept?.toString("latin1")).toBe(written(head, 0, ID.stem + ID.rest));
  });

  test("stay when something else comes once, and give way when it comes again", () => {
    const head = knownHead(request("X-Again: yes\r\n"));
    const other = "x-envoy-attempt-count: 2\r\n";
    const isReady = (lines: string): boolean => find(head, 0, ID, lines) !== undefined;
    expect([isReady(ATTEMPT), isReady(ATTEMPT), isReady(ATTEMPT)]).toEqual([false, false, true]);
    expect([isReady(other), isReady(ATTEMPT), isReady(other)]).toEqual([false, true, false]);
    expect([isReady(other), isReady(ATTEMPT)]).toEqual([true, false]);
  });

  test("are not kept where they are long", () => {
    const head = knownHead(request("X-Many: lines\r\n"));
    const lines = `x-long: ${"v".repeat(2_048)}\r\n`;
    for (let time = 0; time < 4; time++) expect(find(head, 0, ID, lines)).toBe(undefined);
  });
});
