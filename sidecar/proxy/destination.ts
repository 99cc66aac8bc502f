// Where an exchange goes and under which rules: what routing decided, in one reusable object, so that a decision
// allocates nothing.
import type { RouteMatch } from "../../rules/resource.ts";
import type { MemberSet } from "../balance/member-set.ts";
import type { Cluster } from "../cluster.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { RequestSeries } from "../observe/request-series.ts";
import type { RetryPlan } from "../policy/retry.ts";
import { type FilterPlan, NO_FILTERS, type RulePlan } from "../route/rule-plan.ts";
import type { HopFields } from "./hop-fields.ts";

/** Under which service a request is counted, and the memo of its series. */
export interface SeriesSource {
  readonly service: string;
  readonly series: Map<object, RequestSeries>;
}

export class Destination {
  /** The service that was called; undefined until it is known. */
  source: SeriesSource | undefined = undefined;
  /** The rule, if a route matched. */
  rule: RulePlan | undefined = undefined;
  match: RouteMatch | undefined = undefined;
  ruleFilters: FilterPlan = NO_FILTERS;
  backendFilters: FilterPlan = NO_FILTERS;
  /** The service that the request goes to. */
  cluster: Cluster | undefined = undefined;
  members: MemberSet<EndpointMember> | undefined = undefined;
  retry: RetryPlan | undefined = undefined;
  /** Complete field lines for the answer, such as a cookie. */
  responseLines = "";
  /** It goes to the fallback of the service that was called. */
  isFallback = false;
  /** To a host outside of the mesh, or to a port that speaks bytes: the connection itself is the tunnel. */
  isRawTunnel = false;
  /** The request is a call of gRPC. */
  isGrpc = false;
  /** The endpoint speaks HTTP/2. */
  isHttp2 = false;
  /** What each attempt is told about itself. */
  hopFields: HopFields = "none";
  /** Milliseconds; 0: none. */
  requestTimeoutMs = 0;
  /** What the caller of gRPC gives the whole call, its messages included; 0: nothing. */
  callTimeoutMs = 0;
  perTryTimeoutMs = 0;
  idleTimeoutMs = 0;

  clear(): void {
    this.source = undefined;
    this.rule = undefined;
    this.match = undefined;
    this.ruleFilters = NO_FILTERS;
    this.backendFilters = NO_FILTERS;
    this.cluster = undefined;
    this.members = undefined;
    this.retry = undefined;
    this.responseLines = "";
    this.isFallback = false;
    this.isRawTunnel = false;
    this.isGrpc = false;
    this.isHttp2 = false;
    this.hopFields = "none";
    this.requestTimeoutMs = 0;
    this.callTimeoutMs = 0;
    this.perTryTimeoutMs = 0;
    this.idleTimeoutMs = 0;
  }
}
