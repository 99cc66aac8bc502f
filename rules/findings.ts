// What a schema found, in the words of the person who wrote the document: which field, what is there, what was expected,
// what was probably meant. The only file that reads the schema library's own issues.
import { z } from "zod";
import type { FieldPath } from "./field-path.ts";
import { quote } from "./schema/field.ts";
import { UNSUPPORTED_FILTERS } from "./schema/filter.ts";
import { suggest } from "./suggest.ts";

/** One thing that is wrong with a value. `at` says which text to point at: the field's name or its value. */
export interface Finding {
  readonly path: FieldPath;
  readonly at: "key" | "value";
  readonly message: string;
  readonly expected: string;
  readonly suggestion: string;
}

type Issue = z.core.$ZodIssue;

/** Legal words are listed up to this many; a longer list helps nobody. */
const WORDS_SHOWN_MAX = 24;

/** The findings for a value that does not fit the schema, at most `max`; none when it fits. */
export function findProblems(schema: z.ZodType, value: unknown, max: number): Finding[] {
  const result = schema.safeParse(value, { error: expectation, reportInput: true });
  if (result.success) return [];
  const findings: Finding[] = [];
  for (const issue of result.error.issues) {
    for (const finding of describe(issue, value)) {
      if (findings.length >= max) return findings;
      findings.push(finding);
    }
  }
  return findings;
}

/** The words for "expected ..." of an issue whose schema brings none; see field.ts for those that do. */
function expectation(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return TYPE_WORDS[issue.expected] ?? issue.expected;
    case "invalid_value":
      return wordList(issue.values.map(String));
    case "unrecognized_keys":
      // The names themselves, for the did-you-mean; describe() makes a sentence of them.
      return issue.inst instanceof z.ZodObject ? fieldNames(issue.inst.shape).join(" ") : "";
    case "too_big":
      return `at most ${issue.maximum}`;
    case "too_small":
      return `at least ${issue.minimum}`;
    default:
      return "";
  }
}

/** Without the fields that are only tolerated (`z.unknown()`). */
function fieldNames(shape: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(shape)
    .filter(([, field]) => !(field instanceof z.ZodOptional && field.unwrap() instanceof z.ZodUnknown))
    .map(([name]) => name);
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: "an object",
  record: "an object",
  array: "a list",
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};

function wordList(words: readonly string[]): string {
  const shown = words.slice(0, WORDS_SHOWN_MAX).map((word) => (word === "" ? '""' : word));
  const rest = words.length - shown.length;
  return `${words.length === 1 ? "" : "one of "}${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

function describe(issue: Issue, root: unknown): Finding[] {
  const path = issue.path.map((step) => (typeof step === "number" ? step : String(step)));
  switch (issue.code) {
    case "unrecognized_keys":
      return unknownFields(issue.keys, issue.message, path);
    case "invalid_key":
      return issue.issues.map((inner) => ({
        path,
        at: "key",
        message: inner.code === "custom" ? inner.message : "is not a legal key",
        expected: expectedOf(inner),
        suggestion: "",
      }));
    case "custom":
      return [{ path, at: "value", message: issue.message, expected: expectedOf(issue), suggestion: "" }];
    case "invalid_union":
      return [mismatch(path, root, unionExpectation(issue, path, root), unionWords(issue))];
    case "invalid_value":
      return [mismatch(path, root, issue.message, issue.values.map(String))];
    default:
      return [mismatch(path, root, issue.message, [])];
  }
}

function expectedOf(issue: Issue): string {
  if (issue.code !== "custom") return "";
  const expected = issue.params?.["expected"];
  return typeof expected === "string" ? expected : "";
}

function unknownFields(keys: readonly string[], legal: string, parent: FieldPath): Finding[] {
  const names = legal.split(" ");
  return keys.map((key) => ({
    path: [...parent, key],
    at: "key" as const,
    message: "unknown field",
    expected: wordList(names),
    suggestion: suggest(key, names),
  }));
}

type UnionIssue = Extract<Issue, { code: "invalid_union" }>;

/** The legal discriminators, or the words among the alternatives. */
function unionWords(issue: UnionIssue): string[] {
  if ("options" in issue && Array.isArray(issue.options)) return issue.options.map(String);
  return issue.errors.flat().flatMap((inner) => (inner.code === "invalid_value" ? inner.values.map(String) : []));
}

function unionExpectation(issue: UnionIssue, path: FieldPath, root: unknown): string {
  if (issue.message !== "") return issue.message;
  const words = unionWords(issue);
  const why = UNSUPPORTED_FILTERS[String(valueAt(root, path))];
  return why === undefined ? wordList(words) : `${wordList(words)}: ${why}`;
}

/** A value that is missing, of the wrong type, or none of the legal words. */
function mismatch(path: FieldPath, root: unknown, expected: string, words: readonly string[]): Finding {
  const found = valueAt(root, path);
  if (found === undefined) return { path, at: "value", message: "is missing", expected, suggestion: "" };
  if (found === null) return { path, at: "value", message: "is empty", expected, suggestion: "" };
  if (typeof found === "string" && words.length > 0) {
    const message = `${quote(found)} is not known`;
    return { path, at: "value", message, expected, suggestion: suggest(found, words) };
  }
  const isLegalRetyped = words.length === 0 || words.includes(String(found));
  const suggestion = isLegalRetyped ? retyped(found, expected) : "";
  return { path, at: "value", message: `is ${typeWords(found)}`, expected, suggestion };
}

function typeWords(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return `the ${typeof value} ${typeof value === "string" ? quote(value) : String(value)}`.replace(
    "the string",
    "the text",
  );
}

/** YAML reads `1` and `true` as no text, and `"1"` as no number: the other reading is what was meant. */
function retyped(found: unknown, expected: string): string {
  const wantsNumber = /number|percentage/.test(expected);
  const wantsSwitch = expected === "true or false";
  if (typeof found === "string") {
    const isNumber = found.trim() !== "" && Number.isFinite(Number(found));
    if (wantsNumber) return isNumber ? String(Number(found)) : "";
    return wantsSwitch && /^(true|false)$/i.test(found) ? found.toLowerCase() : "";
  }
  const isScalar = typeof found === "number" || typeof found === "boolean";
  if (!isScalar || wantsNumber || wantsSwitch || /duration|list|object/.test(expected)) return "";
  return quote(String(found));
}

function valueAt(root: unknown, path: FieldPath): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
