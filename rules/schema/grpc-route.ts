// GRPCRoute of gateway.networking.k8s.io/v1, attached to Services (GAMMA): every field of that API and its constraints.
import { z } from "zod";
import { checked, list, oneOf, type Problem, quote, subdomain } from "./field.ts";
import { grpcFilters } from "./filter.ts";
import { repeatedRuleNames, routeFields, sessionPersistence, timeouts } from "./http-route.ts";
import { BACKENDS_MAX, MATCHES_MAX, PATH_CHARACTERS_MAX, RULES_MAX } from "./limits.ts";
import { headerMatches, regexProblem } from "./match.ts";
import { backendRefFields, weight } from "./reference.ts";

const SERVICE = /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i;
const METHOD = /^[A-Za-z_][A-Za-z_0-9]*$/;

const methodMatch = checked(
  z.strictObject({
    type: oneOf(["Exact", "RegularExpression"], "How the names are compared (default Exact).").optional(),
    service: z
      .string()
      .max(PATH_CHARACTERS_MAX)
      .optional()
      .meta({ description: "gRPC service, as in shop.v1.Orders." }),
    method: z.string().max(PATH_CHARACTERS_MAX).optional().meta({ description: "gRPC method, as in Get." }),
  }),
  (match) => {
    const problems: Problem[] = [];
    if (match.service === undefined && match.method === undefined) {
      return [{ message: "names neither a service nor a method", expected: "service, method or both" }];
    }
    for (const [field, expression] of [
      ["service", SERVICE],
      ["method", METHOD],
    ] as const) {
      const value = match[field];
      if (value === undefined) continue;
      const problem =
        match.type === "RegularExpression"
          ? regexProblem(value)
          : expression.test(value)
            ? undefined
            : {
                message: `${quote(value)} is not a gRPC ${field} name`,
                expected: field === "service" ? "a name such as shop.v1.Orders" : "a name such as Get",
              };
      if (problem !== undefined) problems.push({ ...problem, path: [field] });
    }
    return problems;
  },
).meta({ description: "A condition on the called service and method." });

const grpcMatch = z
  .strictObject({ method: methodMatch.optional(), headers: headerMatches.optional() })
  .meta({ description: "Conditions that must all hold for a call." });

const grpcBackendRef = z
  .strictObject({ ...backendRefFields, weight, filters: grpcFilters.optional() })
  .meta({ description: "A service that gets a share of the calls." });

const grpcRule = z
  .strictObject({
    name: subdomain("Name of the rule, for people and metrics.").optional(),
    matches: list(grpcMatch, { max: MATCHES_MAX }, "Any of these must match (default: every call).").optional(),
    filters: grpcFilters.optional(),
    backendRefs: list(grpcBackendRef, { max: BACKENDS_MAX }, "Where matched calls go, by weight.").optional(),
    timeouts: timeouts.optional(),
    sessionPersistence: sessionPersistence.optional(),
  })
  .meta({ description: "What to do with the calls that match." });

export const grpcRouteSpec = z
  .strictObject({
    ...routeFields,
    rules: checked(
      list(grpcRule, { min: 1, max: RULES_MAX }, "Rules; the most specific match wins, whatever the order."),
      repeatedRuleNames,
    ).optional(),
  })
  .meta({ description: "Routes of gRPC calls to a service." });

export type GRPCRouteSpec = z.infer<typeof grpcRouteSpec>;
export type GRPCRouteRule = z.infer<typeof grpcRule>;
