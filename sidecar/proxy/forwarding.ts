// What a head says when it leaves: fields about the hop put in (RFC 9110 section 7.6.3, and the x-forwarded-* fields
// that services know), fields that a rule changes changed. Taking out hop-by-hop fields is the encoder's work.
import type { HeaderModifier, MeshResource } from "../../rules/resource.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";

/** Lines that are the same for every request of one client connection. */
export interface HopLines {
  /** The settings they were made for. */
  readonly settings: MeshResource["headers"];
  readonly always: string;
  /** Unless the request says so itself. */
  readonly proto: string;
}

/** @param remoteAddress of the client, as the socket tells it */
export function hopLines(settings: MeshResource["headers"], remoteAddress: string): HopLines {
  const via = settings.via ? "via: 1.1 weft\r\n" : "";
  // Appended as one more line of the list, behind what earlier hops said (RFC 9110 section 5.3).
  const client = settings.forwarded && remoteAddress !== "" ? `x-forwarded-for: ${remoteAddress}\r\n` : "";
  return { settings, always: via + client, proto: settings.forwarded ? "x-forwarded-proto: http\r\n" : "" };
}

/** Lines for one request: `lines` of its connection and what is missing in it. */
export function requestLines(lines: HopLines, head: MessageHead, newRequestId: () => string): string {
  let text = lines.always;
  const { forwarded, requestId } = lines.settings;
  if (forwarded && !head.has(FIELD.xForwardedProto)) text += lines.proto;
  if (forwarded && !head.has(FIELD.xForwardedHost) && head.authority !== "")
    text += `x-forwarded-host: ${head.authority}\r\n`;
  if (requestId && !head.has(FIELD.xRequestId)) text += `x-request-id: ${newRequestId()}\r\n`;
  return text;
}

/** In the order that the Gateway API gives: set, add, remove name different fields, so the order is free. */
export function applyModifiers(edits: HeadEdits, modifiers: readonly HeaderModifier[]): void {
  for (const modifier of modifiers) {
    for (const field of modifier.set) edits.set(field.name, field.value);
    for (const field of modifier.add) edits.add(field.name, field.value);
    for (const name of modifier.remove) edits.remove(name);
  }
}

/** `::ffff:10.0.0.1` is what a dual-stack listener calls 10.0.0.1. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
