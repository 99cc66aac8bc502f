// `npm run build`: makes dist/, the folder that is published. JavaScript instead of TypeScript (Node strips no types
// under node_modules), the .proto files, and three bins that find a Node that is new enough.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, extname, join, relative, resolve } from "node:path";
import { bundleInto } from "./bundle.ts";

const ROOT = resolve(import.meta.dirname, "..");
const ROOMS = ["rules", "runtime", "sidecar", "control-plane"];
const LEAVE_OUT = new Set([".ts", ".md"]);
/** Fields of package.json that a user of the package needs; scripts and devDependencies stay here. */
const PUBLISHED_FIELDS = ["name", "version", "description", "license", "type", "engines", "dependencies"];

await build(resolve(process.argv[2] ?? join(ROOT, "dist")));

async function build(dist: string): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  compile(dist);
  await bundleInto(dist);
  prune(dist);
  refuseTypeScriptNames(dist);
  refuseDevelopmentImports(dist);
  cpSync(join(ROOT, "proto/weft"), join(dist, "proto/weft"), { recursive: true });
  for (const room of ROOMS) copyAssets(room, dist);
  writePackage(dist);
  for (const name of ["README.md", "CHANGELOG.md", "LICENSE"]) cpSync(join(ROOT, name), join(dist, name));
  console.log(`${relative(process.cwd(), dist) || dist}: ${filesUnder(dist).length} files`);
}

/** What the three programs reach by imports, and nothing else: tests and their tools stay out by themselves. */
function compile(dist: string): void {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const args = [tsc, "--project", join(ROOT, "tsconfig.build.json"), "--outDir", dist];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`tsc ended with ${status}`);
}

/** Modules that only went into bundles. */
function prune(dist: string): void {
  const { files } = JSON.parse(readFileSync(join(ROOT, "tsconfig.build.json"), "utf8")) as { files: string[] };
  const reached = new Set(files.map((file) => join(dist, file.replace(/\.ts$/, ".js"))));
  for (const file of reached) {
    const imports = readFileSync(file, "utf8").matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]*)"/g);
    for (const [, path = ""] of imports) reached.add(join(dirname(file), path));
  }
  for (const file of filesUnder(dist)) if (!reached.has(file)) rmSync(file);
}

/** A path such as join(dirname, "worker.ts") is not rewritten by the compiler and would not exist in dist/. */
function refuseTypeScriptNames(dist: string): void {
  const offenders = filesUnder(dist).filter(
    (file) => file.endsWith(".js") && /["'`][^"'`\n ]*\w\.ts["'`]/.test(withoutComments(readFileSync(file, "utf8"))),
  );
  if (offenders.length > 0)
    throw new Error(`names a .ts file, which dist/ does not have (use import.meta.filename): ${offenders.join(", ")}`);
}

/** What only tests need must not be published: it would not even load without the development dependencies. */
function refuseDevelopmentImports(dist: string): void {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  };
  for (const file of filesUnder(dist).filter((name) => name.endsWith(".js"))) {
    const imported = [...readFileSync(file, "utf8").matchAll(/(?:from|import)\s*\(?\s*"([^"./][^"]*)"/g)];
    const wrong = imported.map((match) => match[1] ?? "").filter((name) => Object.hasOwn(devDependencies, name));
    if (wrong.length > 0) throw new Error(`${file} imports ${wrong.join(", ")}, which a user does not have`);
  }
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

/** What is not code but read at run time, such as the dashboard's page. */
function copyAssets(room: string, dist: string): void {
  for (const file of filesUnder(join(ROOT, room))) {
    if (LEAVE_OUT.has(extname(file))) continue;
    const target = join(dist, relative(ROOT, file));
    mkdirSync(dirname(target), { recursive: true });
    cpSync(file, target);
  }
}

function writePackage(dist: string): void {
  const source = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<string, unknown>;
  const published: Record<string, unknown> = {};
  for (const field of PUBLISHED_FIELDS) published[field] = source[field];
  const bins = source["bin"] as Record<string, string>;
  published["bin"] = Object.fromEntries(Object.keys(bins).map((name) => [name, `bin/${name}.js`]));
  writeFileSync(join(dist, "package.json"), `${JSON.stringify(published, null, 2)}\n`);
  cpSync(join(import.meta.dirname, "bin"), join(dist, "bin"), { recursive: true });
  for (const [name, script] of Object.entries(bins)) writeBin(join(dist, "bin", `${name}.js`), script);
}

function writeBin(file: string, script: string): void {
  const program = `../${script.replace(/\.ts$/, ".js")}`;
  const lines = [
    "#!/usr/bin/env node",
    'import { fileURLToPath } from "node:url";',
    'import { launch } from "./launch.js";',
    "",
    `await launch(${JSON.stringify(program)}, fileURLToPath(import.meta.url));`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  chmodSync(file, 0o755);
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}
