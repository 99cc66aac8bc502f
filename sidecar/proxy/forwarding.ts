// What a head says when it leaves: fields about the hop put in (RFC 9110 section 7.6.3, and the x-forwarded-* fields
// that services know), fields that a rule changes changed. Taking out hop-by-hop fields is the encoder's work.

import type { HeaderModifier, MeshResource } from "../../rules/resource.ts";
import { ownCopy } from "../../runtime/latin1.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";

const HOP_KINDS = (1 << FIELD.xForwardedProto) | (1 << FIELD.xForwardedHost);

/** Lines for the requests of one client, made once as far as they repeat. */
export class HopLines {
  /** What they were made for. */
  readonly settings: MeshResource["headers"];
  readonly remoteAddress: string;
  readonly #always: string;
  /** All lines of a request that says nothing of these itself, for the authority they were asked for last. */
  #usual = "";
  #authority = "";

  /** @param remoteAddress of the client, as the socket tells it */
  constructor(settings: MeshResource["headers"], remoteAddress: string) {
    this.settings = settings;
    this.remoteAddress = remoteAddress;
    const via = settings.via ? "via: 1.1 weft\r\n" : "";
    // Appended as one more line of the list, behind what earlier hops said (RFC 9110 section 5.3).
    const client = settings.forwarded && remoteAddress !== "" ? `x-forwarded-for: ${remoteAddress}\r\n` : "";
    this.#always = ownCopy(via + client);
    this.#usual = this.#linesWith(false, false, "");
  }

  /** Does the request get an id here? */
  needsRequestId(head: MessageHead): boolean {
    return this.settings.requestId && !head.has(FIELD.xRequestId);
  }

  /** Lines to put into the head of a request; the same string for the same lines, mostly. */
  of(head: MessageHead): string {
    if ((head.fields.present & HOP_KINDS) !== 0)
      return this.#linesWith(head.has(FIELD.xForwardedProto), head.has(FIELD.xForwardedHost), head.authority);
    if (head.authority !== this.#authority) {
      this.#authority = ownCopy(head.authority);
      this.#usual = this.#linesWith(false, false, head.authority);
    }
    return this.#usual;
  }

  #linesWith(hasProto: boolean, hasHost: boolean, authority: string): string {
    if (!this.settings.forwarded) return this.#always;
    const proto = hasProto ? "" : "x-forwarded-proto: http\r\n";
    const host = hasHost || authority === "" ? "" : `x-forwarded-host: ${authority}\r\n`;
    return ownCopy(this.#always + proto + host);
  }
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
