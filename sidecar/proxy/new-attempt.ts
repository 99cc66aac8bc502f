// The attempt for the protocol that an endpoint speaks: the one place that knows both.
import type { Attempt } from "./attempt.ts";
import { Http1Attempt } from "./attempt-http1.ts";
import { Http2Attempt } from "./attempt-http2.ts";
import type { AttemptOwner } from "./contract.ts";
import type { DataPath } from "./data-path.ts";

export function newAttempt(owner: AttemptOwner, path: DataPath, isHttp2: boolean): Attempt {
  const Kind = isHttp2 ? Http2Attempt : Http1Attempt;
  return new Kind(owner, path.wheel, path.http1Limits, path.limits.interimResponsesMax);
}
