// Progress of one revision through the fleet: who acts on it, who does not yet, who refused it and why.
import type { SidecarProgress, WaitRevisionResponse } from "../../proto/gen/weft/v1/fleet.ts";
import { type RefusalView, syncWord } from "./fleet.ts";

export type ProgressWord = "live" | "pending" | "refused" | "disconnected";

export interface SidecarProgressView {
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  readonly state: ProgressWord;
  /** Commit to acknowledgement, milliseconds; only when live. */
  readonly pushMs?: number;
  readonly refusal?: RefusalView;
}

export interface ProgressView {
  readonly revision: number;
  readonly done: boolean;
  readonly sidecars: readonly SidecarProgressView[];
}

export interface ProgressCounts {
  readonly live: number;
  readonly pending: number;
  readonly refused: number;
  readonly disconnected: number;
}

export function progressView(response: WaitRevisionResponse): ProgressView {
  return { revision: response.revision, done: response.done, sidecars: response.sidecars.map(sidecarProgressView) };
}

export function countProgress(sidecars: readonly SidecarProgressView[]): ProgressCounts {
  const counts = { live: 0, pending: 0, refused: 0, disconnected: 0 };
  for (const sidecar of sidecars) counts[sidecar.state]++;
  return counts;
}

function sidecarProgressView(progress: SidecarProgress): SidecarProgressView {
  const { workloadId: id, service, namespace, refusal } = progress;
  const state = progressWord(progress);
  return {
    id,
    service,
    namespace,
    state,
    ...(state === "live" ? { pushMs: progress.pushMs } : {}),
    ...(refusal === undefined
      ? {}
      : { refusal: { resource: refusal.resource, path: refusal.fieldPath, reason: refusal.reason } }),
  };
}

function progressWord(progress: SidecarProgress): ProgressWord {
  const word = syncWord(progress.state);
  if (word === "synced") return "live";
  return word === "unknown" ? "pending" : word;
}
