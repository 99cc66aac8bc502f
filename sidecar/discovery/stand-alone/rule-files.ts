// The rule files of a stand-alone sidecar: one file, or every YAML and JSON file of one folder, read whole and within
// bounds. Their content is not looked at here.
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { SourceText } from "../../../rules/load.ts";

const EXTENSIONS = [".yaml", ".yml", ".json"];
const FILES_MAX = 5_000;
const BYTES_MAX = 16 * 1024 * 1024;

/** The files as the file system knows them, unread. */
export interface RuleFiles {
  readonly names: readonly string[];
  /** Equal while nothing has written to any of them, or put another in its place. */
  readonly state: string;
  /** Milliseconds since the epoch of the newest change, by the file system's clock. */
  readonly changedAtMs: number;
}

export interface RuleTexts {
  readonly sources: readonly SourceText[];
  /** Equal for equal names and content. */
  readonly digest: string;
}

/** Looks for the files. Rejects with a message for people when they cannot be found or exceed the bounds. */
export async function findRuleFiles(path: string): Promise<RuleFiles> {
  const found = await stat(path);
  const names = found.isDirectory() ? await filesIn(path) : [path];
  let bytes = 0;
  let state = "";
  // A folder without files has changed when the last of them went.
  let changedAtMs = names.length === 0 ? found.ctimeMs : 0;
  for (const name of names) {
    const { size, ino, dev, mtimeNs, ctimeNs, ctimeMs } = await stat(name, { bigint: true });
    bytes += Number(size);
    state += `${name} ${size} ${dev} ${ino} ${mtimeNs} ${ctimeNs}\n`;
    changedAtMs = Math.max(changedAtMs, Number(ctimeMs));
  }
  if (bytes > BYTES_MAX) throw new Error(`${path}: more than ${BYTES_MAX} bytes of rules`);
  return { names, state, changedAtMs };
}

/** Reads them, by name. */
export async function readRuleFiles({ names }: RuleFiles): Promise<RuleTexts> {
  const sources: SourceText[] = [];
  const hash = createHash("sha256");
  for (const name of names) {
    const content = await readFile(name, "utf8");
    sources.push({ name, content });
    hash.update(`${name.length} ${name} ${content.length} `).update(content);
  }
  return { sources, digest: hash.digest("hex") };
}

/** Not the folders in it, and nothing hidden: a mounted ConfigMap keeps its older versions in hidden folders. */
async function filesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(
    (name) => !name.startsWith(".") && EXTENSIONS.some((extension) => name.endsWith(extension)),
  );
  if (names.length > FILES_MAX) throw new Error(`${folder}: more than ${FILES_MAX} rule files`);
  return names.sort().map((name) => join(folder, name));
}
