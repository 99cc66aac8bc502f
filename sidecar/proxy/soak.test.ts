// Peers that go away at random moments, many times over: whatever the moment, the other side gets a whole message or a
// clear end, and nothing of the exchange stays behind. The seed is printed with a failure.
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { seededRandom } from "../../runtime/random.ts";
import type { SocketMode } from "../../runtime/socket-output.ts";
import { readGauges } from "./gauges.ts";
import {
  Client,
  cleanUp,
  type EndpointConnection,
  exchangeBytes,
  outboundRig,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const MODES: SocketMode[] = ["handle", "data-events"];
const ROUNDS = 400;
const AT_ONCE = 20;
const SEED = 20_261_121;
const BODY = "0123456789".repeat(4_000);
const CHUNKED = `${(20_000).toString(16)}\r\n${BODY.slice(0, 20_000)}\r\n${(20_000).toString(16)}\r\n${BODY.slice(20_000)}\r\n0\r\n\r\n`;
const ANSWERS = [
  `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
];
const REQUESTS = [
  "GET / HTTP/1.1\r\nHost: orders\r\n\r\n",
  `POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  `POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
];

type Rig = Awaited<ReturnType<typeof outboundRig>>;

/** Answers each request once it is complete, as `answer` says; `answer` may also end the connection. */
function serving(answer: (socket: Socket) => void): (connection: EndpointConnection) => void {
  return (connection) => {
    connection.socket.on("data", () => {
      for (let end = requestEnd(connection.received); end > 0; end = requestEnd(connection.received)) {
        connection.received = connection.received.slice(end);
        answer(connection.socket);
      }
    });
  };
}

/** Where the first complete request in `text` ends; 0: it is not complete. */
function requestEnd(text: string): number {
  const head = text.indexOf("\r\n\r\n") + 4;
  if (head < 4) return 0;
  if (/^transfer-encoding:/im.test(text.slice(0, head))) {
    const last = text.indexOf("\r\n0\r\n\r\n", head);
    return last < 0 ? 0 : last + 7;
  }
  const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, head))?.[1] ?? 0);
  return text.length >= head + length ? head + length : 0;
}

/** The whole answer with the whole body, in either framing. */
function isWhole(answer: string): boolean {
  const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  return (
    answer.startsWith("HTTP/1.1 200 ") &&
    (body === BODY || (body.endsWith("\r\n0\r\n\r\n") && contentOf(body) === BODY))
  );
}

function contentOf(chunked: string): string {
  let content = "";
  for (let at = 0; ; ) {
    const end = chunked.indexOf("\r\n", at);
    const size = Number.parseInt(chunked.slice(at, end), 16);
    if (!(size > 0)) return content;
    content += chunked.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}

async function inGroups(rounds: number, round: (index: number) => Promise<void>): Promise<void> {
  for (let done = 0; done < rounds; done += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => round(done + index)));
}

async function expectNothingLeft({ path, listener }: Rig): Promise<void> {
  const { metrics, snapshots } = path;
  await until(
    () => listener.connectionCount === 0,
    () => `no client connection, not ${listener.connectionCount}`,
  );
  await until(
    () => metrics.requestsActive.cell("outbound").value === 0,
    () => `no active request, not ${metrics.requestsActive.cell("outbound").value}`,
  );
  const cluster = snapshots.current.services.get("default/orders")?.cluster;
  expect(cluster?.state.activeRequests).toBe(0);
  for (const { activeRequests } of cluster?.states.values() ?? []) expect(activeRequests).toBe(0);
  readGauges(metrics, snapshots.current, 0);
  const pool = (state: string) => metrics.poolConnections.cell("default/orders", state).value;
  await until(() => {
    readGauges(metrics, snapshots.current, 0);
    return pool("active") === 0 && pool("connecting") === 0;
  });
  expect(metrics.poolPending.cell("default/orders").value).toBe(0);
  expect(metrics.internalErrors.cells.entries.size).toBe(0);
}

describe.each(MODES)("%s", (socketMode) => {
  test("clients that go away at random points, by reset or by end", async () => {
    const random = seededRandom(SEED);
    const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random.next() * items.length)] as Item;
    const endpoint = await startEndpoint(serving((socket) => socket.write(pick(ANSWERS), "latin1")));
    const rig = await outboundRig({ socketMode, rules: serviceOf("orders", endpoint.address) });
    let whole = 0;
    await inGroups(ROUNDS, async () => {
      const request = pick(REQUESTS);
      const cut = random.next() < 0.3 ? request.length : Math.floor(random.next() * request.length);
      const client = new Client(rig.port).send(request.slice(0, cut));
      // Of an answer it takes a random part, too.
      const enough = Math.floor(random.next() * BODY.length * 1.2);
      const isComplete = cut === request.length;
      if (isComplete) await until(() => client.received.length >= enough || isWhole(client.received));
      if (isWhole(client.received)) whole++;
      if (random.next() < 0.5) client.socket.resetAndDestroy();
      else client.socket.destroy();
    });
    await expectNothingLeft(rig);
    expect(whole).toBeGreaterThan(0);
    expect(await exchangeBytes(rig.port, "GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n")).toMatch(
      /^HTTP\/1.1 200 /,
    );
  });

  test("endpoints that go away at random points: a whole answer, an answer of the mesh, or a reset", async () => {
    const random = seededRandom(SEED + 1);
    const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random.next() * items.length)] as Item;
    const endpoint = await startEndpoint(
      serving((socket) => {
        const answer = pick(ANSWERS);
        if (random.next() < 0.3) socket.write(answer, "latin1");
        else {
          // Every third time within the head, where the sidecar can still answer itself.
          const part = answer.slice(0, Math.floor(random.next() * (random.next() < 0.3 ? 40 : answer.length)));
          const leave = random.next() < 0.5 ? () => socket.resetAndDestroy() : () => socket.end();
          if (part === "") leave();
          else socket.write(part, "latin1", leave);
        }
      }),
    );
    const rig = await outboundRig({ socketMode, rules: serviceOf("orders", endpoint.address) });
    const seen = { whole: 0, mesh: 0, reset: 0 };
    await inGroups(ROUNDS, async (index) => {
      const client = new Client(rig.port).send(pick(REQUESTS).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
      const end = await client.ends();
      client.socket.destroy();
      const { received } = client;
      if (end === "ECONNRESET") seen.reset++;
      else if (isWhole(received)) seen.whole++;
      else if (/^HTTP\/1.1 50[234] [\s\S]*x-weft-reason: /.test(received)) seen.mesh++;
      else
        throw new Error(
          `round ${index} of seed ${SEED + 1}: ${end} after ${received.length}: ${received.slice(0, 200)}`,
        );
    });
    await expectNothingLeft(rig);
    // Not by luck: each way to end came up often.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(ROUNDS / 40);
  });
});
