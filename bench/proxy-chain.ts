// A request on its way through the mesh: HTTP/1.1 into one sidecar, HTTP/2 between the two, HTTP/1.1 out of the other,
// against two nginx in a row, which speak HTTP/1.1 between them. Both proxies of a chain share the proxy's core.
import type { CpuTime, Workload } from "./load/contract.ts";
import { chain } from "./peers/chain.ts";
import { nginx } from "./peers/nginx.ts";
import { weftInbound, weftToSidecar } from "./peers/weft.ts";
import { median, medianRatio, ProxyField, perCpuSecond, perSecond, type Sampled, SMALL } from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const CONNECTIONS = 64;
const ROUNDS = 9;
const ROUND_MS = 2_000;
const AT_LEAST = 1;

const WORKLOADS: Readonly<Record<string, Workload>> = {
  "small bodies": SMALL,
  "4 KiB both ways": { request: "length", requestBytes: 4_096, response: "length", responseBytes: 4_096 },
};

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const peers = [chain("two sidecars", weftToSidecar, weftInbound), chain("two nginx", nginx, nginx)];
  const field = await ProxyField.start(peers, note);
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const durationMs = Math.max(200, ROUND_MS * Math.min(1, scale));
  const figures: Figure[] = [];
  try {
    for (const [name, workload] of Object.entries(WORKLOADS)) {
      await field.load.use(workload);
      note(`${name}: ${rounds} rounds of ${field.peers.length} chains`);
      const load = (peer: (typeof field.peers)[number]) => field.load.closedLoop(peer, CONNECTIONS, durationMs);
      figures.push(...figuresOf(name, await field.rounds(rounds, load)));
    }
  } finally {
    await field.stop();
  }
  return {
    bench: "proxy-chain",
    title: `Requests per second through two proxies on one core, ${CONNECTIONS} connections, medians of ${rounds} rounds.`,
    figures,
  };
}

function figuresOf(workload: string, sampled: readonly Sampled[]): Figure[] {
  const [own, other] = sampled;
  const speeds = sampled.map((one) => ({
    name: `${workload}: ${one.name}`,
    value: Math.round(median(one, perSecond)),
    unit: "requests/s",
    detail: `user + system CPU per request: near ${cpuOf(one, 0)}, far ${cpuOf(one, 1)}`,
  }));
  if (other === undefined) return speeds;
  return [
    ...speeds,
    {
      name: `${workload}: two sidecars / two nginx`,
      value: medianRatio(own, other, perSecond),
      unit: "ratio",
      target: { kind: "at-least", value: AT_LEAST },
      detail: `${medianRatio(own, other, perCpuSecond).toFixed(2)} by requests per CPU second`,
    },
  ];
}

/** Of one proxy of a chain. */
function cpuOf(sampled: Sampled, hop: number): string {
  const part = (of: (cpu: CpuTime) => number): string =>
    median(sampled, ({ cpuOfEach, requests }) => of(cpuOfEach[hop] ?? NONE) / requests).toFixed(2);
  return `${part(({ userUs }) => userUs)} + ${part(({ systemUs }) => systemUs)} us`;
}

const NONE: CpuTime = { userUs: 0, systemUs: 0 };
