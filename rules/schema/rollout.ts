// Rollout of weft.mesh/v1: a canary release, its steps and how it is judged.
import { z } from "zod";
import {
  atLeastZero,
  checked,
  cookieName,
  duration,
  exactlyOne,
  flag,
  freeText,
  headerName,
  integer,
  list,
  oneOf,
  type Problem,
  percent,
  positiveDuration,
  subdomain,
  textMap,
} from "./field.ts";
import { httpUrl } from "./inbound.ts";
import { COUNT_MAX } from "./limits.ts";
import { headerMatches } from "./match.ts";

const sticky = checked(
  z.strictObject({
    header: headerName("Header that names the user.").optional(),
    cookie: cookieName("Cookie that names the user.").optional(),
    claim: freeText("JWT claim that names the user.", 256).optional(),
    query: freeText("Query parameter that names the user.", 256).optional(),
  }),
  (value) => exactlyOne(value, ["header", "cookie", "claim", "query"]),
).meta({ description: "A user stays on one version; more weight only adds users." });

const step = checked(
  z.strictObject({
    weight: percent("Share of requests that the canary answers.").optional(),
    mirror: percent("Share of requests that are copied to the canary, its answers dropped.").optional(),
    match: z
      .strictObject({ headers: headerMatches.optional(), cookie: cookieName("A request with this cookie.").optional() })
      .optional()
      .meta({ description: "Requests that go to the canary whatever the weight: testers before users." }),
    setMirror: z.literal(false).optional().meta({ description: "Ends the mirroring." }),
    hold: duration("Time before the next step.").optional(),
    pause: flag("Wait for `weft rollout resume`.").optional(),
    allMethods: flag("Mirror methods that are not safe too (default false).").optional(),
  }),
  (value): Problem | undefined => {
    if (value.allMethods !== undefined && value.mirror === undefined) {
      return { message: "allMethods without mirror", expected: "mirror", path: ["allMethods"] };
    }
    if (Object.values(value).every((field) => field === undefined)) {
      return { message: "says nothing", expected: "weight, mirror, match, setMirror, hold or pause" };
    }
    return value.weight !== undefined && value.mirror !== undefined
      ? { message: "has both weight and mirror", expected: "one step for each" }
      : undefined;
  },
).meta({ description: "One stage of the release." });

/** More weight from step to step: a release that goes back on its own is a slip of the pen. */
function weightProblems(steps: readonly { readonly weight?: number | undefined }[]): Problem[] {
  let highest = 0;
  return steps.flatMap(({ weight }, index): Problem[] => {
    if (weight === undefined) return [];
    const problem: Problem[] =
      weight < highest
        ? [
            {
              message: `weight ${weight} is below the ${highest} of a step before it`,
              expected: `at least ${highest}`,
              path: [index, "weight"],
            },
          ]
        : [];
    highest = Math.max(highest, weight);
    return problem;
  });
}

const latencyBound = checked(
  z.strictObject({
    max: positiveDuration("Longest latency of the canary.").optional(),
    maxIncrease: atLeastZero("Percent over stable.").optional(),
  }),
  ({ max, maxIncrease }) =>
    max === undefined && maxIncrease === undefined
      ? { message: "bounds nothing", expected: "max, maxIncrease or both" }
      : undefined,
)
  .optional()
  .meta({ description: "Bounds this percentile of latency." });

const analysis = z
  .strictObject({
    interval: positiveDuration("Time between analyses.").optional(),
    minRequests: integer(
      1,
      COUNT_MAX,
      'Requests of the canary in an analysis; with fewer it answers "not yet".',
    ).optional(),
    successRate: checked(
      z.strictObject({
        min: percent("Least share of good answers of the canary.").optional(),
        maxDecrease: percent("Percentage points below stable.").optional(),
      }),
      ({ min, maxDecrease }) =>
        min === undefined && maxDecrease === undefined
          ? { message: "bounds nothing", expected: "min, maxDecrease or both" }
          : undefined,
    )
      .optional()
      .meta({ description: "Bounds the share of good answers." }),
    latency: z
      .strictObject({
        p50: latencyBound,
        p75: latencyBound,
        p90: latencyBound,
        p95: latencyBound,
        p99: latencyBound,
        p999: latencyBound,
      })
      .optional()
      .meta({ description: "Bounds latency, by percentile." }),
    failureLimit: integer(0, 1000, "Failed analyses before the release fails.").optional(),
    whenQuiet: oneOf(
      ["hold", "pause", "advance"],
      "What happens when there is too little traffic to judge.",
    ).optional(),
    prometheus: list(
      checked(
        z.strictObject({
          name: subdomain("Name of the check."),
          address: httpUrl("Prometheus server."),
          query: freeText("PromQL that gives one number."),
          min: z.number().optional().meta({ description: "Least good value." }),
          max: z.number().optional().meta({ description: "Greatest good value." }),
        }),
        ({ min, max }) =>
          min === undefined && max === undefined
            ? { message: "bounds nothing", expected: "min, max or both" }
            : undefined,
      ),
      { max: 32 },
      "Checks by Prometheus queries.",
    ).optional(),
    webhooks: list(
      z.strictObject({
        name: subdomain("Name of the check."),
        url: httpUrl("Called with POST; 2xx is good."),
        timeout: positiveDuration("Time for the answer.").optional(),
        headers: textMap(headerName("Header."), freeText("Value."), "Headers of the call.").optional(),
      }),
      { max: 32 },
      "Checks by webhooks.",
    ).optional(),
  })
  .meta({ description: "How the canary is judged." });

export const rolloutSpec = checked(
  z.strictObject({
    service: subdomain("Service whose traffic is shifted."),
    stable: subdomain("Service of the version that has the traffic."),
    canary: subdomain("Service of the new version."),
    sticky: sticky.optional(),
    steps: checked(list(step, { min: 1, max: 100 }, "Stages, in this order."), weightProblems),
    analysis: analysis.optional(),
    onFailure: oneOf(["rollback", "pause"], "What happens when the canary fails (default rollback).").optional(),
    notify: list(
      z.strictObject({ url: httpUrl("Called with POST on every transition.") }),
      { max: 16 },
      "Webhooks.",
    ).optional(),
  }),
  ({ service, stable, canary }): Problem[] => {
    const problems: Problem[] = [];
    if (stable === canary)
      problems.push({ message: "is the same service as stable", expected: "another version", path: ["canary"] });
    if (canary === service)
      problems.push({ message: "is the service itself", expected: "the service of one version", path: ["canary"] });
    return problems;
  },
).meta({ description: "A canary release." });

export type RolloutSpec = z.infer<typeof rolloutSpec>;
