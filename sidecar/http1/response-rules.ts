// What a complete response head means for the request it answers (RFC 9112 section 6.3): its framing, or the rule it
// breaks.
import { readConnection } from "./connection.ts";
import { FIELD } from "./field.ts";
import { readFraming } from "./framing.ts";
import type { MessageHead } from "./head.ts";
import type { RefusalDetail } from "./refusal.ts";
import { keepMeaning, takeMeaning } from "./section-meaning.ts";
import { isAskedFor } from "./upgrade.ts";

const UPGRADE_REQUIRED = 426;

/** Fills in the head. `method` is the request's; `askedProtocols` its `Upgrade`, "" where it asked for no other protocol. */
export function readResponse(head: MessageHead, method: string, askedProtocols: string): RefusalDetail | undefined {
  const fault = takeMeaning(head) ? undefined : readFields(head);
  return fault ?? readStatus(head, method, askedProtocols);
}

function readFields(head: MessageHead): RefusalDetail | undefined {
  const fault = readFraming(head) ?? readConnection(head);
  if (fault === undefined) keepMeaning(head);
  return fault;
}

/** The part that is asked of a head from another protocol too. */
export function readStatus(head: MessageHead, method: string, askedProtocols: string): RefusalDetail | undefined {
  const status = head.status;
  if (status === 101) {
    // RFC 9110 sections 7.8 and 15.2.2: only in answer to an upgrade, and to a protocol that it named. Otherwise what
    // follows would be read by nobody's rules.
    if (!head.upgrade || !isAskedFor(head.value("upgrade") ?? "", askedProtocols)) return "unexpected-upgrade";
    head.framing = "tunnel";
  } else {
    // RFC 9110 section 15.5.22: it has to say which protocol it wants. Others only advertise one, to their neighbour.
    head.upgrade = status === UPGRADE_REQUIRED && head.has(FIELD.upgrade);
  }
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
