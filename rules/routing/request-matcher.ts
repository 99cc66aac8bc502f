// Does a request match any of these matches? For policies that say which requests they are about; routes, which need
// the best of many, have table.ts.
import type { RouteMatch, RouteRule } from "../resource.ts";
import { type Candidate, compileCandidates, conditionsHold, pathHolds } from "./candidate.ts";
import type { RequestView } from "./request-view.ts";

export interface RequestMatcher {
  matches(view: RequestView): boolean;
}

const EVERYTHING: RequestMatcher = { matches: () => true };

/** @param matches empty: every request */
export function compileMatcher(matches: readonly RouteMatch[]): RequestMatcher {
  if (matches.length === 0) return EVERYTHING;
  const candidates = compileCandidates([{ ...NO_RULE, matches }]);
  return candidates.length === 1 && isEverything(candidates[0]) ? EVERYTHING : new AnyOf(candidates);
}

class AnyOf implements RequestMatcher {
  readonly #candidates: readonly Candidate[];

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = candidates;
  }

  matches(view: RequestView): boolean {
    for (const candidate of this.#candidates) {
      if (pathHolds(candidate, view.path) && conditionsHold(candidate, view)) return true;
    }
    return false;
  }
}

function isEverything(candidate: Candidate | undefined): boolean {
  if (candidate === undefined || !candidate.pathOnly) return false;
  const { type, value } = candidate.match.path;
  return type === "PathPrefix" && value === "/";
}

/** What a candidate needs of a rule besides its matches: nothing that a matcher asks about. */
const NO_RULE: RouteRule = {
  route: "",
  ruleIndex: 0,
  ruleName: "",
  createdAtMs: 0,
  ports: [],
  fromNamespace: "",
  matches: [],
  filters: [],
  backends: [],
  timeouts: { requestMs: undefined, backendRequestMs: undefined },
  retry: undefined,
};
