// What a person waits for: whole command lines against a real control plane, from process start to exit, and the
// part of it that is Node and the CLI starting. Rounds are interleaved, so that a slow moment hits all alike.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUp, runProgram, temporaryFolder } from "../test/harness.ts";
import { startMesh } from "../test/mesh.ts";
import { type BenchOptions, type BenchResult, type Figure, percentile } from "./result.ts";

const ROUNDS = 40;
const DOCUMENTS = 200;
const GET_TARGET_MS = 250;

interface Case {
  readonly name: string;
  readonly program: string;
  readonly argv: readonly string[];
  readonly detail?: string;
  readonly targetMs?: number;
}

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const rounds = Math.max(5, Math.round(ROUNDS * scale));
  try {
    const { server } = await startMesh();
    const folder = temporaryFolder();
    const cases = casesOf(folder, server);
    await succeed("weft", ["apply", "--server", server, "-f", join(folder, "rules.yaml")]);
    note(`${rounds} rounds of ${cases.length} commands`);
    const samples = new Map<Case, number[]>(cases.map((one) => [one, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [one, taken] of samples) {
        const start = performance.now();
        await succeed(one.program, one.argv);
        taken.push(performance.now() - start);
      }
    }
    return {
      bench: "cli",
      title: "weft commands from process start to exit",
      figures: [...samples].flatMap(([one, taken]) => figuresOf(one, taken)),
    };
  } finally {
    await cleanUp();
  }
}

function casesOf(folder: string, server: string): Case[] {
  const empty = join(folder, "empty.mjs");
  const rules = join(folder, "rules.yaml");
  writeFileSync(empty, "");
  writeFileSync(rules, Array.from({ length: DOCUMENTS }, (_, index) => fault(index)).join("---\n"));
  const weft = (name: string, argv: readonly string[], more: Partial<Case> = {}): Case => ({
    name,
    program: "weft",
    argv,
    ...more,
  });
  return [
    { name: "node alone", program: empty, argv: [], detail: "an empty script" },
    weft("weft --version", ["--version"], { detail: "the CLI's own start-up" }),
    weft("weft get", ["get", "--server", server], { detail: `${DOCUMENTS} documents`, targetMs: GET_TARGET_MS }),
    weft("weft get -o yaml", ["get", "--server", server, "-o", "yaml"], { detail: `${DOCUMENTS} documents` }),
    weft("weft sidecars", ["sidecars", "--server", server]),
    weft("weft apply", ["apply", "--server", server, "-f", rules], { detail: `${DOCUMENTS} documents, unchanged` }),
    weft("weft validate", ["validate", "-f", rules], { detail: `${DOCUMENTS} documents, offline` }),
  ];
}

function figuresOf({ name, detail, targetMs }: Case, taken: readonly number[]): Figure[] {
  const more = detail === undefined ? {} : { detail };
  const target = targetMs === undefined ? {} : { target: { kind: "at-most" as const, value: targetMs } };
  return [
    { name: `${name}, p50`, value: percentile(taken, 50), unit: "ms", ...target, ...more },
    { name: `${name}, p95`, value: percentile(taken, 95), unit: "ms" },
  ];
}

function fault(index: number): string {
  return `apiVersion: weft.mesh/v1
kind: Fault
metadata: { name: fault-${index} }
spec: { targetRef: { kind: Service, name: orders }, delay: { percent: 1, duration: 10ms } }
`;
}

async function succeed(program: string, argv: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram(program, argv);
  if (code !== 0) throw new Error(`${program} ${argv.join(" ")} ended with ${code}:\n${stderr}`);
}
