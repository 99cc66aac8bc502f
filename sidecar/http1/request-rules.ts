// What a complete request head means: its authority, its connection fields and its framing, or the rule it breaks.
import { readAuthority } from "./authority.ts";
import { readConnection } from "./connection.ts";
import { readFraming } from "./framing.ts";
import type { MessageHead } from "./head.ts";
import type { RefusalDetail } from "./refusal.ts";
import { keepMeaning, takeMeaning } from "./section-meaning.ts";

/** Fills in the head. @returns the broken rule, or undefined for a request that may be acted on. */
export function readRequest(head: MessageHead): RefusalDetail | undefined {
  const fault = takeMeaning(head) ? readAuthority(head) : readAll(head);
  if (fault !== undefined) return fault;
  // Content in CONNECT means nothing (RFC 9110 section 9.3.6), and the next parser may take it for the tunnel's.
  if (head.isConnect && (head.framing === "chunked" || head.contentLength > 0)) return "body-not-allowed";
  if (head.isConnect) head.framing = "none";
  return undefined;
}

function readAll(head: MessageHead): RefusalDetail | undefined {
  const fault = readFraming(head) ?? readAuthority(head) ?? readConnection(head);
  if (fault === undefined) keepMeaning(head);
  return fault;
}
