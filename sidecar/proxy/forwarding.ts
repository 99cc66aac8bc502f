// What a head says when it leaves: fields about the hop put in (RFC 9110 section 7.6.3, and the x-forwarded-* fields
// that services know), fields that a rule changes changed. Taking out hop-by-hop fields is the encoder's work.

import type { HeaderModifier, MeshResource } from "../../rules/resource.ts";
import { ownCopy } from "../../runtime/latin1.ts";
import { sharedText } from "../../runtime/shared-text.ts";
import { FIELD } from "../http1/field.ts";
import { fieldLine } from "../http1/field-line.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";

/** What a request may say already, and what its destination is told, as bits: each has lines of its own. */
const SAYS_PROTO = 1;
const SAYS_HOST = 2;
const NAMES_SOURCE = 4;

/** Lines for the requests of one client to one authority, made once. Connections share them. */
export class HopLines {
  /** What they were made for. */
  readonly settings: MeshResource["headers"];
  readonly remoteAddress: string;
  readonly authority: string;
  readonly #service: string;
  readonly #made: (string | undefined)[] = new Array<string | undefined>(2 * NAMES_SOURCE).fill(undefined);

  /**
   * @param service who calls
   * @param remoteAddress of the client, as the socket tells it
   * @param authority that the requests are for; "": they name none
   */
  constructor(settings: MeshResource["headers"], service: string, remoteAddress: string, authority: string) {
    this.settings = settings;
    this.#service = service;
    this.remoteAddress = sharedText(remoteAddress);
    this.authority = sharedText(authority);
  }

  /** Does the request get an id here? */
  needsRequestId(head: MessageHead): boolean {
    return this.settings.requestId && !head.has(FIELD.xRequestId);
  }

  /** Lines to put into the head of a request; the same string for the same lines. @param namesSource for the figures of who is called */
  of(head: MessageHead, namesSource: boolean): string {
    const proto = head.has(FIELD.xForwardedProto) ? SAYS_PROTO : 0;
    const host = head.has(FIELD.xForwardedHost) ? SAYS_HOST : 0;
    const asked = proto | host | (namesSource ? NAMES_SOURCE : 0);
    let lines = this.#made[asked];
    if (lines === undefined) {
      lines = ownCopy(this.#linesFor(asked));
      this.#made[asked] = lines;
    }
    return lines;
  }

  #linesFor(asked: number): string {
    const { settings, remoteAddress, authority } = this;
    let lines = settings.via ? "via: 1.1 weft\r\n" : "";
    if (settings.forwarded) {
      // Appended as one more line of the list, behind what earlier hops said (RFC 9110 section 5.3).
      if (remoteAddress !== "") lines += fieldLine("x-forwarded-for", remoteAddress);
      if ((asked & SAYS_PROTO) === 0) lines += "x-forwarded-proto: http\r\n";
      if ((asked & SAYS_HOST) === 0 && authority !== "") lines += fieldLine("x-forwarded-host", authority);
    }
    return (asked & NAMES_SOURCE) === 0 ? lines : lines + fieldLine("x-weft-source", this.#service);
  }
}

/** Past it they are made anew: clients choose authorities. */
const LINES_MAX = 1_024;

/** The lines of all clients of a process. */
export class HopLinesBook {
  readonly #service: string;
  /** By address, by authority. */
  readonly #lines = new Map<string, Map<string, HopLines>>();
  #count = 0;

  /** @param service who calls, `namespace/name` */
  constructor(service: string) {
    this.#service = service;
  }

  /** @param last what it was for the request before, mostly the same */
  of(
    settings: MeshResource["headers"],
    remoteAddress: string,
    authority: string,
    last: HopLines | undefined,
  ): HopLines {
    const isSame = last?.settings === settings && last.remoteAddress === remoteAddress && last.authority === authority;
    return isSame ? last : this.#find(settings, remoteAddress, authority);
  }

  #find(settings: MeshResource["headers"], remoteAddress: string, authority: string): HopLines {
    const known = this.#lines.get(remoteAddress)?.get(authority);
    if (known?.settings === settings) return known;
    if (this.#count >= LINES_MAX) {
      this.#lines.clear();
      this.#count = 0;
    }
    const made = new HopLines(settings, this.#service, remoteAddress, authority);
    let ofAddress = this.#lines.get(made.remoteAddress);
    if (ofAddress === undefined) {
      ofAddress = new Map();
      this.#lines.set(made.remoteAddress, ofAddress);
    }
    ofAddress.set(made.authority, made);
    this.#count++;
    return made;
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

/** `::ffff:10.0.0.1` is what a dual-stack listener calls 10.0.0.1. One string for all connections from there. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return sharedText(address.startsWith("::ffff:") ? address.slice(7) : address);
}
