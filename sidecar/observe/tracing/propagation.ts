// Trace context on the wire: read from a request's head and written into the next one. W3C Trace Context
// (https://www.w3.org/TR/trace-context/) and B3 (https://github.com/openzipkin/b3-propagation), single and multi.
// Whether a request is sampled, and which span it belongs to, is not decided here. `baggage` needs no code: it is a
// field of the request, and the sidecar forwards it as it came.
import type { TraceFormat } from "../../../rules/telemetry-resource.ts";

/** The fields of a request; repeated ones are joined with ", ". */
export interface HeadFields {
  value(lowerName: string): string | undefined;
}

/** "unset": the caller leaves the decision to who comes next. */
export type ParentDecision = "sampled" | "not-sampled" | "unset";

/** What a request says about the trace it belongs to. */
export interface IncomingContext {
  /** 32 digits, or "": the request begins a trace. */
  traceId: string;
  /** 16 digits, or "": nobody before. */
  parentId: string;
  decision: ParentDecision;
  /** B3's debug flag: sampled, and everybody shall know. */
  isDebug: boolean;
  /** `tracestate`, which goes with a valid `traceparent` only (section 3.3). */
  traceState: string;
}

const TRACEPARENT_LENGTH = 55;
const SAMPLED_FLAG = 1;
const TRACEPARENT = "traceparent: 00-";
const DASH = "-";
const SAMPLED = "-01\r\n";
const NOT_SAMPLED = "-00\r\n";
const B3_FIELDS = ["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"];

/** Fields that each format writes, and which must not be there twice. */
export const FORMAT_FIELDS: Readonly<Record<TraceFormat, readonly string[]>> = {
  tracecontext: ["traceparent"],
  baggage: [],
  b3: ["b3"],
  b3multi: B3_FIELDS,
};

export function emptyContext(): IncomingContext {
  return { traceId: "", parentId: "", decision: "unset", isDebug: false, traceState: "" };
}

/** Reads one format; false: the request does not speak it. */
export type ContextReader = (head: HeadFields, into: IncomingContext) => boolean;

/** In the order in which they are believed. Made once, not for each request. */
export function contextReaders(formats: readonly TraceFormat[]): ContextReader[] {
  return formats.flatMap((format) => READERS[format] ?? []);
}

/** Fills `into` from the first of the formats that the request speaks; what is malformed counts as absent. */
export function readContext(readers: readonly ContextReader[], head: HeadFields, into: IncomingContext): void {
  into.traceId = "";
  into.parentId = "";
  into.decision = "unset";
  into.isDebug = false;
  into.traceState = "";
  for (const read of readers) if (read(head, into)) return;
}

const READERS: Readonly<Partial<Record<TraceFormat, ContextReader>>> = {
  tracecontext: readTraceparent,
  b3: readB3Single,
  b3multi: readB3Multi,
};

function readTraceparent(head: HeadFields, into: IncomingContext): boolean {
  const text = head.value("traceparent");
  if (text === undefined || !isTraceparent(text)) return false;
  into.traceId = text.slice(3, 35);
  into.parentId = text.slice(36, 52);
  into.decision = (hexValue(text, 54) & SAMPLED_FLAG) === 0 ? "not-sampled" : "sampled";
  into.traceState = head.value("tracestate") ?? "";
  return true;
}

/** Section 3.2.2 and 4.3: version ff is invalid, 00 has this length exactly, later ones may go on behind a dash. */
export function isTraceparent(text: string): boolean {
  if (text.length < TRACEPARENT_LENGTH || (text[0] === "f" && text[1] === "f")) return false;
  const isFirstVersion = text[0] === "0" && text[1] === "0";
  if (text.length > TRACEPARENT_LENGTH && (isFirstVersion || text[TRACEPARENT_LENGTH] !== "-")) return false;
  return (
    isHex(text, 0, 2) &&
    text[2] === "-" &&
    isId(text, 3, 35) &&
    text[35] === "-" &&
    isId(text, 36, 52) &&
    text[52] === "-" &&
    isHex(text, 53, 55)
  );
}

/** `TRACE-SPAN[-STATE[-PARENT]]`, or STATE alone: 0, 1 or d. */
function readB3Single(head: HeadFields, into: IncomingContext): boolean {
  const text = head.value("b3");
  if (text === undefined) return false;
  const parts = text.split("-", 5);
  if (parts.length === 1) return readB3State(text, into);
  const [trace = "", span = "", state] = parts;
  if (parts.length > 4 || !setB3Ids(trace, span, into)) return false;
  return state === undefined || readB3State(state, into) || forget(into);
}

function readB3Multi(head: HeadFields, into: IncomingContext): boolean {
  const flags = head.value("x-b3-flags");
  const sampled = flags === "1" ? "d" : (head.value("x-b3-sampled") ?? "");
  const trace = head.value("x-b3-traceid");
  const hasState = sampled !== "" && readB3State(sampled, into);
  if (trace === undefined) return hasState;
  return setB3Ids(trace, head.value("x-b3-spanid") ?? "", into) || forget(into);
}

function setB3Ids(trace: string, span: string, into: IncomingContext): boolean {
  // Trace ids of 64 bits are the lower half (B3, "TraceId").
  const traceId = trace.length === 16 ? trace.padStart(32, "0").toLowerCase() : trace.toLowerCase();
  const spanId = span.toLowerCase();
  if (traceId.length !== 32 || spanId.length !== 16 || !isId(traceId, 0, 32) || !isId(spanId, 0, 16)) return false;
  into.traceId = traceId;
  into.parentId = spanId;
  return true;
}

/** @returns whether it is a state at all */
function readB3State(state: string, into: IncomingContext): boolean {
  if (state === "d") into.isDebug = true;
  if (state === "1" || state === "d" || state === "true") into.decision = "sampled";
  else if (state === "0" || state === "false") into.decision = "not-sampled";
  else return false;
  return true;
}

function forget(into: IncomingContext): false {
  into.traceId = "";
  into.parentId = "";
  into.decision = "unset";
  into.isDebug = false;
  return false;
}

/** The trace as the next hop sees it. */
export interface OutgoingContext {
  readonly traceId: string;
  readonly isSampled: boolean;
  readonly isDebug: boolean;
}

/** Complete field lines that name span `spanId` as the parent of what comes next. */
export function contextLines(formats: readonly TraceFormat[], context: OutgoingContext, spanId: string): string {
  const { traceId, isSampled, isDebug } = context;
  let lines = "";
  for (const format of formats) {
    // Added: a template has each piece asked by a call whether it is text.
    if (format === "tracecontext") lines += TRACEPARENT + traceId + DASH + spanId + (isSampled ? SAMPLED : NOT_SAMPLED);
    else if (format === "b3") lines += `b3: ${traceId}-${spanId}-${isDebug ? "d" : isSampled ? "1" : "0"}\r\n`;
    else if (format === "b3multi") {
      const state = isDebug ? "x-b3-flags: 1" : `x-b3-sampled: ${isSampled ? "1" : "0"}`;
      lines += `x-b3-traceid: ${traceId}\r\nx-b3-spanid: ${spanId}\r\n${state}\r\n`;
    }
  }
  return lines;
}

/** Lower-case hexadecimal digits, not all zero. */
function isId(text: string, start: number, end: number): boolean {
  let sum = 0;
  for (let at = start; at < end; at++) {
    const value = hexValue(text, at);
    if (value < 0) return false;
    sum += value;
  }
  return sum > 0;
}

function isHex(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (hexValue(text, at) < 0) return false;
  return true;
}

/** Of one lower-case digit; -1: it is none. Upper case is invalid (section 3.2.2). */
function hexValue(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : -1;
}
