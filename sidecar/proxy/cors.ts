// The CORS filter of the Gateway API (GEP-1767) and the protocol of the Fetch standard: preflight requests are answered
// here, other answers get their access-control fields.

import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";
import type { CorsFilter } from "../route/rule-plan.ts";

const OWN_FIELDS = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-expose-headers",
] as const;

/** A preflight request: OPTIONS with Origin and the method that is asked for. */
export function isPreflight(head: MessageHead): boolean {
  return (
    head.method === "OPTIONS" &&
    head.value("origin") !== undefined &&
    head.value("access-control-request-method") !== undefined
  );
}

/** Field lines of the answer to a preflight; empty when the origin is not allowed, which the browser takes as no. */
export function preflightLines(filter: CorsFilter, head: MessageHead): string {
  const origin = head.value("origin") ?? "";
  if (!isAllowedOrigin(filter, origin)) return VARY;
  const method = head.value("access-control-request-method") ?? "";
  const headers = head.value("access-control-request-headers") ?? "";
  let lines = originLines(filter, origin);
  const methods = wildcardOr(filter.allowMethods, filter.allowCredentials, method);
  if (methods !== "") lines += `access-control-allow-methods: ${methods}\r\n`;
  const allowed = wildcardOr(filter.allowHeaders, filter.allowCredentials, headers);
  if (allowed !== "") lines += `access-control-allow-headers: ${allowed}\r\n`;
  return `${lines}access-control-max-age: ${filter.maxAgeSeconds}\r\n`;
}

/** Field lines for any other answer. What the endpoint itself said about CORS is taken out through `edits`. */
export function corsLines(edits: HeadEdits | undefined, filter: CorsFilter, head: MessageHead): string {
  const origin = head.value("origin");
  if (origin === undefined) return "";
  if (edits !== undefined) for (const name of OWN_FIELDS) edits.remove(name);
  if (!isAllowedOrigin(filter, origin)) return VARY;
  const exposed = filter.exposeHeaders.join(", ");
  return originLines(filter, origin) + (exposed === "" ? "" : `access-control-expose-headers: ${exposed}\r\n`);
}

const VARY = "vary: origin\r\n";

function originLines(filter: CorsFilter, origin: string): string {
  const anyOrigin = filter.allowOrigins.includes("*") && !filter.allowCredentials;
  const credentials = filter.allowCredentials ? "access-control-allow-credentials: true\r\n" : "";
  return `access-control-allow-origin: ${anyOrigin ? "*" : origin}\r\n${credentials}${anyOrigin ? "" : VARY}`;
}

/** With credentials `*` is a name like any other to browsers, so what was asked for is named. */
function wildcardOr(allowed: readonly string[], hasCredentials: boolean, asked: string): string {
  if (!allowed.includes("*")) return allowed.join(", ");
  return hasCredentials ? asked : "*";
}

/** Exact, `*`, or with one `*` at the start of the host: `https://*.example.com`. */
function isAllowedOrigin(filter: CorsFilter, origin: string): boolean {
  return filter.allowOrigins.some((allowed) => {
    if (allowed === "*" || allowed === origin) return true;
    const star = allowed.indexOf("*");
    if (star < 0) return false;
    const [prefix, suffix] = [allowed.slice(0, star), allowed.slice(star + 1)];
    return origin.length > prefix.length + suffix.length && origin.startsWith(prefix) && origin.endsWith(suffix);
  });
}
