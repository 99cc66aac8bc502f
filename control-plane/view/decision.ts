// What became of one request at one sidecar: the wire's decision with its empty fields made absent and its time as people
// write it. Used by explain --trace and by tap.
import type { Decision } from "../../proto/gen/weft/v1/telemetry.ts";

export interface AttemptView {
  readonly kind: string;
  readonly backend: string;
  readonly address: string;
  readonly version?: string;
  readonly startMs: number;
  readonly connectMs?: number;
  readonly durationMs: number;
  readonly status?: number;
  readonly outcome: string;
  readonly detail?: string;
  /** Name of the code of gRPC that it ended with. */
  readonly grpcStatus?: string;
  readonly reused: boolean;
}

export interface ActView {
  readonly name: string;
  readonly subject?: string;
  readonly value?: number;
}

export interface DecisionView {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly sidecar: string;
  /** `namespace/name` of the service that the sidecar stands beside. */
  readonly sidecarService: string;
  readonly direction: string;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly requestId?: string;
  readonly method: string;
  readonly authority: string;
  readonly target: string;
  readonly remoteAddress: string;
  readonly status: number;
  /** Name of the code that a call of gRPC ended with. */
  readonly grpcStatus?: string;
  readonly reason?: string;
  readonly detail?: string;
  readonly durationMs: number;
  readonly answeredMs?: number;
  readonly revision: number;
  readonly service?: string;
  readonly rule?: {
    readonly route: string;
    readonly ruleIndex: number;
    readonly ruleName: string;
    readonly matchIndex: number;
    readonly match: string;
  };
  readonly split?: {
    readonly shares: readonly { readonly service: string; readonly weight: number }[];
    /** Where it fell, 0..1. */
    readonly point: number;
    /** Of the user, where a release splits by users. */
    readonly bucket?: number;
  };
  readonly backend?: string;
  readonly version?: string;
  readonly attempts: readonly AttemptView[];
  readonly attemptCount: number;
  readonly skipped: readonly { readonly address: string; readonly why: string }[];
  readonly acts: readonly ActView[];
  readonly requestTimeoutMs?: number;
  readonly perTryTimeoutMs?: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export function decisionView(decision: Decision): DecisionView {
  const { sidecar, sidecarService, direction, method, authority, target, remoteAddress } = decision;
  const { status, durationMs, revision, attemptCount, skipped, requestBytes, responseBytes } = decision;
  return {
    time: timeOf(decision.atMs),
    ...{ sidecar, sidecarService, direction },
    ...given({ traceId: decision.traceId, spanId: decision.spanId, requestId: decision.requestId }),
    ...{ method, authority, target, remoteAddress, status },
    ...given({ grpcStatus: decision.grpcStatus, reason: decision.reason, detail: decision.detail }),
    durationMs,
    ...given({ answeredMs: decision.answeredMs }),
    revision,
    ...given({ service: decision.service }),
    ...ruleView(decision),
    ...splitView(decision),
    ...given({ backend: decision.backend, version: decision.version }),
    attempts: decision.attempts.map(({ version, connectMs, status: answered, detail, grpcStatus, ...attempt }) => ({
      ...attempt,
      ...given({ version, connectMs, status: answered, detail, grpcStatus }),
    })),
    attemptCount,
    skipped: skipped.map(({ address, why }) => ({ address, why })),
    acts: decision.acts.map(({ name, subject, value }) => ({ name, ...given({ subject, value }) })),
    ...given({ requestTimeoutMs: decision.requestTimeoutMs, perTryTimeoutMs: decision.perTryTimeoutMs }),
    ...{ requestBytes, responseBytes },
  };
}

/** A sidecar's clock may say anything. */
function timeOf(atMs: number): string {
  const time = new Date(atMs);
  return Number.isNaN(time.getTime()) ? new Date(0).toISOString() : time.toISOString();
}

function ruleView({ route, ruleIndex, ruleName, matchIndex, match }: Decision): Pick<DecisionView, "rule"> {
  return route === "" ? {} : { rule: { route, ruleIndex, ruleName, matchIndex, match } };
}

function splitView({ split, splitPoint, splitBucket }: Decision): Pick<DecisionView, "split"> {
  if (splitPoint < 0) return {};
  const shares = split.map(({ service, weight }) => ({ service, weight }));
  return { split: { shares, point: splitPoint, ...(splitBucket < 0 ? {} : { bucket: splitBucket }) } };
}

/** The fields that say something: neither empty nor zero. */
function given<Fields extends Record<string, string | number>>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== "" && value !== 0),
  ) as Partial<Fields>;
}
