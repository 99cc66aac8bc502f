// The kinds that a service's own sidecars enforce on the way in: RateLimit, Fault, Authorization, Authentication.
import { z } from "zod";
import {
  checked,
  cookieName,
  dnsLabel,
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
  quote,
  subdomain,
  text,
  textMap,
} from "./field.ts";
import { COUNT_MAX, POLICY_ITEMS_MAX } from "./limits.ts";
import { httpMatch } from "./match.ts";
import { targetRef } from "./reference.ts";

const mode = oneOf(
  ["enforce", "report-only"],
  "Whether it acts or only counts what it would do (default enforce).",
).optional();

const limitKey = checked(
  z.strictObject({
    header: headerName("One bucket per value of this header.").optional(),
    sourceIP: z.literal(true).optional().meta({ description: "One bucket per source address." }),
    identity: z.literal(true).optional().meta({ description: "One bucket per calling workload." }),
    path: z.literal(true).optional().meta({ description: "One bucket per path." }),
  }),
  (value) => exactlyOne(value, ["header", "sourceIP", "identity", "path"]),
).meta({ description: "What requests are counted by (default: all together)." });

const limit = z
  .strictObject({
    name: subdomain("Name of the limit, for people and metrics.").optional(),
    requests: integer(1, COUNT_MAX, "Requests per time."),
    per: positiveDuration("The time."),
    burst: integer(1, COUNT_MAX, "Requests at once (default: requests).").optional(),
    key: limitKey.optional(),
    match: httpMatch.optional(),
    maxKeys: integer(1, 1_000_000, "Keys that are remembered; the least recent goes first.").optional(),
    mode,
  })
  .meta({ description: "A token bucket." });

const concurrency = checked(
  z.strictObject({
    max: integer(1, COUNT_MAX, "Requests at the same time; with adaptive, the most.").optional(),
    queue: integer(0, COUNT_MAX, "Requests that wait.").optional(),
    queueTimeout: duration("Longest wait.").optional(),
    adaptive: flag("Find the limit from latency.").optional(),
    mode,
  }),
  ({ max, adaptive }) =>
    max !== undefined || adaptive === true
      ? undefined
      : { message: "has no limit", expected: "max, or adaptive: true" },
).meta({ description: "Requests in flight." });

const shedding = z
  .strictObject({
    eventLoopDelay: positiveDuration("Shed load when the event loop is this late.").optional(),
    heapPercent: percent("Shed load when the heap is this full.").optional(),
  })
  .meta({
    description: "Refuses requests, lowest priority first, when the sidecar itself is short of time or memory.",
  });

export const rateLimitSpec = checked(
  z.strictObject({
    targetRef,
    limits: list(limit, { max: POLICY_ITEMS_MAX }, "Token buckets; a request must pass all that match.").optional(),
    concurrency: concurrency.optional(),
    shedding: shedding.optional(),
  }),
  (spec) =>
    (spec.limits ?? []).length === 0 && spec.concurrency === undefined && spec.shedding === undefined
      ? { message: "limits nothing", expected: "limits, concurrency or shedding" }
      : undefined,
).meta({ description: "Limits on the requests that a service accepts." });

export const faultSpec = checked(
  z.strictObject({
    targetRef,
    match: httpMatch.optional(),
    delay: z
      .strictObject({ percent: percent("Share of requests that are delayed."), duration: positiveDuration("Delay.") })
      .optional()
      .meta({ description: "Delays requests." }),
    abort: checked(
      z.strictObject({
        percent: percent("Share of requests that are answered at once."),
        status: integer(200, 599, "Status of the answer.").optional(),
        grpcStatus: integer(1, 16, "gRPC status of the answer.").optional(),
      }),
      (value) => exactlyOne(value, ["status", "grpcStatus"]),
    )
      .optional()
      .meta({ description: "Answers requests instead of the service." }),
  }),
  ({ delay, abort }) =>
    delay === undefined && abort === undefined
      ? { message: "does nothing", expected: "delay, abort or both" }
      : undefined,
).meta({ description: "Delays or aborts a share of requests, to see what callers do." });

const CIDR = /^([0-9.]+|[0-9a-fA-F:.]+)(\/\d{1,3})?$/;
const words = (description: string) =>
  list(freeText("Word.", 1024), { min: 1, max: POLICY_ITEMS_MAX }, description).optional();

const source = z
  .strictObject({
    services: list(
      text({
        name: "a service",
        expected: "NAME or NAMESPACE/NAME",
        lengthMax: 320,
        test: (value) => /^([a-z0-9]([-a-z0-9]*[a-z0-9])?\/)?[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(value),
      }),
      { min: 1, max: POLICY_ITEMS_MAX },
      "Calling services; a bare name is of the document's namespace.",
    ).optional(),
    namespaces: list(dnsLabel("Namespace."), { min: 1, max: POLICY_ITEMS_MAX }, "Namespaces of callers.").optional(),
    identities: words("SPIFFE ids of callers."),
    sourceIPs: list(
      text({
        name: "an address or network",
        expected: "an IP address or CIDR, as in 10.0.0.0/8",
        lengthMax: 64,
        test: (value) => CIDR.test(value),
      }),
      { min: 1, max: POLICY_ITEMS_MAX },
      "Source addresses.",
    ).optional(),
    claims: textMap(
      freeText("Claim.", 256),
      freeText("Value.", 1024),
      "Claims that the caller's token must have.",
    ).optional(),
  })
  .meta({ description: "Who calls; every field given must hold." });

export const authorizationSpec = z
  .strictObject({
    targetRef,
    action: oneOf(["allow", "deny"], "What happens to the requests that match (default allow).").optional(),
    rules: list(
      z.strictObject({
        name: subdomain("Name of the rule.").optional(),
        from: source.optional(),
        matches: list(httpMatch, { min: 1, max: 64 }, "Requests that it is about (default all).").optional(),
      }),
      { max: POLICY_ITEMS_MAX },
      "A request matches if it matches any rule; an allow document without rules allows nothing.",
    ).optional(),
    mode,
  })
  .meta({
    description:
      "Who may call what: deny wins over allow; where an allow document exists, what it does not name is denied.",
  });

const URL_FORM = /^https?:\/\/[^\s/?#]+([/?][^\s]*)?$/;

export const httpUrl = (description: string): z.ZodString =>
  text({
    name: "a URL",
    expected: "http://... or https://...",
    lengthMax: 2048,
    description,
    test: (value) => URL_FORM.test(value) && URL.canParse(value),
  });

const provider = checked(
  z.strictObject({
    name: subdomain("Name of the provider."),
    issuer: freeText("The `iss` that tokens must have.", 1024),
    audiences: words("Any of these must be among the token's `aud`."),
    jwks: checked(
      z.strictObject({
        url: httpUrl("Where the keys are fetched.").optional(),
        inline: z.string().max(65_536).optional().meta({ description: "The keys as JSON text." }),
        refresh: positiveDuration("Time between fetches.").optional(),
      }),
      (value) => exactlyOne(value, ["url", "inline"]),
    ).meta({ description: "Keys of the provider." }),
    from: z
      .strictObject({
        header: headerName("Header that has the token (default authorization).").optional(),
        prefix: z.string().max(64).optional().meta({ description: 'What stands before it (default "Bearer ").' }),
        query: freeText("Query parameter that has the token.", 256).optional(),
        cookie: cookieName("Cookie that has the token.").optional(),
      })
      .optional()
      .meta({ description: "Where the token stands." }),
    forward: flag("Whether the token is passed on to the service (default true).").optional(),
    claimsToHeaders: textMap(
      freeText("Claim.", 256),
      headerName("Header."),
      "Claims handed to the service as headers.",
    ).optional(),
    clockSkew: duration("Difference of clocks that is forgiven.").optional(),
  }),
  ({ jwks }): Problem | undefined => {
    if (jwks.inline === undefined) return undefined;
    try {
      const keys: unknown = JSON.parse(jwks.inline);
      if (typeof keys === "object" && keys !== null && "keys" in keys && Array.isArray(keys.keys)) return undefined;
    } catch {}
    return {
      message: `${quote(jwks.inline)} is not a key set`,
      expected: 'JSON text {"keys": [...]}',
      path: ["jwks", "inline"],
    };
  },
).meta({ description: "Who issues tokens and how they are checked." });

export const authenticationSpec = z
  .strictObject({
    targetRef,
    jwt: z
      .strictObject({
        providers: list(provider, { min: 1, max: 32 }, "A token of any of these is good."),
        required: flag("Whether a request without a token is refused (default true).").optional(),
        except: list(httpMatch, { max: 64 }, "Requests that need no token.").optional(),
      })
      .meta({ description: "JSON Web Tokens." }),
  })
  .meta({ description: "How callers prove who they are." });

export type RateLimitSpec = z.infer<typeof rateLimitSpec>;
export type FaultSpec = z.infer<typeof faultSpec>;
export type AuthorizationSpec = z.infer<typeof authorizationSpec>;
