// What a head says when it leaves: fields about the hop put in (RFC 9110 section 7.6.3, and the x-forwarded-* fields
// that services know), fields that a rule changes changed. Taking out hop-by-hop fields is the encoder's work.

import type { HeaderModifier, MeshResource } from "../../rules/resource.ts";
import { ownCopy } from "../../runtime/latin1.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";

/** What a request may say already, as bits: its lines leave that out. */
const SAYS_PROTO = 1;
const SAYS_HOST = 2;

/** Lines for the requests of one client, made once as far as they repeat. */
export class HopLines {
  /** What they were made for. */
  readonly settings: MeshResource["headers"];
  readonly remoteAddress: string;
  readonly #always: string;
  /** All lines, by what the request says itself; those that name the authority, for the one they were asked for last. */
  readonly #made: (string | undefined)[] = [undefined, undefined, undefined, undefined];
  #authority = "";

  /** @param remoteAddress of the client, as the socket tells it */
  constructor(settings: MeshResource["headers"], remoteAddress: string) {
    this.settings = settings;
    this.remoteAddress = remoteAddress;
    const via = settings.via ? "via: 1.1 weft\r\n" : "";
    // Appended as one more line of the list, behind what earlier hops said (RFC 9110 section 5.3).
    const client = settings.forwarded && remoteAddress !== "" ? `x-forwarded-for: ${remoteAddress}\r\n` : "";
    this.#always = ownCopy(via + client);
  }

  /** Does the request get an id here? */
  needsRequestId(head: MessageHead): boolean {
    return this.settings.requestId && !head.has(FIELD.xRequestId);
  }

  /** Lines to put into the head of a request; the same string for the same lines, mostly. */
  of(head: MessageHead): string {
    const said = (head.has(FIELD.xForwardedProto) ? SAYS_PROTO : 0) | (head.has(FIELD.xForwardedHost) ? SAYS_HOST : 0);
    if ((said & SAYS_HOST) === 0 && head.authority !== this.#authority) this.#forget(head.authority);
    let lines = this.#made[said];
    if (lines === undefined) {
      lines = this.#linesWith(said);
      this.#made[said] = lines;
    }
    return lines;
  }

  /** From now on `authority` is named. */
  #forget(authority: string): void {
    this.#authority = ownCopy(authority);
    this.#made[0] = undefined;
    this.#made[SAYS_PROTO] = undefined;
  }

  #linesWith(said: number): string {
    if (!this.settings.forwarded) return this.#always;
    const proto = (said & SAYS_PROTO) !== 0 ? "" : "x-forwarded-proto: http\r\n";
    const host = (said & SAYS_HOST) !== 0 || this.#authority === "" ? "" : `x-forwarded-host: ${this.#authority}\r\n`;
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
