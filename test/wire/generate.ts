// Messages that nobody wrote, for the differential fuzz: mostly well-formed ones, with the odd part swapped in and
// a few bytes damaged. Not uniform noise, of which all parsers refuse nearly everything at the first byte.
import fc from "fast-check";

const or = (usual: readonly string[], odd: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

const method = or(
  ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"],
  ["get", "PURGE", "CONNECT", "G ET", ""],
);
const target = or(
  ["/", "/a/b?c=d", "/%41", "/a|b", "http://a/", "http://a:80/x?y", "*"],
  ["", "a", "/a b", "/a#b", "/\xe9", "//", "http://b/", "https://a", "a:80", "/\\", "http:/", "?"],
);
const version = or(["HTTP/1.1"], ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "HTTP/1.", "http/1.1"]);
const lineEnd = fc.oneof(
  { weight: 60, arbitrary: fc.constant("\r\n") },
  { weight: 1, arbitrary: fc.constantFrom("\n", "\r", "\r\r\n", "", "\r\n ", "\n\n", " \r\n") },
);
const colon = or([": "], [":", " :", ":\t", ":  ", "\t:", "", " "]);
const name = or(
  ["X-A", "Accept", "User-Agent", "cookie", "X_b", "!#$%&'*+.^`|~"],
  ["", "X A", "Transfer_Encoding", "Content_Length", "X\x00", "X\xe9", "X/", "Te", "Trailer", "Upgrade", "Expect"],
);
const value = or(
  ["", "b", "a, b", "text/plain;q=0.5", "\xe9\xff", "x".repeat(30), "in  between"],
  ["\x00", "a\x7f", "a\tb", "\x0b", " a ", "a\rb", "a\nb", "100-continue", "trailers", "h2c", "websocket"],
);
const field = fc.tuple(name, colon, value, lineEnd).map((parts) => parts.join(""));

const lengthName = or(["Content-Length", "content-length"], ["Content-Length ", "Content_Length", "CONTENT-LENGTH"]);
const codingName = or(["Transfer-Encoding", "transfer-encoding"], ["Transfer-Encoding ", "Transfer_Encoding"]);
const coding = or(
  ["chunked"],
  [
    "Chunked",
    "chunked\t",
    "\tchunked \t",
    "chunked ",
    "gzip, chunked",
    "chunked, gzip",
    "identity",
    "chunked, chunked",
    "xchunked",
    "",
    "chunked;a",
    ",chunked",
    "\x0bchunked",
  ],
);
const content = fc.oneof(
  fc.constantFrom("", "hello", "0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
  fc.string({ maxLength: 20 }),
);
const badLength = fc.constantFrom(
  "+5",
  "-1",
  "0x5",
  "5, 5",
  "5 5",
  "05",
  "",
  "5;",
  "99999999999999999999",
  "1_0",
  "5.0",
);

const extension = or(
  ["", "", "", ";a", ";a=b", ';a="b"'],
  [";", ";a=", " ;a", "; a", ';a="b', ";a b", " ", "\t", ";\n", "\r", ';a="\r"', ';a="\\""', ";\xe9"],
);
const sizeOf = (length: number): fc.Arbitrary<string> => {
  const hex = length.toString(16);
  return or(
    [hex],
    [
      hex.toUpperCase(),
      `0${hex}`,
      `0x${hex}`,
      `+${hex}`,
      ` ${hex}`,
      `${hex} `,
      "",
      `-${hex}`,
      "f".repeat(17),
      (length + 1).toString(16),
    ],
  );
};
const chunk = fc
  .string({ minLength: 1, maxLength: 20 })
  .chain((text) => fc.tuple(sizeOf(text.length), extension, lineEnd, fc.constant(text), lineEnd))
  .map((parts) => parts.join(""));
const chunks = fc
  .tuple(fc.array(chunk, { maxLength: 3 }), sizeOf(0), extension, lineEnd, fc.array(field, { maxLength: 1 }), lineEnd)
  .map(([list, ...rest]) => list.join("") + rest.flat().join(""));

/** Framing fields and the content that goes with them, mostly in agreement. */
const framed: fc.Arbitrary<readonly [string, string]> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(["", ""] as const) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(lengthName, content, lineEnd)
      .map(([label, text, end]) => [`${label}: ${text.length}${end}`, text] as const),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(codingName, coding, lineEnd, chunks)
      .map(([label, word, end, text]) => [`${label}: ${word}${end}`, text] as const),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(badLength, content).map(([length, text]) => [`Content-Length: ${length}\r\n`, text] as const),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(coding, chunks)
      .map(([word, text]) => [`Content-Length: 5\r\nTransfer-Encoding: ${word}\r\n`, text] as const),
  },
);

const host = or(
  ["Host: a\r\n"],
  ["", "Host: a\r\nHost: a\r\n", "Host: b\r\n", "Host: a b\r\n", "Host:\r\n", "host : a\r\n"],
);
const connection = or(
  ["", "", "Connection: keep-alive\r\n"],
  [
    "Connection: close\r\n",
    "Connection: X-A\r\n",
    "Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
  ],
);
const requestLine = fc.tuple(method, target, version, lineEnd).map(([m, t, v, end]) => `${m} ${t} ${v}${end}`);

const oneRequest = fc
  .tuple(requestLine, host, fc.array(field, { maxLength: 3 }), connection, framed, lineEnd)
  .map(
    ([line, hostLine, fields, hop, [framing, text], end]) =>
      line + hostLine + fields.join("") + hop + framing + end + text,
  );

const status = or(
  ["200 OK", "404 Not Found", "299 Fine"],
  [
    "204 No Content",
    "304 Not Modified",
    "100 Continue",
    "103 Hints",
    "200",
    "20 x",
    "200  two",
    "1000 x",
    "200 a\x00",
    "299 \xe9",
    "101 x",
  ],
);
const statusLine = fc
  .tuple(or(["HTTP/1.1"], ["HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "ICY"]), status, lineEnd)
  .map(([v, s, end]) => `${v} ${s}${end}`);
const oneResponse = fc
  .tuple(statusLine, fc.array(field, { maxLength: 3 }), connection, framed, lineEnd)
  .map(([line, fields, hop, [framing, text], end]) => line + fields.join("") + hop + framing + end + text);

/** Bytes that parsers have stumbled over. */
const NASTY = [
  "\r",
  "\n",
  "\r\n",
  " ",
  "\t",
  "\0",
  ":",
  ";",
  ",",
  "\x0b",
  "\x7f",
  "\x80",
  "\xff",
  "0",
  "-",
  "_",
  '"',
  "\\",
  "A",
];
const damage = fc.oneof(
  { weight: 2, arbitrary: fc.constant([] as (readonly [number, number, string])[]) },
  {
    weight: 1,
    arbitrary: fc.array(fc.tuple(fc.nat(4000), fc.nat(2), fc.constantFrom("", ...NASTY)), {
      minLength: 1,
      maxLength: 2,
    }),
  },
);

function damaged(text: string, wounds: readonly (readonly [number, number, string])[]): Uint8Array {
  let result = text;
  for (const [where, remove, insert] of wounds) {
    const at = where % (result.length + 1);
    result = result.slice(0, at) + insert + result.slice(at + remove);
  }
  return Buffer.from(result, "latin1");
}

/** One to three requests on one connection. */
export const requestBytes: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.array(oneRequest, { minLength: 1, maxLength: 3 }), damage)
  .map(([requests, wounds]) => damaged(requests.join(""), wounds));

export const responseBytes: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.array(oneResponse, { minLength: 1, maxLength: 2 }), damage)
  .map(([responses, wounds]) => damaged(responses.join(""), wounds));

export const cuts: fc.Arbitrary<readonly number[]> = fc.array(fc.nat(600), { maxLength: 4 });
