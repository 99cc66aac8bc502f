// What the fields of a section mean by themselves, in whatever message of HTTP/1.1 they come: its framing and what they say of
// the connection. Read once for a section that comes again and again (section-memo.ts).
import { FIELD } from "./field.ts";
import type { FieldTable } from "./field-table.ts";
import { isCanonicalCoding, isCanonicalLength } from "./framing.ts";
import type { MessageHead } from "./head.ts";

/** What `head` has is what readFraming and readConnection have made of its fields, and nobody since. */
export function keepMeaning(head: MessageHead): void {
  const { section, present } = head.fields;
  // What a Connection option names is marked in the head's own table.
  if (section === undefined || head.minorVersion === 0 || (present & (1 << FIELD.nominated)) !== 0) return;
  section.meaning = {
    framing: head.framing,
    contentLength: head.contentLength,
    keepAlive: head.keepAlive,
    upgrade: head.upgrade,
    expectContinue: head.expectContinue,
    acceptsTrailers: head.acceptsTrailers,
    keepAliveTimeoutSeconds: head.keepAliveTimeoutSeconds,
    keepAliveMax: head.keepAliveMax,
    isCanonical: isCanonical(head.fields),
  };
}

/** Instead of readFraming and readConnection. @returns whether it is known what the fields mean */
export function takeMeaning(head: MessageHead): boolean {
  const meaning = head.fields.section?.meaning;
  if (meaning === undefined || head.minorVersion === 0) return false;
  head.framing = meaning.framing;
  head.contentLength = meaning.contentLength;
  head.keepAlive = meaning.keepAlive;
  head.upgrade = meaning.upgrade;
  head.expectContinue = meaning.expectContinue;
  head.acceptsTrailers = meaning.acceptsTrailers;
  head.keepAliveTimeoutSeconds = meaning.keepAliveTimeoutSeconds;
  head.keepAliveMax = meaning.keepAliveMax;
  return true;
}

function isCanonical(fields: FieldTable): boolean {
  if (fields.has(FIELD.contentLength)) return isCanonicalLength(fields, fields.indexOf(FIELD.contentLength));
  return !fields.has(FIELD.transferEncoding) || isCanonicalCoding(fields, fields.indexOf(FIELD.transferEncoding));
}
