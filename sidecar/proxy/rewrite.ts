// Request filters of a rule and of its backend, put into the edits of the head: header modifiers, host and path. The
// backend's come after the rule's and win.
import type { RouteMatch } from "../../rules/resource.ts";
import { rewritePath } from "../../rules/routing/rewrite.ts";
import { encodeRequestHead } from "../http1/encoder.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";
import type { FilterPlan } from "../route/rule-plan.ts";
import type { Destination } from "./destination.ts";
import { applyModifiers } from "./forwarding.ts";

/** The head for the next hop, with `lines` put in and the filters of `destination` applied. */
export function forwardedHead(edits: HeadEdits, head: MessageHead, lines: string, destination: Destination): string {
  edits.clear();
  edits.upgrade = head.upgrade;
  edits.append = lines;
  applyFilters(edits, head, destination.ruleFilters, destination.match);
  applyFilters(edits, head, destination.backendFilters, destination.match);
  return encodeRequestHead(head, edits);
}

function applyFilters(edits: HeadEdits, head: MessageHead, filters: FilterPlan, match: RouteMatch | undefined): void {
  if (filters.isEmpty) return;
  applyModifiers(edits, filters.requestHeaders);
  if (filters.rewriteHost !== "") edits.host = filters.rewriteHost;
  if (filters.rewritePath === undefined || match === undefined || head.isConnect) return;
  const path = rewritePath(match, filters.rewritePath, head.path);
  edits.target = head.query === "" ? path : `${path}?${head.query}`;
}
