// Filters as people write them -> filters with every default filled in and names qualified.
import { defaultOf } from "../defaults.ts";
import { qualifiedName } from "../diagnostic.ts";
import type { HeaderField, HeaderModifier, PathModifier, RouteFilter } from "../resource.ts";
import type { GrpcFilter, HttpFilter } from "../schema/filter.ts";

type Spec<Type extends HttpFilter["type"]> = Extract<HttpFilter, { type: Type }>;
type MirrorSpec = Spec<"RequestMirror">["requestMirror"];
type ModifierSpec = Spec<"RequestHeaderModifier">["requestHeaderModifier"];
type PathModifierSpec = NonNullable<Spec<"URLRewrite">["urlRewrite"]["path"]>;

const REDIRECT = "HTTPRoute.spec.rules[].filters[].requestRedirect";
const MIRROR = "HTTPRoute.spec.rules[].filters[].requestMirror";
const CORS = "HTTPRoute.spec.rules[].filters[].cors";

/** @param namespace of the route, in which unqualified backends are */
export function compileFilters(
  filters: readonly (HttpFilter | GrpcFilter)[] | undefined,
  namespace: string,
): RouteFilter[] {
  return (filters ?? []).map((filter) => compileFilter(filter, namespace));
}

function compileFilter(filter: HttpFilter | GrpcFilter, namespace: string): RouteFilter {
  switch (filter.type) {
    case "RequestHeaderModifier":
      return { type: filter.type, modifier: compileModifier(filter.requestHeaderModifier) };
    case "ResponseHeaderModifier":
      return { type: filter.type, modifier: compileModifier(filter.responseHeaderModifier) };
    case "RequestMirror":
      return compileMirror(filter.requestMirror, namespace);
    case "RequestRedirect":
      return compileRedirect(filter.requestRedirect);
    case "URLRewrite":
      return {
        type: filter.type,
        hostname: filter.urlRewrite.hostname ?? "",
        path: compilePathModifier(filter.urlRewrite.path),
      };
    case "CORS":
      return compileCors(filter.cors);
  }
}

function compileModifier(spec: ModifierSpec): HeaderModifier {
  const remove = new Set((spec.remove ?? []).map((name) => name.toLowerCase()));
  return { set: firstOfEachName(spec.set), add: firstOfEachName(spec.add), remove: [...remove] };
}

/** Names are compared without case, and only the first of equal names counts (HTTPHeader.name). */
function firstOfEachName(fields: readonly HeaderField[] | undefined): HeaderField[] {
  const seen = new Set<string>();
  return (fields ?? []).flatMap(({ name, value }) => {
    const lower = name.toLowerCase();
    if (seen.has(lower)) return [];
    seen.add(lower);
    return [{ name, value }];
  });
}

function compileMirror(spec: MirrorSpec, namespace: string): RouteFilter {
  const { backendRef } = spec;
  return {
    type: "RequestMirror",
    service: qualifiedName(backendRef.namespace ?? namespace, backendRef.name),
    port: backendRef.port ?? 0,
    ...mirrorShare(spec),
  };
}

/** Percentages may have decimals; shares are whole numbers, in millionths where they must be. */
function mirrorShare({ percent, fraction }: MirrorSpec): { numerator: number; denominator: number } {
  if (fraction !== undefined) {
    return {
      numerator: fraction.numerator,
      denominator: fraction.denominator ?? defaultOf(`${MIRROR}.fraction.denominator`),
    };
  }
  const share = percent ?? defaultOf(`${MIRROR}.percent`);
  if (Number.isInteger(share)) return { numerator: share, denominator: 100 };
  return { numerator: Math.round(share * 10_000), denominator: 1_000_000 };
}

function compileRedirect(spec: Spec<"RequestRedirect">["requestRedirect"]): RouteFilter {
  return {
    type: "RequestRedirect",
    scheme: spec.scheme ?? "",
    hostname: spec.hostname ?? "",
    path: compilePathModifier(spec.path),
    port: spec.port ?? 0,
    status: spec.statusCode ?? defaultOf(`${REDIRECT}.statusCode`),
  };
}

function compilePathModifier(spec: PathModifierSpec | undefined): PathModifier | undefined {
  if (spec === undefined) return undefined;
  return spec.type === "ReplaceFullPath"
    ? { type: spec.type, value: spec.replaceFullPath }
    : { type: spec.type, value: spec.replacePrefixMatch };
}

function compileCors(spec: Spec<"CORS">["cors"]): RouteFilter {
  return {
    type: "CORS",
    allowOrigins: spec.allowOrigins ?? [],
    allowMethods: spec.allowMethods ?? [],
    allowHeaders: spec.allowHeaders ?? [],
    exposeHeaders: spec.exposeHeaders ?? [],
    allowCredentials: spec.allowCredentials ?? defaultOf(`${CORS}.allowCredentials`),
    maxAgeSeconds: spec.maxAge ?? defaultOf(`${CORS}.maxAge`),
  };
}
