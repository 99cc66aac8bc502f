// Connections of HTTP/2 hold one seat each, whatever they have carried; what they held beside it serves others.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { data, headers, lastHeaders, OK } from "../http2/testing/frames.ts";
import { ClientSocket } from "./client-socket.ts";
import type { RoutedExchange, Router } from "./contract.ts";
import { Http1Seats } from "./http1-seats.ts";
import { Http2Seats } from "./http2-seats.ts";
import { failure } from "./reasons.ts";
import { FRAME_TYPE, RawClient, rawEndpoint, request, serviceOf2 } from "./testing/raw-http2.ts";
import { cleanUp, createPath, onCleanUp, outboundRig, until } from "./testing/rig.ts";

const STREAMS = 16;
/** More than one read may have for its requests to wait for the end of the turn. */
const LARGE_READ_BYTES = 10_000;
const END = 1;

afterEach(cleanUp);

/** A listener whose requests all wait until they are answered by hand. */
async function waiting() {
  const exchanges: RoutedExchange[] = [];
  const router: Router = { direction: "inbound", route: (exchange) => exchanges.push(exchange) };
  const path = await createPath();
  const seats = new Http2Seats(path, router);
  const owner = { isDraining: false, onLinkClosed: () => {}, onSuccession: () => {} };
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.on("connection", (socket) => new ClientSocket(socket, owner, path, new Http1Seats(path, router), seats));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onCleanUp(() => server.close());
  const answerAll = (): void => {
    for (const exchange of exchanges.splice(0)) exchange.answer(failure("no-route"), "");
  };
  return { port: (server.address() as AddressInfo).port, seats, exchanges, answerAll };
}

test("a connection keeps one seat of many, the next one takes the others, and an end gives back the last", async () => {
  const { port, seats, exchanges, answerAll } = await waiting();
  const first = new RawClient(port);
  const ids = Array.from({ length: STREAMS }, (_, index) => index * 2 + 1);
  for (const id of ids) first.send(lastHeaders(id, request("GET")));
  await until(() => exchanges.length === STREAMS);
  const used = new Set(exchanges);
  answerAll();
  for (const id of ids) expect((await first.ends(id)).fields[":status"]).toBe("404");
  expect(seats.freeCount).toBe(STREAMS - 1);

  const second = new RawClient(port);
  for (const id of ids) second.send(lastHeaders(id, request("GET")));
  await until(() => exchanges.length === STREAMS);
  expect(exchanges.filter((exchange) => used.has(exchange))).toHaveLength(STREAMS - 1);
  expect(seats.freeCount).toBe(0);
  // Its end is the end of its requests too.
  second.socket.destroy();
  await until(() => seats.freeCount === STREAMS);
  first.socket.destroy();
  await until(() => seats.freeCount === STREAMS + 1);
});

// What a seat is given of a read goes out when the read is over. One that had left by then once believed for good that it
// was waited for: content of later requests stayed where it was read, and went out late as whatever was read next, or never.
test("a seat whose request was answered while it was read sends on the content of the next one at once", async () => {
  const endpoint = await rawEndpoint(({ type, flags, streamId }, socket) => {
    if (type === FRAME_TYPE.data && (flags & END) === END) socket.write(lastHeaders(streamId, OK));
  });
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const client = new RawClient(rig.port);
  const unread = data(1, "x".repeat(LARGE_READ_BYTES));
  client.send(headers(1, request("POST", [":authority", "nobody"])), unread);
  expect((await client.ends(1)).fields).toMatchObject({ ":status": "404", "x-weft-reason": "no-such-service" });
  client.send(headers(3, request("POST")));
  await until(() => endpoint.logs[0]?.frames.some(({ type }) => type === FRAME_TYPE.headers) === true);
  for (const part of ["first", "second"]) {
    client.send(data(3, part));
    await until(() => endpoint.logs[0]?.stream(1).body.endsWith(part) === true);
  }
  expect((await client.send(data(3, "", END)).ends(3)).fields[":status"]).toBe("200");
  expect(endpoint.logs[0]?.stream(1).body).toBe("firstsecond");
});
