// Kinds as people type them on a command line.
import { findKind, KINDS, kindNames } from "../../rules/kinds.ts";
import { suggest } from "../../rules/suggest.ts";
import { usageFailure } from "./failure.ts";
import { hintForKind } from "./hints.ts";

/**
 * The kind that a word means (`httproute`, `HTTPRoutes`, `hr`), whatever its case.
 * @throws CliFailure (usage) with the nearest kind when it means none.
 */
export function resolveKind(word: string): string {
  const found = findKind(word);
  if (found !== undefined) return found.kind;
  const near = didYouMean(word, kindNames());
  throw usageFailure(
    `unknown kind "${word}"${near}`,
    ...(near === "" ? hintForKind(word) : []),
    `kinds are: ${KINDS.map((kind) => kind.toLowerCase()).join(", ")}`,
  );
}

/** ` (did you mean x?)`, or nothing when no candidate is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const near = suggest(word, candidates);
  return near === "" ? "" : ` (did you mean ${near}?)`;
}
