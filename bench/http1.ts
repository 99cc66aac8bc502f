// What the HTTP/1.1 codec costs, in nanoseconds of user CPU per message: heads in, heads out, chunked bodies.
// Not a proxy benchmark: no sockets. Run with `node bench/http1.ts`; rounds are interleaved, the median is printed.
import { BodyDecoder } from "../sidecar/http1/body.ts";
import { RequestDecoder, ResponseDecoder } from "../sidecar/http1/decoder.ts";
import { encodeRequestHead, encodeResponseHead } from "../sidecar/http1/encoder.ts";
import { HeadEdits } from "../sidecar/http1/head-edits.ts";
import { OCTET } from "../sidecar/http1/octet.ts";

const ROUNDS = 15;
const RUNS = 100_000;

const small = Buffer.from("GET /orders/17 HTTP/1.1\r\nhost: orders\r\nconnection: keep-alive\r\n\r\n");
const browser = Buffer.from(
  [
    "GET /api/v1/orders/8731?expand=lines&currency=eur HTTP/1.1",
    "Host: orders.default.svc.cluster.local",
    "Connection: keep-alive",
    "Accept: application/json, text/plain, */*",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Authorization: Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
    "Referer: https://shop.example.com/orders?page=2",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-GB,en;q=0.9,fi;q=0.8",
    "Cookie: session=5f2b9c41d07e4c3f8a6d; theme=dark; consent=yes",
    "X-Request-Id: 0b8f3c52-7d1e-4a56-9f3e-2c6b1d7a9e10",
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "",
    "",
  ].join("\r\n"),
);
const response = Buffer.from(
  "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 27\r\ndate: Tue, 04 Mar 2025 10:00:00 GMT\r\n" +
    "connection: keep-alive\r\nkeep-alive: timeout=5\r\n\r\n",
);
const chunked = Buffer.from(`1000\r\n${"x".repeat(4096)}\r\n0\r\n\r\n`);

const requests = new RequestDecoder();
const responses = new ResponseDecoder();
const body = new BodyDecoder();
const edits = new HeadEdits();
let sink = 0;

function decodeRequest(bytes: Buffer): void {
  requests.reset();
  sink += requests.decodeHead(bytes, 0, bytes.length);
}

function forwardRequest(bytes: Buffer): void {
  decodeRequest(bytes);
  edits.clear();
  edits.append = "x-forwarded-for: 10.0.0.7\r\nvia: 1.1 weft\r\n";
  sink += encodeRequestHead(requests.head, edits).length;
}

function decodeCut(bytes: Buffer): void {
  requests.reset();
  const middle = bytes.length >> 1;
  requests.decodeHead(bytes, 0, middle);
  sink += requests.decodeHead(bytes, middle, bytes.length);
}

const cases: Record<string, () => void> = {
  [`request head, ${small.length} bytes: decode`]: () => decodeRequest(small),
  [`request head, ${small.length} bytes: decode and encode`]: () => forwardRequest(small),
  [`request head, ${browser.length} bytes: decode`]: () => decodeRequest(browser),
  [`request head, ${browser.length} bytes: decode, cut in two`]: () => decodeCut(browser),
  [`request head, ${browser.length} bytes: decode and encode`]: () => forwardRequest(browser),
  [`response head, ${response.length} bytes: decode`]: () => {
    responses.reset();
    sink += responses.decodeHead(response, 0, response.length);
  },
  [`response head, ${response.length} bytes: decode and encode`]: () => {
    responses.reset();
    sink += responses.decodeHead(response, 0, response.length);
    edits.clear();
    sink += encodeResponseHead(responses.head, edits).length;
  },
  "for scale: one look at each of 717 bytes": () => {
    let allowed = 0;
    for (let at = 0; at < browser.length; at++) allowed += (OCTET[browser[at] as number] as number) & 1;
    sink += allowed;
  },
  "chunked body, 4 KiB in one chunk: validate": () => {
    body.begin("chunked", 0, "wire", "downstream");
    sink += body.decode(chunked, 0, chunked.length);
  },
};

/** User CPU, not wall time: neighbours on the machine take the latter. */
function nanosecondsOf(run: () => void, count: number): number {
  const before = process.cpuUsage();
  for (let index = 0; index < count; index++) run();
  return (process.cpuUsage(before).user * 1000) / count;
}

const samples = new Map<string, number[]>(Object.keys(cases).map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(cases)) samples.get(name)?.push(nanosecondsOf(run, RUNS));
}
for (const [name, values] of samples) {
  const sorted = values.slice(3).sort((left, right) => left - right);
  console.log(`${name.padEnd(52)} ${(sorted[sorted.length >> 1] ?? 0).toFixed(0).padStart(6)} ns`);
}
if (sink === 0) throw new Error("nothing was measured");
