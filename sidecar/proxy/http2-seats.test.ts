// Connections of HTTP/2 hold one seat each, whatever they have carried; what they held beside it serves others.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { lastHeaders } from "../http2/testing/frames.ts";
import { ClientSocket } from "./client-socket.ts";
import type { RoutedExchange, Router } from "./contract.ts";
import { Http1Seats } from "./http1-seats.ts";
import { Http2Seats } from "./http2-seats.ts";
import { failure } from "./reasons.ts";
import { RawClient, request } from "./testing/raw-http2.ts";
import { cleanUp, createPath, onCleanUp, until } from "./testing/rig.ts";

const STREAMS = 16;

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
