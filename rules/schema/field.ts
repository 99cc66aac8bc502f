// The building blocks of every kind's schema: strict objects and the checked scalars (names, ports, durations, header
// names, ...). Each scalar says in its own words what is wrong and what was expected. Not any kind's fields.
import { z } from "zod";
import { DURATION_MS_MAX, parseDuration } from "../durations.ts";
import { NAME_CHARACTERS_MAX, TEXT_CHARACTERS_MAX } from "./limits.ts";

/** What a check of a field found. `path` is relative to the value checked. */
export interface Problem {
  readonly message: string;
  readonly expected?: string;
  readonly path?: readonly (string | number)[];
}

/** Adds a rule that a type alone cannot say; it runs once the value has its type. */
export function checked<Schema extends z.ZodType>(
  schema: Schema,
  findProblems: (value: z.output<Schema>) => Problem | readonly Problem[] | undefined,
): Schema {
  return schema.superRefine((value, context) => {
    const found = findProblems(value);
    if (found === undefined) return;
    for (const problem of Array.isArray(found) ? (found as readonly Problem[]) : [found as Problem]) {
      context.addIssue({
        code: "custom",
        message: problem.message,
        path: [...(problem.path ?? [])],
        params: { expected: problem.expected ?? "" },
      });
    }
  });
}

interface TextRule {
  /** What it is, for "is not a ...". */
  readonly name: string;
  /** What would be right, for "; expected ...". */
  readonly expected: string;
  readonly test: (value: string) => boolean;
  readonly lengthMax?: number;
  /** Goes into the JSON Schema, so that editors check it too. */
  readonly pattern?: string;
  readonly description?: string;
}

/** A string with a rule of its own and the words to say when it is broken. */
export function text(rule: TextRule): z.ZodString {
  const lengthMax = rule.lengthMax ?? TEXT_CHARACTERS_MAX;
  const schema = checked(z.string({ error: `${rule.name} (${rule.expected})` }), (value) => {
    if (value.length > lengthMax) {
      return { message: `is ${value.length} characters long`, expected: `at most ${lengthMax} characters` };
    }
    return rule.test(value) ? undefined : { message: `${quote(value)} is not ${rule.name}`, expected: rule.expected };
  });
  return schema.meta({
    ...(rule.description === undefined ? {} : { description: rule.description }),
    ...(rule.pattern === undefined ? {} : { pattern: rule.pattern }),
    maxLength: lengthMax,
  });
}

/** A value in messages: quoted, on one line, cut where it is long. */
export function quote(value: unknown): string {
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length <= 80 ? shown : `${shown.slice(0, 77)}...`;
}

const DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

function pattern(source: string): { test: (value: string) => boolean; pattern: string } {
  const expression = new RegExp(source);
  return { test: (value) => expression.test(value), pattern: source };
}

/** RFC 1123 subdomain: names of documents, rules and sections. */
export const subdomain = (description: string): z.ZodString =>
  text({
    name: "a valid name",
    expected: "lower-case letters, digits, '-' and '.', starting and ending with a letter or digit",
    lengthMax: NAME_CHARACTERS_MAX,
    description,
    ...pattern(`^${DNS_LABEL}(\\.${DNS_LABEL})*$`),
  });

/** RFC 1123 label: namespaces. */
export const dnsLabel = (description: string): z.ZodString =>
  text({
    name: "a valid name",
    expected: "at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit",
    lengthMax: 63,
    description,
    ...pattern(`^${DNS_LABEL}$`),
  });

/** Time as text; see parseDuration. */
export const duration = (description: string): z.ZodString =>
  text({
    name: "a duration",
    expected: "whole milliseconds as in 250ms, 5s, 1m30s or 2h, at most 24 days",
    lengthMax: 64,
    description,
    test: (value) => (parseDuration(value) ?? Number.POSITIVE_INFINITY) <= DURATION_MS_MAX,
    pattern: "^(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$",
  });

/** A duration that cannot be zero: intervals and windows. */
export const positiveDuration = (description: string): z.ZodString =>
  checked(duration(description), (value) =>
    parseDuration(value) === 0 ? { message: "is zero", expected: "a duration longer than zero" } : undefined,
  );

/** A whole number within bounds. */
export const integer = (minimum: number, maximum: number, description: string): z.ZodNumber =>
  checked(z.number({ error: `a whole number from ${minimum} to ${maximum}` }), (value) =>
    Number.isInteger(value) && value >= minimum && value <= maximum
      ? undefined
      : { message: `${value} is out of range`, expected: `a whole number from ${minimum} to ${maximum}` },
  ).meta({ type: "integer", minimum, maximum, description });

/** A share of something, 0 to 100, fractions allowed. */
export const percent = (description: string): z.ZodNumber =>
  checked(z.number({ error: "a percentage from 0 to 100" }), (value) =>
    value >= 0 && value <= 100
      ? undefined
      : { message: `${value} is out of range`, expected: "a percentage from 0 to 100" },
  ).meta({ minimum: 0, maximum: 100, description });

/** A number that is at least zero. */
export const atLeastZero = (description: string): z.ZodNumber =>
  checked(z.number(), (value) =>
    value >= 0 && Number.isFinite(value)
      ? undefined
      : { message: `${value} is out of range`, expected: "a number that is not negative" },
  ).meta({ minimum: 0, description });

export const port = (description: string): z.ZodNumber => integer(1, 65_535, description);

export const flag = (description: string): z.ZodBoolean => z.boolean().meta({ description });

/** Closed word list. */
export function oneOf<const Words extends readonly [string, ...string[]]>(
  words: Words,
  description: string,
): z.ZodEnum<{ [Word in Words[number]]: Word }> {
  return z.enum(words).meta({ description });
}

/** RFC 9110 section 5.1: a field name is a token. */
export const headerName = (description: string): z.ZodString =>
  text({
    name: "a header name",
    expected: "letters, digits and any of !#$%&'*+-.^_`|~",
    lengthMax: 256,
    description,
    ...pattern("^[A-Za-z0-9!#$%&'*+\\-.^_`|~]+$"),
  });

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what must not pass.
const FIELD_VALUE = /^[^\x00-\x08\x0a-\x1f\x7f]*$/;

/** RFC 9110 section 5.5: no line breaks, NUL or other control characters, or a rule could forge header fields. */
export const headerValue = (description: string): z.ZodString =>
  text({
    name: "a header value",
    expected: "text without control characters, not starting or ending with a space",
    lengthMax: TEXT_CHARACTERS_MAX,
    description,
    test: (value) => FIELD_VALUE.test(value) && value.trim() === value,
  });

/** RFC 6265 section 4.1.1: a cookie name is a token too. */
export const cookieName = (description: string): z.ZodString =>
  text({
    name: "a cookie name",
    expected: "letters, digits and any of !#$%&'*+-.^_`|~",
    lengthMax: 256,
    description,
    ...pattern("^[A-Za-z0-9!#$%&'*+\\-.^_`|~]+$"),
  });

/** A DNS name without a wildcard; IP addresses are no hostnames in the Gateway API. */
export const hostname = (description: string): z.ZodString =>
  text({
    name: "a hostname",
    expected: "a lower-case DNS name",
    lengthMax: NAME_CHARACTERS_MAX,
    description,
    test: (value) => HOSTNAME.test(value) && !IPV4.test(value),
    pattern: HOSTNAME.source,
  });

const HOSTNAME = new RegExp(`^${DNS_LABEL}(\\.${DNS_LABEL})*$`);
const IPV4 = /^\d+\.\d+\.\d+\.\d+$/;

export const wildcardHostname = (description: string): z.ZodString =>
  text({
    name: "a hostname",
    expected: "a lower-case DNS name, with *. in front or not",
    lengthMax: NAME_CHARACTERS_MAX,
    description,
    test: (value) => HOSTNAME.test(value.replace(/^\*\./, "")) && !IPV4.test(value),
    pattern: `^(\\*\\.)?${DNS_LABEL}(\\.${DNS_LABEL})*$`,
  });

/** Free text, bounded. */
export const freeText = (description: string, lengthMax = TEXT_CHARACTERS_MAX): z.ZodString =>
  text({ name: "text", expected: "text that is not empty", lengthMax, description, test: (value) => value.length > 0 });

/** A list with a bound and, where told, at least one item. */
export function list<Item extends z.ZodType>(
  item: Item,
  bounds: { readonly min?: number; readonly max: number },
  description: string,
): z.ZodArray<Item> {
  const min = bounds.min ?? 0;
  return checked(z.array(item), (items) => {
    if (items.length > bounds.max) {
      return { message: `has ${items.length} items`, expected: `at most ${bounds.max}` };
    }
    return items.length < min
      ? { message: "is empty", expected: `at least ${min === 1 ? "one item" : `${min} items`}` }
      : undefined;
  }).meta({ description, ...(min > 0 ? { minItems: min } : {}), maxItems: bounds.max });
}

/** A map from text to text (labels, selectors, headers). */
export function textMap(
  key: z.ZodString,
  value: z.ZodString,
  description: string,
): z.ZodRecord<z.ZodString, z.ZodString> {
  return z.record(key, value).meta({ description });
}

/** Exactly one of these fields, which are alternatives. */
export function exactlyOne(value: Readonly<Record<string, unknown>>, fields: readonly string[]): Problem | undefined {
  const present = fields.filter((field) => value[field] !== undefined);
  if (present.length === 1) return undefined;
  return {
    message: present.length === 0 ? "says nothing" : `has ${present.join(" and ")}`,
    expected: `exactly one of ${fields.join(", ")}`,
  };
}
