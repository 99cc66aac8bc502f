// A field of proxies under one load: starts them, runs interleaved rounds, takes medians. What is measured, and against
// which bound, is said by the bench files.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadReport, Workload } from "./load/contract.ts";
import { LoadProcess } from "./load/load-process.ts";
import type { Peer, RunningPeer } from "./peers/contract.ts";
import { canPin } from "./peers/pinning.ts";
import { percentile } from "./result.ts";

export const SMALL: Workload = { request: "none", requestBytes: 0, response: "length", responseBytes: 27 };
export const CHUNKED: Workload = { request: "chunked", requestBytes: 4_096, response: "chunked", responseBytes: 4_096 };

/**
 * Of each proxy before its rounds: what runs often is compiled after so many requests, and not before. Against nginx, which has
 * nothing to compile, a request of the sidecar takes 3.7 times the user CPU among the first 70,000, 2.7 up to 210,000, and 1.6
 * to 2 from 360,000 on.
 */
const WARM_UP_REQUESTS = 300_000;
/** Slow proxies and large bodies, which are few requests, are as warm as they get by then, however short the rounds are. */
const WARM_UP_MS_MAX = 12_000;

/** One round of one proxy. */
export type Measure = (peer: RunningPeer) => Promise<LoadReport>;

/** Samples of one proxy: a report per round. */
export interface Sampled {
  readonly name: string;
  readonly reports: LoadReport[];
}

export class ProxyField {
  readonly load: LoadProcess;
  readonly peers: readonly RunningPeer[];
  readonly #folder: string;

  private constructor(load: LoadProcess, peers: readonly RunningPeer[], folder: string) {
    this.load = load;
    this.peers = peers;
    this.#folder = folder;
  }

  /** Starts the load process (see LoadProcess.start) and those of `peers` that are installed. */
  static async start(peers: readonly Peer[], note: (line: string) => void, program?: string): Promise<ProxyField> {
    if (!canPin) note("processes cannot be pinned to cores here: the figures mean little");
    const folder = mkdtempSync(join(tmpdir(), "weft-bench-"));
    const load = await LoadProcess.start(program);
    const running: RunningPeer[] = [];
    const field = new ProxyField(load, running, folder);
    try {
      for (const peer of peers) {
        const started = await peer.start({ endpointPorts: load.ports, folder });
        if (started === undefined) note(`${peer.name} is not installed here and is left out`);
        else running.push(started);
      }
    } catch (error) {
      await field.stop();
      throw error;
    }
    return field;
  }

  /**
   * Asks each proxy in turn, `rounds` times, after warming them up. The order is turned round every time, so that none
   * always follows the same neighbour.
   * @param peers all by default
   */
  async rounds(rounds: number, measure: Measure, peers: readonly RunningPeer[] = this.peers): Promise<Sampled[]> {
    const sampled = peers.map((peer) => ({ name: peer.name, peer, reports: [] as LoadReport[] }));
    for (const { peer } of sampled) await warmUp(peer, measure);
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? [...sampled] : [...sampled].reverse();
      for (const { peer, reports } of order) reports.push(await withoutErrors(peer, measure));
    }
    return sampled;
  }

  async stop(): Promise<void> {
    await Promise.all(this.peers.map((peer) => peer.stop()));
    this.load.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Counted in requests, because on a busy machine a second is few of them, and compilers wait for many. */
async function warmUp(peer: RunningPeer, measure: Measure): Promise<void> {
  const untilMs = performance.now() + WARM_UP_MS_MAX;
  let requests = 0;
  while (requests < WARM_UP_REQUESTS && performance.now() < untilMs)
    requests += (await withoutErrors(peer, measure)).requests;
}

async function withoutErrors(peer: RunningPeer, measure: Measure): Promise<LoadReport> {
  const report = await measure(peer);
  if (report.errors > 0) throw new Error(`${peer.name}: ${report.errors} errors, the first: ${report.firstError}`);
  return report;
}

/** The median of a figure over the rounds. */
export function median(sampled: Sampled, figure: (report: LoadReport) => number): number {
  return percentile(sampled.reports.map(figure), 50);
}

/** Median of the ratios of rounds that were run next to each other; NaN when either is missing. */
export function medianRatio(
  own: Sampled | undefined,
  other: Sampled | undefined,
  figure: (report: LoadReport) => number,
): number {
  const ratios = (own?.reports ?? []).flatMap((report, round) => {
    const against = other?.reports[round];
    return against === undefined ? [] : [figure(report) / figure(against)];
  });
  return ratios.length === 0 ? Number.NaN : percentile(ratios, 50);
}

export const perSecond = ({ requests, seconds }: LoadReport): number => requests / seconds;
export const userUs = ({ cpu, requests }: LoadReport): number => cpu.userUs / requests;
export const systemUs = ({ cpu, requests }: LoadReport): number => cpu.systemUs / requests;
export const megabytesPerSecond = ({ bodyBytes, seconds }: LoadReport): number => bodyBytes / seconds / 1e6;
/** Requests per second of CPU time: what one whole core would carry. Does not see what neighbours take. */
export const perCpuSecond = ({ cpu, requests }: LoadReport): number => requests / ((cpu.userUs + cpu.systemUs) / 1e6);
