// What a complete response head means for the request it answers (RFC 9112 section 6.3): its framing, or the rule it
// breaks.
import { readConnection } from "./connection.ts";
import { FIELD } from "./field.ts";
import { readFraming } from "./framing.ts";
import type { MessageHead } from "./head.ts";
import type { RefusalDetail } from "./refusal.ts";
import { keepMeaning, takeMeaning } from "./section-meaning.ts";

/** Fills in the head. `method` is the request's; `upgradeAsked` whether the request asked for another protocol. */
export function readResponse(head: MessageHead, method: string, upgradeAsked: boolean): RefusalDetail | undefined {
  const fault = takeMeaning(head) ? undefined : readFields(head);
  return fault ?? readStatus(head, method, upgradeAsked);
}

function readFields(head: MessageHead): RefusalDetail | undefined {
  const fault = readFraming(head) ?? readConnection(head);
  if (fault === undefined) keepMeaning(head);
  return fault;
}

/** The part that is asked of a head from another protocol too. */
export function readStatus(head: MessageHead, method: string, upgradeAsked: boolean): RefusalDetail | undefined {
  const status = head.status;
  if (status === 101) {
    // RFC 9110 section 15.2.2: only in answer to an upgrade. Otherwise what follows would be read by nobody's rules.
    if (!upgradeAsked || !head.upgrade) return "unexpected-upgrade";
    head.framing = "tunnel";
  } else head.upgrade = false;
  if (status < 200 || status === 204) return readBodiless(head);
  if (status < 300 && method === "CONNECT") head.framing = "tunnel";
  else if (method === "HEAD" || status === 304) head.framing = "none";
  else if (head.framing === "none") head.framing = "until-close";
  if (head.framing === "tunnel" || head.framing === "until-close") head.keepAlive = false;
  return undefined;
}

/** 1xx and 204 end with their head and carry no framing fields (RFC 9110 section 8.6); many servers send a zero. */
function readBodiless(head: MessageHead): RefusalDetail | undefined {
  if (head.has(FIELD.transferEncoding) || head.contentLength > 0) return "body-not-allowed";
  head.contentLength = -1;
  if (head.framing === "tunnel") head.keepAlive = false;
  else head.framing = "none";
  return undefined;
}
