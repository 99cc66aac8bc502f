// Progress of one revision through the fleet: which sidecars it concerns, and what became of it at each.
import { type SidecarProgress, SyncState, type WaitRevisionResponse } from "../../proto/gen/weft/v1/fleet.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Fleet, Sidecar } from "../push/fleet.ts";
import type { Registry } from "../registry/registry.ts";
import type { StreamWriter } from "./call.ts";
import { wireRefusal } from "./wire.ts";

/** Many acknowledgements in a row become one message. */
const GATHER_MS = 2;

const OUTCOMES = {
  live: SyncState.SYNC_STATE_SYNCED,
  refused: SyncState.SYNC_STATE_REFUSED,
  pending: SyncState.SYNC_STATE_PENDING,
} as const;

/**
 * Affected are the sidecars that hold something the revision changed; all others act on it by definition. Where
 * that is not known (before a restart, or too long ago), every registered sidecar counts.
 */
function progressOf(fleet: Fleet, registry: Registry, revision: number): WaitRevisionResponse {
  if (revision > fleet.pushedRevision) return { revision, done: false, sidecars: [] };
  const ids = fleet.affectedBy(revision) ?? registry.workloads().map(({ id }) => id);
  const sidecars: SidecarProgress[] = [];
  for (const id of ids) {
    const workload = registry.get(id)?.workload;
    if (workload === undefined) continue;
    const { service, namespace } = workload;
    sidecars.push({ workloadId: id, service, namespace, ...outcomeOf(fleet.sidecar(id), revision) });
  }
  sidecars.sort((a, b) => (a.workloadId < b.workloadId ? -1 : 1));
  return { revision, done: sidecars.every(({ state }) => isFinal(state)), sidecars };
}

function outcomeOf(
  sidecar: Sidecar | undefined,
  revision: number,
): Pick<SidecarProgress, "state" | "refusal" | "pushMs"> {
  if (sidecar === undefined || !sidecar.isConnected)
    return { state: SyncState.SYNC_STATE_DISCONNECTED, refusal: undefined, pushMs: 0 };
  const outcome = sidecar.queue.outcomeOf(revision);
  return {
    state: OUTCOMES[outcome],
    refusal: outcome === "refused" ? wireRefusal(sidecar.queue.refusal) : undefined,
    pushMs: outcome === "live" ? sidecar.lastPushMs : 0,
  };
}

function isFinal(state: SyncState): boolean {
  return state === SyncState.SYNC_STATE_SYNCED || state === SyncState.SYNC_STATE_REFUSED;
}

/** Writes the progress at once and then whenever it changed, until it is done or the caller has gone. */
export function streamProgress(
  { fleet, registry, clock }: { readonly fleet: Fleet; readonly registry: Registry; readonly clock: Clock },
  revision: number,
  writer: StreamWriter<WaitRevisionResponse>,
): void {
  let last = "";
  let timer: Timer | undefined;
  const tell = () => {
    timer = undefined;
    const progress = progressOf(fleet, registry, revision);
    const text = JSON.stringify(progress);
    if (text === last) return;
    last = text;
    writer.event(progress);
    if (progress.done) writer.end();
  };
  const unfollow = fleet.onProgress(() => {
    timer ??= clock.after(GATHER_MS, tell);
  });
  writer.onEnd(() => {
    unfollow();
    timer?.cancel();
  });
  tell();
}
