// Who a request is for: Host and the forms of the request-target (RFC 9112 sections 3.2 and 3.3, RFC 3986 section
// 3.2). One answer only: what the next reader might take for another one is refused, or replaced by the encoder.
import { isIPv6 } from "node:net";
import { sharedText } from "../../runtime/shared-text.ts";
import { FIELD } from "./field.ts";
import type { MessageHead } from "./head.ts";
import { DIGIT, HEX, HOST, isAll, OCTET } from "./octet.ts";
import type { RefusalDetail } from "./refusal.ts";

const PORT_MAX = 65_535;
/** The longest spelling, with an IPv4 address at its end, and the bracket. */
const IPV6_BYTES_MAX = 46;

/** Sets authority, isConnect, isAbsoluteForm and originStart. */
export function readAuthority(head: MessageHead): RefusalDetail | undefined {
  const fields = head.fields;
  const { section } = fields;
  if ((fields.repeated & (1 << FIELD.host)) !== 0) return "host-repeated";
  if (section !== undefined && section.authority !== "") {
    head.authority = section.authority;
    head.lastHost = section.authority;
  } else if (head.lastHost !== "" && fields.isKnown(FIELD.host, head.lastHost)) head.authority = head.lastHost;
  else {
    const host = fields.known(FIELD.host);
    if (host === undefined && head.minorVersion === 1) return "host-missing";
    if (host !== undefined && !isAuthority(host)) return "bad-host";
    head.authority = host ?? "";
    if (host !== undefined) head.lastHost = sharedText(host);
  }
  if (section !== undefined) section.authority = head.authority;
  head.originStart = head.secondStart;
  if (head.firstEnd === 7 && head.method === "CONNECT") return readConnect(head);
  // Lines that are known have a path.
  const lead = head.knownLine === undefined ? fields.octetAt(head.secondStart) : 0x2f;
  if (lead === 0x2f) return undefined;
  if (lead === 0x2a && head.secondEnd - head.secondStart === 1) {
    return head.method === "OPTIONS" ? undefined : "bad-target";
  }
  return readAbsolute(head);
}

/** authority-form, with a port always; Host may leave the port out, as some clients do. */
function readConnect(head: MessageHead): RefusalDetail | undefined {
  const target = head.target;
  if (!isAuthority(target) || !/:\d+$/.test(target)) return "bad-authority";
  const host = head.authority.toLowerCase();
  const named = target.toLowerCase();
  if (host !== "" && host !== named && host !== named.replace(/:\d+$/, "")) return "host-disagrees";
  head.authority = target;
  head.isConnect = true;
  return undefined;
}

/** absolute-form: what a client sends that uses the sidecar as its HTTP proxy. */
function readAbsolute(head: MessageHead): RefusalDetail | undefined {
  const target = head.target;
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(target);
  if (scheme === null) return "bad-target";
  const isPlain = (scheme[1] ?? "").toLowerCase() === "http";
  if (!isPlain && (scheme[1] ?? "").toLowerCase() !== "https") return "bad-scheme";
  const start = scheme[0].length;
  let end = start;
  while (end < target.length && target[end] !== "/" && target[end] !== "?") end++;
  const authority = target.slice(start, end);
  if (!isAuthority(authority)) return "bad-authority";
  // A proxy must ignore the Host that came, and replace it (RFC 9112 section 3.2.2): the encoder does.
  head.authority = authority;
  head.isAbsoluteForm = true;
  head.originStart = head.secondStart + end;
  return undefined;
}

/** uri-host [":" port], not empty: a name, an IPv4 address or a bracketed IPv6 address; no user information. */
export function isAuthority(text: string): boolean {
  let at = 0;
  if (text.charCodeAt(0) === 0x5b) {
    const close = text.indexOf("]");
    if (close < 0 || close > IPV6_BYTES_MAX || !isIPv6(text.slice(1, close)) || text.includes("%")) return false;
    at = close + 1;
  } else {
    while (at < text.length && text.charCodeAt(at) !== 0x3a) {
      const code = text.charCodeAt(at);
      if (code === 0x25 && isAll(text, at + 1, at + 3, HEX) && at + 2 < text.length) at += 3;
      else if (code < 256 && ((OCTET[code] as number) & HOST) !== 0) at++;
      else return false;
    }
    if (at === 0) return false;
  }
  if (at === text.length) return true;
  if (text.charCodeAt(at) !== 0x3a) return false;
  if (at + 1 === text.length) return true;
  return text.length - at <= 6 && isAll(text, at + 1, text.length, DIGIT) && Number(text.slice(at + 1)) <= PORT_MAX;
}
