// What a head from another protocol means: the rules of HTTP/1.1 for whole heads, and its bounds. Those for single octets
// the head's own room has asked. Not requests that open a tunnel or change the protocol: those go through the decoder.
import { isAuthority } from "./authority.ts";
import { FIELD } from "./field.ts";
import type { MessageHead } from "./head.ts";
import type { HeadSource } from "./head-source.ts";
import type { Http1Limits } from "./limits.ts";
import type { RefusalDetail } from "./refusal.ts";
import { readStatus } from "./response-rules.ts";

/** Whose requests have a body by nature: an end without one is said in so many words. */
const BODY_METHODS = new Set(["POST", "PUT", "PATCH"]);
/** Octets of a request line besides method and target, and of a field line besides name and value. */
const LINE_OCTETS = " ".length + " HTTP/1.1".length;
const FIELD_OCTETS = ": \r\n".length;
const SLASH = 0x2f;

/**
 * Fills in `head`, which is clear. Content of unknown length is said to be chunked.
 * @param kinds field.ts's kind for each of the source's
 * @param isEnd no content follows
 * @returns the rule that is broken
 */
export function takeRequest(
  head: MessageHead,
  source: HeadSource,
  kinds: Uint8Array,
  isEnd: boolean,
  limits: Http1Limits,
): RefusalDetail | undefined {
  const { method, path, authority } = source;
  head.fields.take(source, kinds, true);
  if (source.contentLength >= 0) setLength(head, source.contentLength);
  else if (!isEnd) head.framing = "chunked";
  else if (BODY_METHODS.has(method)) setLength(head, 0);
  const fault = tooLarge(source, limits, method.length + path.length + LINE_OCTETS);
  if (fault !== undefined) return fault;
  if (authority !== head.lastHost) {
    if (!isAuthority(authority)) return "bad-host";
    head.lastHost = authority;
  }
  head.authority = authority;
  if (path.charCodeAt(0) !== SLASH && (path !== "*" || method !== "OPTIONS")) return "bad-target";
  readPersistence(head, source);
  return undefined;
}

/** As takeRequest, of an answer, final or interim. @param method of the request that it answers */
export function takeResponse(
  head: MessageHead,
  source: HeadSource,
  kinds: Uint8Array,
  isEnd: boolean,
  limits: Http1Limits,
  method: string,
): RefusalDetail | undefined {
  const { status } = source;
  head.fields.take(source, kinds, false);
  head.status = status;
  if (source.contentLength >= 0) setLength(head, source.contentLength);
  else if (!isEnd && status >= 200 && status !== 204 && status !== 304) head.framing = "chunked";
  const fault = tooLarge(source, limits, "HTTP/1.1 200 ".length);
  if (fault !== undefined) return fault;
  readPersistence(head, source);
  return readStatus(head, method, "");
}

function setLength(head: MessageHead, length: number): void {
  head.framing = "length";
  head.contentLength = length;
}

/** Bounds are those of the same head in HTTP/1.1; a field that says where the content ends counts when it is there. */
function tooLarge(source: HeadSource, limits: Http1Limits, startLine: number): RefusalDetail | undefined {
  const { count, authority, listBytes } = source;
  if (startLine > limits.startLineBytesMax) return "start-line-too-long";
  if (count + 1 > limits.fieldsMax) return "too-many-fields";
  if (listBytes > 0 && startLine + listBytes + "\r\n\r\n".length <= limits.headBytesMax) return undefined;
  let octets = startLine + "\r\n\r\n".length + "host".length + authority.length + FIELD_OCTETS;
  for (let index = 0; index < count; index++)
    octets += source.nameAt(index).length + source.valueAt(index).length + FIELD_OCTETS;
  return octets > limits.headBytesMax ? "head-too-large" : undefined;
}

/** Connections are another protocol's: they stay. */
function readPersistence(head: MessageHead, { acceptsTrailers }: HeadSource): void {
  head.minorVersion = 1;
  head.keepAlive = true;
  head.acceptsTrailers = acceptsTrailers;
  if (head.has(FIELD.expect)) head.expectContinue = (head.value("expect") ?? "").toLowerCase() === "100-continue";
}
