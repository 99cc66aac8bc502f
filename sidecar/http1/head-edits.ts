// What to change in a head on its way to the next hop. One reusable object for all requests, so that one costs
// none: `clear()`, then set what is needed, then encode. Not a copy of the head.
import type { OutFraming } from "./contract.ts";
import { FIELD, FIELD_NAMES, FRAMING, HOP_BY_HOP } from "./field.ts";
import { isAll, TOKEN, VALUE } from "./octet.ts";

const RESERVED = new Set<string>(
  FIELD_NAMES.filter((_, kind) => ((HOP_BY_HOP | FRAMING | (1 << FIELD.host)) >> kind) & 1),
);

export class HeadEdits {
  /** Request: replaces the request-target; "" means the origin-form of what came (of CONNECT its authority). */
  target = "";
  /** Request: replaces Host's value where it stands; "" keeps it. */
  host = "";
  /** Response: replaces code and phrase of the status line; 0 keeps them. */
  status = 0;
  /** Known kinds to leave out, besides the hop-by-hop ones: `1 << FIELD.via`. Host, Content-Length and
   *  Transfer-Encoding are not the caller's to drop: see `host` and `framing`. */
  dropKinds = 0;
  /** Complete field lines for the end, each ending in CRLF. The caller vouches for them (isFieldName, isFieldValue). */
  append = "";
  /** Request: puts this in as x-request-id, behind `append`; "": nothing. */
  requestId = "";
  framing: OutFraming = "same";
  /** Content-Length when framing is "length". */
  length = 0;
  /** Puts `Connection: close` or `Connection: keep-alive` in; "" leaves persistence to the version. */
  connection: "" | "close" | "keep-alive" = "";
  /** Leaves out the empty line at the end: the caller adds lines of its own. */
  isOpen = false;
  /** Keeps `Upgrade` and says `Connection: Upgrade`, if the head has an upgrade. */
  upgrade = false;

  /** Names to take out or to set, lower case, and what to set ("" in `lines`: take out). First `editCount` are valid. */
  readonly names: string[] = [];
  readonly lines: string[] = [];
  editCount = 0;

  clear(): void {
    this.target = "";
    this.host = "";
    this.status = 0;
    this.dropKinds = 0;
    this.append = "";
    this.requestId = "";
    this.framing = "same";
    this.length = 0;
    this.connection = "";
    this.upgrade = false;
    this.isOpen = false;
    this.editCount = 0;
  }

  // Framing and connection are not a rule's to change: `set`, `add` and `remove` of those fields do nothing, and of
  // Host they set `host`. Otherwise a header filter could give a message a second reading.

  /** Leaves out every field of this lower-case name. */
  remove(lowerName: string): void {
    if (!RESERVED.has(lowerName)) this.#edit(lowerName, "");
  }

  /** One field instead of all of this name: where the first one stood, or at the end. The case of `name` is kept. */
  set(name: string, value: string): void {
    const lowerName = name.toLowerCase();
    if (lowerName === "host") this.host = value;
    else if (!RESERVED.has(lowerName)) this.#edit(lowerName, `${name}: ${value}\r\n`);
  }

  /** One more field at the end. */
  add(name: string, value: string): void {
    const lowerName = name.toLowerCase();
    if (lowerName === "host") this.host = value;
    else if (!RESERVED.has(lowerName)) this.append += `${name}: ${value}\r\n`;
  }

  /** Of the edit of this lower-case name; -1: there is none. */
  indexOf(lowerName: string): number {
    for (let edit = 0; edit < this.editCount; edit++) if (this.names[edit] === lowerName) return edit;
    return -1;
  }

  /** The last edit of a name wins. */
  #edit(lowerName: string, line: string): void {
    const known = this.indexOf(lowerName);
    const index = known < 0 ? this.editCount++ : known;
    this.names[index] = lowerName;
    this.lines[index] = line;
  }
}

/** May this be a field name? For rules, before they are acted on. */
export function isFieldName(name: string): boolean {
  return isAll(name, 0, name.length, TOKEN);
}

/** May this be a field value on the wire: no control characters, nothing beyond latin1, no whitespace around? */
export function isFieldValue(value: string): boolean {
  return value === "" || (isAll(value, 0, value.length, VALUE) && value.trim() === value);
}
