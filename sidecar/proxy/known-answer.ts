// Answers of HTTP/1.1 that go on in HTTP/2 as they came, and of which the fields came before: these stand ready, and only
// the status is put in.
import { sharedText } from "../../runtime/shared-text.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";
import { Http2Head, newNumber } from "../http2/head.ts";
import { readResponse } from "./http2-fields.ts";

/**
 * What `readResponse` makes of the final answer `head`, which has content, for as long as nobody else asks.
 * @returns undefined where it has to be made
 */
export function knownAnswer(head: MessageHead, edits: HeadEdits): Http2Head | undefined {
  const { section } = head.fields;
  if (section === undefined || edits.editCount > 0 || edits.append !== "" || edits.framing !== "same") return undefined;
  let fields = section.memo instanceof Http2Head ? section.memo : undefined;
  if (fields === undefined) {
    fields = new Http2Head();
    readResponse(head, edits, fields);
    // Pieces of a larger text would keep that alive, and are slow to compare.
    for (let index = 0; index < fields.count; index++) fields.setValueAt(index, sharedText(fields.valueAt(index)));
    fields.setLasting(fields.count, newNumber());
    section.memo = fields;
  }
  fields.status = head.status;
  return fields;
}
