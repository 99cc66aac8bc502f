// How a state of a release gets into the store, and its weights into force. What may be done though the store cannot be
// written (phase.ts) is done, and why it is not stored is told; all else fails with the store.
import type { Document } from "../../rules/document.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import {
  RevisionConflictError,
  type RolloutEventRecord,
  type RolloutStore,
  type RolloutWrite,
} from "../store/contract.ts";
import type { Rulebook } from "../store/rulebook.ts";
import { maySettleUnstored, type RolloutState } from "./phase.ts";
import { statusFor } from "./plan.ts";
import { isAbout, messageFor } from "./release-document.ts";

const AUTHOR = "weft rollouts";

/** What happened, before the store has it. */
export type EventDraft = RolloutWrite["events"][number];

/**
 * Stores a state. Rejects when that fails, and the state may not be gone to before.
 * @param before the state that it comes from; undefined: none
 * @returns the events with their sequence numbers, and why nothing was stored; "": it was
 */
export async function writeState(
  store: RolloutStore,
  change: RolloutWrite,
  before: RolloutState | undefined,
  after: RolloutState,
): Promise<{ readonly written: readonly RolloutEventRecord[]; readonly problem: string }> {
  try {
    return { written: await store.write(change), problem: "" };
  } catch (error) {
    return { written: [], problem: excused(error, before, after) };
  }
}

/**
 * The weights of a state become a revision, unless they are in force already. Rejects as `writeState` does.
 * @param shown the state whose weights are in force; undefined: none
 * @returns the revision, if there is a new one, and why what is in force now is not stored; "": it is
 */
export async function commitStatus(
  rulebook: Rulebook,
  document: Document<RolloutSpec>,
  shown: RolloutState | undefined,
  state: RolloutState,
): Promise<{ readonly revision: number | undefined; readonly problem: string }> {
  const { namespace, name } = document.metadata;
  return rulebook.exclusively(async () => {
    const key = { kind: "Rollout", namespace, name };
    const current = rulebook.get(key)?.document as Document<RolloutSpec> | undefined;
    if (current === undefined || !isAbout(state, current.spec)) return { revision: undefined, problem: "" };
    const change = rulebook.planStatus(key, statusFor(current.spec, state));
    if (change === undefined || change.operation === "unchanged") return { revision: undefined, problem: "" };
    const details = { author: AUTHOR, message: messageFor(current.spec, state), cause: "rollout" as const };
    try {
      return { revision: await rulebook.commit([change], details), problem: "" };
    } catch (error) {
      const problem = excused(error, shown, state);
      rulebook.anticipate(change, details);
      return { revision: undefined, problem };
    }
  });
}

/** @throws what was thrown, where it is no fault of the store or nothing may be done without it */
function excused(error: unknown, before: RolloutState | undefined, after: RolloutState): string {
  const isFault = error instanceof Error && !(error instanceof RevisionConflictError);
  if (!isFault || before === undefined || !maySettleUnstored(before, after)) throw error;
  return error.message;
}
