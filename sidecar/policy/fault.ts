// Faults on purpose: which share of the requests is delayed, which is answered instead. Draws once per fault that
// matches; a request can be both delayed and then aborted, as in Envoy's fault filter.
import type { RequestMatcher } from "../../rules/routing/request-matcher.ts";
import type { RequestView } from "../../rules/routing/request-view.ts";
import type { Random } from "../../runtime/random.ts";

export interface FaultRule {
  /** `Fault default/orders-delay`. */
  readonly origin: string;
  readonly matcher: RequestMatcher;
  readonly delay: { readonly percent: number; readonly durationMs: number } | undefined;
  readonly abort:
    | {
        readonly percent: number;
        readonly status: number /** -1: the answer is no gRPC answer. */;
        readonly grpcStatus: number;
      }
    | undefined;
}

export interface InjectedFault {
  /** 0: none. */
  delayMs: number;
  /** 0: the request goes on. */
  status: number;
  grpcStatus: number;
  origin: string;
}

/**
 * What befalls this request. Delays of several rules add up; the first abort counts.
 * @param into overwritten, so that a decision allocates nothing
 * @returns whether anything befalls it
 */
export function injectFaults(
  rules: readonly FaultRule[],
  view: RequestView,
  random: Random,
  into: InjectedFault,
): boolean {
  into.delayMs = 0;
  into.status = 0;
  into.grpcStatus = -1;
  into.origin = "";
  for (const { origin, matcher, delay, abort } of rules) {
    if (!matcher.matches(view)) continue;
    if (delay !== undefined && random.next() * 100 < delay.percent) {
      into.delayMs += delay.durationMs;
      into.origin = origin;
    }
    if (abort !== undefined && into.status === 0 && random.next() * 100 < abort.percent) {
      into.status = abort.status;
      into.grpcStatus = abort.grpcStatus;
      into.origin = origin;
    }
  }
  return into.delayMs > 0 || into.status > 0;
}
