// Texts that many keep at the same time, such as the address of the client that all connections come from: the same
// string for all of them, so that comparing two is comparing references, and that what requests look at stands once in
// the core's cache and not once for each connection.
import { ownCopy } from "./latin1.ts";

/** Longer texts are unlikely to be many's. */
const LENGTH_MAX = 128;
/** Past it all are forgotten: peers choose some of these texts, and must not fill the memory with them. */
const TEXTS_MAX = 4_096;

const texts = new Map<string, string>();

/** The same latin1 text in memory of its own, and mostly the very string that others got for it. Not for every request. */
export function sharedText(text: string): string {
  if (text.length > LENGTH_MAX) return ownCopy(text);
  const known = texts.get(text);
  if (known !== undefined) return known;
  const own = ownCopy(text);
  if (texts.size >= TEXTS_MAX) texts.clear();
  texts.set(own, own);
  return own;
}
