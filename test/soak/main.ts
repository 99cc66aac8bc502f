// `npm run soak`: ten minutes of misbehaviour, or as many as are asked for.
import { numberOptions } from "../../scripts/number-options.ts";
import { soak } from "./soak.ts";

const { seconds = 0, clients = 0 } = numberOptions("npm run soak -- [--seconds N] [--clients N]", {
  seconds: ["how long clients and endpoints misbehave", 600],
  clients: ["how many of them at a time", 48],
});
const report = await soak({ seconds, clients, note: (line) => console.error(line) });
const { early, late, ...counts } = report;
console.log(JSON.stringify({ ...counts, early, late }, undefined, 2));
process.exitCode = report.findings.length === 0 ? 0 : 1;
