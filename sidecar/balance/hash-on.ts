// What of a request is hashed: the text that `hashOn` names, or that the request lacks it. The cookie that is set then
// is made here too. Parses nothing but what it looks for.
import type { TrafficPolicyResource } from "../../rules/resource.ts";
import type { Random } from "../../runtime/random.ts";
import { hashText } from "./hash.ts";

export type HashOn = NonNullable<TrafficPolicyResource["loadBalancer"]["hashOn"]>;

/** The parts of a request that may be hashed. */
export interface HashSource {
  header(lowerName: string): string | undefined;
  /** Without its "?". */
  readonly query: string;
  readonly sourceAddress: string;
}

/** The text that decides where the request goes; undefined when it has none: then any endpoint is as good. */
export function hashedText(hashOn: HashOn, source: HashSource): string | undefined {
  switch (hashOn.type) {
    case "header":
      return source.header(hashOn.name);
    case "cookie":
      return cookieValue(source.header("cookie"), hashOn.name);
    case "query":
      return queryParameter(source.query, hashOn.name);
    case "sourceIP":
      return source.sourceAddress === "" ? undefined : source.sourceAddress;
  }
}

/** What the balancer goes by. Without a text any endpoint is as good, and always the same one would be a hot spot. */
export function requestHash(text: string | undefined, random: Random): number {
  return text === undefined ? Math.floor(random.next() * 2 ** 32) : hashText(text);
}

/** A cookie for callers that came without: theirs until the browser closes, not readable by scripts. */
export function affinityCookieLine(name: string, value: string): string {
  return `set-cookie: ${name}=${value}; Path=/; HttpOnly\r\n`;
}

/** The value of the first cookie of this name (RFC 6265 section 5.4; names are case-sensitive). */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (let at = 0; at < header.length; ) {
    while (header.charCodeAt(at) === SPACE) at++;
    const end = header.indexOf(";", at) < 0 ? header.length : header.indexOf(";", at);
    if (header.startsWith(name, at) && header[at + name.length] === "=")
      return header.slice(at + name.length + 1, end).trimEnd();
    at = end + 1;
  }
  return undefined;
}

const SPACE = 0x20;

/** The raw value of the first parameter of this name; `a` alone counts as `a=`. */
function queryParameter(query: string, name: string): string | undefined {
  const encoded = encodeURIComponent(name);
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    const key = equals < 0 ? pair : pair.slice(0, equals);
    if (key === name || key === encoded) return equals < 0 ? "" : pair.slice(equals + 1);
  }
  return undefined;
}
