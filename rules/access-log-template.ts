// Templates of text access log lines: text with operators such as %METHOD% or %REQ(x-user)%, by the names that users
// of Envoy know. Read once, where the document is checked and where it is acted on. What an operator gives is not here.

/** What a line can say. Two names of one thing are Envoy's name and ours. */
export const TEMPLATE_OPERATORS = [
  ...["TIME", "START_TIME", "DIRECTION", "METHOD", "AUTHORITY", "TARGET", "PATH", "QUERY", "STATUS", "RESPONSE_CODE"],
  ...[
    "GRPC_STATUS",
    "REASON",
    "DETAIL",
    "SERVICE",
    "BACKEND",
    "VERSION",
    "ENDPOINT",
    "UPSTREAM_HOST",
    "ROUTE",
    "TRIES",
    "DURATION",
  ],
  ...["REQUEST_ID", "TRACE_ID", "SPAN_ID", "SAMPLED", "REMOTE_ADDRESS", "BYTES_RECEIVED", "BYTES_SENT"],
] as const;

export type TemplateOperator = (typeof TEMPLATE_OPERATORS)[number];

export type TemplatePiece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "operator"; readonly operator: TemplateOperator }
  /** A field of the request by its lower-case name. */
  | { readonly kind: "header"; readonly name: string };

const OPERATORS: ReadonlySet<string> = new Set(TEMPLATE_OPERATORS);
const HEADER = /^REQ\(([!#$%&'*+.^_`|~0-9A-Za-z-]+)\)$/;

/** The pieces of a template, or what is wrong with it. `%%` is a percent sign. */
export function parseTemplate(template: string): readonly TemplatePiece[] | { readonly error: string } {
  const pieces: TemplatePiece[] = [];
  const parts = template.split("%");
  if (parts.length % 2 === 0) return { error: 'has a "%" without its second one; write %% for a percent sign' };
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 0) {
      if (part !== "") pieces.push({ kind: "text", text: part });
      continue;
    }
    const header = HEADER.exec(part)?.[1];
    if (part === "") pieces.push({ kind: "text", text: "%" });
    else if (header !== undefined) pieces.push({ kind: "header", name: header.toLowerCase() });
    else if (OPERATORS.has(part)) pieces.push({ kind: "operator", operator: part as TemplateOperator });
    else return { error: `%${part}% is no operator` };
  }
  return pieces;
}
