// A release laid over the rules of its service: the share of the stable version, of the service itself and of the
// canary becomes what the Rollout says, in every rule that sends to the first two; other backends keep theirs. A
// service without a route gets the split as its only rule. docs/decisions/0010-rollout-overlay.md has the reasons.
import { qualifiedName } from "../diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../document.ts";
import type {
  RolloutSplit,
  RouteBackend,
  RouteFilter,
  RouteMatch,
  RouteRule,
  ServicePort,
  ValueMatch,
} from "../resource.ts";
import { type RolloutStatus, statusOf } from "../rollout-status.ts";
import { BUCKETS } from "../routing/bucket.ts";
import type { RolloutSpec } from "../schema/rollout.ts";
import { createdAtMs } from "./age.ts";

/** Largest weight of the Gateway API. */
const WEIGHT_MAX = 1_000_000;
/** Methods that change nothing (RFC 9110 section 9.2.1): what may be sent twice without being told. */
const SAFE_METHODS = ["GET", "HEAD", "OPTIONS", "TRACE"];
const EVERYTHING: RouteMatch = { path: { type: "PathPrefix", value: "/" }, method: "", headers: [], query: [] };

/** The service whose rules they are. */
export interface Parent {
  /** `namespace/name`. */
  readonly service: string;
  readonly ports: readonly ServicePort[];
}

/** What the overlay needs of a release. */
interface Release {
  readonly stable: string;
  readonly canary: string;
  readonly status: RolloutStatus | undefined;
  /** Percent; after what exists was looked at. */
  readonly weight: number;
  readonly split: RolloutSplit;
}

/** @param exists whether there is a service of that qualified name */
export function overlayRollout(
  rules: readonly RouteRule[],
  parent: Parent,
  rollout: Document<RolloutSpec>,
  exists: (service: string) => boolean,
): readonly RouteRule[] {
  const release = releaseOf(rollout, exists);
  if (release === undefined) return rules;
  const own = rules.map((rule) => splitRule(rule, parent.service, release));
  return [
    ...own.flat(),
    ...impliedRules(rules, parent, rollout).flatMap((rule) => splitRule(rule, parent.service, release)),
  ];
}

/** A release acts when its stable version exists, or when the canary has taken over from one that is gone. */
function releaseOf(rollout: Document<RolloutSpec>, exists: (service: string) => boolean): Release | undefined {
  const { namespace } = rollout.metadata;
  const { spec } = rollout;
  const stable = qualifiedName(namespace, spec.stable);
  const canary = qualifiedName(namespace, spec.canary);
  const status = statusOf(rollout);
  const told = status?.weight ?? 0;
  if (!exists(stable) && (told === 0 || !exists(canary))) return undefined;
  const weight = !exists(stable) ? 100 : exists(canary) ? told : 0;
  const split: RolloutSplit = {
    rollout: documentTitle(documentKey(rollout)),
    key: stickyKey(spec.sticky),
    salt: `${namespace}/${rollout.metadata.name}/${spec.canary}`,
    isLive: status?.isLive ?? true,
  };
  return { stable, canary, status, weight, split };
}

function stickyKey(sticky: RolloutSpec["sticky"]): RolloutSplit["key"] {
  if (sticky?.header !== undefined) return { type: "header", name: sticky.header.toLowerCase() };
  if (sticky?.cookie !== undefined) return { type: "cookie", name: sticky.cookie };
  if (sticky?.claim !== undefined) return { type: "claim", name: sticky.claim };
  if (sticky?.query !== undefined) return { type: "query", name: sticky.query };
  return undefined;
}

/** The rule as the release has it, and before it the one for testers. A rule of other backends stays as it is. */
function splitRule(rule: RouteRule, service: string, release: Release): RouteRule[] {
  const { stable, canary } = release;
  const isShifted = ({ service: name, invalid }: RouteBackend) =>
    invalid === "" && [stable, canary, service].includes(name);
  const shifted = rule.backends.filter(isShifted);
  const standIn = shifted.find((backend) => backend.service !== canary);
  const total = shifted.reduce((sum, { weight }) => sum + weight, 0);
  if (standIn === undefined || total === 0) return [rule];
  const others = rule.backends.filter((backend) => !isShifted(backend));
  const sides = {
    canary: { ...(shifted.find((backend) => backend.service === canary) ?? standIn), service: canary },
    stable: { ...standIn, service: stable },
  };
  const all = total + others.reduce((sum, { weight }) => sum + weight, 0);
  const scale = others.length === 0 ? BUCKETS / total : Math.max(1, Math.min(BUCKETS, Math.floor(WEIGHT_MAX / all)));
  const share = Math.round(total * scale);
  const weight = Math.round((share * release.weight) / 100);
  const backends = [
    { ...sides.canary, weight },
    { ...sides.stable, weight: share - weight },
    ...others.map((backend) => ({ ...backend, weight: backend.weight * scale })),
  ];
  const filters = [...rule.filters, ...mirrorFilters(sides.canary, release.status)];
  return [...testerRule(rule, sides, release), { ...rule, filters, backends, split: release.split }];
}

/** Requests of testers, who go to the canary whatever its weight: one more condition wins in the Gateway API's order. */
function testerRule(
  rule: RouteRule,
  { canary, stable }: { readonly canary: RouteBackend; readonly stable: RouteBackend },
  { status, split, weight }: Release,
): RouteRule[] {
  if (status?.match === undefined || !status.isLive || weight === 100) return [];
  const conditions = testerConditions(status.match);
  const matches = rule.matches.map((match) => ({ ...match, headers: [...match.headers, ...conditions] }));
  const backends = [
    { ...canary, weight: BUCKETS },
    { ...stable, weight: 0 },
  ];
  return [{ ...rule, matches, backends, split }];
}

function testerConditions({ headers, cookie }: NonNullable<RolloutStatus["match"]>): ValueMatch[] {
  const conditions: ValueMatch[] = (headers ?? []).map(({ name, type, value }) => ({
    name: name.toLowerCase(),
    type: type ?? "Exact",
    value,
  }));
  if (cookie !== undefined) {
    const name = cookie.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    conditions.push({ name: "cookie", type: "RegularExpression", value: `(?:.*;)? *${name}=.*` });
  }
  return conditions;
}

function mirrorFilters({ service, port }: RouteBackend, status: RolloutStatus | undefined): RouteFilter[] {
  if (status?.mirror === undefined || !status.isLive) return [];
  const { percent, allMethods } = status.mirror;
  const [numerator, denominator] = [Math.round(percent * 100), BUCKETS];
  const methods = allMethods ? undefined : SAFE_METHODS;
  return [{ type: "RequestMirror", service, port, numerator, denominator, methods }];
}

/** A rule for the requests that no route is attached for: all, or those to ports that no route names. */
function impliedRules(rules: readonly RouteRule[], parent: Parent, rollout: Document<RolloutSpec>): RouteRule[] {
  const producers = rules.filter(({ fromNamespace }) => fromNamespace === "");
  if (producers.some(({ ports }) => ports.length === 0)) return [];
  const named = new Set(producers.flatMap(({ ports }) => ports));
  const free = parent.ports.map(({ port }) => port).filter((port) => !named.has(port));
  const implied = (ports: readonly number[], port: number): RouteRule => ({
    route: documentTitle(documentKey(rollout)),
    ruleIndex: 0,
    ruleName: "",
    createdAtMs: createdAtMs(rollout),
    ports,
    fromNamespace: "",
    matches: [EVERYTHING],
    filters: [],
    backends: [{ service: parent.service, port, weight: 1, filters: [], invalid: "" }],
    timeouts: { requestMs: undefined, backendRequestMs: undefined },
    retry: undefined,
  });
  if (named.size === 0 && parent.ports.length <= 1) return [implied([], 0)];
  return free.map((port) => implied([port], port));
}
