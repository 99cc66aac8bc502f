// Filters of routes, one schema per type, told apart by `type` as in the Gateway API. What they do is compiled in
// routing/ and acted on by the sidecar.
import { z } from "zod";
import {
  checked,
  flag,
  headerName,
  headerValue,
  hostname,
  integer,
  list,
  oneOf,
  type Problem,
  percent,
  port,
  quote,
  text,
} from "./field.ts";
import { CONDITIONS_MAX, FILTERS_MAX, POLICY_ITEMS_MAX } from "./limits.ts";
import { METHODS, pathProblem, repeatedNames } from "./match.ts";
import { backendReference } from "./reference.ts";

/** Fields that frame or route the message: the proxy's own, or a rule could open a message to a second reading. */
const FRAMING_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

function framingProblem(name: string, path: readonly (string | number)[]): Problem | undefined {
  const lower = name.toLowerCase();
  if (!FRAMING_HEADERS.has(lower)) return undefined;
  const expected = lower === "host" ? "a URLRewrite filter with hostname" : "another header";
  return { message: `${quote(name)} is the proxy's own to set`, expected, path };
}

const modifiableName = checked(headerName("Header name, any case."), (name) => framingProblem(name, []));

const fields = (description: string) =>
  checked(
    list(
      z.strictObject({ name: modifiableName, value: headerValue("Header value.") }),
      { max: POLICY_ITEMS_MAX },
      description,
    ),
    (items) => repeatedNames(items, "header"),
  ).optional();

const headerModifier = z
  .strictObject({
    set: fields("Headers that replace those of the same name."),
    add: fields("Headers that are added to those of the same name."),
    remove: list(modifiableName, { max: POLICY_ITEMS_MAX }, "Headers that are taken out.").optional(),
  })
  .meta({ description: "Changes to headers." });

/** A path to put in place of another one; empty is legal for a prefix only. */
const replacement = (description: string, emptyIsLegal: boolean) =>
  checked(z.string(), (value) => (emptyIsLegal && value === "" ? undefined : pathProblem(value))).meta({ description });

const pathModifier = z
  .discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("ReplaceFullPath"),
      replaceFullPath: replacement("The whole new path.", false),
    }),
    z.strictObject({
      type: z.literal("ReplacePrefixMatch"),
      replacePrefixMatch: replacement("What stands in place of the matched prefix.", true),
    }),
  ])
  .meta({ description: "A change of the path." });

const requestRedirect = z
  .strictObject({
    scheme: oneOf(["http", "https"], "Scheme of the Location (default: the request's).").optional(),
    hostname: hostname("Host of the Location (default: the request's).").optional(),
    path: pathModifier.optional(),
    port: port("Port of the Location (default: the scheme's, else the request's).").optional(),
    statusCode: redirectStatus().optional(),
  })
  .meta({ description: "Answers with a redirect." });

function redirectStatus() {
  return z.literal([301, 302, 303, 307, 308]).meta({ description: "Status of the answer (default 302)." });
}

const urlRewrite = checked(
  z.strictObject({
    hostname: hostname("New Host of the request.").optional(),
    path: pathModifier.optional(),
  }),
  (rewrite) =>
    rewrite.hostname === undefined && rewrite.path === undefined
      ? { message: "rewrites nothing", expected: "hostname, path or both" }
      : undefined,
).meta({ description: "Changes the request's host or path before it is forwarded." });

const fraction = checked(
  z.strictObject({
    numerator: integer(0, 2_147_483_647, "Part."),
    denominator: integer(1, 2_147_483_647, "Whole (default 100).").optional(),
  }),
  ({ numerator, denominator }) =>
    numerator <= (denominator ?? 100)
      ? undefined
      : {
          message: `${numerator} is more than the denominator ${denominator ?? 100}`,
          expected: "at most the whole",
          path: ["numerator"],
        },
).meta({ description: "A share as a fraction." });

const requestMirror = checked(
  z.strictObject({
    backendRef: backendReference,
    percent: percent("Share of requests to copy (default 100).").optional(),
    fraction: fraction.optional(),
  }),
  (mirror) =>
    mirror.percent !== undefined && mirror.fraction !== undefined
      ? { message: "has both percent and fraction", expected: "one of them" }
      : undefined,
).meta({ description: "Copies requests to another service and drops its answers." });

const starAlone = (items: readonly string[]): Problem | undefined =>
  items.includes("*") && items.length > 1
    ? { message: "has '*' beside other items", expected: "'*' alone" }
    : undefined;

const CORS_ORIGIN = /^(\*|https?:\/\/((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:\d{1,5})?)$/;

const corsHeaders = (description: string) =>
  checked(list(headerName("Header name, or *."), { max: CONDITIONS_MAX * 4 }, description), starAlone).optional();

const cors = z
  .strictObject({
    allowOrigins: checked(
      list(
        text({
          name: "an origin",
          expected: "* or scheme://host[:port], as in https://*.example.com",
          lengthMax: 253,
          test: (value) => CORS_ORIGIN.test(value),
          pattern: CORS_ORIGIN.source,
        }),
        { max: 64 },
        "Origins that may call.",
      ),
      starAlone,
    ).optional(),
    allowCredentials: flag("Whether cookies and authorization may come along (default false).").optional(),
    allowMethods: checked(
      list(oneOf([...METHODS, "*"], "Method, or *."), { max: 9 }, "Methods that may be used."),
      starAlone,
    ).optional(),
    allowHeaders: corsHeaders("Request headers that may be sent."),
    exposeHeaders: corsHeaders("Response headers that scripts may read."),
    maxAge: integer(1, 2_147_483_647, "Seconds a browser may remember the answer (default 5).").optional(),
  })
  .meta({ description: "Answers preflight requests and adds the access-control headers." });

const requestHeaderFilter = z.strictObject({
  type: z.literal("RequestHeaderModifier"),
  requestHeaderModifier: headerModifier,
});
const responseHeaderFilter = z.strictObject({
  type: z.literal("ResponseHeaderModifier"),
  responseHeaderModifier: headerModifier,
});
const mirrorFilter = z.strictObject({ type: z.literal("RequestMirror"), requestMirror });

const httpFilter = z.discriminatedUnion("type", [
  requestHeaderFilter,
  responseHeaderFilter,
  mirrorFilter,
  z.strictObject({ type: z.literal("RequestRedirect"), requestRedirect }),
  z.strictObject({ type: z.literal("URLRewrite"), urlRewrite }),
  z.strictObject({ type: z.literal("CORS"), cors }),
]);

const grpcFilter = z.discriminatedUnion("type", [requestHeaderFilter, responseHeaderFilter, mirrorFilter]);

/** Filters that the Gateway API knows and Weft cannot honour, with why. */
export const UNSUPPORTED_FILTERS: Readonly<Record<string, string>> = {
  ExtensionRef: "ExtensionRef names a kind of another product, and Weft has none",
  ExternalAuth: "ExternalAuth is not supported; see the kinds Authorization and Authentication",
};

/** At most one filter of each type, but mirrors; redirect and rewrite exclude each other. */
function filterProblems(filters: readonly { readonly type: string }[]): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [index, { type }] of filters.entries()) {
    if (type !== "RequestMirror" && seen.has(type)) {
      problems.push({ message: `${type} is there twice`, expected: "one filter of this type", path: [index, "type"] });
    }
    const other = type === "URLRewrite" ? "RequestRedirect" : type === "RequestRedirect" ? "URLRewrite" : "";
    if (seen.has(other)) {
      problems.push({ message: `${type} together with ${other}`, expected: "one of them", path: [index, "type"] });
    }
    seen.add(type);
  }
  return problems;
}

const FILTERS = "Changes to the request and the response, in this order.";

export const httpFilters = checked(list(httpFilter, { max: FILTERS_MAX }, FILTERS), filterProblems);
export const grpcFilters = checked(list(grpcFilter, { max: FILTERS_MAX }, FILTERS), filterProblems);

export type HttpFilter = z.infer<typeof httpFilter>;
export type GrpcFilter = z.infer<typeof grpcFilter>;
