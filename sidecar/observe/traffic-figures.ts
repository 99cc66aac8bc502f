// What the control plane is told of the traffic to one version beyond the series of the metrics: per rule that a
// release splits, and of copies of requests. Exact counts that only grow. Not exposed to Prometheus.
import { Histogram } from "./histogram.ts";

/** Past this many, new ones are counted nowhere. */
export const TRAFFIC_CELLS_MAX = 2_000;

export interface TrafficKey {
  /** `namespace/name` of the service that was called, and of the one that the request went to. */
  readonly service: string;
  readonly backend: string;
  readonly version: string;
  /** Route and index of the rule; empty: of no rule in particular. */
  readonly route: string;
  readonly isMirror: boolean;
}

/** A client that went away says nothing about the backend. */
export function isJudged(reason: string): boolean {
  return reason !== "client-closed";
}

export function isFailure(status: number): boolean {
  return status >= 500;
}

export class TrafficCell {
  readonly key: TrafficKey;
  judged = 0;
  failures = 0;
  readonly duration = new Histogram();

  constructor(key: TrafficKey) {
    this.key = key;
  }

  /** One finished request. `reason` is empty when the answer is the endpoint's own. */
  record(status: number, reason: string, durationMs: number): void {
    if (!isJudged(reason)) return;
    this.judged++;
    if (isFailure(status)) this.failures++;
    this.duration.record(durationMs);
  }
}

export class TrafficFigures {
  readonly #cells = new Map<string, TrafficCell>();

  /** The cell of a key; one that leads nowhere when there are too many. Keep it where it is used often. */
  cell(key: TrafficKey): TrafficCell {
    const name = `${key.service} ${key.backend} ${key.version} ${key.route} ${key.isMirror}`;
    let cell = this.#cells.get(name);
    if (cell === undefined) {
      cell = new TrafficCell(key);
      if (this.#cells.size < TRAFFIC_CELLS_MAX) this.#cells.set(name, cell);
    }
    return cell;
  }

  all(): Iterable<TrafficCell> {
    return this.#cells.values();
  }

  retain(isKnown: (service: string) => boolean): void {
    for (const [name, { key }] of this.#cells) if (!isKnown(key.service)) this.#cells.delete(name);
  }
}
