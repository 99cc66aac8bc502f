// Does an answer 101 go on in a protocol that the request asked for (RFC 9110 section 7.8)? Not which upgrades are
// offered on: connection.ts.
import { trimmed } from "./octet.ts";

/** Protocols that one answer switches to, one on top of the other: real ones name one. Each is looked for among those asked for. */
const CONFIRMED_MAX = 8;

/**
 * Names are compared without case. A version has to be the one that was asked for; said on one side only, it is no other.
 * @param confirmed the answer's `Upgrade`: all that it names must have been asked for
 * @param asked the request's `Upgrade`; "": it asked for none
 */
export function isAskedFor(confirmed: string, asked: string): boolean {
  const named = protocolsIn(confirmed, CONFIRMED_MAX + 1);
  if (named.length === 0 || named.length > CONFIRMED_MAX) return false;
  const known = protocolsIn(asked);
  return named.every((protocol) => known.some((other) => isSame(protocol, other)));
}

interface Protocol {
  readonly name: string;
  /** "": any. */
  readonly version: string;
}

function protocolsIn(list: string, max?: number): Protocol[] {
  const parts = list.split(",", max).map(trimmed);
  return parts.filter((part) => part !== "").map(readProtocol);
}

function readProtocol(text: string): Protocol {
  const slash = text.indexOf("/");
  if (slash < 0) return { name: text.toLowerCase(), version: "" };
  return { name: text.slice(0, slash).toLowerCase(), version: text.slice(slash + 1) };
}

function isSame(one: Protocol, other: Protocol): boolean {
  if (one.name !== other.name) return false;
  return one.version === "" || other.version === "" || one.version === other.version;
}
