// A line of the access log, made of the record of an exchange: JSON, the built-in text, or a template. Pure; where
// lines go is access-log.ts. Own serialization, because JSON.stringify of an object made for it cost three times as much.
import { parseTemplate, type TemplateOperator, type TemplatePiece } from "../../rules/access-log-template.ts";
import type { AccessLogResource } from "../../rules/telemetry-resource.ts";
import { ownCopy } from "../../runtime/latin1.ts";
import type { ExchangeRecord } from "./exchange-record.ts";
import { isSecretField, REDACTED, safeQuery, safeTarget } from "./redaction.ts";

/** @param time when the request ended, RFC 3339. @returns a line with its end */
export type LineFormat = (record: ExchangeRecord, time: string) => string;

export function lineFormat({ format, template, headers }: AccessLogResource): LineFormat {
  const names = headers.map((name) => ({ name, isSecret: isSecretField(name) }));
  if (format === "json") return jsonFormat(names);
  if (template === "") return textLine;
  const parsed = parseTemplate(template);
  // The document was checked; one of another version of the language still gives lines.
  return "error" in parsed ? textLine : (record, time) => templateLine(parsed, record, time);
}

interface LoggedHeader {
  readonly name: string;
  readonly isSecret: boolean;
}

const MEMO_MAX = 1_024;
/** Answers of one endpoint differ in their status, and in the service that it was chosen for. */
const MIDDLES_MAX = 4;

/** Nothing that JSON escapes. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** What JSON leaves as it is and terminals or readers of lines take as more than text: C1 controls and separators. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029]/g;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : escaped(text);
}

function escaped(text: string): string {
  return JSON.stringify(text).replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, "0");
    return `\\u${code}`;
  });
}

/** Texts of which a mesh has few and requests repeat: written once. Begun anew when callers make up too many. */
class TextMemo {
  readonly #make: (text: string) => string;
  readonly #made = new Map<string, string>();
  #last = "";
  #lastMade = "";

  constructor(make: (text: string) => string) {
    this.#make = make;
    this.#lastMade = make("");
  }

  of(text: string): string {
    if (text === this.#last) return this.#lastMade;
    let made = this.#made.get(text);
    if (made === undefined) {
      made = this.#make(text);
      if (this.#made.size >= MEMO_MAX) this.#made.clear();
      this.#made.set(ownCopy(text), made);
    }
    this.#last = text;
    this.#lastMade = made;
    return made;
  }
}

/** Ends of a number with up to three decimals, as JSON writes it. */
const DECIMALS = Array.from({ length: 1_000 }, (_, thousandths) => String(thousandths / 1_000).slice(1));

/** Milliseconds with whole microseconds. Own digits: the shortest form of a fraction costs more than the rest of a line. */
function milliseconds(value: number): string {
  const micros = Math.round(value * 1_000);
  if (!(micros >= 0 && micros < 1e9)) return String(micros / 1_000);
  const whole = (micros / 1_000) | 0;
  return String(whole) + (DECIMALS[micros - whole * 1_000] as string);
}

/** Quotation marks stand around it already. */
function inQuotes(text: string): string {
  return PLAIN.test(text) ? text : escaped(text).slice(1, -1);
}

/** The same text in one piece. What it is put together of may be any text, unlike what requests bring (latin1). */
function flat(text: string): string {
  return Buffer.from(text).toString();
}

/** What lines say about an answer of an endpoint, whatever route led there: the same for thousands of them. */
interface Middle {
  readonly authority: string;
  readonly status: number;
  readonly reason: string;
  readonly service: string;
  readonly backend: string;
  readonly version: string;
  readonly text: string;
}

/**
 * A line is put together of few pieces, because each costs, and of pieces of which there are few, because what is not in
 * the processor's cache costs more: a middle for each route and endpoint took 0.3 us longer where there were a hundred
 * routes.
 */
class LineParts {
  #time = "";
  #direction = "";
  #method = "";
  #front = "";
  /** By endpoint, the last few of each. */
  readonly #middles = new Map<string, Middle[]>();

  /** From the beginning to the target. */
  front(time: string, { direction, head: { method } }: ExchangeRecord): string {
    if (time !== this.#time || direction !== this.#direction || method !== this.#method) {
      this.#time = time;
      this.#direction = direction;
      this.#method = ownCopy(method);
      this.#front = ownCopy(`{"time":"${time}","direction":"${direction}","method":"${inQuotes(method)}","target":"`);
    }
    return this.#front;
  }

  /** From behind the target to the route. */
  middle(record: ExchangeRecord): string {
    const endpoint = record.lastAttempt?.address ?? "";
    const known = this.#middles.get(endpoint);
    if (known !== undefined) for (const middle of known) if (isMiddleOf(middle, record)) return middle.text;
    const middle = middleOf(record, endpoint);
    if (known === undefined) {
      if (this.#middles.size >= MEMO_MAX) this.#middles.clear();
      this.#middles.set(endpoint, [middle]);
    } else {
      if (known.length >= MIDDLES_MAX) known.shift();
      known.push(middle);
    }
    return middle.text;
  }
}

function isMiddleOf(middle: Middle, { head, status, reason, service, backend, lastAttempt }: ExchangeRecord): boolean {
  return (
    middle.status === status &&
    middle.backend === backend &&
    middle.service === service &&
    middle.reason === reason &&
    middle.version === (lastAttempt?.version ?? "") &&
    middle.authority === head.authority
  );
}

function middleOf({ head, status, reason, service, backend, lastAttempt }: ExchangeRecord, endpoint: string): Middle {
  const authority = ownCopy(head.authority);
  const version = lastAttempt?.version ?? "";
  const text = flat(
    `","authority":${quoted(authority)},"status":${status},"reason":"${reason}","service":${quoted(service)},` +
      `"backend":${quoted(backend)},"version":${quoted(version)},"endpoint":"${endpoint}","route":"`,
  );
  return { authority, status, reason, service, backend, version, text };
}

function jsonFormat(headers: readonly LoggedHeader[]): LineFormat {
  const parts = new LineParts();
  const remotes = new TextMemo((address) => `,"remoteAddress":${quoted(address)},"requestId":"`);
  return (record, time) => {
    const end = headers.length === 0 ? "}\n" : `,"headers":{${headerMembers(record, headers)}}}\n`;
    // Added and not in a template, which has each piece asked by a call whether it is text.
    return (
      parts.front(time, record) +
      inQuotes(safeTarget(record.head.target)) +
      parts.middle(record) +
      routeOf(record) +
      triesPart(record.attemptCount) +
      milliseconds(record.durationMs) +
      requestBytesPart(record.requestBytes) +
      String(record.responseBytes) +
      remotes.of(record.remoteAddress) +
      (record.hasOwnId ? record.requestId : inQuotes(record.requestId)) +
      endPart(record) +
      tracePart(record) +
      end
    );
  };
}

/** Names of documents need no escapes. */
function routeOf({ rule }: ExchangeRecord): string {
  return rule?.route ?? "";
}

/** From behind the route to the duration. */
function triesPart(tries: number): string {
  return tries === 1 ? '","tries":1,"durationMs":' : `","tries":${tries},"durationMs":`;
}

/** From behind the duration to the bytes of the answer. */
function requestBytesPart(bytes: number): string {
  return bytes === 0 ? ',"requestBytes":0,"responseBytes":' : `,"requestBytes":${bytes},"responseBytes":`;
}

/** How a call of gRPC ended, and what went wrong in words. */
function endPart({ grpcStatus, detail }: ExchangeRecord): string {
  const status = grpcStatus === "" ? "" : `","grpcStatus":"${grpcStatus}`;
  return detail === "" ? status : `${status}","detail":"${inQuotes(detail)}`;
}

const TRACE_ID = '","traceId":"';
const SPAN_ID = '","spanId":"';
const SAMPLED = '","sampled":true';
const NOT_SAMPLED = '","sampled":false';

/** Ids of traces are hexadecimal digits, and were made or checked here. */
function tracePart({ traceId, spanId, isSampled }: ExchangeRecord): string {
  return traceId === "" ? '"' : TRACE_ID + traceId + SPAN_ID + spanId + (isSampled ? SAMPLED : NOT_SAMPLED);
}

function headerMembers({ head }: ExchangeRecord, headers: readonly LoggedHeader[]): string {
  const members: string[] = [];
  for (const { name, isSecret } of headers) {
    const value = head.value(name);
    if (value !== undefined) members.push(`${quoted(name)}:${isSecret ? `"${REDACTED}"` : quoted(value)}`);
  }
  return members.join(",");
}

/** `TIME DIRECTION "METHOD AUTHORITY TARGET" STATUS REASON SERVICE BACKEND ENDPOINT TRIES DURATION`, "-" for nothing. */
function textLine(record: ExchangeRecord, time: string): string {
  const { head, direction, status, reason, service, backend, attemptCount, durationMs } = record;
  const request = quoted(`${head.method} ${head.authority} ${safeTarget(head.target)}`);
  const where = `${orDash(service)} ${orDash(backend)} ${orDash(record.lastAttempt?.address ?? "")}`;
  return `${time} ${direction} ${request} ${status} ${orDash(reason)} ${where} ${attemptCount} ${durationMs.toFixed(3)}\n`;
}

function orDash(text: string): string {
  return text === "" ? "-" : text;
}

function templateLine(pieces: readonly TemplatePiece[], record: ExchangeRecord, time: string): string {
  let line = "";
  for (const piece of pieces) {
    if (piece.kind === "text") line += piece.text;
    else
      line += oneLine(
        orDash(piece.kind === "header" ? headerOf(record, piece.name) : said(piece.operator, record, time)),
      );
  }
  return `${line}\n`;
}

/** A client shall not be able to write lines of its own. Field values hold no line ends; a target may hold anything. */
function oneLine(text: string): string {
  return PLAIN.test(text) ? text : escaped(text).slice(1, -1);
}

function headerOf({ head }: ExchangeRecord, name: string): string {
  const value = head.value(name);
  return value !== undefined && isSecretField(name) ? REDACTED : (value ?? "");
}

function said(operator: TemplateOperator, record: ExchangeRecord, time: string): string {
  const { head } = record;
  const attempt = record.lastAttempt;
  switch (operator) {
    case "TIME":
      return time;
    case "START_TIME":
      return new Date(Date.parse(time) - record.durationMs).toISOString();
    case "DIRECTION":
      return record.direction;
    case "METHOD":
      return head.method;
    case "AUTHORITY":
      return head.authority;
    case "TARGET":
      return safeTarget(head.target);
    case "PATH":
      return head.path;
    case "QUERY":
      return safeQuery(head.query);
    case "STATUS":
    case "RESPONSE_CODE":
      return String(record.status);
    case "GRPC_STATUS":
      return record.grpcStatus;
    case "REASON":
      return record.reason;
    case "DETAIL":
      return record.detail;
    case "SERVICE":
      return record.service;
    case "BACKEND":
      return record.backend;
    case "VERSION":
      return attempt?.version ?? "";
    case "ENDPOINT":
    case "UPSTREAM_HOST":
      return attempt?.address ?? "";
    case "ROUTE":
      return record.rule?.route ?? "";
    case "TRIES":
      return String(record.attemptCount);
    case "DURATION":
      return record.durationMs.toFixed(3);
    case "REQUEST_ID":
      return record.requestId;
    case "TRACE_ID":
      return record.traceId;
    case "SPAN_ID":
      return record.spanId;
    case "SAMPLED":
      return String(record.isSampled);
    case "REMOTE_ADDRESS":
      return record.remoteAddress;
    case "BYTES_RECEIVED":
      return String(record.requestBytes);
    case "BYTES_SENT":
      return String(record.responseBytes);
    default:
      return operator satisfies never;
  }
}
