// `npm run soak`: ten minutes of misbehaviour, or as many as are asked for.
//   npm run soak -- [--seconds 600] [--clients 48]
import { parseArgs } from "node:util";
import { soak } from "./soak.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "600" }, clients: { type: "string", default: "48" } },
});
const report = await soak({
  seconds: Number(values.seconds),
  clients: Number(values.clients),
  note: (line) => console.error(line),
});
const { early, late, ...counts } = report;
console.log(JSON.stringify({ ...counts, early, late }, undefined, 2));
process.exitCode = report.findings.length === 0 ? 0 : 1;
