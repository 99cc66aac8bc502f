// Mesh of weft.mesh/v1: one document of settings for every sidecar.
import { z } from "zod";
import { parseTemplate, TEMPLATE_OPERATORS } from "../access-log-template.ts";
import {
  atLeastZero,
  checked,
  duration,
  flag,
  freeText,
  headerName,
  integer,
  list,
  oneOf,
  percent,
  positiveDuration,
  text,
} from "./field.ts";
import { COUNT_MAX, POLICY_ITEMS_MAX } from "./limits.ts";

const EGRESS_HOST =
  /^(\*|(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(:\d{1,5})?$/;
const ENDPOINT = /^([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/;

const otlpEndpoint = text({
  name: "an endpoint",
  expected: "http://HOST:PORT or HOST:PORT",
  lengthMax: 2048,
  description: "OTLP endpoint.",
  test: (value) => URL.canParse(ENDPOINT.test(value) ? `http://${value}` : /^https?:\/\//.test(value) ? value : ""),
});

const protocol = oneOf(["grpc", "http"], "OTLP over gRPC or HTTP.");

const tracing = z
  .strictObject({
    endpoint: otlpEndpoint,
    protocol: protocol.optional(),
    sampling: percent("Share of requests without a parent that are traced.").optional(),
    propagation: list(
      oneOf(["tracecontext", "baggage", "b3", "b3multi"], "Propagator, by OpenTelemetry's names."),
      { min: 1, max: 4 },
      "Trace headers that are read and written.",
    ).optional(),
    tail: z
      .strictObject({
        errors: flag("Keep every trace with an error.").optional(),
        slowerThan: duration("Keep every trace that is slower.").optional(),
        maxPerSecond: atLeastZero("Traces per second that are kept so.").optional(),
      })
      .optional()
      .meta({ description: "Traces that are kept though the sampling left them out." }),
    resourceAttributes: z
      .record(freeText("Key.", 256), freeText("Value.", 1024))
      .optional()
      .meta({ description: "Attributes of every span." }),
  })
  .meta({ description: "Traces by OpenTelemetry." });

const accessLog = checked(
  z.strictObject({
    enabled: flag("Whether requests are logged.").optional(),
    format: oneOf(["json", "text"], "Form of a line.").optional(),
    template: freeText("Template of a text line.").optional(),
    file: freeText("File (default: standard output).", 1024).optional(),
    otlp: z
      .strictObject({ endpoint: otlpEndpoint, protocol: protocol.optional() })
      .optional()
      .meta({ description: "Sends records by OTLP instead of writing lines." }),
    filter: z
      .strictObject({
        errors: flag("Requests that failed.").optional(),
        slowerThan: duration("Requests that took longer.").optional(),
        sampling: percent("Share of the others; none unless told, where one of those above is given.").optional(),
      })
      .optional()
      .meta({ description: "Which requests are logged (default all)." }),
    headers: list(
      headerName("Header."),
      { max: POLICY_ITEMS_MAX },
      "Headers that are logged; secrets never are.",
    ).optional(),
  }),
  ({ format, template, file, otlp }) => {
    if (file !== undefined && otlp !== undefined)
      return { message: "file beside otlp", expected: "one of both: records go to one place", path: ["file"] };
    if (template === undefined) return undefined;
    if (format !== "text")
      return { message: "template without format: text", expected: "format: text", path: ["template"] };
    const parsed = parseTemplate(template);
    if (!("error" in parsed)) return undefined;
    const expected = `%REQ(NAME)% or %NAME% with a name of ${TEMPLATE_OPERATORS.join(" ")}`;
    return { message: parsed.error, expected, path: ["template"] };
  },
).meta({ description: "One line per request." });

export const meshSpec = z
  .strictObject({
    tracing: tracing.optional(),
    accessLog: accessLog.optional(),
    metrics: z
      .strictObject({
        otlp: z
          .strictObject({
            endpoint: otlpEndpoint,
            protocol: protocol.optional(),
            interval: positiveDuration("Time between pushes.").optional(),
          })
          .optional()
          .meta({ description: "Pushes metrics by OTLP, beside /metrics." }),
        maxSeries: integer(1, COUNT_MAX, "Series of one sidecar; the rest is counted as `other`.").optional(),
      })
      .optional()
      .meta({ description: "Metrics." }),
    mtls: z
      .strictObject({
        mode: oneOf(["off", "permissive", "strict"], "Whether sidecars prove who they are to each other."),
      })
      .optional()
      .meta({ description: "Mutual TLS between sidecars." }),
    egress: z
      .strictObject({
        allow: list(
          text({
            name: "a host",
            expected: "*, api.example.com, *.example.com or api.example.com:443",
            lengthMax: 260,
            test: (value) => EGRESS_HOST.test(value),
          }),
          { max: 1000 },
          "Hosts outside the mesh that may be called.",
        ).optional(),
      })
      .optional()
      .meta({ description: "Calls to hosts that the mesh does not know." }),
    headers: z
      .strictObject({
        forwarded: flag("Set x-forwarded-for, -proto and -host.").optional(),
        via: flag("Add to via.").optional(),
        requestId: flag("Set x-request-id where it is missing.").optional(),
        shadowHost: flag("Append -shadow to the host of mirrored requests.").optional(),
      })
      .optional()
      .meta({ description: "Headers that sidecars add." }),
  })
  .meta({ description: "Settings for the whole mesh." });

export type MeshSpec = z.infer<typeof meshSpec>;
