// Everything at once, from a printed seed: clients that abort, pipeline and dribble, endpoints that reset, stall, lie
// and close, rules that change under them. No answer ever belongs to another request, nothing whole-looking is cut,
// and when it is over nothing is held.
import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type Random, seededRandom } from "../../runtime/random.ts";
import type { SocketMode } from "../../runtime/socket-output.ts";
import { applyRules, cleanUp, outboundRig, serviceOf, startEndpoint, until } from "./testing/rig.ts";

afterEach(cleanUp);

const CLIENTS = 24;
const REQUESTS_EACH = 40;
/** `CHAOS_SEEDS=5,6,7` runs others. */
const SEEDS = [1, 2];

const POLICY = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  connectionPool: { maxConnections: 8, maxPendingRequests: 64 }
  timeout: { request: 500ms, perTry: 100ms }
  retry: { attempts: 2, backoff: { base: 1ms, max: 5ms }, budget: { percent: 100, minPerSecond: 1000 } }
---
`;

function whole(random: Random, below: number): number {
  return Math.floor(random.next() * below);
}

/** Echoes the token of each request in answers of every framing, and misbehaves now and then. */
async function startWildEndpoint(random: Random) {
  return startEndpoint((connection) => {
    const { socket } = connection;
    let seen = 0;
    socket.on("data", () => {
      for (;;) {
        const request = nextRequest(connection.received, seen);
        if (request === undefined) return;
        seen = request.end;
        answer(socket, request.token, random);
      }
    });
  });
}

function nextRequest(text: string, from: number): { token: string; end: number } | undefined {
  const headEnd = text.indexOf("\r\n\r\n", from);
  if (headEnd < 0) return undefined;
  const head = text.slice(from, headEnd);
  const token = /\/t\/(\S+)/.exec(head)?.[1] ?? "none";
  const length = /content-length: (\d+)/i.exec(head);
  if (length !== null) {
    const end = headEnd + 4 + Number(length[1]);
    return text.length >= end ? { token, end } : undefined;
  }
  if (!/transfer-encoding/i.test(head)) return { token, end: headEnd + 4 };
  const last = text.indexOf("0\r\n\r\n", headEnd + 2);
  return last < 0 ? undefined : { token, end: last + 5 };
}

function answer(socket: Socket, token: string, random: Random): void {
  const body = `<${token}>`.repeat(1 + whole(random, 40));
  const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const plain = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  switch (whole(random, 16)) {
    case 0:
      return void socket.destroy();
    case 1:
      return void socket.resetAndDestroy();
    case 2:
      return void socket.end(plain.slice(0, plain.length - 1));
    case 3:
      return void socket.write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy");
    case 4:
      return void socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`);
    case 5:
      return void socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    case 6:
      return void socket.write(`${plain}HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled`);
    case 7:
      return void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx");
    case 8:
      // Never answers: a timeout will.
      return;
    case 9:
      return dribble(socket, chunked, random);
    case 10:
      return void socket.write(`HTTP/1.1 103 Early Hints\r\nLink: <${token}>\r\n\r\n${plain}`);
    default:
      socket.write(whole(random, 2) === 0 ? chunked : plain);
  }
}

function dribble(socket: Socket, text: string, random: Random): void {
  let at = 0;
  const step = (): void => {
    if (socket.destroyed || at >= text.length) return;
    const next = at + 1 + whole(random, 60);
    socket.write(text.slice(at, next));
    at = next;
    setImmediate(step);
  };
  step();
}

interface Tally {
  answered: number;
  made: number;
  cut: number;
  aborted: number;
}

/** One client: a connection after the other, requests with tokens of their own, in order. */
async function wildClient(port: number, name: string, random: Random, tally: Tally): Promise<void> {
  let sent = 0;
  while (sent < REQUESTS_EACH) {
    const batch = Math.min(REQUESTS_EACH - sent, 1 + whole(random, 4));
    const tokens = Array.from({ length: batch }, (_, index) => `${name}-${sent + index}`);
    sent += batch;
    await oneConnection(port, tokens, random, tally);
  }
}

function requestText(token: string, random: Random): string {
  const body = `{${token}}`.repeat(whole(random, 200));
  switch (whole(random, 4)) {
    case 0:
      return `POST /t/${token} HTTP/1.1\r\nHost: orders\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    case 1:
      return `PUT /t/${token} HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n${(body.length + 1).toString(16)}\r\n${body}!\r\n0\r\n\r\n`;
    default:
      return `GET /t/${token} HTTP/1.1\r\nHost: orders\r\n\r\n`;
  }
}

/** Pipelines the requests, perhaps in pieces, perhaps goes away; then checks what came. */
function oneConnection(port: number, tokens: readonly string[], random: Random, tally: Tally): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let received = "";
    const text = tokens.map((token) => requestText(token, random)).join("");
    const aborts = whole(random, 10) === 0;
    let isOver = false;
    const finish = (): void => {
      if (isOver) return;
      isOver = true;
      socket.destroy();
      check(received, tokens, tally, aborts);
      resolve();
    };
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (countAnswers(received) >= tokens.length) finish();
      else if (aborts && received.length > 200) finish();
    });
    socket.on("error", () => {});
    socket.on("close", finish);
    if (whole(random, 3) === 0) dribble(socket, text, random);
    else socket.write(text);
    if (aborts) setTimeout(finish, 1 + whole(random, 30));
  });
}

/** Splits what came into whole answers. */
function answersOf(text: string): { body: string; reason: string }[] {
  const answers: { body: string; reason: string }[] = [];
  for (let at = 0; at < text.length; ) {
    const headEnd = text.indexOf("\r\n\r\n", at);
    if (headEnd < 0) break;
    const head = text.slice(at, headEnd);
    if (/^HTTP\/1.1 1/.test(head)) {
      at = headEnd + 4;
      continue;
    }
    const length = /content-length: (\d+)/i.exec(head);
    let body: string;
    let end: number;
    if (length !== null) {
      end = headEnd + 4 + Number(length[1]);
      if (end > text.length) break;
      body = text.slice(headEnd + 4, end);
    } else {
      const last = text.indexOf("\r\n0\r\n\r\n", headEnd + 2);
      if (last < 0) break;
      end = last + 7;
      body = text.slice(headEnd + 4, last).replace(/(^|\r\n)[0-9a-f]+\r\n/g, "");
    }
    answers.push({ body, reason: /x-weft-reason: (\S+)/.exec(head)?.[1] ?? "" });
    at = end;
  }
  return answers;
}

function countAnswers(text: string): number {
  return answersOf(text).length;
}

function check(received: string, tokens: readonly string[], tally: Tally, aborts: boolean): void {
  const answers = answersOf(received);
  expect(received).not.toContain("smuggled");
  for (const [index, { body, reason }] of answers.entries()) {
    const token = tokens[index];
    if (reason !== "") tally.made++;
    else if (body !== "busy") {
      tally.answered++;
      expect(body.replaceAll(`<${token}>`, "")).toBe("");
      expect(body).not.toBe("");
    }
  }
  if (aborts) tally.aborted++;
  else if (answers.length < tokens.length) tally.cut++;
}

const seeds = process.env["CHAOS_SEEDS"]?.split(",").map(Number) ?? SEEDS;

test.each(seeds.flatMap((seed) => [[seed, "handle"] as const, [seed, "data-events"] as const]))(
  "seed %i, %s",
  async (seed, socketMode: SocketMode) => {
    const random = seededRandom(seed);
    const endpoints = [
      await startWildEndpoint(random),
      await startWildEndpoint(random),
      await startWildEndpoint(random),
    ];
    const rules = (count: number): string =>
      serviceOf("orders", ...endpoints.slice(0, count).map(({ address }) => address)) + POLICY;
    const { port, path, listener } = await outboundRig({
      socketMode,
      rules: rules(3),
      limits: { halfClosedGraceMs: 50 },
    });
    const tally: Tally = { answered: 0, made: 0, cut: 0, aborted: 0 };
    let isOver = false;
    const churn = setInterval(() => {
      if (!isOver) applyRules(path, rules(1 + whole(random, 3)));
    }, 20);
    const clients = Array.from({ length: CLIENTS }, (_, index) => wildClient(port, `s${seed}c${index}`, random, tally));
    await Promise.all(clients);
    isOver = true;
    clearInterval(churn);
    expect(tally.answered).toBeGreaterThan((CLIENTS * REQUESTS_EACH) / 4);

    await until(
      () => listener.connectionCount === 0,
      () => `${listener.connectionCount} connections left`,
    );
    applyRules(path, rules(3));
    const { cluster } = path.snapshots.current.services.get("default/orders")!;
    const busy = (): number[] => [
      cluster.state.activeRequests,
      path.metrics.requestsActive.cell("outbound").value,
      ...[...cluster.states.values()].flatMap(({ pool, activeRequests }) => [
        pool.leasedCount,
        pool.pendingCount,
        activeRequests,
      ]),
    ];
    await until(
      () => busy().every((count) => count === 0),
      () => `${busy()} all to be 0`,
    );
    expect(path.metrics.internalErrors.cells.entries.size).toBe(0);
    const counted = [...path.metrics.requests.cells.entries.values()].reduce((sum, { value }) => sum + value.value, 0);
    expect(counted).toBeGreaterThanOrEqual(tally.answered + tally.made);
  },
);
