// `npm run bench`: runs the bench files in order and prints their figures, or one JSON document with --json.
//   npm run bench -- [--json] [--scale 0.1] [NAME ...]
import { parseArgs } from "node:util";
import { refreshBundles } from "../scripts/bundle.ts";
import { type BenchModule, type BenchResult, type Figure, meetsTarget } from "./result.ts";

/** In the order in which they run: rooms first, then whole programs. */
const BENCHES: Readonly<Record<string, () => Promise<BenchModule>>> = {
  routing: () => import("./routing.ts"),
  balance: () => import("./balance.ts"),
  decisions: () => import("./decisions.ts"),
  proxy: () => import("./proxy.ts"),
  "proxy-features": () => import("./proxy-features.ts"),
  "proxy-latency": () => import("./proxy-latency.ts"),
  "proxy-bodies": () => import("./proxy-bodies.ts"),
  "proxy-memory": () => import("./proxy-memory.ts"),
  "proxy-grpc": () => import("./proxy-grpc.ts"),
  "proxy-chain": () => import("./proxy-chain.ts"),
  telemetry: () => import("./telemetry.ts"),
  "telemetry-hung": () => import("./telemetry-hung.ts"),
  "telemetry-random": () => import("./telemetry-random.ts"),
  "slow-reader": () => import("./slow-reader.ts"),
  resilience: () => import("./resilience.ts"),
  deciders: () => import("./deciders.ts"),
  "policy-cost": () => import("./policy-cost.ts"),
  "rule-change": () => import("./rule-change.ts"),
  rollout: () => import("./rollout.ts"),
  "rollout-simulation": () => import("./rollout-simulation.ts"),
  "apply-wait": () => import("./apply-wait.ts"),
  cli: () => import("./cli.ts"),
};

const USAGE = `usage: npm run bench -- [--json] [--scale N] [NAME ...]

  --json      one JSON document instead of tables
  --scale N   durations and counts times N (default 1): 0.1 to see that it runs, 10 for the longest of the targets

benches, all of them without a NAME:
  ${Object.keys(BENCHES).join("\n  ")}

Ends with 1 when a figure misses its bound.`;

const OPTIONS = {
  json: { type: "boolean", default: false },
  scale: { type: "string", default: "1" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** @throws Error saying what is wrong */
function parse() {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const scale = Number(values.scale);
  const unknown = positionals.filter((name) => !Object.hasOwn(BENCHES, name));
  if (unknown.length > 0) throw new Error(`there is no bench ${unknown.join(", ")}`);
  if (!(scale > 0)) throw new Error(`--scale ${values.scale}: a number above 0 is expected`);
  return { values, positionals, scale };
}

async function main(): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse();
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  const { values, positionals, scale } = parsed;
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  await refreshBundles((line) => console.error(line));
  const results: BenchResult[] = [];
  for (const name of positionals.length > 0 ? positionals : Object.keys(BENCHES)) {
    const load = BENCHES[name];
    if (load === undefined) continue;
    const note = (line: string): void => console.error(`${name}: ${line}`);
    const result = await (await load()).run({ scale, note });
    results.push(result);
    if (!values.json) console.log(`${render(result)}\n`);
  }
  if (values.json) console.log(JSON.stringify(results, undefined, 2));
  return results.every(({ figures }) => figures.every(meetsTarget)) ? 0 : 1;
}

function render({ bench, title, figures }: BenchResult): string {
  const rows = figures.map((figure) => [figure.name, valueText(figure), targetOf(figure), figure.detail ?? ""]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map(([name = "", value = "", target = "", detail = ""]) =>
    `  ${name.padEnd(widths[0] ?? 0)}  ${value.padStart(widths[1] ?? 0)}  ${target.padEnd(widths[2] ?? 0)}  ${detail}`.trimEnd(),
  );
  return [`${bench}: ${title}`, ...lines].join("\n");
}

function valueText({ value, unit }: Figure): string {
  const text = Number.isInteger(value) ? String(value) : value >= 1000 ? value.toFixed(0) : value.toPrecision(4);
  return unit === "" ? text : `${text} ${unit}`;
}

function targetOf(figure: Figure): string {
  if (figure.target === undefined) return "";
  const sign = figure.target.kind === "at-most" ? "<=" : ">=";
  return `(${meetsTarget(figure) ? "kept" : "MISSED"}: ${sign} ${figure.target.value})`;
}

process.exitCode = await main();
