// Content that came in large reads: many streams of many clients at a time, in reads of every size, to endpoints of both
// protocols that answer late, early, again or not at all. Each octet arrives where it belongs, once.
import { createServer as createServer1, type IncomingMessage } from "node:http";
import { createServer as createServer2, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type Random, seededRandom } from "../../runtime/random.ts";
import { Http2Head } from "../http2/head.ts";
import { blockBytesMax, HpackEncoder } from "../http2/hpack-encoder.ts";
import { END_HEADERS, END_STREAM, frame, PADDED, padded, rst, windowUpdate } from "../http2/testing/frames.ts";
import { RawClient } from "./testing/raw-http2.ts";
import {
  cleanUp,
  inboundRig,
  onCleanUp,
  outboundRig,
  policy,
  REFUSING_ADDRESS,
  type Rig,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const CLIENTS = 3;
const STREAMS_MAX = 16;
const ROUNDS = Number(process.env["CONTENT_ROUNDS"] ?? 12);
/** `CONTENT_SEEDS=5,6,7` runs others. */
const seeds = process.env["CONTENT_SEEDS"]?.split(",").map(Number) ?? [1, 2];
const FRAME_MAX = 16_384;
/** An answer of more would need the client's window. */
const ECHO_MAX = 60_000;

function whole(random: Random, below: number): number {
  return Math.floor(random.next() * below);
}

function oneOf<Value>(random: Random, values: readonly Value[]): Value {
  return values[whole(random, values.length)] as Value;
}

/** Each octet tells, by those around it, whose it is and where it stands. */
function contentOf(token: string, length: number): string {
  const parts: string[] = [];
  for (let at = 0; at < length; at += (parts.at(-1) as string).length) parts.push(`<${token}:${at}>`);
  return parts.join("").slice(0, length);
}

// ---- endpoints ----

interface Arrival {
  bytes: number;
  isWhole: boolean;
}

/** What all endpoints of a test saw. */
class Arrivals {
  readonly of = new Map<string, Arrival[]>();
  readonly faults: string[] = [];
  readonly #answered = new Set<string>();

  begin(token: string): Arrival {
    const arrival = { bytes: 0, isWhole: false };
    this.of.set(token, [...(this.of.get(token) ?? []), arrival]);
    return arrival;
  }

  take(token: string, arrival: Arrival, chunk: Buffer): void {
    const start = arrival.bytes;
    arrival.bytes += chunk.length;
    const right = contentOf(token, arrival.bytes).slice(start);
    if (chunk.toString("latin1") !== right)
      this.faults.push(`${token} at ${start}: ${chunk.toString("latin1", 0, 80)} for ${right.slice(0, 80)}`);
  }

  isFirst(token: string): boolean {
    const isFirst = !this.#answered.has(token);
    this.#answered.add(token);
    return isFirst;
  }
}

type Reply = (status: number, body: string) => void;

/** @param path `/TOKEN/KIND` */
function serve(
  path: string,
  request: IncomingMessage | ServerHttp2Stream,
  name: string,
  all: Arrivals,
  reply: Reply,
): void {
  const [, token = "", kind = ""] = path.split("/");
  const key = name === "" ? token : `${name} ${token}`;
  const arrival = all.begin(key);
  request.on("end", () => {
    if ("aborted" in request && request.aborted) return;
    arrival.isWhole = true;
    if (kind === "early") return;
    if (kind === "twice" && all.isFirst(key)) return reply(503, "");
    reply(200, arrival.bytes > ECHO_MAX ? String(arrival.bytes) : contentOf(token, arrival.bytes));
  });
  request.on("error", () => {});
  if (kind === "early") reply(200, "early");
  const read = (): unknown => request.on("data", (chunk: Buffer) => all.take(token, arrival, chunk));
  if (kind === "slow") setTimeout(read, 2 + (token.length % 5));
  else read();
}

async function endpoint1(all: Arrivals, name = ""): Promise<number> {
  const server = createServer1((request, response) => {
    const reply: Reply = (status, body) => {
      response.writeHead(status, { "content-length": body.length });
      response.end(body, "latin1");
    };
    serve(request.url ?? "", request, name, all, reply);
  });
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  onCleanUp(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function endpoint2(all: Arrivals, name = ""): Promise<number> {
  const server = createServer2();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream: ServerHttp2Stream, fields) => {
    const reply: Reply = (status, body) => {
      if (stream.destroyed || stream.closed) return;
      stream.respond({ ":status": status });
      stream.end(body, "latin1");
    };
    serve(String(fields[":path"]), stream, name, all, reply);
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  onCleanUp(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function service(name: string, protocol: string, address: string): string {
  return `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: ${name} }
spec: { ports: [{ port: 80, protocol: ${protocol} }], endpoints: [{ address: "${address}" }] }
---
`;
}

function mirrored(name: string, shadow: string): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name} }
spec:
  parentRefs: [{ group: "", kind: Service, name: ${name} }]
  rules:
    - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: ${shadow}, port: 80 } } }]
      backendRefs: [{ name: ${name}, port: 80 }]
---
`;
}

const RETRY = "retry: { attempts: 2, methods: [POST], budget: { percent: 100, minPerSecond: 100000 } }";
const SERVICES = ["one", "two", "single1", "single2", "again1", "again2", "copied1", "copied2", "broken1", "broken2"];

async function rigOf(all: Arrivals): Promise<Rig> {
  const one = `127.0.0.1:${await endpoint1(all)}`;
  const two = `127.0.0.1:${await endpoint2(all)}`;
  const rules = [
    service("one", "http", one),
    service("two", "h2c", two),
    service("shadow1", "http", `127.0.0.1:${await endpoint1(all, "shadow")}`),
    service("shadow2", "h2c", `127.0.0.1:${await endpoint2(all, "shadow")}`),
  ];
  for (const [suffix, protocol, address] of [
    ["1", "http", one],
    ["2", "h2c", two],
  ] as const) {
    const pool = "connectionPool: { maxConnections: 1, maxPendingRequests: 1000 }";
    rules.push(service(`single${suffix}`, protocol, address), policy(`single${suffix}`, pool));
    rules.push(service(`again${suffix}`, protocol, address), policy(`again${suffix}`, RETRY));
    rules.push(service(`copied${suffix}`, protocol, address));
    rules.push(mirrored(`copied${suffix}`, suffix === "1" ? "shadow2" : "shadow1"));
    const instead = `retry: { attempts: 0 }, fallback: { service: ${suffix === "1" ? "two" : "one"} }`;
    rules.push(service(`broken${suffix}`, protocol, REFUSING_ADDRESS), policy(`broken${suffix}`, instead));
  }
  return outboundRig({ rules: rules.join("") });
}

// ---- clients ----

interface Asked {
  readonly id: number;
  readonly token: string;
  readonly kind: string;
  readonly length: number;
  readonly service: string;
  /** The client gives it up. */
  readonly isReset: boolean;
  /** It promises other content than it sends. */
  readonly isLying: boolean;
}

const LENGTHS = [0, 1, 5, 300, 1024, 4095, 4096, 4097, 7000, 8100, 9000, 16_384, 20_000];

class WildClient {
  readonly raw: RawClient;
  readonly name: string;
  readonly #random: Random;
  readonly #encoder = new HpackEncoder(4096, false);
  readonly #services: readonly string[];
  #nextId = 1;

  constructor(port: number, name: string, random: Random, services: readonly string[]) {
    this.raw = new RawClient(port);
    this.raw.send(windowUpdate(0, 2 ** 30));
    this.name = name;
    this.#random = random;
    this.#services = services;
  }

  /** Requests of one round, and their frames, in an order that keeps that of each stream. */
  ask(): { asked: Asked[]; bytes: Buffer } {
    const random = this.#random;
    const asked: Asked[] = [];
    const queues: (() => Buffer)[][] = [];
    for (let count = 1 + whole(random, STREAMS_MAX); count > 0; count--) {
      const request = this.#request();
      asked.push(request);
      queues.push(this.#frames(request));
    }
    const frames: Buffer[] = [];
    // HTTP/2 wants streams begun in the order of their ids.
    const begin = (): void => {
      const index = queues.findIndex((queue) => queue.length > 0);
      if (index < 0) return;
      frames.push(queues[index]?.shift()?.() as Buffer);
    };
    let begun = 0;
    while (queues.some((queue) => queue.length > 0)) {
      const isNext = whole(random, 3) > 0 && begun < queues.length;
      const index = isNext ? begun++ : whole(random, Math.max(1, begun));
      const next = index < begun ? queues[index]?.shift() : undefined;
      if (next !== undefined) frames.push(next());
      else if (begun === queues.length) begin();
    }
    return { asked, bytes: Buffer.concat(frames) };
  }

  #request(): Asked {
    const random = this.#random;
    const id = this.#nextId;
    this.#nextId += 2;
    const isLarge = whole(random, 60) === 0;
    const length = isLarge ? 30_000 + whole(random, 90_000) : oneOf(random, LENGTHS) + whole(random, 3);
    const name = this.#services.length > 1 && whole(random, 20) === 0 ? "nowhere" : oneOf(random, this.#services);
    const kinds = ["plain", "plain", "plain", "slow", "early"];
    // What is too large to be kept is not sent again.
    const kind = name.startsWith("again") && !isLarge ? "twice" : oneOf(random, kinds);
    const isReset = whole(random, 12) === 0;
    const isLying = !isReset && length > 0 && whole(random, 25) === 0;
    return { id, token: `${this.name}-${id}`, kind, length, service: name, isReset, isLying };
  }

  #frames({ id, token, kind, length, service, isReset, isLying }: Asked): (() => Buffer)[] {
    const random = this.#random;
    const hasTrailers = whole(random, 6) === 0;
    const hasLength = isLying || whole(random, 2) === 0;
    const isBare = length === 0 && !hasTrailers && whole(random, 2) === 0;
    const frames: (() => Buffer)[] = [
      () => {
        const head = new Http2Head();
        Object.assign(head, { method: "POST", scheme: "http", authority: service, path: `/${token}/${kind}` });
        const promised = isLying ? length + (whole(random, 2) === 0 ? 1 : -1) : length;
        if (hasLength) head.add("content-length", String(promised));
        if (whole(random, 2) === 0) head.add("x-own", token);
        return frame(1, END_HEADERS | (isBare && !isReset ? END_STREAM : 0), id, this.#block(head, false));
      },
    ];
    const content = contentOf(token, length);
    const stop = isReset ? whole(random, length + 1) : length;
    for (let at = 0; at < stop; ) {
      const size = Math.min(stop - at, oneOf(random, [FRAME_MAX, FRAME_MAX, FRAME_MAX, 4096, 1000, 10]));
      const piece = content.slice(at, at + size);
      at += size;
      const end = at === length && !hasTrailers && !isReset && whole(random, 4) > 0 ? END_STREAM : 0;
      const padding = size < 8000 && whole(random, 8) === 0 ? whole(random, 200) : -1;
      if (padding < 0) frames.push(() => frame(0, end, id, Buffer.from(piece, "latin1")));
      else frames.push(() => frame(0, end | PADDED, id, padded(piece, padding)));
      if (end !== 0) return frames;
    }
    if (isReset) frames.push(() => rst(id, 8));
    else if (hasTrailers) {
      frames.push(() => {
        const trailers = new Http2Head();
        trailers.add("x-end", token);
        return frame(1, END_HEADERS | END_STREAM, id, this.#block(trailers, true));
      });
    } else if (!isBare) frames.push(() => frame(0, END_STREAM, id));
    return frames;
  }

  #block(head: Http2Head, isTrailers: boolean): Buffer {
    const out = Buffer.alloc(blockBytesMax(head));
    const end = isTrailers ? this.#encoder.encodeTrailers(head, out, 0) : this.#encoder.encodeRequest(head, out, 0);
    return out.subarray(0, end);
  }
}

const READ = 8 * 1024;

/** Cuts what a client sends into what the sidecar reads at a time. */
function pieces(bytes: Buffer, random: Random): Buffer[] {
  const sizes = oneOf(random, [
    [bytes.length],
    [READ + 1],
    [READ - 1, READ, READ + 1, READ + 9],
    [100, READ, 3 * READ],
    [1, 20_000],
  ]);
  const list: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = Math.max(1, oneOf(random, sizes) + (sizes.length === 1 ? 0 : whole(random, 3) - 1));
    list.push(bytes.subarray(at, at + size));
    at += size;
  }
  return list;
}

async function round(clients: readonly WildClient[], random: Random): Promise<Asked[][]> {
  const all = clients.map((client) => client.ask());
  const rests = all.map(({ bytes }) => pieces(bytes, random));
  while (rests.some((rest) => rest.length > 0)) {
    for (const [index, rest] of rests.entries()) {
      const piece = rest.shift();
      if (piece !== undefined) clients[index]?.raw.send(piece);
    }
    await new Promise((resolve) => setImmediate(resolve));
    if (whole(random, 4) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return all.map(({ asked }) => asked);
}

/** @returns what became of it */
async function check(client: WildClient, asked: Asked, all: Arrivals): Promise<string> {
  const { id, token, kind, length, isReset, isLying } = asked;
  if (isReset) return "reset";
  const seen = await client.raw.ends(id).catch((error: unknown) => {
    throw new Error(JSON.stringify([asked, all.of.get(token)]), { cause: error });
  });
  expect(client.raw.isClosed, token).toBe(false);
  const status = seen.fields[":status"] ?? "none";
  const arrivals = all.of.get(token) ?? [];
  const whole = arrivals.filter(({ isWhole }) => isWhole);
  if (isLying) {
    // Of content that is longer than was promised the promised octets may have been out, and answered.
    if (kind !== "early") for (const arrival of whole) expect(arrival.bytes, token).toBe(length - 1);
    if (whole.length === 0 && kind !== "early") expect(status, token).not.toBe("200");
    return "lying";
  }
  if (asked.service === "nowhere") {
    expect(status, token).toBe("404");
    expect(arrivals, token).toEqual([]);
    return "nowhere";
  }
  expect([token, asked.kind, asked.service, status, seen.fields["x-weft-reason"]]).toEqual([
    token,
    asked.kind,
    asked.service,
    "200",
    undefined,
  ]);
  if (kind === "early") {
    expect(seen.body, token).toBe("early");
    return "early";
  }
  expect(seen.isWhole, token).toBe(true);
  expect(
    whole.map(({ bytes }) => bytes),
    token,
  ).toEqual(kind === "twice" ? [length, length] : [length]);
  expect(seen.body, token).toBe(length > ECHO_MAX ? String(length) : contentOf(token, length));
  return kind;
}

/** How many requests let their content wait where a large read brought it. */
function waitsInLarge({ path }: Rig): () => number {
  const { content, requests } = path.turn;
  const add = content.add.bind(content);
  let count = 0;
  content.add = (item) => {
    if (requests.lent !== undefined) count++;
    add(item);
  };
  return () => count;
}

async function run(rig: Rig, seed: number, services: readonly string[], all: Arrivals): Promise<Map<string, number>> {
  const random = seededRandom(seed);
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new WildClient(rig.port, `${seed}c${index}`, random, services),
  );
  const ends = new Map<string, number>();
  const waits = waitsInLarge(rig);
  for (let turn = 0; turn < ROUNDS; turn++) {
    const asked = await round(clients, random);
    for (const [index, list] of asked.entries()) {
      for (const each of list) {
        const end = await check(clients[index] as WildClient, each, all);
        ends.set(end, (ends.get(end) ?? 0) + 1);
      }
    }
    expect(all.faults).toEqual([]);
  }
  const { turn, metrics } = rig.path;
  for (const direction of ["outbound", "inbound"] as const)
    await until(() => metrics.requestsActive.cell(direction).value === 0);
  expect(metrics.internalErrors.cells.entries.size).toBe(0);
  expect(turn.content.isEmpty).toBe(true);
  expect(turn.requests.lent).toBeUndefined();
  expect(waits()).toBeGreaterThan(ROUNDS);
  return ends;
}

test.each(seeds)("of a sidecar's callers, seed %i", async (seed) => {
  const all = new Arrivals();
  const rig = await rigOf(all);
  const ends = await run(rig, seed, SERVICES, all);
  for (const end of ["plain", "slow", "early", "twice", "nowhere", "reset"]) expect(ends.get(end)).toBeGreaterThan(0);
});

const DELAY = `
apiVersion: weft.mesh/v1
kind: Fault
metadata: { name: slow }
spec: { targetRef: { kind: Service, name: caller }, delay: { percent: 40, duration: 3ms } }
---
`;

test.each(seeds)("of a sidecar's service, some of it held back, seed %i", async (seed) => {
  const all = new Arrivals();
  const rig = await inboundRig(`127.0.0.1:${await endpoint1(all)}`, { rules: DELAY });
  await run(rig, seed, ["app"], all);
});
