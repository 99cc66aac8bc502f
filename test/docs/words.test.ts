// Closed lists of words: what a page lists is what the code lists, and the other way round.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  AUTHOR_CHARACTERS_MAX,
  GRPC_MESSAGE_BYTES_MAX,
  MESSAGE_CHARACTERS_MAX,
  SOURCE_BYTES_MAX,
  SOURCES_MAX,
  SUBSCRIPTIONS_MAX,
  WORKLOADS_MAX,
} from "../../control-plane/limits.ts";
import { TEMPLATE_OPERATORS } from "../../rules/access-log-template.ts";
import { ProcessFigures } from "../../runtime/process-figures.ts";
import { DEFAULT_HTTP1_LIMITS } from "../../sidecar/http1/limits.ts";
import { lineFormat } from "../../sidecar/observe/access-line.ts";
import { ExchangeRecord } from "../../sidecar/observe/exchange-record.ts";
import { ProcessMetrics } from "../../sidecar/observe/process-metrics.ts";
import { REPOSITORY } from "../harness.ts";

const file = (name: string): string => readFileSync(join(REPOSITORY, name), "utf8");

/** The part of a page from one text to the next. */
function part(name: string, from: string, to: string): string {
  const text = file(name);
  const start = text.indexOf(from);
  const end = text.indexOf(to, start + from.length);
  expect(start, `${name} has no "${from}"`).toBeGreaterThanOrEqual(0);
  expect(end, `${name} has no "${to}" behind "${from}"`).toBeGreaterThan(start);
  return text.slice(start, end);
}

function words(text: string, pattern: RegExp): string[] {
  return [...new Set(Array.from(text.matchAll(pattern), ([, word = ""]) => word))].toSorted();
}

test("operators of access log templates are those of docs/access-log.md", () => {
  const documented = words(part("docs/access-log.md", "Operators:", "## Which requests"), /`%([A-Z_]+)%`/g);
  expect(documented).toEqual(TEMPLATE_OPERATORS.toSorted());
});

test("members of JSON lines of the access log are those of docs/access-log.md", () => {
  const format = lineFormat({ enabled: true, format: "json", template: "", headers: ["x-user"] } as never);
  const members = (record: ExchangeRecord) => Object.keys(JSON.parse(format(record, "2026-11-23T12:00:00.000Z")));
  const record = new ExchangeRecord("outbound");
  const optional = ["grpcStatus", "detail", "traceId", "spanId", "sampled"];
  const documented = words(part("docs/access-log.md", "JSON lines have", "Text lines are"), /`([a-zA-Z]+)`/g);
  expect(members(record).toSorted()).toEqual(documented.filter((member) => !optional.includes(member)));
  const known = { grpcStatus: "OK", detail: "some", traceId: "1", spanId: "2", isSampled: true };
  expect(members(Object.assign(new ExchangeRecord("outbound"), known)).toSorted()).toEqual(documented);
});

test("attributes of spans are those of docs/tracing.md", () => {
  const sources = ["span-attributes.ts", "span-writer.ts"].map((name) => file(`sidecar/observe/otlp/${name}`));
  const coded = words(sources.join("\n"), /"(weft\.[a-z_.]+)"/g);
  expect(words(part("docs/tracing.md", "| attribute |", "Values of query"), /`(weft\.[a-z_.]+)`/g)).toEqual(coded);
});

test("figures of the process are those of docs/metrics.md", () => {
  const figures = new ProcessMetrics(new ProcessFigures(() => ({ cpuSeconds: 1, residentBytes: 1 })));
  const documented = words(part("docs/metrics.md", "### The process", "With `--concurrency`"), /`([a-z]+_[a-z_]+)`/g);
  expect(documented).toEqual(
    figures
      .families()
      .map(({ name }) => name)
      .toSorted(),
  );
});

test("why retries are not made is said in docs/resilience.md", () => {
  const type = part("sidecar/proxy/retry-state.ts", "type SkippedRetry =", ";");
  const coded = words(type, /"([a-z-]+)"/g);
  const page = part("docs/resilience.md", "## Retries", "## Deadlines");
  expect(coded.filter((why) => !page.includes(`\`${why}\``))).toEqual([]);
  const lines = page.split("\n").filter((line) => line.startsWith("|"));
  const table = words(lines.join("\n"), /\| `([a-z-]+)` \|$/gm);
  expect(table.filter((why) => !coded.includes(why))).toEqual([]);
  expect(table.length).toBeGreaterThan(6);
});

test("why copies are not sent is said in docs/resilience.md", () => {
  const code = file("sidecar/proxy/mirror.ts");
  const coded = words(code, /(?:drop\(path, service, |#finish\()"([a-z-]+)"/g);
  const documented = words(part("docs/resilience.md", "What is not sent is", "Their host"), /`([a-z-]+)`/g);
  expect(coded.filter((why) => why !== "answered" && why !== "failed")).toEqual(documented);
});

test("events of releases are those of docs/rollouts.md", () => {
  const coded = words(part("control-plane/rollout/phase.ts", "export type EventType =", ";"), /"([a-z-]+)"/g);
  const documented = part("docs/rollouts.md", "`type` is", "A POST that is not");
  expect(words(documented.slice("`type` is".length), /`([a-z-]+)`/g)).toEqual(coded);
});

test("bounds of HTTP/1.1 are those of docs/http1.md", () => {
  const rows = [...part("docs/http1.md", "| bound |", "A head that").matchAll(/^\| [^|]+ \| ([^|]+) \|/gm)];
  const { startLineBytesMax, headBytesMax, fieldsMax, chunkLineBytesMax, chunkExtensionBytesMax } =
    DEFAULT_HTTP1_LIMITS;
  const { trailerBytesMax, trailersMax } = DEFAULT_HTTP1_LIMITS;
  const kib = (bytes: number) => `${bytes / 1024} KiB`;
  expect(rows.slice(1).map(([, bound]) => bound)).toEqual([
    ...[kib(startLineBytesMax), kib(headBytesMax), String(fieldsMax), kib(chunkLineBytesMax)],
    ...[kib(chunkExtensionBytesMax), `${kib(trailerBytesMax)}, ${trailersMax} lines`],
  ]);
});

test("bounds of the control plane are those of docs/control-plane.md", () => {
  const rows = [...part("docs/control-plane.md", "| limit |", "**Backup**").matchAll(/^\| [^|]+ \| ([^|]+) \|/gm)];
  const mib = (bytes: number) => `${bytes / 1024 / 1024} MiB`;
  const count = (value: number) => value.toLocaleString("en-US");
  expect(rows.slice(1).map(([, bound]) => bound)).toEqual([
    `${mib(SOURCE_BYTES_MAX)}, ${count(SOURCES_MAX)} files`,
    mib(GRPC_MESSAGE_BYTES_MAX),
    `${count(MESSAGE_CHARACTERS_MAX)} and ${AUTHOR_CHARACTERS_MAX} characters`,
    count(SUBSCRIPTIONS_MAX),
    count(WORKLOADS_MAX),
  ]);
});
