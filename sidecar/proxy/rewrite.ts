// Request filters of a rule and of its backend, put into the edits of the head: header modifiers, host and path. The
// backend's come after the rule's and win.
import type { RouteMatch } from "../../rules/resource.ts";
import { rewritePath } from "../../rules/routing/rewrite.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";
import type { FilterPlan } from "../route/rule-plan.ts";
import type { Destination } from "./destination.ts";
import { applyModifiers } from "./forwarding.ts";

export function rewriteRequest(edits: HeadEdits, head: MessageHead, destination: Destination): void {
  applyFilters(edits, head, destination.ruleFilters, destination.match);
  applyFilters(edits, head, destination.backendFilters, destination.match);
}

function applyFilters(edits: HeadEdits, head: MessageHead, filters: FilterPlan, match: RouteMatch | undefined): void {
  if (filters.isEmpty) return;
  applyModifiers(edits, filters.requestHeaders);
  if (filters.rewriteHost !== "") edits.host = filters.rewriteHost;
  if (filters.rewritePath === undefined || match === undefined || head.isConnect) return;
  const path = rewritePath(match, filters.rewritePath, head.path);
  edits.target = head.query === "" ? path : `${path}?${head.query}`;
}
