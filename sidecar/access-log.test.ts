// The access log: what a line looks like, where it goes, and that a slow reader costs lines and not memory.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLog } from "../runtime/log.ts";
import { ManualClock } from "../runtime/manual-clock.ts";
import { AccessLog } from "./access-log.ts";
import type { AccessRecord } from "./proxy/data-path.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-access-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const RECORD: AccessRecord = {
  direction: "outbound",
  method: "GET",
  target: '/a?b="c"',
  authority: "orders",
  status: 503,
  reason: "connect-failure",
  service: "default/orders",
  backend: "default/orders-v1",
  endpoint: "10.0.0.1:80",
  route: "HTTPRoute default/orders",
  tries: 2,
  durationMs: 1.23456,
  requestId: "abc",
};

function setUp() {
  const clock = new ManualClock(0);
  const stdout = { text: "", writableLength: 0, write: (text: string) => (stdout.text += text) };
  const log = new AccessLog(stdout, clock, silentLog());
  return { clock, stdout, log };
}

test("off means that nobody is told", () => {
  const { log } = setUp();
  expect(log.configure({ enabled: false, format: "json", file: "" })).toBeUndefined();
});

test("JSON lines go to standard output, gathered", () => {
  const { log, clock, stdout } = setUp();
  const record = log.configure({ enabled: true, format: "json", file: "" })!;
  record(RECORD);
  record({ ...RECORD, status: 200 });
  expect(stdout.text).toBe("");
  clock.advance(100);
  const lines = stdout.text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  expect(lines).toEqual([
    { time: "1970-01-01T00:00:00.000Z", ...RECORD, durationMs: 1.235 },
    { time: "1970-01-01T00:00:00.000Z", ...RECORD, durationMs: 1.235, status: 200 },
  ]);
});

test("text lines quote the request, so that one request is one line", () => {
  const { log, clock, stdout } = setUp();
  log.configure({ enabled: true, format: "text", file: "" })!({ ...RECORD, reason: "", endpoint: "" });
  clock.advance(100);
  expect(stdout.text).toBe(
    '1970-01-01T00:00:00.000Z outbound "GET orders /a?b=\\"c\\"" 503 - default/orders default/orders-v1 - 2 1.235\n',
  );
});

test("a file is appended to, and written out when the log is switched off", async () => {
  const { log } = setUp();
  const file = join(folder, "access.log");
  log.configure({ enabled: true, format: "json", file })!(RECORD);
  log.configure({ enabled: false, format: "json", file });
  let text = "";
  while (!text.endsWith("\n")) {
    await new Promise((next) => setImmediate(next));
    try {
      text = readFileSync(file, "utf8");
    } catch {}
  }
  expect(JSON.parse(text)).toMatchObject({ target: RECORD.target });
});

test("a reader that is too slow costs lines, and traffic goes on", () => {
  const { log, clock, stdout } = setUp();
  const record = log.configure({ enabled: true, format: "json", file: "" })!;
  stdout.writableLength = 5 * 1024 * 1024;
  record(RECORD);
  clock.advance(100);
  expect(stdout.text).toBe("");
  stdout.writableLength = 0;
  record(RECORD);
  clock.advance(100);
  expect(stdout.text.split("\n")).toHaveLength(2);
});

test("a file that cannot be opened is no failure of traffic", async () => {
  const { log, clock } = setUp();
  const record = log.configure({ enabled: true, format: "json", file: join(folder, "no/such/folder/x") })!;
  for (let round = 0; round < 5; round++) {
    record(RECORD);
    clock.advance(100);
    await new Promise((next) => setImmediate(next));
  }
});
