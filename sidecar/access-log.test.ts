// The access log: which requests, what a line looks like, where it goes, and that a slow reader costs lines and not memory.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { compileMeshSpec } from "../rules/compile/mesh.ts";
import type { MeshSpec } from "../rules/schema/mesh.ts";
import { silentLog } from "../runtime/log.ts";
import { ManualClock } from "../runtime/manual-clock.ts";
import { seededRandom } from "../runtime/random.ts";
import { AccessLog } from "./access-log.ts";
import { type AttemptRecord, ExchangeRecord, type RecordedHead } from "./observe/exchange-record.ts";
import type { ItemOutcome } from "./observe/otlp/batch-queue.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-access-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const FIELDS: Readonly<Record<string, string>> = { "x-user": 'j"o', authorization: "Bearer abc", cookie: "sid=1" };
const HEAD: RecordedHead = {
  method: "GET",
  target: '/a?b="c"',
  authority: "orders",
  path: "/a",
  query: 'b="c"',
  value: (name) => FIELDS[name],
};

function recordOf(change: Partial<ExchangeRecord> = {}, head: Partial<RecordedHead> = {}): ExchangeRecord {
  const record = new ExchangeRecord("outbound");
  record.begin({ ...HEAD, ...head }, "10.1.1.1", 7, 100);
  record.addAttempt("first", "default/orders-v1", "10.0.0.1:80", "v1", 100);
  record.addAttempt("retry", "default/orders-v1", "10.0.0.2:80", "v1", 100);
  const facts = { service: "default/orders", backend: "default/orders-v1", status: 503, reason: "connect-failure" };
  return Object.assign(record, { ...facts, endedMs: 101.23456, requestId: "abc" }, change);
}

const LINE = {
  time: "1970-01-01T00:00:00.101Z",
  direction: "outbound",
  method: "GET",
  target: '/a?b="c"',
  authority: "orders",
  status: 503,
  reason: "connect-failure",
  service: "default/orders",
  backend: "default/orders-v1",
  version: "v1",
  endpoint: "10.0.0.2:80",
  route: "",
  tries: 2,
  durationMs: 1.235,
  requestBytes: 0,
  responseBytes: 0,
  remoteAddress: "10.1.1.1",
  requestId: "abc",
};

type Spec = Partial<NonNullable<MeshSpec["accessLog"]>>;
const settingsOf = (spec: Spec) => compileMeshSpec({ accessLog: { enabled: true, ...spec } }).accessLog;

function setUp(spec: Spec = {}) {
  const clock = new ManualClock(0);
  const stdout = { text: "", writableLength: 0, write: (text: string) => (stdout.text += text) };
  const counts: Record<ItemOutcome, number> = { exported: 0, dropped: 0, failed: 0 };
  const log = new AccessLog({
    ...{ stdout, clock, log: silentLog(), random: seededRandom(3) },
    count: (outcome, lines) => {
      counts[outcome] += lines;
    },
    openOtlp: () => Promise.reject(new Error("not here")),
  });
  log.configure(settingsOf(spec));
  const write = (...records: ExchangeRecord[]): string => {
    for (const record of records) log.onExchange(record);
    clock.advance(100);
    return stdout.text;
  };
  return { clock, stdout, log, counts, write };
}

describe("a line", () => {
  test("is JSON on standard output, gathered", () => {
    const { log, clock, stdout, counts } = setUp();
    log.onExchange(recordOf());
    log.onExchange(recordOf({ status: 200, reason: "", detail: "d", traceId: "t", spanId: "s", isSampled: true }));
    expect(stdout.text).toBe("");
    clock.advance(100);
    const [first, second] = stdout.text.trimEnd().split("\n");
    expect(JSON.parse(first!)).toEqual(LINE);
    const more = { status: 200, reason: "", detail: "d", traceId: "t", spanId: "s", sampled: true };
    expect(JSON.parse(second!)).toEqual({ ...LINE, ...more });
    expect(counts).toEqual({ exported: 2, dropped: 0, failed: 0 });
  });

  test("says when its request ended, by the clock of the wall", () => {
    const { log, clock, stdout } = setUp();
    for (const endedMs of [998.9, 999.2, 999.7, 1_000, 61_007.5]) log.onExchange(recordOf({ endedMs }));
    clock.advance(100);
    const times = stdout.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).time.slice(14));
    expect(times).toEqual(["00:00.998Z", "00:00.999Z", "00:00.999Z", "00:01.000Z", "01:01.007Z"]);
  });

  test("as text quotes the request, so that one request is one line", () => {
    const { write } = setUp({ format: "text" });
    expect(write(recordOf({ reason: "" }, { target: "/a\u0085\n\u001b[2J" }))).toBe(
      '1970-01-01T00:00:00.101Z outbound "GET orders /a\\u0085\\n\\u001b[2J" 503 - default/orders default/orders-v1 10.0.0.2:80 2 1.235\n',
    );
  });

  test("follows a template", () => {
    const template = '%START_TIME% %METHOD% %PATH% "%REQ(X-User)%" %STATUS% %REASON% %DURATION%ms %REQ(x-none)% 100%%';
    const { write } = setUp({ format: "text", template });
    expect(write(recordOf())).toBe('1970-01-01T00:00:00.099Z GET /a "j\\"o" 503 connect-failure 1.235ms - 100%\n');
  });

  test.each(["json", "text"] as const)("holds no secret (%s)", (format) => {
    const template = "%TARGET% %REQ(authorization)% %REQ(cookie)%";
    const headers = ["x-user", "authorization", "cookie"];
    const { write } = setUp({ format, headers, ...(format === "text" ? { template } : {}) });
    const target = "/login?user=jo&password=hush&access_token=abc&sig=xyz";
    const line = write(recordOf({}, { target }));
    expect(line).toContain("/login?user=jo&password=REDACTED&access_token=REDACTED&sig=REDACTED");
    for (const secret of ["hush", "Bearer", "sid=1", "abc&", "xyz"]) expect(line).not.toContain(secret);
    if (format === "json")
      expect(JSON.parse(line).headers).toEqual({ "x-user": 'j"o', authorization: "REDACTED", cookie: "REDACTED" });
  });

  test("says what is so, whatever the line before it said", () => {
    const { write } = setUp();
    const triedLast = (change: Partial<AttemptRecord>): ExchangeRecord => {
      const record = recordOf();
      Object.assign(record.lastAttempt!, change);
      return record;
    };
    const rule = { route: "HTTPRoute default/orders", ruleIndex: 0 } as NonNullable<ExchangeRecord["rule"]>;
    const others: readonly (readonly [object, ExchangeRecord])[] = [
      [{}, recordOf()],
      [{ status: 200 }, recordOf({ status: 200 })],
      [{ reason: "no-route" }, recordOf({ reason: "no-route" })],
      [{ service: "default/a" }, recordOf({ service: "default/a" })],
      [{ backend: "default/b" }, recordOf({ backend: "default/b" })],
      [{ tries: 3 }, recordOf({ attemptCount: 3 })],
      [{ route: rule.route }, recordOf({ rule })],
      [{ endpoint: "10.0.0.9:1" }, triedLast({ address: "10.0.0.9:1" })],
      [{ version: "v9" }, triedLast({ version: "v9" })],
      [{ version: "v2\u2013\u65e5\u672c" }, triedLast({ version: "v2\u2013\u65e5\u672c" })],
      [{ direction: "inbound" }, recordOf({ direction: "inbound" })],
      [{ remoteAddress: "::1" }, recordOf({ remoteAddress: "::1" })],
      [{ requestBytes: 1, responseBytes: 2 }, recordOf({ requestBytes: 1, responseBytes: 2 })],
      [{ authority: "else" }, recordOf({}, { authority: "else" })],
      [{ method: "PUT" }, recordOf({}, { method: "PUT" })],
      [{ target: "/else" }, recordOf({}, { target: "/else" })],
    ];
    const lines = write(...others.flatMap(([, record]) => [record, recordOf()]))
      .trimEnd()
      .split("\n");
    const expected = others.flatMap(([difference]) => [{ ...LINE, ...difference }, LINE]);
    expect(lines.map((line) => JSON.parse(line))).toEqual(expected);
  });

  test("stays one JSON document whatever a client sends", () => {
    const { write } = setUp({ headers: ["x-user"] });
    const nasty = '"\\\u0000\u2028\ud800\n}{';
    const head = { method: nasty, target: nasty, authority: nasty, value: () => nasty };
    const lines = write(recordOf({ requestId: nasty, detail: nasty }, head))
      .trimEnd()
      .split("\n");
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ method: nasty, requestId: nasty, headers: { "x-user": nasty } });
  });
});

test("the filter takes errors and what is slow, and a share of the rest", () => {
  const good = { status: 200, reason: "" };
  const count = (spec: Spec, change: Partial<ExchangeRecord>, times = 1): number => {
    const { log, write, counts } = setUp(spec);
    for (let index = 1; index < times; index++) log.onExchange(recordOf(change));
    write(recordOf(change));
    return counts.exported;
  };
  expect(count({ filter: { errors: true } }, good)).toBe(0);
  expect(count({ filter: { errors: true } }, {})).toBe(1);
  expect(count({ filter: { errors: true } }, { status: 404, reason: "no-such-service" })).toBe(1);
  expect(count({ filter: { errors: true } }, { status: 404, reason: "" })).toBe(0);
  for (const [status, reason] of [
    [200, "upstream-reset"],
    [200, "stream-idle-timeout"],
    [101, "client-closed"],
  ] as const)
    expect(count({ filter: { errors: true } }, { status, reason })).toBe(1);
  for (const reason of ["redirect", "cors-preflight"])
    expect(count({ filter: { errors: true } }, { status: 204, reason })).toBe(0);
  expect(count({ filter: { slowerThan: "1ms" } }, good)).toBe(1);
  expect(count({ filter: { slowerThan: "2ms" } }, good)).toBe(0);
  const share = count({ filter: { errors: true, sampling: 10 } }, good, 2_000);
  expect(share).toBeGreaterThan(140);
  expect(share).toBeLessThan(260);
});

test("off means that nobody is told", () => {
  const { log } = setUp();
  expect(log.configure(compileMeshSpec({}).accessLog)).toBe(false);
  expect(log.configure(settingsOf({}))).toBe(true);
});

test("a file is appended to, and written out when the log is switched off", async () => {
  const { log } = setUp();
  const file = join(folder, "access.log");
  log.configure(settingsOf({ file }));
  log.onExchange(recordOf());
  log.configure(compileMeshSpec({}).accessLog);
  let text = "";
  while (!text.endsWith("\n")) {
    await new Promise((next) => setImmediate(next));
    try {
      text = readFileSync(file, "utf8");
    } catch {}
  }
  expect(JSON.parse(text)).toMatchObject({ target: HEAD.target });
});

test("a reader that is too slow costs lines, which are counted, and traffic goes on", () => {
  const { stdout, write, counts } = setUp();
  stdout.writableLength = 5 * 1024 * 1024;
  expect(write(recordOf(), recordOf())).toBe("");
  expect(counts).toEqual({ exported: 0, dropped: 2, failed: 0 });
  stdout.writableLength = 0;
  expect(write(recordOf()).split("\n")).toHaveLength(2);
  expect(counts.exported).toBe(1);
});

test("what gathers within one turn is bounded too", () => {
  const { log, stdout, counts } = setUp();
  for (let index = 0; index < 1_000; index++) log.onExchange(recordOf());
  expect(stdout.text.length).toBeGreaterThan(128 * 1024);
  expect(counts.exported).toBeGreaterThan(500);
});

test("a file that cannot be opened is no failure of traffic", async () => {
  const { log, write, counts } = setUp();
  log.configure(settingsOf({ file: join(folder, "no/such/folder/x") }));
  // That it cannot be is known as soon as the system has said so.
  while (counts.dropped === 0) {
    write(recordOf());
    await new Promise((next) => setImmediate(next));
  }
  expect(counts.exported).toBe(0);
});
