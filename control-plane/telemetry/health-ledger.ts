// What sidecars find about the endpoints that they call: each says to which it sends nothing, and why. Kept as last said, while
// the sidecar that said it is connected. Not a verdict of the mesh: callers need not agree.
import type { EndpointHealth } from "../../proto/gen/weft/v1/discovery.ts";

/** Endpoints of one report that are looked at. */
export const REPORT_ENDPOINTS_MAX = 1_000;

export interface CallerFinding {
  /** Of the calling sidecar. */
  readonly workloadId: string;
  readonly health: EndpointHealth;
}

export class HealthLedger {
  /** By stream, because a newer one of the same sidecar may be there before the older has ended. */
  readonly #reports = new Map<object, { readonly workloadId: string; readonly endpoints: readonly EndpointHealth[] }>();

  /** All that the sidecar `workloadId` sends nothing to now. @param stream that it says so on */
  report(stream: object, workloadId: string, endpoints: readonly EndpointHealth[]): void {
    if (endpoints.length === 0) this.#reports.delete(stream);
    else this.#reports.set(stream, { workloadId, endpoints: endpoints.slice(0, REPORT_ENDPOINTS_MAX) });
  }

  /** The stream has ended: what was said on it may be true no longer. */
  forget(stream: object): void {
    this.#reports.delete(stream);
  }

  /** What callers find about the endpoints at HOST:PORT `address`, sorted by caller. */
  about(address: string): CallerFinding[] {
    const found: CallerFinding[] = [];
    for (const { workloadId, endpoints } of this.#reports.values())
      for (const health of endpoints) if (health.address === address) found.push({ workloadId, health });
    return found.sort((a, b) => (a.workloadId < b.workloadId ? -1 : 1));
  }
}
