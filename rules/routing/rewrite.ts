// What URLRewrite and RequestRedirect filters make of a request's path and address. Pure text in, text out;
// changes no request and writes no response.
import type { PathModifier, RouteFilter, RouteMatch } from "../resource.ts";

export type RedirectFilter = Extract<RouteFilter, { type: "RequestRedirect" }>;

/** What a Location is built from. */
export interface RedirectRequest {
  /** Scheme of the request, lower case. */
  readonly scheme: string;
  /** Host header or authority; a port in it is ignored, the API asks for `port`. */
  readonly host: string;
  /** The service port that was asked for: the "listener port" of the Gateway API's text. */
  readonly port: number;
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
}

const WELL_KNOWN_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** A PathPrefix value without the trailing slash, which the Gateway API ignores; empty for `/`. */
export function normalPrefix(value: string): string {
  return value.endsWith("/") ? value.slice(0, -1) : value;
}

/**
 * The path after a modifier. ReplacePrefixMatch follows the table in the Gateway API's HTTPPathModifier: trailing
 * slashes of prefix and replacement do not count, and the result is never empty. It leaves the path alone where the
 * rule did not match by PathPrefix. The query is not part of `path` and survives either way.
 */
export function rewritePath(match: RouteMatch, modifier: PathModifier, path: string): string {
  if (modifier.type === "ReplaceFullPath") return withLeadingSlash(modifier.value);
  if (match.path.type !== "PathPrefix" || !path.startsWith("/")) return path;
  const rest = path.slice(normalPrefix(match.path.value).length);
  return withLeadingSlash(normalPrefix(modifier.value) + rest);
}

function withLeadingSlash(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}

/**
 * The Location of a RequestRedirect. Port: the filter's, else the well-known port of the filter's scheme, else the
 * port that was asked for; not written where it is the well-known port of the resulting scheme (HTTPRequestRedirectFilter.port).
 */
export function redirectLocation(filter: RedirectFilter, match: RouteMatch, request: RedirectRequest): string {
  const scheme = filter.scheme === "" ? request.scheme : filter.scheme;
  const hostname = filter.hostname === "" ? withoutPort(request.host) : filter.hostname;
  const port = filter.port > 0 ? filter.port : impliedPort(filter.scheme, request.port);
  const authority = port === WELL_KNOWN_PORTS[scheme] ? hostname : `${hostname}:${port}`;
  const path = filter.path === undefined ? request.path : rewritePath(match, filter.path, request.path);
  const query = request.query === "" ? "" : `?${request.query}`;
  return `${scheme}://${authority}${path}${query}`;
}

function impliedPort(newScheme: string, askedPort: number): number {
  return WELL_KNOWN_PORTS[newScheme] ?? askedPort;
}

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(":");
  return colon > host.lastIndexOf("]") ? host.slice(0, colon) : host;
}
