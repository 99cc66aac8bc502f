// A decision record as plain data of its own, for whoever keeps it or sends it on: the ring, taps, people. Made only of
// records that somebody wants; bounded, whatever the request brought. Its shape is that of the wire (telemetry.proto).
import type { RouteMatch, RouteRule } from "../../rules/resource.ts";
import { matchInWords } from "../../rules/routing/explain-route.ts";
import { ownCopy } from "../../runtime/latin1.ts";
import type { AttemptRecord, ExchangeRecord } from "./exchange-record.ts";
import { safeTarget } from "./redaction.ts";

export interface Decision {
  /** Who tells it; filled in by the control plane. */
  sidecar: string;
  sidecarService: string;
  direction: string;
  /** Milliseconds since the epoch. */
  atMs: number;
  durationMs: number;
  answeredMs: number;
  traceId: string;
  spanId: string;
  requestId: string;
  method: string;
  authority: string;
  target: string;
  remoteAddress: string;
  revision: number;
  service: string;
  route: string;
  ruleIndex: number;
  ruleName: string;
  matchIndex: number;
  match: string;
  split: { service: string; weight: number }[];
  splitPoint: number;
  splitBucket: number;
  backend: string;
  version: string;
  skipped: { address: string; why: string }[];
  attempts: DecisionAttempt[];
  attemptCount: number;
  acts: { name: string; subject: string; value: number }[];
  requestTimeoutMs: number;
  perTryTimeoutMs: number;
  status: number;
  reason: string;
  detail: string;
  requestBytes: number;
  responseBytes: number;
  /** Name of the code that a call of gRPC ended with; "" for other requests. */
  grpcStatus: string;
}

export interface DecisionAttempt {
  kind: string;
  backend: string;
  address: string;
  version: string;
  startMs: number;
  connectMs: number;
  durationMs: number;
  status: number;
  outcome: string;
  detail: string;
  reused: boolean;
  grpcStatus: string;
}

/** Characters kept of texts that requests bring: enough to know them by. */
const TARGET_CHARACTERS_MAX = 256;
const NAME_CHARACTERS_MAX = 128;
const DETAIL_CHARACTERS_MAX = 256;
/** Shared: nobody adds to what a decision holds. */
const NONE: never[] = [];
/** Backends of a split that are named. */
const SPLIT_MAX = 16;

/** @param atMs the wall clock's time at the end of the request head */
export function decisionOf(record: ExchangeRecord, atMs: number): Decision {
  const { head, startedMs, endedMs, rule, match, lastAttempt } = record;
  return {
    sidecar: "",
    sidecarService: "",
    direction: record.direction,
    atMs,
    durationMs: rounded(endedMs - startedMs),
    answeredMs: record.answeredMs === 0 ? 0 : rounded(record.answeredMs - startedMs),
    traceId: cut(record.traceId, NAME_CHARACTERS_MAX),
    spanId: cut(record.spanId, NAME_CHARACTERS_MAX),
    requestId: cut(record.requestId, NAME_CHARACTERS_MAX),
    method: cut(head.method, NAME_CHARACTERS_MAX),
    authority: cut(head.authority, NAME_CHARACTERS_MAX),
    target: cut(safeTarget(head.target), TARGET_CHARACTERS_MAX),
    remoteAddress: record.remoteAddress,
    revision: record.revision,
    service: record.service,
    route: rule?.route ?? "",
    ruleIndex: rule?.ruleIndex ?? 0,
    ruleName: rule?.ruleName ?? "",
    matchIndex: match === undefined || rule === undefined ? 0 : Math.max(0, rule.matches.indexOf(match)),
    match: match === undefined ? "" : textOf(match),
    split: rule === undefined ? NONE : splitOf(rule),
    splitPoint: record.splitPoint,
    splitBucket: record.splitBucket,
    backend: record.backend,
    version: lastAttempt?.version ?? "",
    skipped: record.skipped.length === 0 ? NONE : skippedOf(record),
    attempts: attemptsOf(record),
    attemptCount: record.attemptCount,
    acts: record.actsKept === 0 ? NONE : actsOf(record),
    requestTimeoutMs: record.requestTimeoutMs,
    perTryTimeoutMs: record.perTryTimeoutMs,
    status: record.status,
    reason: record.reason,
    detail: cut(record.detail, DETAIL_CHARACTERS_MAX),
    requestBytes: record.requestBytes,
    responseBytes: record.responseBytes,
    grpcStatus: record.grpcStatus,
  };
}

/** What is the same for all requests that go by a rule. */
const splits = new WeakMap<RouteRule, Decision["split"]>();
const matchTexts = new WeakMap<RouteMatch, string>();

function splitOf(rule: RouteRule): Decision["split"] {
  let split = splits.get(rule);
  if (split === undefined) {
    split = rule.backends.slice(0, SPLIT_MAX).map(({ service, weight }) => ({ service, weight }));
    splits.set(rule, split);
  }
  return split;
}

function textOf(match: RouteMatch): string {
  let text = matchTexts.get(match);
  if (text === undefined) {
    text = matchInWords(match).slice(0, DETAIL_CHARACTERS_MAX);
    matchTexts.set(match, text);
  }
  return text;
}

function skippedOf({ skipped }: ExchangeRecord): Decision["skipped"] {
  return skipped.map(({ address, why }) => ({ address, why: why.slice(0, DETAIL_CHARACTERS_MAX) }));
}

function actsOf({ acts, actsKept }: ExchangeRecord): Decision["acts"] {
  return acts.slice(0, actsKept).map(({ name, subject, value }) => ({ name, subject, value }));
}

function attemptsOf(record: ExchangeRecord): DecisionAttempt[] {
  const { startedMs, endedMs } = record;
  return record.listAttempts().map((attempt) => ({
    kind: attempt.kind,
    backend: attempt.backend,
    address: attempt.address,
    version: attempt.version,
    startMs: rounded(attempt.startedMs - startedMs),
    connectMs: attempt.connectedMs === 0 ? 0 : rounded(attempt.connectedMs - attempt.startedMs),
    durationMs: rounded((attempt.endedMs === 0 ? endedMs : attempt.endedMs) - attempt.startedMs),
    status: attempt.status,
    outcome: outcomeOf(attempt),
    detail: cut(attempt.detail, DETAIL_CHARACTERS_MAX),
    reused: attempt.isReused,
    grpcStatus: attempt.grpcStatus,
  }));
}

function outcomeOf({ outcome, status }: AttemptRecord): string {
  return outcome === "" && status > 0 ? "answered" : outcome;
}

/** Memory of its own: a piece of a head would keep the whole head. */
function cut(text: string, charactersMax: number): string {
  return text === "" ? "" : ownCopy(text.length > charactersMax ? text.slice(0, charactersMax) : text);
}

/** Whole microseconds. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1_000) / 1_000;
}
