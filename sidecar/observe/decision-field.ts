// The decision record as one field line, for those who debug with curl: a dictionary of Structured Fields (RFC 9651), as
// Proxy-Status (RFC 9209) is. Made when the answer's head leaves, so it knows of what was decided until then.
import type { Act, AttemptRecord, ExchangeRecord } from "./exchange-record.ts";

/** The answer's field. */
const DECISION_FIELD = "x-weft-decision";
/** Members that do not fit any more are left out. */
const DECISION_FIELD_CHARACTERS_MAX = 2_000;

/** Is this address one that only processes of the same machine have? */
export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** What routing decided, as far as the record itself does not hold it before its end. */
export interface DecidedSoFar {
  readonly service: string;
  readonly backend: string;
  readonly route: string;
  readonly ruleIndex: number;
}

/** The complete line, CRLF included. @param reason of an answer that the mesh makes itself, else "" */
export function decisionLine(record: ExchangeRecord, decided: DecidedSoFar, reason: string, nowMs: number): string {
  const members = [
    `direction=${record.direction}`,
    `revision=${record.revision}`,
    ...textMember("service", decided.service),
    ...textMember("route", decided.route),
    ...(decided.route === "" ? [] : [`rule=${decided.ruleIndex}`]),
    ...(record.splitPoint < 0 ? [] : [`split=${record.splitPoint.toFixed(3)}`]),
    ...(record.splitBucket < 0 ? [] : [`bucket=${record.splitBucket}`]),
    ...textMember("backend", decided.backend),
    ...(reason === "" ? [] : [`reason=${reason}`]),
    ...textMember("request-id", record.requestId),
    ...textMember("trace-id", record.traceId),
    `ms=${decimal(nowMs - record.startedMs)}`,
    ...attemptsMember(record, nowMs),
    ...listMember("acts", record.acts.slice(0, record.actsKept), actItem),
    ...listMember("skipped", record.skipped, ({ address, why }) => `${textItem(address)};why=${textItem(why)}`),
  ];
  let value = "";
  for (const member of members) {
    if (value.length + member.length + 2 > DECISION_FIELD_CHARACTERS_MAX) continue;
    value += value === "" ? member : `, ${member}`;
  }
  return `${DECISION_FIELD}: ${value}\r\n`;
}

function attemptsMember(record: ExchangeRecord, nowMs: number): string[] {
  if (record.attemptCount === 0) return [];
  const items = record.listAttempts().map((attempt) => attemptItem(attempt, nowMs));
  return [`attempts=(${items.join(" ")});count=${record.attemptCount}`];
}

function attemptItem(
  { kind, address, version, status, outcome, startedMs, endedMs }: AttemptRecord,
  nowMs: number,
): string {
  const parameters = [
    `kind=${kind}`,
    ...(version === "" ? [] : [`version=${textItem(version)}`]),
    ...(status === 0 ? [] : [`status=${status}`]),
    ...(outcome === "" ? [] : [`outcome=${outcome}`]),
    `ms=${decimal((endedMs === 0 ? nowMs : endedMs) - startedMs)}`,
  ];
  return [textItem(address), ...parameters].join(";");
}

function actItem({ name, subject, value }: Act): string {
  return [name, ...textMember("on", subject), ...(value === 0 ? [] : [`value=${decimal(value)}`])].join(";");
}

function listMember<Item>(name: string, items: readonly Item[], text: (item: Item) => string): string[] {
  return items.length === 0 ? [] : [`${name}=(${items.map(text).join(" ")})`];
}

function textMember(name: string, text: string): string[] {
  return text === "" ? [] : [`${name}=${textItem(text)}`];
}

/** A string item: printable ASCII, quotes and backslashes escaped (RFC 9651 section 3.3.3). */
function textItem(text: string): string {
  const printable = text.slice(0, 200).replace(/[^\x20-\x7e]/g, "?");
  return `"${printable.replace(/["\\]/g, "\\$&")}"`;
}

/** At most three digits behind the point (RFC 9651 section 3.3.2). */
function decimal(value: number): string {
  return String(Math.round(value * 1_000) / 1_000);
}
