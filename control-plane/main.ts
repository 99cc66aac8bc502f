#!/usr/bin/env node
// weft-control-plane: loads the program (program.ts) after the compile cache is on, which halves the start-up time from the
// second run on.
import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join, resolve } from "node:path";

enableCompileCache();
const { bundledProgram } = await import("../runtime/bundled-program.ts");
const bundle = bundledProgram("control-plane/program");
const program =
  bundle === undefined ? import("./program.ts") : (import(bundle) as Promise<typeof import("./program.ts")>);
await (await program).run(findProtoFolder());

/** The .proto files: beside the sources, and beside the sources' folder in a published build. */
function findProtoFolder(): string {
  const candidates = ["../proto", "../../proto"].map((folder) => resolve(import.meta.dirname, folder));
  return candidates.find((folder) => existsSync(join(folder, "weft/v1/rules.proto"))) ?? candidates[0] ?? "proto";
}
