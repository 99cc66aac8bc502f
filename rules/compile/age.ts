// How old a document is, and which of two that say the same wins: the Gateway API's rule for every conflict, oldest
// first, then by namespace and name.
import { qualifiedName } from "../diagnostic.ts";
import type { Document } from "../document.ts";

/** The last moment that a Date can hold: a document without a time of creation yields to any that has one. */
const UNKNOWN_AGE_MS = 8_640_000_000_000_000;

/** Milliseconds since the epoch at which a document was created. */
export function createdAtMs(document: Document): number {
  const { creationTimestamp } = document.metadata;
  const time = creationTimestamp === undefined ? Number.NaN : Date.parse(creationTimestamp);
  return Number.isNaN(time) ? UNKNOWN_AGE_MS : Math.max(0, time);
}

/** Negative when `a` has precedence over `b`. */
export function compareAge(a: Document, b: Document): number {
  return createdAtMs(a) - createdAtMs(b) || compareText(title(a), title(b));
}

function title({ metadata }: Document): string {
  return qualifiedName(metadata.namespace, metadata.name);
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
