// Which backend of a rule a request goes to: by chance, or, where a release splits the rule, by its user's bucket or
// in turn, and never to a version that has nobody while the other one has. Decides; sends nothing.

import { BUCKETS, SplitSequence, userBucket } from "../../rules/routing/bucket.ts";
import type { RequestView } from "../../rules/routing/request-view.ts";
import { pickCumulative } from "../../rules/routing/split.ts";
import type { Random } from "../../runtime/random.ts";
import { membersFor } from "../cluster.ts";
import type { BackendPlan, RulePlan } from "../route/rule-plan.ts";
import type { Snapshot } from "../snapshot.ts";

const sequences = new WeakMap<RulePlan, SplitSequence>();

/** @returns undefined when the weights sum to zero */
export function chooseBackend(
  plan: RulePlan,
  view: RequestView,
  snapshot: Snapshot,
  random: Random,
): BackendPlan | undefined {
  const { split } = plan.rule;
  if (split === undefined) return plan.backends[pickCumulative(plan.cumulative, random.next())];
  const bucket = userBucket(split, view);
  const point = bucket === undefined ? sequenceOf(plan).next(random.next()) : (bucket + 0.5) / BUCKETS;
  const index = pickCumulative(plan.cumulative, point);
  // The first two are the versions of the release: endpoints that leave are known before its weights follow.
  if (index < 0 || index > 1 || hasEndpoints(plan.backends[index], snapshot)) return plan.backends[index];
  const other = plan.backends[1 - index];
  return hasEndpoints(other, snapshot) ? other : plan.backends[index];
}

function sequenceOf(plan: RulePlan): SplitSequence {
  let sequence = sequences.get(plan);
  if (sequence === undefined) {
    sequence = new SplitSequence();
    sequences.set(plan, sequence);
  }
  return sequence;
}

function hasEndpoints(plan: BackendPlan | undefined, snapshot: Snapshot): boolean {
  if (plan === undefined) return false;
  const entry = snapshot.services.get(plan.backend.service);
  if (entry === undefined) return false;
  return membersFor(entry.cluster, plan.backend.port).members.length > 0;
}
