// Answers that go on in the other protocol as they came, and of which the fields came before: these stand ready.
import { sharedText } from "../../runtime/shared-text.ts";
import { ResponseDecoder } from "../http1/decoder.ts";
import { encodeResponseHead } from "../http1/encoder.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";
import { Http2Head, newNumber } from "../http2/head.ts";
import { readResponse } from "./http2-fields.ts";
import { HTTP1_KINDS } from "./http2-heads.ts";
import { knownTextOf } from "./known-text.ts";

/**
 * HTTP/1.1 to HTTP/2: what `readResponse` makes of the final answer `head`, which has content, for as long as nobody else asks.
 * @returns undefined where it has to be made
 */
export function knownAnswer(head: MessageHead, edits: HeadEdits): Http2Head | undefined {
  const { section } = head.fields;
  if (section === undefined || !isPlain(edits)) return undefined;
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

/**
 * HTTP/2 to HTTP/1.1: what `encodeResponseHead` makes of the final answer `head`, which came as `fields`.
 * @param method of the request
 */
export function answerText(head: MessageHead, fields: Http2Head, edits: HeadEdits, method: string): string {
  const { sourceKinds, source } = head.fields;
  const { block } = fields;
  const isKnown = sourceKinds !== undefined && block !== undefined && source === fields;
  if (!isKnown || !isPlain(edits) || edits.connection !== "") return encodeResponseHead(head, edits);
  const known = knownTextOf(sourceKinds);
  if (!known.comeAgain(head.framing, 0, "", false)) return encodeResponseHead(head, edits);
  const text = known.with(fields, "");
  if (text !== "") return text;
  known.keep(fields, block.values, (marked) => {
    const decoder = new ResponseDecoder();
    decoder.expect(method, "");
    return decoder.takeHead(marked, HTTP1_KINDS, head.framing === "none")
      ? encodeResponseHead(decoder.head, edits)
      : "";
  });
  return encodeResponseHead(head, edits);
}

/** Nothing of the fields is changed. */
function isPlain({ editCount, append, framing, status }: HeadEdits): boolean {
  return editCount === 0 && append === "" && framing === "same" && status === 0;
}
