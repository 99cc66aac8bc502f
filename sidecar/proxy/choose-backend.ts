// Which backend of a rule a request goes to: by chance, or, where a release splits the rule, by its user's bucket or
// in turn, and never to a version that has nobody while the other one has. Decides; sends nothing.

import { BUCKETS, SplitSequence, userBucket } from "../../rules/routing/bucket.ts";
import type { RequestView } from "../../rules/routing/request-view.ts";
import { pickShare } from "../../rules/routing/split.ts";
import type { Random } from "../../runtime/random.ts";
import { membersFor } from "../cluster.ts";
import type { BackendPlan, RulePlan } from "../route/rule-plan.ts";
import type { Snapshot } from "../snapshot.ts";

const sequences = new WeakMap<RulePlan, SplitSequence>();

interface SplitExchange {
  readonly snapshot: Snapshot;
  readonly record: { splitPoint: number; splitBucket: number; backendIndex: number };
}

/** Writes the point and the choice into the exchange's record. @returns undefined when the weights sum to zero */
export function chooseBackend(
  plan: RulePlan,
  view: RequestView,
  { snapshot, record }: SplitExchange,
  random: Random,
): BackendPlan | undefined {
  const { split, firstBackend, total } = plan;
  if (split !== undefined) record.splitBucket = userBucket(split, view) ?? -1;
  record.splitPoint = split === undefined ? random.next() : releasePoint(record.splitBucket, plan, random);
  const picked = pickShare(firstBackend, total, record.splitPoint);
  const backend = split === undefined ? picked : servingBackend(picked, plan, snapshot);
  record.backendIndex = backend?.index ?? -1;
  return backend;
}

/** @param bucket of the user; negative: there is none */
function releasePoint(bucket: number, plan: RulePlan, random: Random): number {
  return bucket < 0 ? sequenceOf(plan).next(random.next()) : (bucket + 0.5) / BUCKETS;
}

/** The first two are the versions of the release: endpoints that leave are known before its weights follow. */
function servingBackend(
  picked: BackendPlan | undefined,
  { firstBackend }: RulePlan,
  snapshot: Snapshot,
): BackendPlan | undefined {
  if (picked === undefined || picked.index > 1 || hasEndpoints(picked, snapshot)) return picked;
  const other = picked === firstBackend ? picked.next : firstBackend;
  return hasEndpoints(other, snapshot) ? other : picked;
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
  const entry = snapshot.services.get(plan.service);
  if (entry === undefined) return false;
  return membersFor(entry.cluster, plan.port).members.length > 0;
}
