// What a release does with one request: whose bucket it falls into, and which version that is. Words only; the choice is
// routing/bucket.ts, the very one of the data path.
import type { RouteRule } from "../resource.ts";
import { BUCKETS, userBucket } from "../routing/bucket.ts";
import type { RequestView } from "../routing/request-view.ts";
import { pickBackendIndex } from "../routing/split.ts";

/** Nothing for a rule that no release splits. */
export function releaseNotes(rule: RouteRule, view: RequestView): string[] {
  const { split } = rule;
  if (split === undefined) return [];
  if (split.key === undefined) return [`${split.rollout} splits each request on its own`];
  const bucket = userBucket(split, view);
  const key = `${split.key.type} ${split.key.name}`;
  if (bucket === undefined)
    return [`${split.rollout} splits by ${key}, which this request does not have: on its own, then`];
  const backend = rule.backends[pickBackendIndex(rule, (bucket + 0.5) / BUCKETS)];
  return [`${split.rollout} splits by ${key}: bucket ${bucket} of ${BUCKETS}, so ${backend?.service ?? "nobody"}`];
}
