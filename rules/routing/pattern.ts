// Regular expressions of rules: RE2 syntax, whole-value matching, linear time whatever the input, with a bounded
// memory of recent answers because one run of the engine costs about 35 times a lookup. Not a general cache.
import { regexEngine } from "../regex-engine.ts";

/** A compiled regular expression. `test` is true when the WHOLE value matches, as in Envoy and Istio. */
export interface Pattern {
  readonly source: string;
  /** What every value that matches begins with; may be empty. */
  readonly prefix: string;
  test(value: string): boolean;
}

/** Answers kept per generation; two generations live at a time. */
export const PATTERN_CACHE_ENTRIES_MAX = 128;
/** Longer values are matched but not remembered, so that a cache holds at most some 64 KB of text. */
const PATTERN_CACHED_LENGTH_MAX = 256;

/** Patterns that somebody holds, by source: a rule change compiles only the expressions that are new. */
const held = new Map<string, WeakRef<Pattern>>();
const forgotten = new FinalizationRegistry<string>((source) => {
  if (held.get(source)?.deref() === undefined) held.delete(source);
});

/**
 * The pattern of `source`: the one in use where there is one, else compiled (0.1 ms).
 * @throws with the engine's message when it is not valid RE2 syntax
 */
export function patternOf(source: string): Pattern {
  const known = held.get(source)?.deref();
  if (known !== undefined) return known;
  const pattern = compilePattern(source);
  held.set(source, new WeakRef(pattern));
  forgotten.register(pattern, source);
  return pattern;
}

function compilePattern(source: string): Pattern {
  const engine = regexEngine().compile(source);
  const prefix = literalPrefix(source);
  let young = new Map<string, boolean>();
  let old = new Map<string, boolean>();

  function remember(value: string, matched: boolean): void {
    if (young.size >= PATTERN_CACHE_ENTRIES_MAX) {
      old = young;
      young = new Map();
    }
    young.set(detached(value), matched);
  }

  function test(value: string): boolean {
    if (prefix !== "" && !value.startsWith(prefix)) return false;
    const recent = young.get(value);
    if (recent !== undefined) return recent;
    const matched = old.get(value) ?? engine.testExact(value);
    if (value.length <= PATTERN_CACHED_LENGTH_MAX) remember(value, matched);
    return matched;
  }

  return { source, prefix, test };
}

/** Copies a string, so that a cache key which is a slice of a request head does not keep that whole head alive. */
function detached(value: string): string {
  return ` ${value}`.slice(1);
}

/** Special characters, and everything that may be half of a character to the engine's eye. */
const META = /[\\^$.|?*+()[\]{}]|[^ -~]/;
const QUANTIFIER = /[?*+{]/;

/**
 * The text that every match must begin with: the pattern up to its first special character. Empty where that
 * cannot be read off simply, which is always right: it only saves the engine a run.
 */
export function literalPrefix(source: string): string {
  if (source.includes("|")) return "";
  let prefix = "";
  let position = source.startsWith("^") ? 1 : 0;
  while (position < source.length) {
    let character = source.charAt(position);
    if (character === "\\") {
      character = source.charAt(position + 1);
      // Only escaped punctuation is itself; `\d`, `\Q`, `\x41` and the like are not.
      if (character === "" || /[0-9A-Za-z]/.test(character)) break;
      position += 1;
    } else if (META.test(character)) {
      break;
    }
    if (QUANTIFIER.test(source.charAt(position + 1))) break;
    prefix += character;
    position += 1;
  }
  return prefix;
}
