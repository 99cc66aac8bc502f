// What the next hop gets when heads are edited. What it gets when they are not is in test/wire/*.md (`forwarded`).
import { describe, expect, it } from "vitest";
import { RequestDecoder, ResponseDecoder } from "./decoder.ts";
import { encodeRequestHead, encodeResponseHead, ownResponseHead } from "./encoder.ts";
import { FIELD } from "./field.ts";
import type { MessageHead } from "./head.ts";
import { HeadEdits, isFieldName, isFieldValue } from "./head-edits.ts";

function request(text: string): MessageHead {
  const decoder = new RequestDecoder();
  const bytes = Buffer.from(text.replaceAll("\n", "\r\n"), "latin1");
  if (decoder.decodeHead(bytes, 0, bytes.length) !== bytes.length) throw new Error(decoder.refusal?.detail);
  return decoder.head;
}

function response(text: string, method = "GET"): MessageHead {
  const decoder = new ResponseDecoder();
  decoder.expect(method, "websocket");
  const bytes = Buffer.from(text.replaceAll("\n", "\r\n"), "latin1");
  if (decoder.decodeHead(bytes, 0, bytes.length) !== bytes.length) throw new Error(decoder.refusal?.detail);
  return decoder.head;
}

function edits(change: (edit: HeadEdits) => void): HeadEdits {
  const edit = new HeadEdits();
  change(edit);
  return edit;
}

const sent = (head: MessageHead, change: (edit: HeadEdits) => void): string =>
  encodeRequestHead(head, edits(change)).replaceAll("\r\n", "\n");
const answered = (head: MessageHead, change: (edit: HeadEdits) => void): string =>
  encodeResponseHead(head, edits(change)).replaceAll("\r\n", "\n");

describe("a request head", () => {
  const head = request("GET /a?b HTTP/1.1\nHost: orders\nX-A: 1\nVia: 1.0 old\nx-a: 2\nX-Last: z\n\n");

  it("gets fields at its end", () => {
    const text = sent(head, (edit) => {
      edit.append = "via: 1.1 weft\r\n";
      edit.add("x-request-id", "7");
    });
    expect(text).toBe(
      "GET /a?b HTTP/1.1\nHost: orders\nX-A: 1\nVia: 1.0 old\nx-a: 2\nX-Last: z\nvia: 1.1 weft\nx-request-id: 7\n\n",
    );
  });

  it("loses known kinds and names, all of them", () => {
    const text = sent(head, (edit) => {
      edit.dropKinds = 1 << FIELD.via;
      edit.remove("x-a");
    });
    expect(text).toBe("GET /a?b HTTP/1.1\nHost: orders\nX-Last: z\n\n");
  });

  it("gets one value in the place of several, or at the end of none", () => {
    const text = sent(head, (edit) => {
      edit.set("X-a", "3");
      edit.set("X-New", "n");
      edit.set("x-new", "m");
    });
    expect(text).toBe("GET /a?b HTTP/1.1\nHost: orders\nX-a: 3\nVia: 1.0 old\nX-Last: z\nx-new: m\n\n");
  });

  it("gets what a rule sets though the client named the field in Connection, or the hop leaves it out", () => {
    const named = request("GET / HTTP/1.1\nHost: orders\nConnection: x-a\nX-A: 1\nVia: 1.0 old\n\n");
    const text = sent(named, (edit) => {
      edit.dropKinds = 1 << FIELD.via;
      edit.set("x-a", "3");
      edit.set("via", "mine");
    });
    expect(text).toBe("GET / HTTP/1.1\nHost: orders\nx-a: 3\nvia: mine\n\n");
  });

  it("gets another target and another host where that stood", () => {
    const text = sent(head, (edit) => {
      edit.target = "/v2";
      edit.set("host", "10.0.0.1:80");
    });
    expect(text).toBe("GET /v2 HTTP/1.1\nHost: 10.0.0.1:80\nX-A: 1\nVia: 1.0 old\nx-a: 2\nX-Last: z\n\n");
  });

  it("keeps its framing whatever a header rule says", () => {
    const post = request("POST / HTTP/1.1\nHost: a\nContent-Length: 2\nConnection: close\n\n");
    const text = sent(post, (edit) => {
      for (const name of ["Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE", "Keep-Alive"]) {
        edit.set(name, "evil");
        edit.add(name, "evil");
        edit.remove(name.toLowerCase());
      }
      edit.dropKinds = (1 << FIELD.contentLength) | (1 << FIELD.host);
    });
    expect(text).toBe("POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\n");
  });

  it("gets the framing that the caller will deliver", () => {
    const post = request("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nX: y\n\n");
    expect(sent(post, (edit) => Object.assign(edit, { framing: "length", length: 5 }))).toBe(
      "POST / HTTP/1.1\nHost: a\nX: y\nContent-Length: 5\n\n",
    );
    expect(sent(post, (edit) => Object.assign(edit, { framing: "none" }))).toBe("POST / HTTP/1.1\nHost: a\nX: y\n\n");
  });

  it("has no memory of the edits before clear()", () => {
    const edit = edits((one) => {
      Object.assign(one, { target: "/x", host: "h", append: "a: b\r\n", dropKinds: 1 << FIELD.via, framing: "none" });
      one.remove("x-last");
      one.connection = "close";
    });
    edit.clear();
    expect(encodeRequestHead(head, edit)).toBe(head.text);
  });
});

describe("a response head", () => {
  it("says close or keep-alive once", () => {
    const head = response("HTTP/1.1 200 OK\nConnection: keep-alive\nContent-Length: 0\n\n");
    expect(answered(head, (edit) => Object.assign(edit, { connection: "close" }))).toBe(
      "HTTP/1.1 200 OK\nContent-Length: 0\nConnection: close\n\n",
    );
  });

  it("gets chunked where content came until close", () => {
    const head = response("HTTP/1.0 200 Fine\nX: y\n\n");
    expect(answered(head, (edit) => Object.assign(edit, { framing: "chunked" }))).toBe(
      "HTTP/1.1 200 Fine\nX: y\nTransfer-Encoding: chunked\n\n",
    );
  });

  it("loses chunked for a client of HTTP/1.0", () => {
    const head = response("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n");
    expect(answered(head, (edit) => Object.assign(edit, { framing: "close", connection: "close" }))).toBe(
      "HTTP/1.1 200 OK\nConnection: close\n\n",
    );
  });

  it("keeps the length of what it is not when it has no content", () => {
    const head = response("HTTP/1.1 200 OK\nContent-Length: 9\n\n", "HEAD");
    expect(answered(head, (edit) => Object.assign(edit, { framing: "none" }))).toBe(
      "HTTP/1.1 200 OK\nContent-Length: 9\n\n",
    );
  });

  it("confirms an upgrade", () => {
    const head = response("HTTP/1.1 101 Switching\nUpgrade: websocket\nConnection: upgrade\n\n");
    expect(answered(head, (edit) => Object.assign(edit, { upgrade: true }))).toBe(
      "HTTP/1.1 101 Switching\nUpgrade: websocket\nConnection: Upgrade\n\n",
    );
  });

  it("gets another status", () => {
    const head = response("HTTP/1.1 200 OK\nContent-Length: 0\n\n");
    expect(answered(head, (edit) => Object.assign(edit, { status: 503 }))).toBe(
      "HTTP/1.1 503 Service Unavailable\nContent-Length: 0\n\n",
    );
  });

  it("can be the sidecar's own", () => {
    expect(ownResponseHead(404, "x-weft-reason: no-route\r\n")).toBe(
      "HTTP/1.1 404 Not Found\r\nx-weft-reason: no-route\r\n\r\n",
    );
  });
});

describe("a head", () => {
  it("joins repeated fields by name, cookies their own way, and misses what is absent", () => {
    const head = request("GET / HTTP/1.1\nHost: a\nCookie: a=1\nX: 1\ncookie: b=2\nx: 2\n\n");
    expect(head.value("x")).toBe("1, 2");
    expect(head.value("cookie")).toBe("a=1; b=2");
    expect(head.value("y")).toBeUndefined();
    expect(head.known(FIELD.cookie)).toBe("a=1");
    expect(head.known(FIELD.via)).toBeUndefined();
  });

  it("outlives the bytes it was read from, until it is released", () => {
    const decoder = new RequestDecoder();
    const bytes = Buffer.from("GET /kept HTTP/1.1\r\nHost: kept\r\n\r\n");
    decoder.decodeHead(bytes, 0, bytes.length);
    bytes.fill(0);
    expect([decoder.head.method, decoder.head.path, decoder.head.authority]).toEqual(["GET", "/kept", "kept"]);
    decoder.reset();
    expect([decoder.head.text, decoder.hasBegun, decoder.heldBytes]).toEqual([
      "GET /kept HTTP/1.1\r\nHost: kept\r\n\r\n",
      false,
      0,
    ]);
    decoder.release();
    expect([decoder.head.text, decoder.hasBegun, decoder.heldBytes]).toEqual(["", false, 0]);
  });
});

describe("field syntax", () => {
  it("knows names and values that may go on the wire", () => {
    expect(["X-A", "a", "!#$"].map(isFieldName)).toEqual([true, true, true]);
    expect(["", "X A", "X:", "X\n", "é"].map(isFieldName)).toEqual([false, false, false, false, false]);
    expect(["", "a b", "\xe9"].map(isFieldValue)).toEqual([true, true, true]);
    expect([" a", "a\r\nb: c", "a\0", "\u20ac"].map(isFieldValue)).toEqual([false, false, false, false]);
  });
});
