// The flags of `weft tap` as a filter that sidecars understand.
import type { StatusRange, TapFilter, TapHeader } from "../../proto/gen/weft/v1/telemetry.ts";
import { REASON_NAMES } from "../../rules/reason-names.ts";
import type { Invocation } from "./command.ts";
import { usageFailure } from "./failure.ts";
import { didYouMean } from "./kinds.ts";
import { NAMESPACE_DEFAULT } from "./options.ts";
import { parseServiceName } from "./service-name.ts";

/** @throws CliFailure (usage) */
export function tapFilter({ args, flags, namespace = NAMESPACE_DEFAULT }: Invocation): TapFilter {
  const service = args[0] ?? "";
  const route = flags.text("route") ?? "";
  return {
    service: service === "" ? "" : qualified(service, namespace),
    direction: directionOf(flags.text("direction") ?? "outbound"),
    route: route === "" ? "" : qualified(route, namespace),
    statuses: flags.texts("status").map(statusRange),
    reason: reasonOf(flags.text("reason")),
    slowerMs: flags.durationMs("slower", 0),
    headers: flags.texts("header").map(headerOf),
  };
}

function qualified(text: string, namespace: string): string {
  const parsed = parseServiceName(text, namespace);
  return `${parsed.namespace}/${parsed.name}`;
}

function directionOf(text: string): string {
  if (text === "both") return "";
  if (text === "outbound" || text === "inbound") return text;
  throw usageFailure(`--direction: "${text}" is not valid; expected outbound, inbound or both`);
}

const REASONS: readonly string[] = [...REASON_NAMES, "any"];

/** A word that no request will ever have would show nothing and look as if there were none. */
function reasonOf(text = ""): string {
  if (text === "" || REASONS.includes(text)) return text;
  throw usageFailure(
    `--reason: "${text}" is no reason${didYouMean(text, REASONS)}`,
    `reasons are: ${REASONS.join(", ")}`,
  );
}

/** `503`, `5xx`, `500-599`. */
function statusRange(text: string): StatusRange {
  const group = /^([1-9])xx$/i.exec(text);
  if (group !== null) return { from: Number(group[1]) * 100, to: Number(group[1]) * 100 + 99 };
  const [, from, to = from] = /^(\d{3})(?:-(\d{3}))?$/.exec(text) ?? [];
  if (from === undefined)
    throw usageFailure(`--status: "${text}" is not valid; expected one such as 503, 5xx or 400-499`);
  if (Number(from) > Number(to)) throw usageFailure(`--status: "${text}" holds nothing; expected ${to}-${from}`);
  return { from: Number(from), to: Number(to) };
}

/** `name: value`, or `name` for whatever value. */
function headerOf(text: string): TapHeader {
  const colon = text.indexOf(":");
  const name = (colon < 0 ? text : text.slice(0, colon)).trim().toLowerCase();
  if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) throw usageFailure(`-H "${text}": expected 'name: value' or a name`);
  return { name, value: colon < 0 ? "" : text.slice(colon + 1).trim() };
}
