// What a person asks about -> the request that a sidecar would see. Reads URLs as a proxy does: nothing is normalized,
// decoded or resolved, because routing matches what was sent.
import type { RequestView } from "../routing/request-view.ts";

export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

/** The question; an ExplainRequest of the wire contract without its sources. */
export interface ExplainQuestion {
  readonly method: string;
  /** `http://orders/api?x=1`, or a path with a host header. */
  readonly url: string;
  readonly headers: readonly HeaderField[];
  /** The calling service: `web` or `web.shop`; empty for nobody in particular. */
  readonly from: string;
  /** Where bare names are looked up when `from` names no namespace. */
  readonly namespace: string;
}

export interface Target {
  /** As in the Host header: with its port, if there is one. */
  readonly host: string;
  readonly path: string;
  readonly query: string;
  /** Where the host came from, in words; empty when from the URL alone. */
  readonly note: string;
}

const ABSOLUTE = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/i;
const RELATIVE = /^([^?#]*)(?:\?([^#]*))?/;

/** The host of an absolute URL goes before a Host header (RFC 9112 section 3.2.2). */
export function readTarget({ url, headers }: ExplainQuestion): Target {
  const header = headerValue(headers, "host");
  const absolute = ABSOLUTE.exec(url);
  if (absolute !== null) {
    const [, authority = "", path = "", query = ""] = absolute;
    const host = authority.slice(authority.lastIndexOf("@") + 1);
    const note =
      header === undefined || header === host ? "" : `the host is the URL's; the Host header ${header} does not count`;
    return { host, path: path === "" ? "/" : path, query, note };
  }
  const [, path = "", query = ""] = RELATIVE.exec(url) ?? [];
  return { host: header ?? "", path: path === "" ? "/" : path, query, note: "the host is the Host header's" };
}

/** The value of a header by its lower-case name; repeated fields are joined, as a RequestView gives them. */
export function headerValue(headers: readonly HeaderField[], lowerName: string): string | undefined {
  const values = headers.filter(({ name }) => name.toLowerCase() === lowerName).map(({ value }) => value);
  return values.length === 0 ? undefined : values.join(lowerName === "cookie" ? "; " : ", ");
}

export function viewOf(question: ExplainQuestion, target: Target, port: number, fromNamespace: string): RequestView {
  return {
    method: question.method,
    path: target.path,
    query: target.query,
    port,
    fromNamespace,
    header: (name) => (name === "host" ? target.host : headerValue(question.headers, name)),
  };
}
