// Rule sources named by -f: files, directories and standard input, read whole and within bounds. Their content
// is not looked at here.
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CliFailure, usageFailure } from "./failure.ts";
import type { Shell } from "./shell.ts";

/** Largest input, one file or all together; what the control plane takes at once. */
export const SOURCE_BYTES_MAX = 4 * 1024 * 1024;
/** Files that one -f DIR -R may bring in. */
const SOURCES_MAX = 5_000;
const EXTENSIONS = [".yaml", ".yml", ".json"];

export interface SourceFile {
  readonly name: string;
  readonly content: Buffer;
}

/** Reads every named source in the order given; a directory gives its files by name. */
export async function readSources(
  paths: readonly string[],
  options: { recursive: boolean; shell: Shell },
): Promise<SourceFile[]> {
  if (paths.length === 0) throw usageFailure("no input; expected -f FILE, -f DIR or -f -");
  if (paths.filter((path) => path === "-").length > 1) throw usageFailure("-f -: standard input can be read only once");
  if (paths.includes("")) throw usageFailure("-f: the path is empty");
  const sources: SourceFile[] = [];
  for (const path of paths) {
    if (path === "-") sources.push(await readStdin(options.shell));
    else for (const file of await filesOf(path, options.recursive)) sources.push(await readSource(file));
    if (sources.length > SOURCES_MAX) throw usageFailure(`more than ${SOURCES_MAX} files; apply fewer at a time`);
  }
  const bytes = sources.reduce((sum, source) => sum + source.content.length, 0);
  if (bytes > SOURCE_BYTES_MAX) throw tooLarge(`the ${sources.length} files together`, "apply them in parts");
  return sources;
}

async function filesOf(path: string, recursive: boolean): Promise<string[]> {
  const facts = await stat(path).catch((error: unknown) => {
    throw cannotRead(path, error);
  });
  if (!facts.isDirectory()) return [path];
  const entries = await readdir(path, { recursive, withFileTypes: true }).catch((error: unknown) => {
    throw cannotRead(path, error);
  });
  const files = entries
    .filter((entry) => !entry.isDirectory() && EXTENSIONS.some((extension) => entry.name.endsWith(extension)))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (files.length === 0) {
    const hint = recursive ? [] : ["look into its subdirectories too with -R"];
    throw usageFailure(`${path}: no .yaml, .yml or .json files in this directory`, ...hint);
  }
  return files;
}

async function readSource(path: string): Promise<SourceFile> {
  try {
    return { name: path, content: await readBounded(path, createReadStream(path)) };
  } catch (error) {
    throw error instanceof CliFailure ? error : cannotRead(path, error);
  }
}

async function readStdin(shell: Shell): Promise<SourceFile> {
  return { name: "-", content: await readBounded("standard input", shell.stdin) };
}

/** Stops at the bound, so that a device or an endless pipe is refused like a large file. */
async function readBounded(name: string, stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > SOURCE_BYTES_MAX) throw tooLarge(name);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(name: string, advice = "split it into several files, and apply them in parts"): CliFailure {
  return usageFailure(`${name}: too large; expected at most 4 MiB`, advice);
}

function cannotRead(path: string, error: unknown): CliFailure {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const words: Readonly<Record<string, string>> = {
    ENOENT: "no such file or directory",
    EACCES: "permission denied",
    EISDIR: "is a directory",
  };
  return usageFailure(`${path}: ${words[code] ?? (error instanceof Error ? error.message : String(error))}`);
}
