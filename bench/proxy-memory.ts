// Resident memory of the sidecar: idle, with many idle connections, after many requests; and many connections at once.
import type { LoadReport } from "./load/contract.ts";
import { residentBytes } from "./load/cpu-time.ts";
import type { RunningPeer } from "./peers/contract.ts";
import { weft } from "./peers/weft.ts";
import { ProxyField, SMALL } from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const MEBIBYTE = 1024 * 1024;
const IDLE_MAX_MIB = 90;
/** Mebibytes at most with so many idle connections, each of which has had one answer. */
const HELD: readonly (readonly [connections: number, mebibytesMax: number])[] = [
  [1_000, 110],
  [5_000, 170],
];
const LOAD_CONNECTIONS = 64;
const LOAD_SLICE_MS = 5_000;
/** At scale 10 the five million of the target. */
const LOAD_REQUESTS = 500_000;
/** By then everything that runs often is compiled, and the collector has been round; what comes on top later is a leak. */
const WARM_REQUESTS = 150_000;
const GROWTH_MAX_MIB = 8;
const OPEN_CONNECTIONS = 8_000;
const ACTIVE_CONNECTIONS = 2_000;
const ACTIVE_MS = 4_000;
/** Connections are idle by then. Nobody collects garbage for the sake of the figure: what V8 has not given back counts. */
const SETTLE_MS = 1_500;
/** By then a sidecar has looked twice whether it is idle, and has given back what the load left behind. */
const AFTER_LOAD_MS = 12_000;

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const figures: Figure[] = [];
  await fillCompileCache(note);
  for (const part of [idleFigures, growthFigures, crowdFigures]) {
    const field = await ProxyField.start([weft], note);
    try {
      await field.load.use(SMALL);
      const [peer] = field.peers;
      if (peer !== undefined) figures.push(...(await part(field, peer, { scale, note })));
    } finally {
      await field.stop();
    }
  }
  return { bench: "proxy-memory", title: "Resident memory of the sidecar, and many connections at once.", figures };
}

/** The sources are run as they are: the first start after a change compiles them, and keeps 20 MiB of compiler. */
async function fillCompileCache(note: BenchOptions["note"]): Promise<void> {
  const field = await ProxyField.start([weft], note);
  await field.stop();
}

async function idleFigures(field: ProxyField, peer: RunningPeer): Promise<Figure[]> {
  const figures = [await memory(peer, "RSS idle", IDLE_MAX_MIB)];
  const held: { readonly connections: number; readonly mebibytes: number }[] = [];
  for (const [connections, mebibytesMax] of HELD) {
    await field.load.hold(peer, connections);
    const figure = await memory(peer, `RSS with ${connections} idle connections`, mebibytesMax);
    held.push({ connections, mebibytes: figure.value });
    figures.push(figure);
    await field.load.letGo();
    await settle();
  }
  return [...figures, ...perConnection(held)];
}

/** What one more costs. The first thousand pay for the code that runs with the first requests, too. */
function perConnection(held: readonly { readonly connections: number; readonly mebibytes: number }[]): Figure[] {
  const [few, many] = held;
  if (few === undefined || many === undefined) return [];
  const bytes = ((many.mebibytes - few.mebibytes) * MEBIBYTE) / (many.connections - few.connections);
  const detail = `from ${few.connections} to ${many.connections}; what the kernel holds for sockets is not in it`;
  return [{ name: "RSS per idle connection", value: bytes / 1024, unit: "KiB", detail }];
}

async function growthFigures(field: ProxyField, peer: RunningPeer, options: BenchOptions): Promise<Figure[]> {
  const wanted = LOAD_REQUESTS * options.scale;
  let requests = 0;
  let firstMiB = 0;
  const warmRequests = Math.min(WARM_REQUESTS, wanted / 2);
  let lastMiB = 0;
  while (requests < wanted) {
    const report = await field.load.closedLoop(peer, LOAD_CONNECTIONS, Math.min(1, options.scale) * LOAD_SLICE_MS);
    requests += report.requests;
    lastMiB = residentBytes(peer.pids) / MEBIBYTE;
    if (firstMiB === 0 && requests >= warmRequests) firstMiB = lastMiB;
    options.note(`${requests} requests: ${lastMiB.toFixed(1)} MiB`);
  }
  await settle(AFTER_LOAD_MS);
  const detail = `${requests} requests; ${firstMiB.toFixed(1)} MiB after the first ${warmRequests}`;
  return [
    { ...(await memory(peer, "RSS after a load", undefined)), detail },
    {
      name: "growth under load",
      value: lastMiB - firstMiB,
      unit: "MiB",
      target: { kind: "at-most", value: GROWTH_MAX_MIB },
      detail: `from ${warmRequests} requests to the last, under load`,
    },
  ];
}

async function crowdFigures(field: ProxyField, peer: RunningPeer): Promise<Figure[]> {
  await field.load.hold(peer, OPEN_CONNECTIONS - ACTIVE_CONNECTIONS);
  const report: LoadReport = await field.load.closedLoop(peer, ACTIVE_CONNECTIONS, ACTIVE_MS);
  const rss = await memory(peer, `RSS behind ${OPEN_CONNECTIONS} connections`, undefined);
  return [
    {
      name: `errors with ${OPEN_CONNECTIONS} open connections, ${ACTIVE_CONNECTIONS} active`,
      value: report.errors,
      unit: "",
      target: { kind: "at-most", value: 0 },
      detail: `${report.requests} requests${report.firstError === "" ? "" : `; ${report.firstError}`}`,
    },
    rss,
  ];
}

async function memory(peer: RunningPeer, name: string, mebibytesMax: number | undefined): Promise<Figure> {
  await settle();
  return {
    name,
    value: residentBytes(peer.pids) / MEBIBYTE,
    unit: "MiB",
    ...(mebibytesMax === undefined ? {} : { target: { kind: "at-most" as const, value: mebibytesMax } }),
  };
}

function settle(delayMs = SETTLE_MS): Promise<void> {
  return new Promise((next) => setTimeout(next, delayMs));
}
