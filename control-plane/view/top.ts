// Live figures of the mesh's traffic as rows: the wire's numbers, rounded to what they are good for.
import type { WatchTrafficResponse } from "../../proto/gen/weft/v1/telemetry.ts";

export interface TopRowView {
  readonly name: string;
  readonly requestsPerSecond: number;
  /** Percent; absent without requests in the window. */
  readonly successRate?: number;
  readonly failuresPerSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Requests in each of the last seconds, oldest first. */
  readonly history: readonly number[];
}

export interface TopView {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly by: string;
  readonly windowMs: number;
  readonly sidecars: number;
  readonly rows: readonly TopRowView[];
  /** Rows that are left out. */
  readonly omitted: number;
}

export function topView(by: string, response: WatchTrafficResponse, wallMs: number): TopView {
  const { rows, omitted, sidecars, windowMs } = response;
  return {
    time: new Date(wallMs).toISOString(),
    ...{ by, windowMs, sidecars },
    rows: rows.map((row) => {
      const { name, requestsPerSecond, failuresPerSecond } = row;
      const success = requestsPerSecond > 0 ? 100 * (1 - failuresPerSecond / requestsPerSecond) : undefined;
      return {
        name,
        requestsPerSecond: rounded(requestsPerSecond),
        ...(success === undefined ? {} : { successRate: rounded(success) }),
        failuresPerSecond: rounded(failuresPerSecond),
        ...{ p50Ms: rounded(row.p50Ms), p95Ms: rounded(row.p95Ms), p99Ms: rounded(row.p99Ms) },
        history: row.history.map(rounded),
      };
    }),
    omitted,
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
