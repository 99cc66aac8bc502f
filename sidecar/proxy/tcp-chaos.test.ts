// Connections to a service of bytes, all at once, from a printed seed: clients and endpoints that reset, dribble, look
// away and end early, rules that change under them, directly and through a sidecar on the other side. What looks whole is
// whole on both sides, and when it is over nothing is held.
import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type Random, seededRandom } from "../../runtime/random.ts";
import type { SocketMode } from "../../runtime/socket-output.ts";
import {
  applyRules,
  cleanUp,
  inboundRig,
  REFUSING_ADDRESS,
  type Rig,
  startEndpoint,
  tcpRig,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const CLIENTS = 24;
const TALKS_EACH = 15;
const BODY_MAX = 400_000;
/** `CHAOS_SEEDS=5,6,7` runs others. */
const SEEDS = [1, 2];

const POLICY = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: caller }
spec:
  targetRef: { kind: Service, name: caller }
  connectionPool: { maxConnections: 16, maxPendingRequests: 64, connectTimeout: 200ms, idleTimeout: 100ms }
  timeout: { request: 500ms }
  retry: { attempts: 2, backoff: { base: 1ms, max: 5ms } }
---
`;

interface Tally {
  whole: number;
  cut: number;
  refused: number;
  /** Something ended in order and was not all. */
  readonly wrong: string[];
}

function whole(random: Random, below: number): number {
  return Math.floor(random.next() * below);
}

/** `LENGTH;` and as many characters. */
function message(random: Random): string {
  const length = whole(random, 4) === 0 ? whole(random, BODY_MAX) : whole(random, 2_000);
  return `${length};${"x".repeat(length)}`;
}

function isWhole(text: string): boolean {
  const mark = text.indexOf(";");
  return mark > 0 && text.length === mark + 1 + Number(text.slice(0, mark));
}

/** Writes in pieces, perhaps with pauses; resets half way, or ends in order. */
function say(socket: Socket, text: string, random: Random): void {
  const resetsAt = whole(random, 6) === 0 ? whole(random, text.length) : -1;
  const piece = whole(random, 2) === 0 ? text.length : Math.ceil(text.length / (1 + whole(random, 40)));
  let at = 0;
  const step = (): void => {
    if (socket.destroyed) return;
    if (resetsAt >= 0 && at >= resetsAt) return void socket.resetAndDestroy();
    if (at >= text.length) return void socket.end();
    socket.write(text.slice(at, at + piece));
    at += piece;
    if (whole(random, 3) === 0) setTimeout(step, whole(random, 5));
    else setImmediate(step);
  };
  step();
}

/** Reads what comes, now and then not. */
function listen(socket: Socket, random: Random, onOver: (text: string, ending: "end" | "error") => void): void {
  let text = "";
  let isOver = false;
  const finish = (ending: "end" | "error") => () => {
    if (isOver) return;
    isOver = true;
    onOver(text, ending);
  };
  socket.setEncoding("latin1");
  socket.on("data", (piece: string) => {
    text += piece;
    if (whole(random, 8) > 0) return;
    socket.pause();
    setTimeout(() => socket.resume(), whole(random, 10));
  });
  socket.on("end", finish("end"));
  socket.on("error", finish("error"));
  socket.on("close", finish("error"));
}

/** Speaks first or second, and misbehaves now and then. */
async function startWildEndpoint(random: Random, tally: Tally): Promise<string> {
  const { address } = await startEndpoint(({ socket }) => {
    socket.removeAllListeners("data");
    listen(socket, random, (text, ending) => {
      if (ending === "end" && text !== "" && !isWhole(text)) tally.wrong.push(`endpoint got ${text.slice(0, 10)}...`);
    });
    if (whole(random, 10) === 0) return void socket.resetAndDestroy();
    say(socket, message(random), random);
  });
  return address;
}

function oneTalk(port: number, random: Random, tally: Tally): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("close", () => resolve());
    listen(socket, random, (text, ending) => {
      if (ending === "error") tally[text === "" ? "refused" : "cut"]++;
      else if (isWhole(text)) tally.whole++;
      else tally.wrong.push(`client got ${text.length} of ${text.slice(0, 10)}`);
    });
    say(socket, message(random), random);
  });
}

const SERVICE = "apiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: caller }\n";

/** Endpoints of the service, directly or behind sidecars of their own; how many of them there are changes. */
async function setUp(way: string, socketMode: SocketMode, addresses: readonly string[]) {
  const ports = "ports: [{ port: 25, protocol: tcp }]";
  const limits = { lingerMs: 50 };
  if (way === "direct") {
    const rules = (count: number): string => {
      const chosen = [REFUSING_ADDRESS, ...addresses.slice(0, count)].map((address) => `{ address: "${address}" }`);
      return `${SERVICE}spec: { ${ports}, endpoints: [${chosen.join(", ")}] }\n---\n${POLICY}`;
    };
    const rig = await tcpRig("caller", { socketMode, limits, rules: rules(addresses.length) });
    return { rigs: [rig], change: (count: number) => applyRules(rig.path, rules(count)) };
  }
  const rules = `${SERVICE}spec: { ${ports} }\n---\n${POLICY}`;
  const inbounds: Rig[] = [];
  for (const address of [...addresses, REFUSING_ADDRESS])
    inbounds.push(await inboundRig(address, { socketMode, limits, rules }));
  const workloads = inbounds.map(({ port }) => ({ service: "caller", address: `127.0.0.1:${port}` }));
  const rig = await tcpRig("caller", { socketMode, limits, rules, workloads });
  const change = (count: number): void => applyRules(rig.path, rules, workloads.slice(0, count));
  return { rigs: [rig, ...inbounds], change };
}

/** What is held of connections, which should be nothing. */
function heldBy({ path, listener }: Rig): number[] {
  const { metrics, snapshots } = path;
  const sum = ({ cells }: typeof metrics.tunnels): number =>
    [...cells.entries.values()].reduce((total, { value }) => total + value.value, 0);
  const { cluster } = snapshots.current.services.get("default/caller") ?? {};
  const states = [...(cluster?.states.values() ?? [])];
  return [
    listener.connectionCount,
    listener.seatCount,
    sum(metrics.tunnels),
    sum(metrics.requestsActive),
    sum(metrics.clientConnectionsActive),
    cluster?.state.activeRequests ?? 0,
    cluster?.state.activeRetries ?? 0,
    ...states.flatMap(({ pool, activeRequests }) => [pool.leasedCount, pool.pendingCount, activeRequests]),
  ];
}

const seeds = process.env["CHAOS_SEEDS"]?.split(",").map(Number) ?? SEEDS;
const WAYS = ["direct", "through sidecars"];
const MODES: SocketMode[] = ["handle", "data-events"];

test.each(
  seeds.flatMap((seed) => WAYS.map((way, index) => [seed, way, MODES[(seed + index) % 2] as SocketMode] as const)),
)("seed %i, %s, %s", async (seed, way, socketMode) => {
  const random = seededRandom(seed);
  const tally: Tally = { whole: 0, cut: 0, refused: 0, wrong: [] };
  const addresses: string[] = [];
  while (addresses.length < 3) addresses.push(await startWildEndpoint(random, tally));
  const { rigs, change } = await setUp(way, socketMode, addresses);
  const churn = setInterval(() => change(1 + whole(random, 3)), 20);
  const client = async (): Promise<void> => {
    const { port } = rigs[0] as Rig;
    for (let talk = 0; talk < TALKS_EACH; talk++) await oneTalk(port, random, tally);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  clearInterval(churn);
  change(3);
  expect(tally.wrong).toEqual([]);
  expect(tally.whole).toBeGreaterThan((CLIENTS * TALKS_EACH) / 4);
  expect(tally.cut).toBeGreaterThan(10);
  for (const rig of rigs) {
    await until(
      () => heldBy(rig).every((count) => count === 0),
      () => `${heldBy(rig)} all to be 0`,
    );
    expect(rig.path.metrics.internalErrors.cells.entries.size).toBe(0);
  }
});
