// The conditions of a request that routes and policies share: path, headers, query, method, with the constraints that
// the Gateway API puts on them. What a condition means is in routing/.
import { z } from "zod";
import { regexEngine } from "../regex-engine.ts";
import { checked, freeText, headerName, headerValue, list, oneOf, type Problem, quote } from "./field.ts";
import { CONDITIONS_MAX, PATH_CHARACTERS_MAX, REGEX_CHARACTERS_MAX, REGEX_INSTRUCTIONS_MAX } from "./limits.ts";

/** The methods that the Gateway API lets a route name. */
export const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;

const PATH_CHARACTERS = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/;

/** What is wrong with an Exact or PathPrefix path (the CEL rules of HTTPPathMatch). */
export function pathProblem(value: string): Problem | undefined {
  const wrong = (message: string, expected: string): Problem => ({ message: `${quote(value)} ${message}`, expected });
  if (value.length > PATH_CHARACTERS_MAX) {
    return { message: `is ${value.length} characters long`, expected: `at most ${PATH_CHARACTERS_MAX} characters` };
  }
  if (!value.startsWith("/")) return wrong("does not start with '/'", "an absolute path");
  if (value.includes("//")) return wrong("contains '//'", "a normalised path");
  if (/\/\.\.?(\/|$)/.test(value)) return wrong("contains '/./' or '/../'", "a normalised path");
  if (/%2f/i.test(value)) return wrong("contains an encoded '/'", "a path without %2F");
  if (value.includes("?")) return wrong("contains '?'", "a path only; match a query with queryParams");
  if (value.includes("#")) return wrong("contains '#'", "a path without a fragment");
  if (!PATH_CHARACTERS.test(value)) {
    return wrong("contains a character that a path cannot have", "such characters percent-encoded");
  }
  return undefined;
}

/** What is wrong with a regular expression: routing compiles it with re2js, so that does here too. */
export function regexProblem(value: string): Problem | undefined {
  if (value.length > REGEX_CHARACTERS_MAX) {
    return { message: `is ${value.length} characters long`, expected: `at most ${REGEX_CHARACTERS_MAX} characters` };
  }
  try {
    const instructions = regexEngine().compile(value).programSize();
    if (instructions <= REGEX_INSTRUCTIONS_MAX) return undefined;
    return {
      message: `${quote(value)} compiles to ${instructions} instructions`,
      expected: `at most ${REGEX_INSTRUCTIONS_MAX}`,
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error);
    return {
      message: `${quote(value)} is not a regular expression (${reason})`,
      expected: "RE2 syntax: no look-around, no back-references",
    };
  }
}

const at = (field: string, problem: Problem | undefined): Problem | undefined =>
  problem === undefined ? undefined : { ...problem, path: [field] };

export const pathMatch = checked(
  z.strictObject({
    type: oneOf(
      ["Exact", "PathPrefix", "RegularExpression"],
      "How the value is compared (default PathPrefix).",
    ).optional(),
    value: z.string().optional().meta({ description: "The path (default /)." }),
  }),
  ({ type, value }) =>
    value === undefined
      ? undefined
      : at("value", type === "RegularExpression" ? regexProblem(value) : pathProblem(value)),
).meta({ description: "A condition on the path, without its query." });

function valueMatch(name: z.ZodString, value: z.ZodString, description: string) {
  return checked(
    z.strictObject({
      type: oneOf(["Exact", "RegularExpression"], "How the value is compared (default Exact).").optional(),
      name,
      value,
    }),
    (match) => (match.type === "RegularExpression" ? at("value", regexProblem(match.value)) : undefined),
  ).meta({ description });
}

const headerMatch = valueMatch(
  headerName("Header name, any case."),
  checked(headerValue("Header value."), (value) =>
    value === "" ? { message: "is empty", expected: "a value" } : undefined,
  ),
  "A condition on one header.",
);

const queryMatch = valueMatch(
  freeText("Query parameter name, case-sensitive.", 256),
  freeText("Query parameter value.", PATH_CHARACTERS_MAX),
  "A condition on one query parameter.",
);

/** Repeated names in a list that the API keys by name. */
export function repeatedNames(items: readonly { readonly name: string }[], what: string): Problem[] {
  const seen = new Set<string>();
  const problems: Problem[] = [];
  for (const [index, { name }] of items.entries()) {
    if (seen.has(name)) {
      problems.push({
        message: `${what} ${quote(name)} is named twice`,
        expected: "each name once",
        path: [index, "name"],
      });
    }
    seen.add(name);
  }
  return problems;
}

export const headerMatches = checked(
  list(headerMatch, { max: CONDITIONS_MAX }, "Headers that must all match."),
  (items) => repeatedNames(items, "header"),
);

export const httpMatch = z
  .strictObject({
    path: pathMatch.optional(),
    headers: headerMatches.optional(),
    queryParams: checked(list(queryMatch, { max: CONDITIONS_MAX }, "Query parameters that must all match."), (items) =>
      repeatedNames(items, "query parameter"),
    ).optional(),
    method: oneOf(METHODS, "Request method (default any).").optional(),
  })
  .meta({ description: "Conditions that must all hold for a request." });

export type HttpMatch = z.infer<typeof httpMatch>;
