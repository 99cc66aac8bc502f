// `npm run bundle`: makes one file of each program of the data path, with everything that it imports. V8 takes what another
// module exports from a cell, with three checks, each time it is used, and sees through what stands in the same one: a
// sidecar that is one file takes a tenth to a sixth less CPU for a request, and starts in half the time.
// `npm ci` does it too (prepare.js); the programs run from their sources where it was not done since the last change.
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { type OutputChunk, type Plugin, rolldown } from "rolldown";
import { BUNDLES, type BundleManifest, bundledProgram } from "../runtime/bundled-program.ts";

const ROOT = resolve(import.meta.dirname, "..");

/** By the path of its source, without extension: programs, and the processes and threads that they start. */
const PROGRAMS = [
  ...["sidecar/program", "sidecar/workers/main", "sidecar/discovery/stand-alone/main"],
  ...["control-plane/program", "control-plane/api/inspect-thread", "control-plane/cli/program"],
];

/** What stands for the folder that the programs' paths begin at. No source has such a name. */
const FOLDER = "__bundles";

if (import.meta.main) await refreshBundles(console.log);

/** Makes the bundles of this checkout that are not up to date. */
export async function refreshBundles(say: (line: string) => void): Promise<void> {
  for (const program of PROGRAMS) {
    if (bundledProgram(program) !== undefined) continue;
    const folder = join(ROOT, BUNDLES);
    const sources = await bundle(program, folder);
    const manifest: BundleManifest = {
      sources: Object.fromEntries(sources.map((source) => [source, marksOf(source)])),
    };
    write(join(folder, `${program}.json`), JSON.stringify(manifest));
    say(`${program}: ${sources.length} modules bundled`);
  }
}

/** Bundles all programs into a folder in which they have the paths of their sources. */
export async function bundleInto(folder: string): Promise<void> {
  for (const program of PROGRAMS) await bundle(program, folder);
}

/**
 * Modules that are loaded later, or never, stay files of their own beside it; packages are not part of it.
 * @returns its sources, from the root of the checkout
 */
async function bundle(program: string, folder: string): Promise<string[]> {
  rmSync(join(folder, `${program}.json`), { force: true });
  const build = await rolldown({
    input: join(ROOT, `${program}.ts`),
    platform: "node",
    external: /^[^./]/,
    plugins: [pathsOfSources()],
  });
  const depth = program.split("/").length - 1;
  const { output } = await build.generate({
    format: "esm",
    entryFileNames: `${program}.js`,
    chunkFileNames: `${program}.[name].js`,
    codeSplitting: { groups: [{ name: "initial", tags: ["$initial"] }] },
    comments: false,
    banner: ({ moduleIds }) =>
      [
        `// Bundled from ${moduleIds.map(sourceOf).join(" ")}`,
        'import { resolve as __resolve } from "node:path";',
        `const ${FOLDER} = __resolve(import.meta.dirname, "${"../".repeat(depth)}");`,
      ].join("\n"),
  });
  await build.close();
  const chunks = output.filter((each): each is OutputChunk => each.type === "chunk");
  // What imports others last: whoever begins to run it meanwhile finds them.
  for (const { fileName, code } of chunks.toReversed()) write(join(folder, fileName), code);
  const modules = chunks.flatMap(({ moduleIds }) => moduleIds).filter((id) => id.startsWith(ROOT));
  return [...new Set(modules.map(sourceOf))].sort();
}

/** From the root of the checkout. */
function sourceOf(id: string): string {
  return relative(ROOT, id);
}

/** Modules go by where they are. In a bundle they are where their source was, under the folder of the bundles. */
function pathsOfSources(): Plugin {
  return {
    name: "paths-of-sources",
    transform(code, id) {
      if (!code.includes("import.meta.") || !id.startsWith(ROOT)) return undefined;
      const path = sourceOf(id).replace(/\.ts$/, ".js");
      return code
        .replaceAll("import.meta.dirname", `(${FOLDER} + ${JSON.stringify(`/${dirname(path)}`)})`)
        .replaceAll("import.meta.filename", `(${FOLDER} + ${JSON.stringify(`/${path}`)})`);
    },
  };
}

function marksOf(source: string): [number, number] {
  const { mtimeMs, size } = statSync(join(ROOT, source));
  return [mtimeMs, size];
}

/** All at once: somebody may be about to read it. */
function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  const next = `${file}.${process.pid}`;
  writeFileSync(next, text);
  renameSync(next, file);
}
