// HTTPRoute of gateway.networking.k8s.io/v1, attached to Services (GAMMA): every field of that API and its constraints.
import { z } from "zod";
import { parseDuration } from "../durations.ts";
import {
  checked,
  cookieName,
  duration,
  freeText,
  headerName,
  integer,
  list,
  oneOf,
  type Problem,
  subdomain,
  wildcardHostname,
} from "./field.ts";
import { httpFilters } from "./filter.ts";
import { ATTEMPTS_MAX, BACKENDS_MAX, HOSTNAMES_MAX, MATCHES_MAX, PARENTS_MAX, RULES_MAX } from "./limits.ts";
import { httpMatch } from "./match.ts";
import { backendRefFields, type ParentRef, parentRef, weight } from "./reference.ts";

const httpBackendRef = z
  .strictObject({ ...backendRefFields, weight, filters: httpFilters.optional() })
  .meta({ description: "A service that gets a share of the requests." });

export const timeouts = checked(
  z.strictObject({
    request: duration("Whole request, retries included; 0s disables.").optional(),
    backendRequest: duration("One try; 0s disables.").optional(),
  }),
  ({ request, backendRequest }) => {
    const whole = parseDuration(request ?? "") ?? 0;
    const single = parseDuration(backendRequest ?? "") ?? 0;
    return whole === 0 || single <= whole
      ? undefined
      : {
          message: `${backendRequest} is longer than the request timeout ${request}`,
          expected: "at most the request timeout",
          path: ["backendRequest"],
        };
  },
).meta({ description: "Timeouts of the requests of this rule." });

const retry = z
  .strictObject({
    codes: list(integer(400, 599, "Response status."), { max: 200 }, "Response statuses to retry.").optional(),
    attempts: integer(0, ATTEMPTS_MAX, "Retries after the first try; 0 for none.").optional(),
    backoff: duration("Shortest wait before a retry.").optional(),
  })
  .meta({ description: "Retries of the requests of this rule." });

export const sessionPersistence = checked(
  z.strictObject({
    sessionName: cookieName("Name of the cookie or header.").optional(),
    absoluteTimeout: duration("Longest life of a session.").optional(),
    idleTimeout: duration("Life of a session without requests.").optional(),
    type: oneOf(["Cookie", "Header"], "What carries the session (default Cookie).").optional(),
    cookie: z
      .strictObject({
        name: cookieName("Name of the cookie.").optional(),
        path: freeText("Path of the cookie.", 1024).optional(),
        lifetimeType: oneOf(["Permanent", "Session"], "Whether the cookie outlives the browser session.").optional(),
      })
      .optional()
      .meta({ description: "The cookie." }),
    header: z
      .strictObject({ name: headerName("Name of the header.") })
      .optional()
      .meta({ description: "The header." }),
  }),
  (session) => {
    const problems: Problem[] = [];
    const type = session.type ?? "Cookie";
    if (session.cookie !== undefined && type !== "Cookie") {
      problems.push({ message: "is there though the type is Header", expected: "type: Cookie", path: ["cookie"] });
    }
    if (session.header !== undefined && type !== "Header") {
      problems.push({ message: "is there though the type is Cookie", expected: "type: Header", path: ["header"] });
    }
    if (session.cookie?.lifetimeType === "Permanent" && session.absoluteTimeout === undefined) {
      problems.push({ message: "a Permanent cookie has no absoluteTimeout", expected: "absoluteTimeout" });
    }
    return problems;
  },
).meta({ description: "Keeps a client on one endpoint." });

/** The conditions that hold between the parts of one rule (the CEL rules of HTTPRouteRule). */
function ruleProblems(rule: RuleShape): Problem[] {
  const problems: Problem[] = [];
  const redirect = (rule.filters ?? []).findIndex((filter) => filter.type === "RequestRedirect");
  if (redirect >= 0 && (rule.backendRefs ?? []).length > 0) {
    problems.push({
      message: "RequestRedirect together with backendRefs",
      expected: "one of them, as a redirect is never forwarded",
      path: ["filters", redirect, "type"],
    });
  }
  problems.push(...prefixProblems(rule, rule.filters, ["filters"]));
  for (const [index, backend] of (rule.backendRefs ?? []).entries()) {
    problems.push(...prefixProblems(rule, backend.filters, ["backendRefs", index, "filters"]));
  }
  return problems;
}

interface RuleShape {
  readonly matches?: z.infer<typeof httpMatch>[] | undefined;
  readonly filters?: z.infer<typeof httpFilters> | undefined;
  readonly backendRefs?: z.infer<typeof httpBackendRef>[] | undefined;
}

/** ReplacePrefixMatch needs to know which prefix matched: exactly one match, of type PathPrefix. */
function prefixProblems(rule: RuleShape, filters: RuleShape["filters"], path: readonly (string | number)[]): Problem[] {
  const only = rule.matches?.length === 1 ? rule.matches[0] : undefined;
  const implied = rule.matches === undefined || rule.matches.length === 0;
  if (implied || (only !== undefined && (only.path?.type ?? "PathPrefix") === "PathPrefix")) return [];
  return (filters ?? []).flatMap((filter, index): Problem[] => {
    const field = filter.type === "URLRewrite" ? "urlRewrite" : "requestRedirect";
    const modifier =
      filter.type === "URLRewrite"
        ? filter.urlRewrite.path
        : filter.type === "RequestRedirect"
          ? filter.requestRedirect.path
          : undefined;
    if (modifier?.type !== "ReplacePrefixMatch") return [];
    return [
      {
        message: "ReplacePrefixMatch in a rule that does not have exactly one match of type PathPrefix",
        expected: "one PathPrefix match per such rule",
        path: [...path, index, field, "path", "type"],
      },
    ];
  });
}

const httpRule = checked(
  z.strictObject({
    name: subdomain("Name of the rule, for people and metrics.").optional(),
    matches: list(httpMatch, { max: MATCHES_MAX }, "Any of these must match (default: every request).").optional(),
    filters: httpFilters.optional(),
    backendRefs: list(httpBackendRef, { max: BACKENDS_MAX }, "Where matched requests go, by weight.").optional(),
    timeouts: timeouts.optional(),
    retry: retry.optional(),
    sessionPersistence: sessionPersistence.optional(),
  }),
  ruleProblems,
).meta({ description: "What to do with the requests that match." });

/** Rule names are unique within a route (experimental channel of the Gateway API). */
export function repeatedRuleNames(rules: readonly { readonly name?: string | undefined }[]): Problem[] {
  const seen = new Set<string>();
  return rules.flatMap(({ name }, index): Problem[] => {
    if (name === undefined) return [];
    const repeated = seen.has(name);
    seen.add(name);
    return repeated
      ? [
          {
            message: `"${name}" names another rule of this route already`,
            expected: "a name of its own",
            path: [index, "name"],
          },
        ]
      : [];
  });
}

/** The same parent twice must differ by port, or one of them says nothing. */
function repeatedParents(parents: readonly ParentRef[]): Problem[] {
  const seen = new Set<string>();
  return parents.flatMap((parent, index): Problem[] => {
    const key = `${parent.namespace ?? ""}/${parent.name}:${parent.port ?? ""}`;
    const repeated = seen.has(key);
    seen.add(key);
    return repeated
      ? [
          {
            message: "names the same parent as an item before it",
            expected: "each service and port once",
            path: [index],
          },
        ]
      : [];
  });
}

export const routeFields = {
  parentRefs: checked(
    list(parentRef, { min: 1, max: PARENTS_MAX }, "Services whose requests the route is for."),
    repeatedParents,
  ),
  hostnames: list(
    wildcardHostname("Hostname."),
    { max: HOSTNAMES_MAX },
    "Without effect on a route that is attached to a Service.",
  ).optional(),
};

export const httpRouteSpec = z
  .strictObject({
    ...routeFields,
    rules: checked(
      list(httpRule, { min: 1, max: RULES_MAX }, "Rules; the most specific match wins, whatever the order."),
      repeatedRuleNames,
    ).optional(),
  })
  .meta({ description: "Routes of HTTP requests to a service." });

export type HTTPRouteSpec = z.infer<typeof httpRouteSpec>;
export type HTTPRouteRule = z.infer<typeof httpRule>;
