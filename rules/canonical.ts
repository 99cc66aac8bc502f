// One text for equal values: the form in which documents are stored and resources are hashed and sent.
import { createHash } from "node:crypto";

/** JSON with object keys sorted and undefined members left out. Equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (member === null || typeof member !== "object" || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}

/** 128 bits of SHA-256 in hex: the version of a resource on the wire. */
export function contentHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
