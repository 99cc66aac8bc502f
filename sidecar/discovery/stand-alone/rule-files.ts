// The rule files of a stand-alone sidecar: one file, or every YAML and JSON file of one folder, read whole and within
// bounds. Their content is not looked at here.
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { SourceText } from "../../../rules/load.ts";

const EXTENSIONS = [".yaml", ".yml", ".json"];
const FILES_MAX = 5_000;
const BYTES_MAX = 16 * 1024 * 1024;

export interface RuleFiles {
  readonly sources: readonly SourceText[];
  /** Equal for equal names and content. */
  readonly digest: string;
}

/** Reads the files, by name. Rejects with a message for people when they cannot be read or exceed the bounds. */
export async function readRuleFiles(path: string): Promise<RuleFiles> {
  const files = (await stat(path)).isDirectory() ? await filesIn(path) : [path];
  const sources: SourceText[] = [];
  const hash = createHash("sha256");
  let bytes = 0;
  for (const file of files) {
    bytes += (await stat(file)).size;
    if (bytes > BYTES_MAX) throw new Error(`${path}: more than ${BYTES_MAX} bytes of rules`);
    const content = await readFile(file, "utf8");
    sources.push({ name: file, content });
    hash.update(`${file.length} ${file} ${content.length} ${content}`);
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
