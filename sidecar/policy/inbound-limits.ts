// The limits and faults of one service, compiled for its own sidecar. What is counted goes on when documents change: a
// limit that is the same keeps its buckets, places taken stay taken.
import { isDeepStrictEqual } from "node:util";
import type { FaultResource, InboundResource, RateLimitResource, RateRule } from "../../rules/resource.ts";
import { compileMatcher, type RequestMatcher } from "../../rules/routing/request-matcher.ts";
import type { Random } from "../../runtime/random.ts";
import { AdaptiveLimit } from "./adaptive-limit.ts";
import { ConcurrencyLimit } from "./concurrency.ts";
import type { FaultRule } from "./fault.ts";
import type { SheddingSettings } from "./shedding.ts";
import { TokenBuckets } from "./token-bucket.ts";

export interface RateLimit {
  readonly rule: RateRule;
  readonly matcher: RequestMatcher;
  readonly buckets: TokenBuckets;
}

export interface Concurrency {
  /** `RateLimit default/orders`. */
  readonly origin: string;
  readonly settings: NonNullable<RateLimitResource["concurrency"]>;
  readonly limit: ConcurrencyLimit;
}

export interface InboundLimits {
  readonly rates: readonly RateLimit[];
  readonly concurrency: readonly Concurrency[];
  readonly shedding: readonly SheddingSettings[];
  readonly faults: readonly FaultRule[];
}

/** @param previous the limits that these take the place of */
export function compileInboundLimits(
  { rateLimits, faults }: Pick<InboundResource, "rateLimits" | "faults">,
  previous: InboundLimits | undefined,
  random: Random,
): InboundLimits {
  return {
    rates: rateLimits.flatMap(({ limits }) => limits.map((rule) => rateOf(rule, previous))),
    concurrency: rateLimits.flatMap((document) => concurrencyOf(document, previous, random)),
    shedding: rateLimits.flatMap(({ shedding }) => (shedding === undefined ? [] : [shedding])),
    faults: faults.map(faultOf),
  };
}

function rateOf(rule: RateRule, previous: InboundLimits | undefined): RateLimit {
  const same = previous?.rates.find((old) => isDeepStrictEqual(old.rule, rule));
  return same ?? { rule, matcher: compileMatcher(rule.matches), buckets: new TokenBuckets(rule) };
}

function concurrencyOf(
  { origin, concurrency: settings }: RateLimitResource,
  previous: InboundLimits | undefined,
  random: Random,
): Concurrency[] {
  if (settings === undefined) return [];
  const old = previous?.concurrency.find((one) => one.origin === origin);
  if (old === undefined)
    return [{ origin, settings, limit: new ConcurrencyLimit(settings, adaptiveOf(settings, random)) }];
  const isSameSearch = old.settings.adaptive === settings.adaptive && old.settings.max === settings.max;
  old.limit.configure(settings, isSameSearch ? old.limit.adaptive : adaptiveOf(settings, random));
  return [{ origin, settings, limit: old.limit }];
}

function adaptiveOf(settings: Concurrency["settings"], random: Random): AdaptiveLimit | undefined {
  return settings.adaptive ? new AdaptiveLimit(settings.max, random) : undefined;
}

function faultOf({ origin, matches, delay, abort }: FaultResource): FaultRule {
  return { origin, matcher: compileMatcher(matches), delay, abort };
}
