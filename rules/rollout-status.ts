// The status of a Rollout document: how its traffic is split now. The control plane writes it, the compiler acts on it
// (compile/rollout.ts), people read it in `weft get rollout -o yaml`. Not the state of the controller, which knows
// more and changes more often.
import type { Document } from "./document.ts";
import type { RolloutSpec } from "./schema/rollout.ts";

type Step = RolloutSpec["steps"][number];

export interface RolloutStatus {
  /** The versions it is about, as in the spec. It says nothing about a spec that names others. */
  readonly stable: string;
  readonly canary: string;
  /** "progressing", "paused", "promoted" or "rolled-back". */
  readonly phase: string;
  /** Percent of the requests that the canary answers. */
  readonly weight: number;
  readonly mirror?: { readonly percent: number; readonly allMethods: boolean };
  /** Requests that go to the canary whatever the weight. */
  readonly match?: Step["match"];
  /** Not over yet: callers report every second. */
  readonly isLive: boolean;
}

/** The status of a Rollout, unless there is none or it is about other versions than the spec. */
export function statusOf(rollout: Document<RolloutSpec>): RolloutStatus | undefined {
  const status = rollout.status as RolloutStatus | undefined;
  const { stable, canary } = rollout.spec;
  return status?.stable === stable && status.canary === canary ? status : undefined;
}
